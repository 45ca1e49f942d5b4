//! What the invitation looks like, and that nobody's words can change what it is.

use std::collections::BTreeSet;

use crate::mail::{
    InvitationMail, RenderError, Renderer,
    fixtures::{FROM, LINK, Received, example, linkable, render, rendered, tags, visible},
    untrusted,
};

/// Words of people who mean harm, or who merely have unusual names.
const HOSTILE: &[&str] = &[
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<a href=\"https://evil.com\">click</a>",
    "<a href='//evil.com'>",
    "\"><svg/onload=alert(1)>",
    "' onmouseover='alert(1)",
    "</td></tr></table><h1>New mail</h1>",
    "</title><meta http-equiv=\"refresh\" content=\"0;url=https://evil.com\">",
    "<!-- comment",
    "--> after <style>*{display:none}</style>",
    "]]><![CDATA[x",
    "&lt;script&gt;",
    "&#60;b&#62;",
    "&amp;&nbsp;&",
    "{{7*7}}",
    "{% for x in teams %}{{ link }}{% endfor %}",
    "{{ link }}{# comment #}",
    "${7*7} #{7*7} <%= 7*7 %>",
    "Bob\r\nBcc: eve@evil.com",
    "Bob\nSubject: other",
    "Bob\r\n\r\n<html>other body</html>",
    "Bob\rCc: eve@evil.com",
    "Bob%0d%0aBcc: eve@evil.com",
    "Bob\u{2028}Bcc: eve@evil.com",
    "Bob\u{85}\u{b}\u{c}Bcc: x",
    "nul\0inside",
    "\u{1b}[31mred\u{7}",
    "\u{202e}moc.live\u{202c}",
    "\u{2066}\u{2067}isolated\u{2069}",
    "\u{200e}\u{200f}\u{61c}marks",
    "=?utf-8?b?PHNjcmlwdD4=?=",
    "=?utf-8?q?=0D=0ABcc:_eve?=",
    "evil.com",
    "https://evil.com/login?token=1",
    "http://localhost:8080/x",
    "HTTPS://EVIL.COM",
    "www.evil.com",
    "//evil.com/x",
    "\\\\evil.com\\share",
    "mailto:eve@evil.com",
    "eve@evil.com",
    "javascript:alert(document.cookie)",
    "data:text/html,<b>x</b>",
    "tel:+15550100",
    "evil\u{3002}com",
    "evil\u{ff0e}com",
    "evil\u{200b}.\u{2060}com",
    "ev\u{ad}il.c\u{feff}om",
    "http://[::1]/",
    "xn--e1afmkfd.xn--p1ai/x",
    "пример.рф",
    "دعوة إلى الفريق",
    "צוות הבית (1)",
    "میخواهم",
    "日本語のチーム。テスト",
    "👩‍👩‍👧‍👦 family 🏳️‍🌈",
    "Z̸̛̠a̶͓͝l̵̨̇g̴̫̔o̶̞̓",
    "O'Neill & Sons \"Ltd\"",
    "a\\b\\\\c",
    "--=_019b1d5c7a00700080000000000000b1--",
    "\r\n--=_019b1d5c7a00700080000000000000b1\r\nContent-Type: text/html\r\n\r\n<b>x</b>",
    ".\r\nQUIT",
    "From nobody Thu Jan  1 00:00:00 1970",
    "",
    " \t ",
    "\u{202e}\u{200b}",
    "~!@#$%^&*()_+`-={}|[]\\:\";'<>?,./",
];

/// The example with `words` wherever a user may put some.
fn with(words: &str) -> InvitationMail {
    InvitationMail {
        team_names: vec![words.to_owned(), words.to_owned()],
        role_names: vec![words.to_owned()],
        inviter_name: Some(words.to_owned()),
        message: Some(words.to_owned()),
        ..example()
    }
}

/// The same mail in the most harmless words.
fn harmless(lines: usize) -> InvitationMail {
    InvitationMail { message: Some(vec!["x"; lines].join("\n")), ..with("x") }
}

