//! E-22: whoever may write a name or a message cannot change what a mail is: not its elements, not where it leads, not to
//! whom it goes. What comes out is read with a parser of HTML and one of MIME, as a mail client would.

mod document;
mod hostile;

use std::{collections::BTreeSet, fs};

use chrono::{DateTime, Utc};
use mail_parser::{MessageParser, MimeHeaders as _};
use roster::{
    config,
    domain::{InvitationId, TeamId},
    mail::{GrantedTeam, InvitationMail, Rendered, Renderer, RenewalMail},
};
use uuid::Uuid;

use document::Document;
use hostile::{ADDRESSES, hostile_texts};

const LINK: &str = "https://app.example.com/invitations/accept?token=AQGTxK2m0rB4dYk2V5n8wQ3ZpL7sJ1hF6";
const LOGIN: &str = "https://app.example.com/login";
const LOGO: &str = "https://static.example.com/logo.png";
const SUPPORT: &str = "help@example.com";
const PAGE: &str = "https://app.example.com/teams";
const BOB: &str = "bob@example.com";
const ADA: &str = "ada@example.com";

/// The id of the mails, which hostile texts know: it makes the boundary between the parts.
const ID: Uuid = Uuid::from_u128(0x019b_1d5c_7a00_7000_8000_0000_0000_00b1);

fn config() -> config::Mail {
    config::Mail {
        from: "Acme Accounts <no-reply@example.com>".to_owned(),
        logo_url: Some(LOGO.parse().unwrap()),
        support_address: Some(SUPPORT.to_owned()),
        login_url: Some(LOGIN.parse().unwrap()),
        team_url: Some(PAGE.parse().unwrap()),
        ..config::Mail::default()
    }
}

/// An invitation with `words` wherever a user may put some, and `message`.
fn invitation(words: &str, message: &str) -> InvitationMail {
    let grant = |permissions| GrantedTeam {
        team: words.to_owned(),
        roles: vec![words.to_owned(), words.to_owned()],
        permissions,
    };
    InvitationMail {
        message_id_seed: ID,
        date: DateTime::<Utc>::UNIX_EPOCH,
        to: BOB.to_owned(),
        locale: None,
        grants: vec![grant(0), grant(2)],
        inviter_name: Some(words.to_owned()),
        message: Some(message.to_owned()),
        link: LINK.into(),
        login_email: BOB.to_owned(),
        expire_time: DateTime::<Utc>::UNIX_EPOCH,
    }
}

fn renewal(words: &str) -> RenewalMail {
    RenewalMail {
        message_id_seed: ID,
        date: DateTime::<Utc>::UNIX_EPOCH,
        to: ADA.to_owned(),
        locale: None,
        team_id: TeamId(ID),
        invitation_id: InvitationId(ID),
        team: words.to_owned(),
        invited_address: BOB.to_owned(),
        expired_time: DateTime::<Utc>::UNIX_EPOCH,
        request_time: DateTime::<Utc>::UNIX_EPOCH,
    }
}

/// A mail as its recipient's client reads it.
struct Received {
    /// The names of the header fields, those of the parts too.
    headers: Vec<String>,
    subject: String,
    text: String,
    html: Document,
}

