//! An example mail, and a reader of the messages that come out, for the tests of this module.

use std::collections::BTreeSet;

use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{TimeZone, Utc};
use uuid::uuid;

use super::{InvitationMail, Rendered, Renderer};

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
        product_name: "Roster".to_owned(),
        team_names: vec!["Acme".to_owned()],
        role_names: vec!["Member".to_owned()],
        inviter_name: Some("Ada".to_owned()),
        message: Some("Hi Bob,\nwelcome aboard.".to_owned()),
        link: LINK.into(),
        login_email: "bob@example.com".to_owned(),
        expire_time: Utc.with_ymd_and_hms(2026, 12, 6, 9, 30, 15).unwrap(),
    }
}

/// Renders a mail that must be renderable.
pub(super) fn render(mail: &InvitationMail) -> Rendered {
    Renderer::new(FROM).unwrap().invitation(mail).unwrap()
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

/// The tags of a document as they are written, attributes included.
pub(super) fn tags(html: &str) -> Vec<&str> {
    let mut tags = Vec::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        let mut quote = None;
        let end = rest[start..]
            .char_indices()
            .find(|(_, c)| match (quote, c) {
                (None, '>') => true,
                (None, '"' | '\'') => {
                    quote = Some(*c);
                    false
                }
                (Some(open), c) => {
                    if open == *c {
                        quote = None;
                    }
                    false
                }
                _ => false,
            })
            .map_or(rest.len(), |(at, _)| start + at + 1);
        tags.push(&rest[start..end]);
        rest = &rest[end..];
    }
    tags
}

/// The text of a document, its character references decoded.
pub(super) fn visible(html: &str) -> String {
    let mut text = html.to_owned();
    for tag in tags(html) {
        text = text.replacen(tag, " ", 1);
    }
    for (reference, c) in [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#x27;", "'"), ("&#x2f;", "/")] {
        text = text.replace(reference, c);
    }
    text.replace("&amp;", "&")
}

/// The words that a mail client would make a link of, judged more broadly than any client does.
pub(super) fn linkable(text: &str) -> BTreeSet<&str> {
    let dots = ['.', '\u{3002}', '\u{ff0e}', '\u{ff61}', '\u{2024}'];
    let inner_dot = |word: &str| {
        word.trim_end_matches(|c: char| !c.is_alphanumeric())
            .char_indices()
            .any(|(at, c)| dots.contains(&c) && word[..at].ends_with(char::is_alphanumeric))
    };
    let scheme = |word: &str| {
        ["http:", "https:", "mailto:", "javascript:", "data:", "tel:"]
            .iter()
            .any(|scheme| word.to_lowercase().find(scheme).is_some_and(|at| word.len() > at + scheme.len()))
    };
    text.split_whitespace()
        .filter(|word| inner_dot(word) || scheme(word) || word.contains("//") || word.contains("\\\\"))
        .collect()
}
