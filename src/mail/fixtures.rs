//! Example mails, and a reader of the messages that come out, for the tests of this module.

use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{TimeZone, Utc};
use uuid::uuid;

use super::{GrantedTeam, InvitationMail, Rendered, Renderer, RenewalMail};
use crate::{
    config,
    domain::{InvitationId, TeamId},
};

/// A link as long as real ones are.
pub(super) const LINK: &str = "https://app.example.com/invitations/accept?token=\
    AQGTxK2m0rB4dYk2V5n8wQ3ZpL7sJ1hF6gT9uXcE0iRaOyMb_-KfWqDzNvPjHtSoUlIe0";

/// The sender of the example mails.
pub(super) const FROM: &str = "Acme Accounts <no-reply@example.com>";

/// An invitation without anything unusual.
pub(super) fn example() -> InvitationMail {
    InvitationMail {
        message_id_seed: uuid!("019b1d5c-7a00-7000-8000-0000000000b1"),
        date: Utc.with_ymd_and_hms(2026, 11, 22, 9, 30, 15).unwrap(),
        to: "bob@example.com".to_owned(),
        locale: None,
        grants: vec![granted("Acme", &["Member"], 0)],
        inviter_name: Some("Ada".to_owned()),
        message: Some("Hi Bob,\nwelcome aboard.".to_owned()),
        link: LINK.into(),
        login_email: "bob@example.com".to_owned(),
        expire_time: Utc.with_ymd_and_hms(2026, 12, 6, 9, 30, 15).unwrap(),
    }
}

/// Somebody asks for a new invitation.
pub(super) fn renewal() -> RenewalMail {
    RenewalMail {
        message_id_seed: uuid!("019b1d5c-7a00-7000-8000-0000000000b2"),
        date: Utc.with_ymd_and_hms(2026, 12, 7, 10, 0, 5).unwrap(),
        to: "ada@example.com".to_owned(),
        locale: None,
        team_id: TeamId(uuid!("019b1d5c-7a00-7000-8000-0000000000c1")),
        invitation_id: InvitationId(uuid!("019b1d5c-7a00-7000-8000-0000000000d1")),
        team: "Acme".to_owned(),
        invited_address: "bob@example.com".to_owned(),
        expired_time: Utc.with_ymd_and_hms(2026, 12, 6, 9, 30, 15).unwrap(),
        request_time: Utc.with_ymd_and_hms(2026, 12, 7, 10, 0, 4).unwrap(),
    }
}

/// What an invitation grants in one team.
pub(super) fn granted(team: &str, roles: &[&str], permissions: usize) -> GrantedTeam {
    GrantedTeam { team: team.to_owned(), roles: roles.iter().map(|role| (*role).to_owned()).collect(), permissions }
}

/// The defaults, with the sender of the example mails.
pub(super) fn config() -> config::Mail {
    config::Mail { from: FROM.to_owned(), ..config::Mail::default() }
}

/// All that an operator can add to mails.
pub(super) fn branded() -> config::Mail {
    config::Mail {
        logo_url: Some("https://static.example.com/logo.png".parse().unwrap()),
        support_address: Some("help@example.com".to_owned()),
        login_url: Some("https://app.example.com/login".parse().unwrap()),
        team_url: Some("https://app.example.com/teams/{team_id}/invitations/{invitation_id}".parse().unwrap()),
        ..config()
    }
}

/// Renders a mail that must be renderable.
pub(super) fn render(mail: &InvitationMail) -> Rendered {
    Renderer::new(&config()).unwrap().invitation(mail).unwrap()
}

/// The example, rendered.
pub(super) fn rendered() -> Rendered {
    render(&example())
}

/// A message as a mail reader sees it.
pub(super) struct Received {
    /// Unfolded and decoded, in order.
    pub(super) headers: Vec<(String, String)>,
    pub(super) text: String,
    pub(super) html: String,
}

impl Received {
    pub(super) fn new(raw: &[u8]) -> Self {
        let raw = String::from_utf8(raw.to_vec()).unwrap();
        let (head, body) = raw.split_once("\r\n\r\n").unwrap();
        let headers = headers(head);
        let kind = &headers.iter().find(|(name, _)| name == "Content-Type").unwrap().1;
        let boundary = kind.strip_prefix("multipart/alternative; boundary=\"").unwrap().strip_suffix('"').unwrap();
        let body = format!("\r\n{body}");
        let parts: Vec<&str> = body.split(&format!("\r\n--{boundary}")).collect();
        let ["", text, html, "--\r\n"] = parts.as_slice() else { panic!("not two parts: {parts:#?}") };
        Self { text: decode(text, "text/plain"), html: decode(html, "text/html"), headers }
    }

    pub(super) fn header(&self, name: &str) -> &str {
        &self.headers.iter().find(|(given, _)| given == name).unwrap().1
    }
}

fn headers(head: &str) -> Vec<(String, String)> {
    let unfolded = head.replace("\r\n ", " ");
    unfolded
        .split("\r\n")
        .map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_owned(), encoded_words(value))
        })
        .collect()
}

/// Decodes the only form of encoded word that lettre writes; white space between two of them does not count.
fn encoded_words(value: &str) -> String {
    let mut bytes = Vec::new();
    for (at, piece) in value.replace("?= =?", "?==?").split("=?utf-8?b?").enumerate() {
        match piece.split_once("?=") {
            Some((word, plain)) if at > 0 => {
                bytes.extend(BASE64_STANDARD.decode(word).unwrap());
                bytes.extend(plain.as_bytes());
            }
            _ => bytes.extend(piece.as_bytes()),
        }
    }
    String::from_utf8(bytes).unwrap()
}

fn decode(part: &str, kind: &str) -> String {
    let (head, body) = part.trim_start().split_once("\r\n\r\n").unwrap();
    let headers = headers(head);
    assert_eq!(headers[0], ("Content-Type".to_owned(), format!("{kind}; charset=utf-8")));
    let bytes = match headers[1].1.as_str() {
        "7bit" => body.as_bytes().to_vec(),
        "base64" => BASE64_STANDARD.decode(body.replace("\r\n", "")).unwrap(),
        "quoted-printable" => quoted_printable(body),
        other => panic!("unexpected encoding {other}"),
    };
    String::from_utf8(bytes).unwrap().replace("\r\n", "\n")
}

fn quoted_printable(body: &str) -> Vec<u8> {
    let joined = body.replace("=\r\n", "");
    let mut pieces = joined.split('=');
    let mut bytes = pieces.next().unwrap().as_bytes().to_vec();
    for piece in pieces {
        bytes.push(u8::from_str_radix(&piece[..2], 16).unwrap());
        bytes.extend(&piece.as_bytes()[2..]);
    }
    bytes
}