/// Reads a mail, and sees that it is one mail, in two parts, from one to one.
fn receive(mail: &Rendered, to: &str, words: &str) -> Received {
    let envelope: Vec<String> = mail.envelope().to().iter().map(ToString::to_string).collect();
    assert_eq!(envelope, [to], "{words:?}");
    let raw = mail.raw();
    // An address beyond ASCII stands in its header field as it is.
    assert!(raw.is_ascii() || !to.is_ascii(), "{words:?}");
    assert!(raw.split(|b| *b == b'\n').all(|line| line.len() <= 999), "{words:?}");
    let bare = |at: usize| raw[at] == b'\n' && (at == 0 || raw[at - 1] != b'\r');
    assert!(!(0..raw.len()).any(bare), "{words:?}");

    let message = MessageParser::default().parse(&raw).unwrap();
    let kinds: Vec<String> = message
        .parts
        .iter()
        .map(|part| part.content_type().map(|kind| format!("{}/{}", kind.ctype(), kind.subtype().unwrap())).unwrap())
        .collect();
    assert_eq!(kinds, ["multipart/alternative", "text/plain", "text/html"], "{words:?}");
    let recipients: Vec<&str> = message.to().unwrap().iter().filter_map(|address| address.address()).collect();
    assert_eq!(recipients, [to], "{words:?}");
    assert!(message.cc().is_none() && message.bcc().is_none() && message.reply_to().is_none(), "{words:?}");
    let headers = message.parts.iter().flat_map(|part| part.headers.iter().map(|header| header.name().to_owned()));
    Received {
        headers: headers.collect(),
        subject: message.subject().unwrap().to_owned(),
        text: message.body_text(0).unwrap().into_owned(),
        html: Document::parse(&message.body_html(0).unwrap()),
    }
}

/// That `hostile` differs from `harmless` in its words only, and leads nowhere but to `places`.
fn compare(hostile: &Received, harmless: &Received, places: &[&str], shown: &[&str], words: &str) {
    assert_eq!(hostile.headers, harmless.headers, "{words:?}");
    assert_eq!(hostile.html.shape, harmless.html.shape, "{words:?}");
    let led: BTreeSet<&str> = hostile.html.places.iter().map(String::as_str).collect();
    assert_eq!(led, places.iter().copied().collect(), "{words:?}");

    for part in [&hostile.text, &hostile.html.text] {
        assert_eq!(linkable(part), shown.iter().copied().collect(), "{words:?}\n{part}");
    }
    for part in [&hostile.text, &hostile.html.text, &hostile.subject] {
        assert!(!part.contains(|c: char| !matches!(c, '\r' | '\n') && is_hidden(c)), "{words:?}\n{part:?}");
    }
    assert!(!hostile.subject.contains(['\r', '\n']) && !hostile.subject.contains("=?"), "{words:?}");
}

/// The words that a mail client would make a link of, judged more broadly than any client does.
fn linkable(text: &str) -> BTreeSet<&str> {
    let dots = ['.', '\u{3002}', '\u{ff0e}', '\u{ff61}', '\u{2024}'];
    let inner_dot = |word: &str| {
        word.trim_end_matches(|c: char| !c.is_alphanumeric())
            .char_indices()
            .any(|(at, c)| dots.contains(&c) && word[..at].ends_with(char::is_alphanumeric))
    };
    let scheme = |word: &str| {
        ["http:", "https:", "mailto:", "javascript:", "data:", "tel:", "file:"]
            .iter()
            .any(|scheme| word.to_lowercase().find(scheme).is_some_and(|at| word.len() > at + scheme.len()))
    };
    text.split_whitespace()
        .filter(|word| inner_dot(word) || scheme(word) || word.contains("//") || word.contains("\\\\"))
        .collect()
}

/// Controls, what reorders text, and what cannot be seen.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

fn check_invitation(renderer: &Renderer, words: &str) {
    let hostile = receive(&renderer.invitation(&invitation(words, words)).unwrap(), BOB, words);
    // A message has as many lines as its writer made, and those are all it can make.
    let breaks = |c: char| matches!(c, '\n' | '\r' | '\u{85}' | '\u{b}' | '\u{c}' | '\u{2028}' | '\u{2029}');
    let lines = hostile.html.lines_of_message;
    assert!(lines <= 1 + words.matches(breaks).count(), "{words:?}");
    let message = vec!["x"; lines].join("\n");
    let harmless = receive(&renderer.invitation(&invitation("x", &message)).unwrap(), BOB, words);
    let places = [LINK, LOGIN, LOGO, "mailto:help@example.com"];
    compare(&hostile, &harmless, &places, &[LINK, LOGIN, BOB, SUPPORT], words);
}

fn check_renewal(renderer: &Renderer, words: &str) {
    let hostile = receive(&renderer.renewal(&renewal(words)).unwrap(), ADA, words);
    let harmless = receive(&renderer.renewal(&renewal("x")).unwrap(), ADA, words);
    compare(&hostile, &harmless, &[PAGE, LOGO, "mailto:help@example.com"], &[PAGE, BOB, SUPPORT], words);
}

