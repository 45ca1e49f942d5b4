//! Text that a user chose, made fit for a mail.
//!
//! A mail carries the words of somebody who may be hostile (a team's name, the inviter's name, a personal message) to
//! somebody who trusts the sender's domain. So these words are changed before they reach a template:
//!
//! * Control characters, bidirectional controls and invisible characters are dropped; every white space becomes one
//!   ordinary space. Dropping, rather than refusing, because a hostile name must not be a way to prevent a mail.
//! * Whatever a mail client would turn into a link is broken by an ordinary space (`evil.com` → `evil. com`,
//!   `https://evil.com` → `https: / /evil. com`, `a@evil.com` → `a@ evil. com`). A space is the one separator that every
//!   link detector honours. Look-alike dots (U+2024) and zero-width characters are not: domain names are normalised
//!   before they are resolved, which maps the former back to a dot and drops the latter.
//! * A length limit keeps one name from pushing everything else out of sight.
//!
//! HTML escaping is not done here: the HTML template escapes every value by itself.

/// Longest name that is shown, in characters; the rest is cut.
const MAX_NAME: usize = 120;

/// What stands for a name in which nothing visible is left.
const NAMELESS: &str = "(no name)";

/// A name on one line: cleaned, unlinked, and at most [`MAX_NAME`] characters long.
pub(super) fn name(text: &str) -> String {
    let clean = unlink(&single_line(text));
    if clean.is_empty() {
        return NAMELESS.to_owned();
    }
    match clean.char_indices().nth(MAX_NAME) {
        // The space keeps the dots from becoming part of a word, and so of a link.
        Some((end, _)) => format!("{} ...", clean[..end].trim_end()),
        None => clean,
    }
}

/// A message as its lines: cleaned, unlinked, without leading, trailing or repeated empty lines.
pub(super) fn lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    // The paragraph and line separators of Unicode end a line just as the control characters do.
    for raw in text.replace("\r\n", "\n").split(['\n', '\r', '\u{85}', '\u{b}', '\u{c}', '\u{2028}', '\u{2029}']) {
        let line = unlink(&single_line(raw));
        if !line.is_empty() || lines.last().is_some_and(|last| !last.is_empty()) {
            lines.push(line);
        }
    }
    if lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

/// A value of a header field: one line that no mail reader decodes again (`=?` would start an encoded word, which can
/// hide what [`single_line`] removes).
pub(super) fn header(text: &str) -> String {
    single_line(text).replace("=?", "= ?")
}

/// An e-mail address for reading. It is shown as it is, for it is what the person logs in with, unless its local part
/// could hide a link (`bob+www.evil.com/x@example.com`).
pub(super) fn address(address: &str) -> String {
    let clean = single_line(address);
    let local = clean.rsplit_once('@').map_or(clean.as_str(), |(local, _)| local);
    if local.contains(['/', '\\', '?', '#', ':', ' ']) { unlink(&clean) } else { clean }
}

/// Whether `c` must never stand in a header field or a name: it ends a line, is not visible, or reorders the text.
///
/// U+200C and U+200D stay: Persian, the scripts of India and emoji need them.
pub(super) fn is_forbidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// One line without forbidden characters, its white space collapsed to single spaces and trimmed.
fn single_line(text: &str) -> String {
    let spaced: String =
        text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| !is_forbidden(*c)).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `text` with a space wherever it takes one to keep a mail client from making a link.
fn unlink(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut previous = ' ';
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        out.push(c);
        if rest.peek().is_some_and(|next| joins_link(previous, c, *next)) {
            out.push(' ');
        }
        previous = c;
    }
    out
}

