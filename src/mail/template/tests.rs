//! What mails say, and that each is one message with everything that belongs to it. That nobody's words can change what
//! a mail is, is tested from outside.

use crate::{
    config,
    mail::{
        InvitationMail, RenderError, RenderSetupError, Renderer, RenewalMail,
        fixtures::{FROM, LINK, Received, branded, config, example, granted, render, rendered, renewal},
    },
};

fn received(mail: &InvitationMail, config: &config::Mail) -> Received {
    Received::new(&Renderer::new(config).unwrap().invitation(mail).unwrap().raw())
}

fn told(mail: &RenewalMail, config: &config::Mail) -> Received {
    Received::new(&Renderer::new(config).unwrap().renewal(mail).unwrap().raw())
}

/// An invitation to three teams, with everything that one can hold.
fn several() -> InvitationMail {
    InvitationMail {
        grants: vec![
            granted("Acme", &["Member", "Billing"], 2),
            granted("Acme Labs", &["Admin"], 0),
            granted("Acme Archive", &[], 1),
        ],
        message: Some(
            "Hi Bob,\n\nsee evil.com for more, and here is a line that is so long that it has to be folded.".to_owned(),
        ),
        ..example()
    }
}

#[test]
fn the_text_part_says_all_there_is_to_know() {
    let received = received(&several(), &branded());
    assert_eq!(received.header("Subject"), "You are invited to join Acme and 2 more on Roster");
    insta::assert_snapshot!(received.text, @"
    Hello,

    You are invited to join Acme on Roster.

    Teams:
    - Acme: Member, Billing and 2 permissions
    - Acme Labs: Admin
    - Acme Archive: 1 permission

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

    Once you have accepted, log in here:

    https://app.example.com/login

    The link works once. If you did not expect this invitation, ignore this
    mail and nothing will happen.

    Questions? Write to help@example.com
    ");
}

#[test]
fn the_html_part_says_the_same() {
    let html = received(&several(), &branded()).html;
    for said in [
        ">Acme</strong>",
        "<span dir=\"auto\">Member</span>, <span dir=\"auto\">Billing</span>",
        "and 2 permissions",
        ">Acme Labs</strong>",
        "1 permission<",
        ">Ada</strong>",
        "here is a line that is so long that it has to be folded.",
        "bob@example.com",
        "6 December 2026, 09:30 UTC",
        "src=\"https://static.example.com/logo.png\" alt=\"Roster\"",
        "href=\"https://app.example.com/login\"",
        "Questions? Write to\n<a class=\"link\" href=\"mailto:help@example.com\"",
    ] {
        assert!(html.contains(said), "{said}\n{html}");
    }
    assert_eq!(html.matches(&format!("href=\"{LINK}\"")).count(), 2);
}

#[test]
fn what_is_absent_leaves_no_trace() {
    let mail = InvitationMail { inviter_name: None, message: None, grants: vec![granted("Acme", &[], 0)], ..example() };
    let received = received(&mail, &config());
    assert_eq!(received.header("Subject"), "You are invited to join Acme on Roster");
    insta::assert_snapshot!(received.text, @"
    Hello,

    You are invited to join Acme on Roster.

    Team: Acme
    Log in with: bob@example.com
    Valid until: 6 December 2026, 09:30 UTC

    Accept the invitation:

    https://app.example.com/invitations/accept?token=AQGTxK2m0rB4dYk2V5n8wQ3ZpL7sJ1hF6gT9uXcE0iRaOyMb_-KfWqDzNvPjHtSoUlIe0

    The link works once. If you did not expect this invitation, ignore this
    mail and nothing will happen.
    ");
    for absent in ["Role", "permission", "invites you", "message", "blockquote", "<img", "log in here", "mailto:"] {
        assert!(!received.html.contains(absent), "{absent}");
    }
}

#[test]
fn an_inviter_is_told_who_asks_for_what() {
    let received = told(&renewal(), &branded());
    assert_eq!(received.header("To"), "ada@example.com");
    assert_eq!(received.header("Subject"), "bob@example.com asks for a new invitation to Acme on Roster");
    insta::assert_snapshot!(received.text, @"
    Hello,

    Somebody with an expired invitation to join Acme on Roster asks for a
    new one.

    Team: Acme
    Invited: bob@example.com
    Expired: 6 December 2026, 09:30 UTC
    Requested: 7 December 2026, 10:00 UTC

    To send the invitation again, open it here and choose to resend it:

    https://app.example.com/teams/019b1d5c-7a00-7000-8000-0000000000c1/invitations/019b1d5c-7a00-7000-8000-0000000000d1

    The new invitation goes to bob@example.com and to nobody else. If this
    person should not join, do nothing.

    Questions? Write to help@example.com
    ");
    let page = "https://app.example.com/teams/019b1d5c-7a00-7000-8000-0000000000c1/invitations/\
                019b1d5c-7a00-7000-8000-0000000000d1";
    assert_eq!(received.html.matches(&format!("href=\"{page}\"")).count(), 2);
    for said in ["Acme", "bob@example.com", "6 December 2026, 09:30 UTC", "7 December 2026, 10:00 UTC"] {
        assert!(received.html.contains(said), "{said}");
    }
}

#[test]
fn an_inviter_is_told_what_to_do_where_no_page_is_known() {
    let received = told(&renewal(), &config());
    assert!(!received.text.contains("http") && !received.html.contains("href"), "{}", received.text);
    let hint = "open the team's invitations in Roster and choose to resend it.";
    assert!(received.text.replace('\n', " ").contains(hint), "{}", received.text);
    assert!(received.html.contains(hint));
}

#[test]
fn the_headers_are_complete() {
    let names = [
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
    let values = |received: &Received| -> Vec<String> {
        assert_eq!(received.headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), names);
        received.headers.iter().map(|(_, value)| value.clone()).collect()
    };
    assert_eq!(
        values(&Received::new(&rendered().raw())),
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
    assert_eq!(
        values(&told(&renewal(), &config()))[3..7],
        [
            "Mon, 07 Dec 2026 10:00:05 +0000",
            "<019b1d5c-7a00-7000-8000-0000000000b2@example.com>",
            "auto-generated",
            "en",
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
    let renderers = [Renderer::new(&branded()).unwrap(), Renderer::new(&branded()).unwrap()];
    let [one, other] = renderers.each_ref().map(|renderer| renderer.invitation(&several()).unwrap().raw());
    assert_eq!(one, other);
    let [one, other] = renderers.each_ref().map(|renderer| renderer.renewal(&renewal()).unwrap().raw());
    assert_eq!(one, other);
}

#[test]
fn an_unusable_mail_is_refused() {
    let renderer = Renderer::new(&config()).unwrap();
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
        let refused = renderer.renewal(&RenewalMail { to: to.to_owned(), ..renewal() });
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
    let nobody = InvitationMail { grants: Vec::new(), ..example() };
    assert!(matches!(renderer.invitation(&nobody), Err(RenderError::NoTeam)));
    let sender = config::Mail { from: "nobody".to_owned(), ..config() };
    assert!(matches!(Renderer::new(&sender), Err(RenderSetupError::Sender(_))));
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
fn the_sender_may_have_no_name_and_no_dots() {
    assert_eq!(Received::new(&rendered().raw()).header("From"), "\"Acme Accounts\" <no-reply@example.com>", "{FROM}");
    for from in ["no-reply@localhost", "Roster <no-reply@localhost>"] {
        let config = config::Mail { from: from.to_owned(), ..config() };
        let id = "<019b1d5c-7a00-7000-8000-0000000000b1@localhost>";
        assert_eq!(received(&example(), &config).header("Message-ID"), id);
    }
}