#[test]
fn e22_hostile_text_changes_nothing_but_itself() {
    let renderer = Renderer::new(&config()).unwrap();
    let texts = hostile_texts();
    assert!(texts.len() >= 200 && texts.iter().collect::<BTreeSet<_>>().len() == texts.len(), "{}", texts.len());
    for words in &texts {
        check_invitation(&renderer, words);
        check_renewal(&renderer, words);
        check_invitation(&renderer, &format!("{words} {words}\n{words}"));
    }
    // What is long already need not be longer.
    for words in texts.iter().filter(|words| words.len() < 500).step_by(5) {
        check_invitation(&renderer, &words.repeat(100));
        check_renewal(&renderer, &words.repeat(100));
    }
}

#[test]
fn e22_every_character_is_survived() {
    let renderer = Renderer::new(&config()).unwrap();
    // The planes in which characters are assigned, and the invisible tags of plane 14.
    for start in (0..0x3_0000_u32).chain(0xe_0000..0xe_1000).step_by(2048) {
        check_invitation(&renderer, &(start..start + 2048).filter_map(char::from_u32).collect::<String>());
    }
}

#[test]
fn e22_addresses_bring_in_no_link() {
    let renderer = Renderer::new(&config()).unwrap();
    let harmless = receive(&renderer.invitation(&invitation("x", "x")).unwrap(), BOB, "x");
    let harmless_renewal = receive(&renderer.renewal(&renewal("x")).unwrap(), ADA, "x");
    for address in ADDRESSES {
        let (to, login_email) = ((*address).to_owned(), (*address).to_owned());
        let mail = InvitationMail { to, login_email, ..invitation("x", "x") };
        let hostile = receive(&renderer.invitation(&mail).unwrap(), address, address);
        assert_eq!(hostile.html.shape, harmless.html.shape, "{address}");
        assert_eq!(hostile.html.places, harmless.html.places, "{address}");
        let beyond = |part: &str| -> Vec<String> {
            let known = [LINK, LOGIN, SUPPORT, PAGE, address];
            linkable(part).into_iter().filter(|word| !known.contains(word)).map(ToOwned::to_owned).collect()
        };
        assert_eq!(beyond(&hostile.html.text), [""; 0], "{address}");
        assert_eq!(beyond(&hostile.text), [""; 0], "{address}");

        let mail = RenewalMail { invited_address: (*address).to_owned(), ..renewal("x") };
        let hostile = receive(&renderer.renewal(&mail).unwrap(), ADA, address);
        assert_eq!(hostile.headers, harmless_renewal.headers, "{address}");
        assert_eq!(hostile.html.shape, harmless_renewal.html.shape, "{address}");
        assert_eq!(beyond(&hostile.html.text), [""; 0], "{address}");
        assert_eq!(beyond(&hostile.text), [""; 0], "{address}");
    }
}

/// A template of an operator's may begin its lines with values.
#[test]
fn e22_no_text_ends_a_part() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("en")).unwrap();
    let body = "{% for line in message %}\n{{ line }}\n{% endfor %}\n";
    fs::write(root.path().join("en/invitation.txt"), format!("{body}{{{{ link }}}}\n")).unwrap();
    fs::write(root.path().join("en/invitation.html"), format!("{body}<a href=\"{{{{ link }}}}\">x</a>\n")).unwrap();
    let templates = Some(root.path().to_owned());
    let renderer = Renderer::new(&config::Mail { templates, ..config() }).unwrap();
    let boundary = format!("--=_{}", ID.simple());
    for message in [boundary.clone(), format!("{boundary}\nContent-Type: text/html\n\n<b>x</b>\n{boundary}--\n")] {
        let received = receive(&renderer.invitation(&invitation("x", &message)).unwrap(), BOB, &message);
        assert!(received.text.contains(&boundary) && received.text.contains(LINK), "{}", received.text);
    }
}
