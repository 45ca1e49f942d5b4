//! Conversations with a scripted mail server.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::*;
use crate::mail::{
    Failure,
    fixtures::{example, render, rendered},
};

/// What the server does at one step of a conversation.
enum Act {
    Say(&'static str),
    /// Answers and quotes what was said.
    Quote(&'static str),
    Stall,
    Close,
}

/// A mail server that does what a script says. It notes every command and every message.
struct Fake {
    port: u16,
    commands: Arc<Mutex<Vec<String>>>,
    messages: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    most_open: Arc<AtomicUsize>,
}

type Script = fn(connection: usize, step: &str) -> Option<Act>;

impl Fake {
    /// Starts a server. `script` says what differs from a server that takes everything; its step is the verb of the
    /// command, `GREETING`, or `MESSAGE` after the final dot.
    fn start(script: Script) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let fake = Arc::new(Self {
            port: listener.local_addr().unwrap().port(),
            commands: Arc::default(),
            messages: Arc::default(),
            connections: Arc::default(),
            open: Arc::default(),
            most_open: Arc::default(),
        });
        let server = Arc::clone(&fake);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let server = Arc::clone(&server);
                thread::spawn(move || server.converse(&stream.unwrap(), script));
            }
        });
        fake
    }

    fn converse(&self, stream: &TcpStream, script: Script) {
        let number = self.connections.fetch_add(1, Ordering::SeqCst);
        let open = self.open.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_open.fetch_max(open, Ordering::SeqCst);
        let mut reader = BufReader::new(stream);
        let mut heard = String::new();
        let mut step = "GREETING".to_owned();
        loop {
            let act = script(number, &step).unwrap_or(Act::Say(usual(&step)));
            let reply = match act {
                Act::Say(reply) => reply.to_owned(),
                Act::Quote(code) => format!("{code} refused: {}", quotable(&heard)),
                Act::Stall => {
                    // Until the other side gives up.
                    let _ = reader.read_line(&mut heard);
                    break;
                }
                Act::Close => break,
            };
            if { stream }.write_all(format!("{reply}\r\n").as_bytes()).is_err() || step == "QUIT" {
                break;
            }
            heard.clear();
            if step == "DATA" && reply.starts_with("354") {
                while reader.read_line(&mut heard).is_ok_and(|read| read > 0) && !heard.ends_with("\r\n.\r\n") {}
                self.messages.lock().unwrap().push(heard.clone());
                step = "MESSAGE".to_owned();
            } else {
                if !reader.read_line(&mut heard).is_ok_and(|read| read > 0) {
                    break;
                }
                self.commands.lock().unwrap().push(heard.trim_end().to_owned());
                step = heard.split([' ', '\r']).next().unwrap_or_default().to_owned();
            }
        }
        self.open.fetch_sub(1, Ordering::SeqCst);
    }

    fn settings(&self) -> Smtp {
        Smtp { host: "127.0.0.1".to_owned(), port: self.port, security: SmtpSecurity::Plaintext, ..Smtp::default() }
    }

    fn transport(&self) -> SmtpTransport {
        SmtpTransport::new(&self.settings()).unwrap()
    }

    fn heard(&self, verb: &str) -> usize {
        self.commands.lock().unwrap().iter().filter(|command| command.starts_with(verb)).count()
    }
}

/// What a server would quote: the line with the link, or else all it was told.
fn quotable(heard: &str) -> &str {
    heard.lines().find(|line| line.contains("token=")).unwrap_or(heard.trim_end())
}

fn usual(step: &str) -> &'static str {
    match step {
        "GREETING" => "220 mail.example.com",
        "EHLO" => "250-mail.example.com\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME",
        "AUTH" => "235 2.7.0 welcome",
        "DATA" => "354 go on",
        "QUIT" => "221 bye",
        _ => "250 2.0.0 fine",
    }
}

