//! Looking at a configuration without starting anything: what a start would read is read, and nothing is made.

use std::{error::Error, path::Path};

use super::options;
use crate::{
    callers::{Callers, Unusable},
    causes::on_one_line,
    config::{Config, MailTransportKind, Problem, Problems, PublisherKind},
    env::Env,
    events::NatsPublisher,
    mail::{Renderer, SmtpTransport},
    repository::Database,
};

/// What is wrong with what a key names, if anything is.
type Found = Result<(), String>;

/// How far to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// At what is on this machine: the files and folders that are named.
    Files,
    /// Also at the servers: whether they answer, and let this service in.
    Servers,
}

/// What would keep a service with this configuration from starting or from working, all of it at once.
pub async fn check(config: &Config, reach: Reach) -> Problems {
    let mut found = files(config);
    if config.events.publisher == PublisherKind::Nats {
        found.push(("events.nats", nats(config, reach).await));
    }
    if config.mail.transport == MailTransportKind::Smtp {
        found.push(("mail.smtp", smtp(config, reach).await));
    }
    if config.database.url.is_postgres() && reach == Reach::Servers {
        found.push(("database.url", database(config).await));
    }
    let problems = found.into_iter().filter_map(|(key, found)| Some(Problem::new(key, found.err()?)));
    let callers = Callers::check(&config.auth, &config.server, &Env::system()).err();
    let credentials = callers.iter().flat_map(Unusable::problems).map(|(key, why)| Problem::new(key, why));
    problems.chain(credentials).collect()
}

fn files(config: &Config) -> Vec<(&'static str, Found)> {
    let mut found = vec![
        ("data_dir", can_be_folder(&config.data_dir)),
        ("mail.templates", Renderer::new(&config.mail).map(drop).map_err(told)),
        ("links.keys", config.links.check_key_file(&config.data_dir).map_err(told)),
    ];
    if let Some(path) = config.database.url.sqlite_path() {
        found.push(("database.url", can_be_file(path)));
    }
    if config.mail.transport == MailTransportKind::File {
        found.push(("mail.file.folder", can_be_folder(&config.mail.file.folder)));
    }
    found
}

async fn nats(config: &Config, reach: Reach) -> Found {
    let settings = &config.events.nats;
    match reach {
        Reach::Files => NatsPublisher::check(settings).await.map_err(told),
        Reach::Servers => NatsPublisher::reach(settings).await.map_err(told),
    }
}

async fn smtp(config: &Config, reach: Reach) -> Found {
    let transport = SmtpTransport::new(&config.mail.smtp).map_err(told)?;
    match reach {
        Reach::Files => Ok(()),
        Reach::Servers => transport.reach().await.map_err(told),
    }
}

async fn database(config: &Config) -> Found {
    let database = Database::open(options(&config.database)).await.map_err(told)?;
    database.close().await.map_err(told)
}

/// Whether a folder is there, or could be made. Whether this user may write there shows only when it does.
fn can_be_folder(path: &Path) -> Found {
    match path.ancestors().find(|part| part.exists()) {
        Some(part) if !part.is_dir() => Err(format!("{} is no folder", part.display())),
        _ => Ok(()),
    }
}

fn can_be_file(path: &Path) -> Found {
    if path.is_dir() {
        return Err(format!("{} is a folder", path.display()));
    }
    path.parent().map_or(Ok(()), can_be_folder)
}

/// An error with its causes, on one line.
fn told(error: impl Error) -> String {
    on_one_line(&error)
}