fn check_hostile(words: &str) {
    let mail = render(&with(words));
    let raw = mail.raw();
    assert!(raw.is_ascii(), "{words:?}");
    assert!(raw.split(|b| *b == b'\n').all(|line| line.len() <= 999), "{words:?}");
    assert_eq!(mail.envelope().to().len(), 1);

    let received = Received::new(&raw);
    let names: Vec<&str> = received.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, HEADERS, "{words:?}");
    assert_eq!(received.header("To"), "bob@example.com");
    assert!(!received.header("Subject").contains(untrusted::is_forbidden), "{words:?}");
    assert!(!received.header("Subject").contains("=?"), "{words:?}");

    let plain = Received::new(&render(&harmless(untrusted::lines(words).len())).raw());
    assert_eq!(tags(&received.html), tags(&plain.html), "{words:?}");

    for part in [&received.text, &visible(&received.html)] {
        assert_eq!(linkable(part), BTreeSet::from([LINK, "bob@example.com"]), "{words:?}\n{part}");
        assert!(!part.contains(|c: char| c != '\n' && untrusted::is_forbidden(c)), "{words:?}");
    }
    let links: Vec<&str> = tags(&received.html).into_iter().filter(|tag| tag.contains("href=")).collect();
    assert_eq!(links.len(), 2, "{words:?}");
    assert!(links.iter().all(|tag| tag.contains(&format!("href=\"{LINK}\""))), "{words:?}");
}

const HEADERS: [&str; 9] = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Auto-Submitted",
    "Content-Language",
    "MIME-Version",
    "Content-Type",
];

#[test]
fn hostile_words_change_nothing_but_themselves() {
    for words in HOSTILE {
        check_hostile(words);
        check_hostile(&words.repeat(300));
        check_hostile(&format!("{words} {words}\n{words}"));
    }
}

#[test]
fn every_character_is_survived() {
    // The planes in which characters are assigned, and the invisible tags of plane 14.
    for start in (0..0x3_0000_u32).chain(0xe_0000..0xe_1000).step_by(2048) {
        check_hostile(&(start..start + 2048).filter_map(char::from_u32).collect::<String>());
    }
}

#[test]
fn template_syntax_is_text() {
    let received = Received::new(&render(&with("{{7*7}}")).raw());
    assert!(received.text.contains("Invited by: {{7*7}}"));
    assert!(!received.text.contains("49"));
}