#[tokio::test]
async fn a_message_arrives_as_it_was_rendered() {
    let fake = Fake::start(|_, _| None);
    let mail = rendered();
    fake.transport().send(&mail).await.unwrap();
    let expected = String::from_utf8(mail.raw()).unwrap() + "\r\n.\r\n";
    assert_eq!(*fake.messages.lock().unwrap(), [expected]);
    let commands = fake.commands.lock().unwrap().join("\n");
    assert!(commands.contains("MAIL FROM:<no-reply@example.com>"), "{commands}");
    assert!(commands.contains("RCPT TO:<bob@example.com>"), "{commands}");
}

#[tokio::test]
async fn a_connection_serves_many_messages() {
    let fake = Fake::start(|_, _| None);
    let transport = fake.transport();
    for _ in 0..5 {
        transport.send(&rendered()).await.unwrap();
    }
    assert_eq!(fake.connections.load(Ordering::SeqCst), 1);
    assert_eq!(fake.messages.lock().unwrap().len(), 5);
}

#[tokio::test]
async fn no_more_connections_than_allowed() {
    let fake = Fake::start(|_, _| None);
    let transport = SmtpTransport::new(&Smtp { pool_size: 2, ..fake.settings() }).unwrap();
    let mail = rendered();
    for sent in futures::future::join_all((0..20).map(|_| transport.send(&mail))).await {
        sent.unwrap();
    }
    assert_eq!(fake.messages.lock().unwrap().len(), 20);
    assert!(fake.most_open.load(Ordering::SeqCst) <= 2);
}

#[tokio::test]
async fn replies_are_told_apart() {
    let cases: [(Script, Failure, &str); 7] = [
        (|_, step| (step == "RCPT").then_some(Act::Say("450 4.2.1 busy")), Failure::Transient, "450 4.2.1 (mailbox)"),
        (|_, step| (step == "RCPT").then_some(Act::Say("550 5.1.1 nobody")), Failure::Permanent, "550 5.1.1 (address)"),
        (|_, step| (step == "MAIL").then_some(Act::Say("553 no")), Failure::Permanent, "answered 553"),
        (|_, step| (step == "MESSAGE").then_some(Act::Say("451 later")), Failure::Transient, "answered 451"),
        (|_, step| (step == "MESSAGE").then_some(Act::Close), Failure::Transient, "incomplete"),
        // About the server, not about the message: it waits.
        (|_, step| (step == "GREETING").then_some(Act::Say("554 5.3.2 closed")), Failure::Transient, "554 5.3.2"),
        (|_, step| (step == "MAIL").then_some(Act::Say("530 5.7.0 log in")), Failure::Transient, "530 5.7.0"),
    ];
    for (script, kind, reason) in cases {
        let error = Fake::start(script).transport().send(&rendered()).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.reason.contains(reason), "{error}");
    }
}

#[tokio::test]
async fn a_reason_never_quotes_the_message() {
    let fake = Fake::start(|_, step| (step == "MESSAGE").then_some(Act::Quote("554 5.6.0")));
    let error = fake.transport().send(&rendered()).await.unwrap_err();
    assert_eq!(error.kind, Failure::Permanent);
    assert_eq!(error.reason, "the mail server did not take the message: it answered 554 5.6.0 (content)");
    let fake = Fake::start(|_, step| (step == "MESSAGE").then_some(Act::Quote("554")));
    let error = fake.transport().send(&rendered()).await.unwrap_err();
    assert_eq!(error.reason, "the mail server did not take the message: it answered 554");
    let fake = Fake::start(|_, step| (step == "MESSAGE").then_some(Act::Quote("not a reply")));
    let error = fake.transport().send(&rendered()).await.unwrap_err();
    assert_eq!(error.kind, Failure::Transient);
    assert!(!format!("{error:?}").contains("token"), "{error:?}");
}

