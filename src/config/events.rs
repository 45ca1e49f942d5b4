//! `events`: where events go besides the API, and how long they stay.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use super::error::Problems;
use super::text::{HumanTime, InvalidText, MASK, Text};

/// Publication of events.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Events {
    /// Where events are published. `ListEvents` and `Watch` work either way.
    pub publisher: PublisherKind,
    /// How often an instance looks for what others wrote; its own writes wake it. An event reaches the streams of every
    /// instance within twice this time.
    #[serde(with = "HumanTime")]
    pub poll_interval: Duration,
    /// How long published events can be listed, at least 7 days, so that what a broker lost can be published again.
    #[serde(with = "HumanTime")]
    pub retention: Duration,
    /// How often a quiet `Watch` sends a checkpoint.
    #[serde(with = "HumanTime")]
    pub checkpoint_interval: Duration,
    /// The publisher `nats`.
    pub nats: Nats,
}

/// Where events are published.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PublisherKind {
    /// Nowhere.
    #[default]
    None,
    /// On a NATS JetStream stream.
    Nats,
}

/// A NATS server with JetStream.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Nats {
    /// The server, `nats://` or `tls://`; may hold user and password, or a token.
    #[serde(with = "Text")]
    pub url: NatsUrl,
    /// A file that holds the URL.
    pub url_file: Option<PathBuf>,
    /// The stream; made at start if missing.
    pub stream: String,
    /// How many servers of a cluster keep the stream if Roster makes it, 1 to 5; 3 in production. A stream that exists is
    /// left as it is.
    pub replicas: usize,
    /// What every subject begins with.
    pub subject_prefix: String,
    /// A NATS credentials file (`.creds`).
    pub credentials_file: Option<PathBuf>,
    /// The form of a message's body.
    pub encoding: EventEncoding,
    /// Messages sent before an acknowledgement is awaited, 1 to 4096.
    pub window: usize,
}

/// The form of a published event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EventEncoding {
    /// `roster.events.v1.Event` in binary.
    #[default]
    Protobuf,
    /// The same in protobuf's JSON form.
    Json,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            publisher: PublisherKind::default(),
            poll_interval: Duration::from_millis(150),
            retention: Self::MIN_RETENTION,
            checkpoint_interval: Duration::from_secs(5),
            nats: Nats::default(),
        }
    }
}

impl Default for Nats {
    fn default() -> Self {
        Self {
            url: NatsUrl("nats://127.0.0.1:4222".into()),
            url_file: None,
            stream: "ROSTER_EVENTS".to_owned(),
            replicas: 1,
            subject_prefix: "roster.events.v1".to_owned(),
            credentials_file: None,
            encoding: EventEncoding::default(),
            window: 256,
        }
    }
}

impl Events {
    const MIN_RETENTION: Duration = Duration::from_hours(7 * 24);

    pub(super) fn check(&self, problems: &mut Problems) {
        problems.positive(self.poll_interval, "events.poll_interval");
        problems.positive(self.checkpoint_interval, "events.checkpoint_interval");
        problems.require(self.retention >= Self::MIN_RETENTION, "events.retention", "must be at least 7days");
        let Nats { stream, replicas, subject_prefix, window, .. } = &self.nats;
        problems.require(is_token(stream), "events.nats.stream", "must be 1 to 64 of letters, digits, '-' and '_'");
        problems.require((1..=5).contains(replicas), "events.nats.replicas", "must be 1 to 5");
        problems.require(
            subject_prefix.len() <= 128 && subject_prefix.split('.').all(is_token),
            "events.nats.subject_prefix",
            "must be dotted names of letters, digits, '-' and '_', at most 128 characters",
        );
        problems.require((1..=4096).contains(window), "events.nats.window", "must be 1 to 4096");
    }
}

/// What NATS takes as one part of a subject, and as a stream's name, in every version.
fn is_token(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

/// A checked NATS URL. Printing it masks user, password and token.
#[derive(Clone)]
pub struct NatsUrl(SecretString);

impl NatsUrl {
    /// The whole URL with its credentials; for connecting, not for printing.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl FromStr for NatsUrl {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "nats" | "tls") && url.has_host() => Ok(Self(text.into())),
            _ => Err(InvalidText("expected nats://HOST:PORT or tls://HOST:PORT")),
        }
    }
}

impl fmt::Display for NatsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A token stands where the user stands, therefore both are masked.
        match self.expose().split_once("://").map(|(scheme, rest)| (scheme, rest.rsplit_once('@'))) {
            Some((scheme, Some((_, host)))) => write!(f, "{scheme}://{MASK}@{host}"),
            _ => f.write_str(self.expose()),
        }
    }
}

impl fmt::Debug for NatsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_masked() {
        let printed = |url: &str| url.parse::<NatsUrl>().unwrap().to_string();
        assert_eq!(printed("nats://127.0.0.1:4222"), "nats://127.0.0.1:4222");
        assert_eq!(printed("nats://s3cr3t@nats:4222"), "nats://***@nats:4222");
        assert_eq!(printed("tls://roster:hunter2@nats:4222"), "tls://***@nats:4222");
    }

    #[test]
    fn refuses_what_is_no_nats_server() {
        for url in ["", "127.0.0.1:4222", "http://nats:4222", "nats://"] {
            assert!(url.parse::<NatsUrl>().is_err(), "{url}");
        }
    }
}