/// Whether `c`, standing between `previous` and `next`, can hold a link together: the dot of a domain, the `@` of an
/// address, the colon of a scheme, or a doubled slash (`//host`, and `\\host`, which some clients open as a file share).
fn joins_link(previous: char, c: char, next: char) -> bool {
    if next.is_whitespace() {
        return false;
    }
    let closes = matches!(next, ')' | ']' | '}' | '"' | '\'' | '!' | '?' | ',' | ';' | ':');
    match c {
        _ if is_dot(c) => !previous.is_whitespace() && !is_dot(next) && !closes,
        '@' | '\u{ff20}' | '\u{fe6b}' => !previous.is_whitespace(),
        ':' | '\u{ff1a}' => previous.is_alphanumeric() && !closes && !(previous.is_numeric() && next.is_numeric()),
        '/' | '\\' => matches!(next, '/' | '\\'),
        _ => false,
    }
}

/// The full stop, and the characters that domain name processing takes for it.
fn is_dot(c: char) -> bool {
    matches!(c, '.' | '\u{2024}' | '\u{3002}' | '\u{fe52}' | '\u{ff0e}' | '\u{ff61}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_would_link_is_broken() {
        for (given, shown) in [
            ("evil.com", "evil. com"),
            ("https://evil.com/x?y=1", "https: / /evil. com/x?y=1"),
            ("http://localhost", "http: / /localhost"),
            ("www.evil.com.", "www. evil. com."),
            ("mail bob@evil.com now", "mail bob@ evil. com now"),
            ("mailto:bob", "mailto: bob"),
            ("javascript:alert(1)", "javascript: alert(1)"),
            ("\\\\evil\\share", "\\ \\evil\\share"),
            ("//evil", "/ /evil"),
            ("1.2.3.4", "1. 2. 3. 4"),
            ("evil\u{3002}com", "evil\u{3002} com"),
            ("evil\u{ff0e}com", "evil\u{ff0e} com"),
            ("ev\u{ad}il.\u{200b}com", "evil. com"),
            ("evil.\u{2060}com", "evil. com"),
            ("evil..com", "evil.. com"),
        ] {
            assert_eq!(name(given), shown, "{given:?}");
        }
    }

    #[test]
    fn ordinary_names_stay_as_they_are() {
        for plain in [
            "Acme",
            "Acme Inc.",
            "O'Neill & Sons",
            "R&D (Berlin)",
            "10:30 club",
            "Sales/Marketing",
            "C++",
            ".NET",
            "team @night",
            "wait... what?",
            "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}",
            "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
            "Ünïcode",
            "日本",
        ] {
            assert_eq!(name(plain), plain);
        }
    }

    #[test]
    fn controls_and_bidi_are_dropped() {
        assert_eq!(name("a\r\nBcc: b\0\u{202e}c\u{2066}\u{7f}\u{9b}d"), "a Bcc: bcd");
        assert_eq!(name("\u{2028}a\u{a0}\u{3000}\tb "), "a b");
        assert_eq!(header("x =?utf-8?q?=0D=0A?= \r\ny"), "x = ?utf-8?q?=0D=0A?= y");
    }

    #[test]
    fn a_name_is_limited_and_never_empty() {
        assert_eq!(name("\u{202e}\r\n \u{200b}"), NAMELESS);
        let long = name(&"x".repeat(5000));
        assert_eq!(long.chars().count(), MAX_NAME + 4);
        assert!(long.ends_with("x ..."));
        assert_eq!(name(&"é".repeat(MAX_NAME)), "é".repeat(MAX_NAME));
    }

    #[test]
    fn a_message_keeps_its_paragraphs() {
        assert_eq!(lines("\n\nHi Bob,\r\n\r\n\r\nwelcome\u{2028}aboard\n\n"), ["Hi Bob,", "", "welcome", "aboard"]);
        assert_eq!(lines(" \u{200b} \n "), Vec::<String>::new());
    }

    #[test]
    fn an_address_is_shown_as_it_is_unless_it_hides_a_link() {
        assert_eq!(address("bob.smith+x@example.com"), "bob.smith+x@example.com");
        assert_eq!(address("bob+www.evil.com/x@example.com"), "bob+www. evil. com/x@ example. com");
    }
}