#[tokio::test]
async fn a_stalled_connection_is_not_used_again() {
    let fake = Fake::start(|connection, step| (connection == 0 && step == "MESSAGE").then_some(Act::Stall));
    let limit = Duration::from_millis(300);
    let transport = SmtpTransport::new(&Smtp { timeout: limit, ..fake.settings() }).unwrap();
    let mail = rendered();
    let error = timeout(Duration::from_secs(5), transport.send(&mail)).await.unwrap().unwrap_err();
    assert_eq!(error.kind, Failure::Transient);
    assert!(error.reason.contains("300ms"), "{error}");
    transport.send(&rendered()).await.unwrap();
    assert_eq!(fake.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_abandoned_attempt_closes_its_connection() {
    let fake = Fake::start(|connection, step| (connection == 0 && step == "RCPT").then_some(Act::Stall));
    let transport = fake.transport();
    assert!(timeout(Duration::from_millis(300), transport.send(&rendered())).await.is_err());
    for _ in 0..2 {
        transport.send(&rendered()).await.unwrap();
    }
    assert_eq!(fake.connections.load(Ordering::SeqCst), 2);
    assert_eq!(fake.messages.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_connection_that_the_server_closed_is_replaced() {
    let fake = Fake::start(|connection, step| (connection == 0 && step == "NOOP").then_some(Act::Close));
    let transport = fake.transport();
    for _ in 0..3 {
        transport.send(&rendered()).await.unwrap();
    }
    assert_eq!(fake.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn without_the_demanded_encryption_nothing_is_said() {
    let fake = Fake::start(|_, _| None);
    let settings = Smtp {
        security: SmtpSecurity::StartTls,
        username: Some("roster".to_owned()),
        password: Some("secret".into()),
        ..fake.settings()
    };
    let error = SmtpTransport::new(&settings).unwrap().send(&rendered()).await.unwrap_err();
    assert_eq!(error.kind, Failure::Transient);
    assert!(error.reason.contains("STARTTLS is not supported"), "{error}");
    assert_eq!(fake.heard("AUTH") + fake.heard("MAIL"), 0);
}

#[tokio::test]
async fn credentials_are_presented_and_a_refusal_is_not_final() {
    let fake = Fake::start(|connection, step| (connection == 0 && step == "AUTH").then_some(Act::Quote("535 5.7.8")));
    let settings = Smtp { username: Some("roster".to_owned()), password: Some("s3cret".into()), ..fake.settings() };
    let transport = SmtpTransport::new(&settings).unwrap();
    let error = transport.send(&rendered()).await.unwrap_err();
    assert_eq!(error.kind, Failure::Transient);
    assert_eq!(error.reason, "cannot use the mail server: it answered 535 5.7.8 (policy or security)");
    transport.send(&rendered()).await.unwrap();
    assert_eq!(fake.heard("AUTH PLAIN AHJvc3RlcgBzM2NyZXQ="), 2);
}

#[tokio::test]
async fn no_server_is_transient() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let fake = Fake::start(|_, _| None);
    let settings = Smtp { port, ..fake.settings() };
    let error = SmtpTransport::new(&settings).unwrap().send(&rendered()).await.unwrap_err();
    assert_eq!(error.kind, Failure::Transient);
    assert!(error.reason.contains("refused"), "{error}");
}

#[tokio::test]
async fn an_address_that_the_server_does_not_support_is_final() {
    let fake = Fake::start(|_, _| None);
    let mail = render(&crate::mail::InvitationMail { to: "bøb@example.com".to_owned(), ..example() });
    let error = fake.transport().send(&mail).await.unwrap_err();
    assert_eq!(error.kind, Failure::Permanent);
    assert!(error.reason.contains("SMTPUTF8"), "{error}");
}

#[test]
fn certificate_authorities_must_be_usable() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    let settings = Smtp { security: SmtpSecurity::Tls, ca_file: Some(file.clone()), ..fake_settings() };
    assert!(matches!(SmtpTransport::new(&settings), Err(SmtpSetupError::CaFile { .. })));
    for content in ["", "no certificate", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
        fs::write(&file, content).unwrap();
        assert!(matches!(SmtpTransport::new(&settings), Err(SmtpSetupError::Certificate { .. })), "{content:?}");
    }
}

fn fake_settings() -> Smtp {
    Fake::start(|_, _| None).settings()
}
