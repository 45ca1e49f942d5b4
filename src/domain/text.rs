//! Text that people typed: names and messages.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Invalid;

/// A character that has no place in a name: controls, and the marks that reorder or hide the text around them.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}

/// Whether a text holds none of them.
pub(super) fn is_plain(text: &str) -> bool {
    !text.chars().any(is_hidden)
}

macro_rules! text {
    ($(#[$meta:meta])* $name:ident, $range:expr, $keep:expr, $why:literal) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes the text without the white space around it.
            pub fn parse(text: &str) -> Result<Self, Invalid> {
                let trimmed = text.trim();
                let keep: fn(char) -> bool = $keep;
                if $range.contains(&trimmed.chars().count()) && trimmed.chars().all(keep) {
                    Ok(Self(trimmed.to_owned()))
                } else {
                    Err(Invalid::new($why))
                }
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text!(
    /// A team's name: 1 to 200 characters on one line.
    TeamName, (1..=200), |c| !is_hidden(c),
    "must be 1 to 200 characters, without control or direction characters"
);
text!(
    /// A person's name: at most 200 characters on one line; may be empty.
    DisplayName, (0..=200), |c| !is_hidden(c),
    "must be at most 200 characters, without control or direction characters"
);
text!(
    /// An inviter's words: at most 2,000 characters; line breaks are welcome; may be empty.
    Message, (0..=2000), |c| c == '\n' || c == '\r' || c == '\t' || !is_hidden(c),
    "must be at most 2000 characters, without control or direction characters other than line breaks and tabs"
);

text!(
    /// A role's name: 1 to 100 characters on one line.
    RoleName, (1..=100), |c| !is_hidden(c),
    "must be 1 to 100 characters, without control or direction characters"
);
text!(
    /// What a role is for: at most 500 characters on one line; may be empty.
    Description, (0..=500), |c| !is_hidden(c),
    "must be at most 500 characters, without control or direction characters"
);

/// Text without the difference between capital and small letters. Each character is folded by itself, so that the fold of
/// a beginning is the beginning of the fold: it is what prefixes are searched by.
pub fn fold(text: &str) -> String {
    // By way of the capitals, which letters have in common that have several small forms, such as the two sigmas.
    text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

/// A team's name for machines: 1 to 63 of `a-z`, `0-9` and `-`, beginning and ending with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slug(String);

impl Slug {
    /// Takes the slug as it is.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let edges = !text.starts_with('-') && !text.ends_with('-');
        if (1..=63).contains(&text.len()) && edges && text.chars().all(good) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new("must be 1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit"))
        }
    }

    /// The slug as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_and_bounded() {
        assert_eq!(TeamName::parse("  Acme  ").unwrap().as_str(), "Acme");
        assert!(TeamName::parse("   ").is_err());
        assert!(TeamName::parse(&"ä".repeat(200)).is_ok());
        assert!(TeamName::parse(&"ä".repeat(201)).is_err());
        assert!(TeamName::parse("a\u{202E}b").is_err());
        assert!(TeamName::parse("a\nb").is_err());
        assert!(DisplayName::parse("").is_ok());
        assert!(Message::parse("Hi,\njoin us").is_ok());
    }

    #[test]
    fn the_fold_of_a_beginning_is_the_beginning_of_the_fold() {
        assert_eq!(fold("ANNA Zoë"), "anna zoë");
        assert_eq!((fold("ΟΔΟΣ"), fold("οδός")), ("οδοσ".to_owned(), "οδόσ".to_owned()));
        assert_eq!(fold("Straße"), "strasse");
        for text in ["ΟΔΟΣΑ", "Straße", "İstanbul", "ΑΣ ΑΣΑ", "ǅ", "ﬁn"] {
            for (end, _) in text.char_indices() {
                assert!(fold(text).starts_with(&fold(&text[..end])), "{text} {end}");
            }
        }
    }

    #[test]
    fn slugs_are_plain() {
        for good in ["a", "acme", "acme-2"] {
            assert!(Slug::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "Acme", "a.b", &"a".repeat(64)] {
            assert!(Slug::parse(bad).is_err(), "{bad}");
        }
    }
}
