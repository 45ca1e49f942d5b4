//! A mail server.

use std::{fs, io::ErrorKind, path::PathBuf, process::Command};

use roster::config::{Config, MailTransportKind, SmtpSecurity};
use serde::Deserialize;
use tempfile::TempDir;

use super::{
    parts,
    process::{Process, steady_port},
    server::eventually,
};

/// A mail server, `tools/smtp-sink`, and where it keeps what it takes.
pub struct Sink {
    pub port: u16,
    folder: TempDir,
    process: Option<Process>,
}

/// A mail as it arrived.
pub struct Mail {
    /// Who it was from and for, whether by TLS, who had logged in, and when it came.
    pub envelope: serde_json::Value,
    /// With the line ends of this machine.
    pub text: String,
}

/// A conversation in which no mail was taken.
#[derive(Debug, Deserialize)]
pub struct Failure {
    /// Whom the mail was for.
    pub to: String,
    /// When it began, in seconds since 1970.
    pub begin_time: f64,
}

impl Sink {
    pub async fn start(options: &[&str]) -> Self {
        let mut sink = Self { port: steady_port(), folder: tempfile::tempdir().unwrap(), process: None };
        sink.restart(options).await;
        sink
    }

    /// Kills it, and goes on in the same place with other options.
    pub async fn restart(&mut self, options: &[&str]) {
        self.process = None;
        let mut command = Command::new(parts::python());
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tools/smtp-sink")).arg(self.folder.path());
        command.args(["--port", &self.port.to_string()]).args(options);
        // It ends when nobody holds its input any more.
        command.stdin(std::process::Stdio::piped());
        let mut process = Process::start(command);
        process.wait_for("the mail server", |line| line.starts_with("listening ").then_some(())).await;
        self.process = Some(process);
    }

    pub fn configure(&self, config: &mut Config) {
        config.mail.transport = MailTransportKind::Smtp;
        config.mail.from = "Acme Accounts <no-reply@example.com>".to_owned();
        config.mail.smtp.host = "127.0.0.1".to_owned();
        config.mail.smtp.port = self.port;
        config.mail.smtp.security = SmtpSecurity::Plaintext;
    }

    fn path(&self, number: usize) -> PathBuf {
        self.folder.path().join(format!("{number}.eml"))
    }

    /// Whether so many mails arrived.
    pub fn has(&self, count: usize) -> bool {
        self.path(count).exists()
    }

    /// What arrived so far.
    pub fn mails(&self) -> Vec<Mail> {
        (1..)
            .map(|number| self.path(number))
            .map_while(|path| fs::read_to_string(&path).ok().map(|text| (path, text)))
            .map(|(path, text)| {
                let envelope = fs::read(path.with_extension("json")).unwrap();
                Mail { envelope: serde_json::from_slice(&envelope).unwrap(), text: text.replace("\r\n", "\n") }
            })
            .collect()
    }

    /// What the storm kept from arriving so far.
    pub fn failures(&self) -> Vec<Failure> {
        let lines = match fs::read_to_string(self.folder.path().join("failures")) {
            Err(none) if none.kind() == ErrorKind::NotFound => return Vec::new(),
            lines => lines.unwrap(),
        };
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub async fn wait_for(&self, count: usize) -> Vec<Mail> {
        eventually(&format!("{count} mails"), async || Some(self.mails()).filter(|mails| mails.len() >= count)).await
    }
}

impl Mail {
    pub fn header(&self, name: &str) -> &str {
        let (head, _) = self.text.split_once("\n\n").unwrap();
        let line = head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("no {name}: {head}"))
    }

    /// The token of the link.
    pub fn token(&self) -> &str {
        let link = self.text.lines().find(|line| line.starts_with("http")).unwrap();
        link.split_once("?token=").unwrap().1
    }
}
