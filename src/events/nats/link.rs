//! The connection to the NATS server: made in the background, again and again.

use std::{
    future::ready,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_nats::{Client, ConnectOptions, Event};
use percent_encoding::percent_decode_str;
use tokio::sync::watch;
use url::Url;

use super::NatsSetupError;
use crate::config;

/// The longest pause between two attempts to connect.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How often a quiet connection is tried. It counts as lost when two tries in a row stay without an answer.
const PING_INTERVAL: Duration = Duration::from_secs(10);

/// What is known of the connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Link {
    up: bool,
    /// How often it was lost.
    losses: u64,
    /// What the last attempt to connect failed with.
    error: Option<String>,
}

impl Link {
    pub(super) fn is_up(&self) -> bool {
        self.up
    }

    pub(super) fn was_lost_since(&self, before: &Self) -> bool {
        self.losses != before.losses
    }

    pub(super) fn why_down(&self) -> String {
        match &self.error {
            Some(error) => format!("cannot connect to NATS: {error}"),
            None => "not connected to NATS".to_owned(),
        }
    }

    fn note(&mut self, event: &Event) {
        match event {
            Event::Connected => *self = Self { up: true, losses: self.losses, error: None },
            Event::Disconnected | Event::Closed => *self = Self { up: false, losses: self.losses + 1, error: None },
            Event::ClientError(error) if !self.up => self.error = Some(error.to_string()),
            // What a server complains about while connected also fails the publish that it is about.
            Event::ClientError(_)
            | Event::ServerError(_)
            | Event::LameDuckMode
            | Event::Draining
            | Event::SlowConsumer(_) => {}
        }
    }
}

/// How to connect, and to which server. Reads the credentials file.
pub(super) async fn options(settings: &config::Nats) -> Result<(ConnectOptions, String), NatsSetupError> {
    let (server, credentials) = split(settings.url.expose());
    let mut options = match credentials {
        Some((user, Some(password))) => ConnectOptions::with_user_and_password(user, password),
        Some((token, None)) => ConnectOptions::with_token(token),
        None => ConnectOptions::new(),
    };
    if let Some(path) = &settings.credentials_file {
        let refuse = |source| NatsSetupError::Credentials { path: path.clone(), source };
        options = options.credentials_file(path).await.map_err(refuse)?;
    }
    Ok((options, server))
}

/// A client that connects in the background, and what becomes of its connection. With every new connection `checked` is
/// reset: it may lead to another server, or to one that was set up anew.
pub(super) async fn connect(
    settings: &config::Nats,
    checked: Arc<AtomicBool>,
) -> Result<(Client, watch::Receiver<Link>), NatsSetupError> {
    let (options, server) = options(settings).await?;
    let (link, updates) = watch::channel(Link::default());
    let client = options
        .name("roster")
        .retry_on_initial_connect()
        .reconnect_delay_callback(|attempts| {
            let doubled = Duration::from_millis(10) * (1 << attempts.saturating_sub(1).min(16));
            if attempts <= 1 { Duration::ZERO } else { doubled.min(LONGEST_PAUSE) }
        })
        .ping_interval(PING_INTERVAL)
        .event_callback(move |event| {
            if event == Event::Connected {
                checked.store(false, Ordering::Relaxed);
            }
            link.send_modify(|link| link.note(&event));
            ready(())
        })
        .connect(server)
        .await
        .map_err(NatsSetupError::Url)?;
    Ok((client, updates))
}

/// The URL without user and password, which the client would ignore there and print at `DEBUG`; and these.
fn split(url: &str) -> (String, Option<(String, Option<String>)>) {
    let Ok(mut parsed) = Url::parse(url) else { return (url.to_owned(), None) };
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let credentials = match (parsed.username(), parsed.password()) {
        ("", None) => None,
        (user, password) => Some((decoded(user), password.map(decoded))),
    };
    // A URL with a host takes both.
    let _ = parsed.set_username("");
    let _ = parsed.set_password(None);
    (parsed.into(), credentials)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_leave_the_url() {
        let split = |url| {
            let (server, credentials) = split(url);
            assert!(!server.contains("s3cr3t"), "{server}");
            (server, credentials)
        };
        assert_eq!(split("nats://nats:4222"), ("nats://nats:4222".to_owned(), None));
        assert_eq!(
            split("nats://s3cr3t@nats:4222"),
            ("nats://nats:4222".to_owned(), Some(("s3cr3t".to_owned(), None)))
        );
        assert_eq!(
            split("tls://roster:s3cr3t%40@nats.example.com"),
            ("tls://nats.example.com".to_owned(), Some(("roster".to_owned(), Some("s3cr3t@".to_owned()))))
        );
    }

    #[test]
    fn a_loss_is_noticed_even_after_the_next_connection() {
        let mut link = Link::default();
        assert!(!link.is_up());
        link.note(&Event::Connected);
        let before = link.clone();
        assert!(link.is_up() && !link.was_lost_since(&before));
        link.note(&Event::Disconnected);
        link.note(&Event::Connected);
        assert!(link.is_up() && link.was_lost_since(&before));
    }
}
