//! `mail`: how invitations reach a mailbox.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use lettre::{Address, message::Mailbox};
use secrecy::SecretString;
use serde::{Deserialize, Serialize, Serializer};

use super::error::Problems;
use super::text::{self, MASK};
use super::web::{TeamUrl, WebUrl};
use crate::domain::profile::Locale;

/// Outgoing mail.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mail {
    /// Where mail goes. Default `file`.
    pub transport: MailTransportKind,
    /// The sender: `Name <user@example.com>`, or the bare address. Default `Roster <no-reply@localhost>`.
    pub from: String,
    /// What the product is called in mails, 1 to 100 characters. Default `Roster`.
    pub product_name: String,
    /// The logo at the head of mails in HTML: an `https` URL. Default: none.
    #[serde(with = "text::option")]
    pub logo_url: Option<WebUrl>,
    /// Where recipients can ask: an e-mail address that stands at the foot of mails. Default: none.
    pub support_address: Option<String>,
    /// The page on which an invited person logs in once they have accepted. Default: none, and then mails name none.
    #[serde(with = "text::option")]
    pub login_url: Option<WebUrl>,
    /// The page on which inviters see to an invitation. Default: none, and then mails name none.
    #[serde(with = "text::option")]
    pub team_url: Option<TeamUrl>,
    /// The folder of the operator's templates. Default: none, and then all mails are in the English that is built in.
    pub templates: Option<PathBuf>,
    /// The language of mails to people whose own has no templates: a BCP 47 tag. Default `en`.
    pub default_locale: String,
    /// How often the outbox is looked at when nothing wakes its worker. Default 1 s.
    #[serde(with = "humantime_serde")]
    pub poll_interval: Duration,
    /// Attempts before a mail is given up. At least 1, default 10.
    pub max_attempts: u32,
    /// How long one attempt may take as a whole, default 1 min. After a crash, a mail that was being sent is tried again
    /// after twice as long.
    #[serde(with = "humantime_serde")]
    pub attempt_timeout: Duration,
    /// The transport `file`.
    pub file: MailFile,
    /// The transport `smtp`.
    pub smtp: Smtp,
}

/// Where mail goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MailTransportKind {
    /// Into `.eml` files, for development.
    #[default]
    File,
    /// To an SMTP server.
    Smtp,
}

/// Mail into files.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct MailFile {
    /// The folder, made if missing. Default `<data_dir>/mail`.
    pub folder: PathBuf,
}

/// Mail to an SMTP server.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Smtp {
    /// The server's name or address. Required by the transport `smtp`; empty by default.
    pub host: String,
    /// Its port. Default 587.
    pub port: u16,
    /// How the connection is protected. Default `starttls`.
    pub security: SmtpSecurity,
    /// Whom to log in as; needs a password. Default: no login.
    pub username: Option<String>,
    /// The password to log in with.
    #[serde(serialize_with = "mask", skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretString>,
    /// The file that `password` was read from, if it was.
    pub password_file: Option<PathBuf>,
    /// Connections kept at most. At least 1, default 4.
    pub pool_size: u32,
    /// How long one SMTP command may take. Default 10 s.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// A PEM file with one more certificate authority to trust beside the system's. Default: none.
    pub ca_file: Option<PathBuf>,
}

/// How an SMTP connection is protected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
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

#[expect(clippy::ref_option, reason = "the signature that serde asks for")]
fn mask<S: Serializer>(_: &Option<SecretString>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(MASK)
}
