//! `mail`: how invitations reach a mailbox.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use lettre::{Address, message::Mailbox};
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::error::Problems;
use super::text::{self, HumanTime, OptionalSecret, OptionalText};
use super::web::{TeamUrl, WebUrl};
use crate::domain::profile::Locale;

/// Outgoing mail.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Mail {
    /// Where mail goes.
    pub transport: MailTransportKind,
    /// The sender: `Name <user@example.com>`, or the bare address.
    pub from: String,
    /// What the product is called in mails, 1 to 100 characters.
    pub product_name: String,
    /// A logo for the head of mails, an `https` URL; without it the product's name stands there. It is shown 36 pixels
    /// high, and has to be seen on white and on dark ground.
    #[serde(with = "OptionalText")]
    pub logo_url: Option<WebUrl>,
    /// An e-mail address for questions, at the foot of mails.
    pub support_address: Option<String>,
    /// The page to log in on, an `http` or `https` URL; invitations name it if it is set.
    #[serde(with = "OptionalText")]
    pub login_url: Option<WebUrl>,
    /// The page on which inviters see to an invitation; `{team_id}` and `{invitation_id}` in it stand for the ids. The
    /// mail that somebody asks for a new invitation leads to it.
    #[serde(with = "OptionalText")]
    pub team_url: Option<TeamUrl>,
    /// A folder with mail templates of your own, in any language ([mail.md](mail.md)). They are tried at start, and a
    /// mistake in one stops it. English is built in.
    pub templates: Option<PathBuf>,
    /// The language of mails to people whose own has no templates: a tag such as `de` or `pt-BR`.
    pub default_locale: String,
    /// How often the outbox is looked at when nothing wakes its worker.
    #[serde(with = "HumanTime")]
    pub poll_interval: Duration,
    /// Attempts before a mail is given up, at least 1.
    pub max_attempts: u32,
    /// How long one attempt may take as a whole. After a crash, a mail that was being sent is tried again after twice
    /// as long.
    #[serde(with = "HumanTime")]
    pub attempt_timeout: Duration,
    /// The transport `file`.
    pub file: MailFile,
    /// The transport `smtp`.
    pub smtp: Smtp,
}

/// Where mail goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MailTransportKind {
    /// Into `.eml` files, for development.
    #[default]
    File,
    /// To an SMTP server.
    Smtp,
}

/// Mail into files.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MailFile {
    /// The folder of the `.eml` files, made if missing. If not set, it is `mail` in `data_dir`.
    pub folder: PathBuf,
}

/// Mail to an SMTP server.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Smtp {
    /// The server's name or address; required by the transport `smtp`.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub security: SmtpSecurity,
    /// Whom to log in as; needs a password.
    pub username: Option<String>,
    /// The password to log in with.
    #[serde(with = "OptionalSecret", skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretString>,
    /// A file that holds the password.
    pub password_file: Option<PathBuf>,
    /// Connections kept at most, at least 1.
    pub pool_size: u32,
    /// How long one SMTP command may take.
    #[serde(with = "HumanTime")]
    pub timeout: Duration,
    /// A PEM file with one more certificate authority to trust beside the system's.
    pub ca_file: Option<PathBuf>,
}

/// How an SMTP connection is protected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SmtpSecurity {
    /// Upgraded to TLS before anything is said; without TLS nothing is sent.
    #[default]
    StartTls,
    /// TLS from the first byte (port 465).
    Tls,
    /// Not at all.
    Plaintext,
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            transport: MailTransportKind::default(),
            from: "Roster <no-reply@localhost>".to_owned(),
            product_name: "Roster".to_owned(),
            logo_url: None,
            support_address: None,
            login_url: None,
            team_url: None,
            templates: None,
            default_locale: "en".to_owned(),
            poll_interval: Duration::from_secs(1),
            max_attempts: 10,
            attempt_timeout: Duration::from_mins(1),
            file: MailFile::default(),
            smtp: Smtp::default(),
        }
    }
}

impl Default for MailFile {
    fn default() -> Self {
        Self { folder: PathBuf::from("./data/mail") }
    }
}

impl Default for Smtp {
    fn default() -> Self {
        Self {
            host: String::new(),
            port: 587,
            security: SmtpSecurity::default(),
            username: None,
            password: None,
            password_file: None,
            pool_size: 4,
            timeout: Duration::from_secs(10),
            ca_file: None,
        }
    }
}

impl Mail {
    pub(super) fn check(&self, problems: &mut Problems) {
        problems.require(
            self.from.parse::<Mailbox>().is_ok(),
            "mail.from",
            "expected \"Name <user@example.com>\" or a bare address",
        );
        problems.require(
            text::is_line(&self.product_name),
            "mail.product_name",
            "must be 1 to 100 characters on one line",
        );
        self.check_looks(problems);
        problems.positive(self.poll_interval, "mail.poll_interval");
        problems.positive(self.attempt_timeout, "mail.attempt_timeout");
        problems.require(self.max_attempts > 0, "mail.max_attempts", "must be at least 1");
        if self.transport == MailTransportKind::Smtp {
            problems.require(!self.smtp.host.is_empty(), "mail.smtp.host", "is required by the transport \"smtp\"");
        }
        self.smtp.check(problems);
    }

    /// What mails look like. The templates themselves are looked at when the service starts.
    fn check_looks(&self, problems: &mut Problems) {
        problems.require(
            self.logo_url.as_ref().is_none_or(WebUrl::is_https),
            "mail.logo_url",
            "must be an https:// URL: mail clients show no other picture",
        );
        problems.require(
            self.support_address.as_deref().is_none_or(is_plain_address),
            "mail.support_address",
            "expected a bare e-mail address such as \"help@example.com\"",
        );
        problems.require(
            Locale::parse(&self.default_locale).is_ok(),
            "mail.default_locale",
            "expected a language tag such as \"en\" or \"pt-BR\"",
        );
    }
}

/// Whether an address can stand in a `mailto:` URL as it is.
fn is_plain_address(text: &str) -> bool {
    text.parse::<Address>().is_ok() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"@._+-".contains(&b))
}

impl Smtp {
    fn check(&self, problems: &mut Problems) {
        problems.require(self.pool_size > 0, "mail.smtp.pool_size", "must be at least 1");
        problems.positive(self.timeout, "mail.smtp.timeout");
        match (&self.username, &self.password) {
            (Some(_), None) => problems.add("mail.smtp.password", "is required by mail.smtp.username"),
            (None, Some(_)) => problems.add("mail.smtp.username", "is required by mail.smtp.password"),
            _ => {}
        }
        let exposed = self.username.is_some() && self.security == SmtpSecurity::Plaintext && !self.is_local();
        problems.require(!exposed, "mail.smtp.security", "a password would cross the network unprotected");
    }

    fn is_local(&self) -> bool {
        self.host == "localhost" || self.host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    }
}