#[test]
fn the_text_part_says_all_there_is_to_know() {
    let mail = InvitationMail {
        team_names: vec!["Acme".to_owned(), "Acme Labs".to_owned()],
        role_names: vec!["Member".to_owned(), "Billing".to_owned()],
        message: Some(
            "Hi Bob,\n\nsee evil.com for more, and here is a line that is so long that it has to be folded.".to_owned(),
        ),
        ..example()
    };
    let received = Received::new(&render(&mail).raw());
    assert_eq!(received.header("Subject"), "You are invited to join Acme and 1 more on Roster");
    insta::assert_snapshot!(received.text, @r"
    Hello,

    You are invited to join Acme on Roster.

    Teams:
    - Acme
    - Acme Labs
    Roles:
    - Member
    - Billing
    Invited by: Ada
    Log in with: bob@example.com
    Valid until: 6 December 2026, 09:30 UTC

    Their message:

    > Hi Bob,
    >
    > see evil. com for more, and here is a line that is so long that it has
    > to be folded.

    Accept the invitation:

    https://app.example.com/invitations/accept?token=AQGTxK2m0rB4dYk2V5n8wQ3ZpL7sJ1hF6gT9uXcE0iRaOyMb_-KfWqDzNvPjHtSoUlIe0

    The link works once. If you did not expect this invitation, ignore this mail
    and nothing will happen.
    ");
}

#[test]
fn what_is_absent_leaves_no_trace() {
    let mail = InvitationMail { inviter_name: None, message: None, role_names: Vec::new(), ..example() };
    let received = Received::new(&render(&mail).raw());
    assert_eq!(received.header("Subject"), "You are invited to join Acme on Roster");
    insta::assert_snapshot!(received.text, @r"
    Hello,

    You are invited to join Acme on Roster.

    Team: Acme
    Log in with: bob@example.com
    Valid until: 6 December 2026, 09:30 UTC

    Accept the invitation:

    https://app.example.com/invitations/accept?token=AQGTxK2m0rB4dYk2V5n8wQ3ZpL7sJ1hF6gT9uXcE0iRaOyMb_-KfWqDzNvPjHtSoUlIe0

    The link works once. If you did not expect this invitation, ignore this mail
    and nothing will happen.
    ");
    for absent in ["Role", "Invited by", "Their message", "blockquote"] {
        assert!(!received.html.contains(absent));
    }
}

#[test]
fn the_headers_are_complete() {
    let received = Received::new(&rendered().raw());
    let values: Vec<&str> = received.headers.iter().map(|(_, value)| value.as_str()).collect();
    assert_eq!(
        values,
        [
            "\"Acme Accounts\" <no-reply@example.com>",
            "bob@example.com",
            "You are invited to join Acme on Roster",
            "Sun, 22 Nov 2026 09:30:15 +0000",
            "<019b1d5c-7a00-7000-8000-0000000000b1@example.com>",
            "auto-generated",
            "en",
            "1.0",
            "multipart/alternative; boundary=\"=_019b1d5c7a00700080000000000000b1\"",
        ]
    );
}

#[test]
fn the_link_stands_unbroken_on_a_line_of_its_own() {
    let long = InvitationMail { message: Some("word ".repeat(500)), ..example() };
    for mail in [example(), long] {
        let raw = String::from_utf8(render(&mail).raw()).unwrap();
        let (_, text) = raw.split_once("Content-Transfer-Encoding: 7bit\r\n").unwrap();
        assert!(text.split("\r\n").any(|line| line == LINK));
    }
}

#[test]
fn a_link_with_more_than_a_token_is_one_attribute_and_one_line() {
    let link = "http://127.0.0.1:8080/a?lang=en&token=AbC_-9";
    let received = Received::new(&render(&InvitationMail { link: link.into(), ..example() }).raw());
    assert!(received.text.lines().any(|line| line == link));
    assert_eq!(received.html.matches("href=\"http://127.0.0.1:8080/a?lang=en&amp;token=AbC_-9\"").count(), 2);
}

#[test]
fn the_same_mail_has_the_same_bytes() {
    assert_eq!(rendered().raw(), rendered().raw());
    for words in HOSTILE {
        assert_eq!(render(&with(words)).raw(), render(&with(words)).raw());
    }
}

#[test]
fn an_unusable_mail_is_refused() {
    let renderer = Renderer::new(FROM).unwrap();
    for to in [
        "",
        "bob",
        "bob@",
        "a@example.com, b@example.com",
        "bob@example.com\r\nBcc: eve@example.com",
        "\"b\u{202e}ob\"@example.com",
        "b\u{3164}ob@example.com",
        "Bob <bob@example.com>",
        "bob@example.com ",
    ] {
        let refused = renderer.invitation(&InvitationMail { to: to.to_owned(), ..example() });
        assert!(matches!(refused, Err(RenderError::Recipient)), "{to:?}");
    }
    for link in [
        "",
        "javascript:alert(1)",
        "/accept?token=x",
        "https://a.example/\"onclick=",
        "https://a.example/ x",
        "https://a.example/\r\nx",
        "https://ä.example/",
        "ftp://a.example/",
        &format!("https://a/{}", "x".repeat(900)),
    ] {
        let refused = renderer.invitation(&InvitationMail { link: link.into(), ..example() });
        assert!(matches!(refused, Err(RenderError::Link)), "{link:?}");
    }
    let nobody = InvitationMail { team_names: Vec::new(), ..example() };
    assert!(matches!(renderer.invitation(&nobody), Err(RenderError::NoTeam)));
    assert!(matches!(Renderer::new("nobody"), Err(RenderError::Sender(_))));
}

#[test]
fn the_debug_form_holds_no_link() {
    let shown = format!("{:?} {:?}", example(), rendered());
    assert!(!shown.contains("token="), "{shown}");
}

#[test]
fn every_character_of_an_address_reaches_the_envelope() {
    for c in "!#$%&'*+-/=?^_`{|}~aé日".chars() {
        let to = format!("a{c}b@example.com");
        let mail = render(&InvitationMail { to: to.clone(), ..example() });
        let recipients: Vec<String> = mail.envelope().to().iter().map(ToString::to_string).collect();
        assert_eq!(recipients, [to.as_str()]);
        assert_eq!(Received::new(&mail.raw()).header("To"), to);
    }
}

#[test]
fn an_address_is_not_a_way_to_bring_in_a_link() {
    let address = "bob+www.evil.com/x@example.com".to_owned();
    let mail = InvitationMail { to: address.clone(), login_email: address, ..example() };
    let received = Received::new(&render(&mail).raw());
    assert_eq!(linkable(&received.text), BTreeSet::from([LINK]));
    assert_eq!(linkable(&visible(&received.html)), BTreeSet::from([LINK]));
}

#[test]
fn the_sender_may_have_no_name_and_no_dots() {
    for from in ["no-reply@localhost", "Roster <no-reply@localhost>"] {
        let raw = Renderer::new(from).unwrap().invitation(&example()).unwrap().raw();
        let id = "<019b1d5c-7a00-7000-8000-0000000000b1@localhost>";
        assert_eq!(Received::new(&raw).header("Message-ID"), id);
    }
}
