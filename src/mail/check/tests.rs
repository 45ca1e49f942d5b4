//! An operator's templates: which are used for whom, and that none is used which could fail.

use std::{fs, path::Path};

use crate::{
    config,
    mail::{
        InvitationMail, RenderSetupError, Renderer, RenewalMail,
        fixtures::{Received, branded, config, example, renewal},
    },
};

/// A folder of templates: each file's place, and what is in it.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (place, text) in files {
        let path = root.path().join(place);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

fn with(root: &Path, config: config::Mail) -> config::Mail {
    config::Mail { templates: Some(root.to_owned()), ..config }
}

/// What is told of templates, one problem a line.
fn problems(files: &[(&str, &str)], config: config::Mail) -> String {
    let root = folder(files);
    match Renderer::new(&with(root.path(), config)) {
        Err(RenderSetupError::Templates(problems)) => {
            problems.to_string().replace(&root.path().display().to_string(), "[folder]")
        }
        other => panic!("{other:?}"),
    }
}

/// The language and the subject of an invitation to somebody.
fn invited(renderer: &Renderer, locale: Option<&str>) -> (String, String) {
    let mail = InvitationMail { locale: locale.map(ToOwned::to_owned), ..example() };
    let received = Received::new(&renderer.invitation(&mail).unwrap().raw());
    (received.header("Content-Language").to_owned(), received.header("Subject").to_owned())
}

const WHOLE: &str = "Zum Team {{ team }}: {{ link }}";
const HTML: &str = "<p>Zum Team {{ team }}: <a href=\"{{ link }}\">annehmen</a></p>";

fn german() -> [(&'static str, &'static str); 3] {
    [
        ("de/invitation.subject.txt", "Einladung zu {{ team }}"),
        ("de/invitation.txt", WHOLE),
        ("de/invitation.html", HTML),
    ]
}

#[test]
fn templates_are_chosen_by_language() {
    let mut files = german().to_vec();
    files.push(("de-CH/invitation.subject.txt", "Grüezi"));
    files.push(("zh-hant/invitation.subject.txt", "邀請"));
    files.push(("fr/renewal.subject.txt", "Une nouvelle invitation"));
    let root = folder(&files);
    let english = "You are invited to join Acme on Roster";
    let renderer = Renderer::new(&with(root.path(), config())).unwrap();
    for (asked, language, subject) in [
        (Some("de"), "de", "Einladung zu Acme"),
        (Some("DE"), "de", "Einladung zu Acme"),
        (Some("de-AT"), "de", "Einladung zu Acme"),
        (Some("de-ch"), "de-CH, en", "Grüezi"),
        (Some("zh-Hant-TW"), "zh-Hant, en", "邀請"),
        (Some("zh"), "en", english),
        (Some("fr"), "en", english),
        (Some("no such language"), "en", english),
        (None, "en", english),
    ] {
        assert_eq!(invited(&renderer, asked), (language.to_owned(), subject.to_owned()), "{asked:?}");
    }
    let mail = RenewalMail { locale: Some("fr-CA".to_owned()), ..renewal() };
    let received = Received::new(&renderer.renewal(&mail).unwrap().raw());
    assert_eq!(received.header("Content-Language"), "fr, en");
    assert_eq!(received.header("Subject"), "Une nouvelle invitation");
}

#[test]
fn the_default_language_is_for_who_has_none() {
    let root = folder(&german());
    let config = config::Mail { default_locale: "de-CH".to_owned(), ..with(root.path(), config()) };
    let renderer = Renderer::new(&config).unwrap();
    for (asked, language) in [(None, "de"), (Some("fr"), "de"), (Some("en-GB"), "en")] {
        assert_eq!(invited(&renderer, asked).0, language, "{asked:?}");
    }
    // Nothing for this kind of mail: what is built in.
    let received = Received::new(&renderer.renewal(&renewal()).unwrap().raw());
    assert_eq!(received.header("Content-Language"), "en");
}

#[test]
fn an_english_template_takes_the_place_of_what_is_built_in() {
    let root = folder(&[("en/invitation.subject.txt", "Join {{ team }}!")]);
    let renderer = Renderer::new(&with(root.path(), config())).unwrap();
    for asked in [None, Some("en-GB"), Some("fr")] {
        assert_eq!(invited(&renderer, asked), ("en".to_owned(), "Join Acme!".to_owned()));
    }
}

#[test]
fn the_layout_can_be_filled_in_another_language() {
    let html = "{% extends \"layout.html\" %}{% block language %}de{% endblock %}\
                {% block content %}<a href=\"{{ link }}\">annehmen</a>{% endblock %}\
                {% block support %}Fragen? Schreiben Sie an{% endblock %}";
    let root = folder(&[("de/invitation.html", html)]);
    let renderer = Renderer::new(&with(root.path(), branded())).unwrap();
    let mail = InvitationMail { locale: Some("de".to_owned()), ..example() };
    let html = Received::new(&renderer.invitation(&mail).unwrap().raw()).html;
    assert!(html.contains("<html lang=\"de\">") && html.contains("Fragen?") && !html.contains("Questions?"), "{html}");
}

