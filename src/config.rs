//! The configuration: what an operator can set, typed and checked.
//!
//! One struct per section; the comments of their fields say what each key means, and [`reference()`] makes the page for
//! operators of them. Three layers: the defaults, a TOML file, and
//! environment variables (`ROSTER_SECTION__KEY`); the later wins, key by key. Start at [`Config::load`]. This module
//! alone reads the environment. It opens no connection and creates no file; the one exception has to be asked for,
//! [`Links::load_keys`].
//!
//! A [`Config`] can only be had without problems, so nothing downstream checks it again.

mod auth;
mod database;
mod error;
mod events;
mod extract;
mod index;
mod keys;
mod layers;
mod limits;
mod links;
mod mail;
mod reference;
mod roles;
mod secret_files;
mod server;
mod telemetry;
mod text;
mod web;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use auth::{
    Auth, AuthMode, JwksUrl, Jwt, JwtAlgorithm, JwtClaims, San, ServiceCertificate, ServiceToken, Services,
    TokenDigest, new_service_token,
};
pub use database::{Database, DatabaseUrl};
pub use error::{Error, Problem, Problems};
pub use events::{EventEncoding, Events, Nats, NatsUrl, PublisherKind};
pub use keys::KeyFileError;
pub use limits::{Limits, RateLimit};
pub use links::{AcceptUrl, KeyBytes, LinkKey, Links};
pub use mail::{Mail, MailFile, MailTransportKind, Smtp, SmtpSecurity};
pub use reference::reference;
pub use roles::Role;
pub use server::{GrpcWeb, Server, Tls};
pub use telemetry::{LogFormat, OtlpEndpoint, Telemetry};
pub use text::InvalidText;
pub use web::{PageOrigin, TeamUrl, WebUrl};

/// Everything that can be set.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the instance keeps its own files: the SQLite database, mail in files, the generated link key.
    pub data_dir: PathBuf,
    /// The gRPC server.
    pub server: Server,
    /// The database.
    pub database: Database,
    /// Authentication.
    pub auth: Auth,
    /// Invitation links.
    pub links: Links,
    /// How often callers may do what others get to feel. What is refused ends with `RESOURCE_EXHAUSTED` and says when to
    /// try again. The limits for invitations count addresses, and hold for all instances on a database together.
    pub limits: Limits,
    /// Outgoing mail.
    pub mail: Mail,
    /// Publication of events.
    pub events: Events,
    /// Logs, traces and metrics.
    pub telemetry: Telemetry,
    /// The system roles, which every team has. A list replaces them all; `owner` and `admin` must be in it.
    pub roles: Vec<Role>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("./data"),
            server: Server::default(),
            database: Database::default(),
            auth: Auth::default(),
            links: Links::default(),
            limits: Limits::default(),
            mail: Mail::default(),
            events: Events::default(),
            telemetry: Telemetry::default(),
            roles: roles::defaults(),
        }
    }
}

impl Config {
    /// Loads the configuration from `file`, if one is named, and the environment of this process.
    ///
    /// # Errors
    /// If the file cannot be read or is no TOML; else with every unknown, missing or unusable key at once.
    pub fn load(file: Option<&Path>) -> Result<Self, Error> {
        Self::load_with(file, std::env::vars_os())
    }

    /// As [`Config::load`], with these variables in place of the environment.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_with(
        file: Option<&Path>,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, Error> {
        let mut problems = Problems::default();
        let mut layers = layers::Layers::read(file, variables, &mut problems)?;
        secret_files::fill(&mut layers.values, &mut problems);
        let config = extract::extract(std::mem::take(&mut layers.values), &mut problems);
        config.check(&mut problems);
        problems.attribute(|key| layers.variable_of(key));
        if problems.as_slice().is_empty() { Ok(config) } else { Err(Error::Invalid(problems)) }
    }

    /// The effective configuration as TOML, with secrets masked. A secret that came from a file is left out, since
    /// the file is named.
    ///
    /// # Errors
    /// If a path is not UTF-8, which TOML cannot hold.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        let mut table = toml::Table::try_from(self)?;
        drop_filed_secrets(&mut table);
        toml::to_string(&table)
    }

    /// How many of the [`Server::max_in_flight`] calls may be writes, at least one. They wait for each other while reads do
    /// not, and would come to hold every place: so they take half of them at most. `SQLite` has one writer, and so many
    /// may wait for it as for any one connection.
    #[must_use]
    pub fn max_writes(&self) -> usize {
        let Self { server: Server { max_in_flight, .. }, database: Database { max_connections, url, .. }, .. } = self;
        let connections = usize::try_from(*max_connections).unwrap_or(usize::MAX);
        let queues = if url.is_postgres() { 2 } else { connections.max(2) };
        (max_in_flight / queues).max(1)
    }

    fn check(&self, problems: &mut Problems) {
        self.server.check(problems);
        self.database.check(problems);
        self.auth.check(problems);
        self.links.check(problems);
        self.limits.check(problems);
        self.mail.check(problems);
        self.events.check(problems);
        self.telemetry.check(problems);
        roles::check(&self.roles, problems);
        self.check_together(problems);
    }

    /// What one section asks of another.
    fn check_together(&self, problems: &mut Problems) {
        let development = self.auth.mode == AuthMode::Development;
        problems.require(
            !development || self.server.listen.ip().is_loopback(),
            "auth.mode",
            "\"development\" lets everybody in and therefore asks server.listen to be a loopback address; \
             set \"credentials\"",
        );
        let takes_certificates = !self.auth.certificates.is_empty();
        problems.require(
            !takes_certificates || self.server.tls.client_ca_file.is_some(),
            "server.tls.client_ca_file",
            "is required by auth.certificates",
        );
        problems.require(
            self.server.tls.client_ca_file.is_none() || takes_certificates || self.auth.callers_file.is_some(),
            "auth.certificates",
            "at least one is required by server.tls.client_ca_file, here or in auth.callers_file",
        );
        problems.require(
            development || !self.database.url.is_postgres() || !self.links.keys.is_empty(),
            "links.keys",
            "at least one is required with PostgreSQL: every replica must sign with the same key",
        );
    }
}

fn drop_filed_secrets(table: &mut toml::Table) {
    let filed: Vec<String> = table.keys().filter_map(|key| key.strip_suffix("_file")).map(ToOwned::to_owned).collect();
    for key in filed {
        table.remove(&key);
    }
    for (_, value) in table.iter_mut() {
        match value {
            toml::Value::Table(inner) => drop_filed_secrets(inner),
            toml::Value::Array(items) => {
                items.iter_mut().filter_map(toml::Value::as_table_mut).for_each(drop_filed_secrets);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