#[test]
fn the_example_in_the_documentation_can_be_used() {
    let text = include_str!("../../../docs/mail.md");
    let example = text.split("```").find_map(|part| part.strip_prefix("jinja\n")).unwrap();
    let root = folder(&[("de/invitation.html", example)]);
    let renderer = Renderer::new(&with(root.path(), branded())).unwrap();
    assert_eq!(invited(&renderer, Some("de")).0, "en, de");
}

#[test]
fn moments_can_be_written_in_any_way() {
    let text = "{{ link }} bis {{ expires.day }}.{{ expires.month }}.{{ expires.year }} {{ expires.time }}, {{ expires.date }}";
    let root = folder(&[("de/invitation.txt", text)]);
    let renderer = Renderer::new(&with(root.path(), config())).unwrap();
    let mail = InvitationMail { locale: Some("de".to_owned()), ..example() };
    let text = Received::new(&renderer.invitation(&mail).unwrap().raw()).text;
    assert!(text.contains("bis 6.12.2026 09:30, 2026-12-06"), "{text}");
}

#[test]
fn every_problem_is_told_at_once() {
    let files = [
        ("README.md", "Ours"),
        ("de/invitation.text", ""),
        ("de/invitation.txt", "{{ team }} {{ link"),
        ("de/invitation.subject.txt", "{% if grants|length > 99 %}{{ title }}{% endif %}"),
        ("de/invitation.html", "<a href=\"{{ link }}\">{{ inviter|safe }}</a>"),
        ("de/renewal.txt", "{{ team.name }}"),
        ("de/renewal.html", "<a href=\"{{ team_url }}\">{% include \"footer.html\" %}</a>"),
        ("fr/invitation.txt", "{{ team }}: {{ link }}."),
        ("fr/invitation.html", "<p>{{ link }}</p>"),
        ("fr/renewal.txt", "{% if expired.text %}{{ team }}{% endif %}"),
        ("fr/renewal.html", "{{ support_address|nonsense }}"),
        ("ZH/invitation.txt", "{{ link }}"),
        ("zh/invitation.txt", "{{ link }}"),
        ("german/renewal.subject.txt", "x"),
        (".git/config", "left alone"),
        ("es/.invitation.txt.swp", "left alone"),
        ("es/invitation.subject.txt", "Invitación a {{ team }}"),
    ];
    insta::assert_snapshot!(problems(&files, branded()), @"
    the mail templates have 13 problems:
      README.md: is not a folder; each language has one, such as de or pt-BR
      de/invitation.text: is not a known name; known here: invitation.subject.txt, invitation.txt, invitation.html, renewal.subject.txt, renewal.txt, renewal.html
      de/invitation.txt: line 1: syntax error: unexpected end of input, expected end of variable block
      german: is not named by a language tag such as de or pt-BR
      zh: is for the same language as ZH
      de/invitation.subject.txt: uses title, which is not a variable; known here: expires, grants, inviter, link, login_email, login_url, logo_url, message, product, support_address, team
      de/invitation.html: writes a value without escaping it
      fr/invitation.txt: lacks the link, with white space around it
      fr/invitation.html: lacks the link, as the href of an element
      de/renewal.txt: line 1: undefined value
      de/renewal.html: line 1: template not found: tried to include non-existing template 'footer.html'
      fr/renewal.txt: lacks the link, with white space around it
      fr/renewal.html: line 1: unknown filter: filter nonsense is unknown
    ");
}

#[test]
fn a_page_is_asked_for_only_where_one_is_configured() {
    let files = [("de/renewal.txt", "{{ team }}"), ("de/renewal.html", "<p>{{ team }}</p>")];
    let root = folder(&files);
    Renderer::new(&with(root.path(), config())).unwrap();
    insta::assert_snapshot!(problems(&files, branded()), @"
    the mail templates have 2 problems:
      de/renewal.txt: lacks the link, with white space around it
      de/renewal.html: lacks the link, as the href of an element
    ");
}

#[test]
fn what_is_not_there_is_a_problem() {
    let absent = config::Mail { templates: Some("no/such/folder".into()), ..config() };
    let told = Renderer::new(&absent).unwrap_err().to_string();
    assert!(told.contains("no/such/folder: cannot be read: "), "{told}");
    let default = config::Mail { default_locale: "de".to_owned(), ..config() };
    insta::assert_snapshot!(problems(&[], default), @"
    the mail templates have a problem:
      de: is mail.default_locale, and there are no templates in that language
    ");
}

#[cfg(unix)]
#[test]
fn what_cannot_be_read_is_a_problem() {
    let root = folder(&[("de/invitation.subject.txt", "x")]);
    fs::write(root.path().join("de/invitation.txt"), [0xff, 0xfe]).unwrap();
    std::os::unix::fs::symlink("nowhere", root.path().join("de/renewal.txt")).unwrap();
    let told = Renderer::new(&with(root.path(), config())).unwrap_err().to_string();
    assert!(told.contains("de/invitation.txt: cannot be read: "), "{told}");
    assert!(told.contains("de/renewal.txt: cannot be read: "), "{told}");
}
