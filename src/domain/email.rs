//! E-mail addresses in the one form in which they are stored, compared and indexed.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Invalid;

/// Why a text is no [`Email`].
pub(super) const NOT_AN_ADDRESS: Invalid = Invalid::new("must be an e-mail address such as ada@example.com");

/// An e-mail address in its normal form.
///
/// ASCII letters are lower-cased in both parts, the domain is an IDNA A-label (UTS #46), and the local part otherwise
/// stays as it was typed. Normalising happens here and only here, so both databases compare plain bytes and agree.
/// Quoted local parts and address literals are refused: no sign-up form takes them. Lengths follow RFC 5321: 64 octets
/// for the local part, 254 in all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Email(String);

impl Email {
    /// Normalises an address, without the white space around it.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let (local, domain) = text.trim().rsplit_once('@').ok_or(NOT_AN_ADDRESS)?;
        if !is_local_part(local) {
            return Err(NOT_AN_ADDRESS);
        }
        let domain = normal_domain(domain).map_err(|_| NOT_AN_ADDRESS)?;
        let address = format!("{}@{domain}", local.to_ascii_lowercase());
        if address.len() <= 254 { Ok(Self(address)) } else { Err(NOT_AN_ADDRESS) }
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands after the `@`.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }

    /// The address with most of its local part hidden, to remind its holder without telling anyone else.
    pub fn masked(&self) -> String {
        let first = self.0.chars().next().unwrap_or('*');
        format!("{first}***@{}", self.domain())
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A dot-atom of RFC 5322, with the non-ASCII characters of RFC 6531.
fn is_local_part(local: &str) -> bool {
    let atom = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || is_visible_non_ascii(c);
    (1..=64).contains(&local.len()) && local.split('.').all(|part| !part.is_empty() && part.chars().all(atom))
}

fn is_visible_non_ascii(c: char) -> bool {
    !c.is_ascii() && c.is_alphanumeric()
}

/// A domain name in its normal form: lower-case A-labels, at least two, none of them empty.
pub fn normal_domain(domain: &str) -> Result<String, Invalid> {
    const WHY: Invalid = Invalid::new("must be a domain name such as example.com");
    let ascii = idna::domain_to_ascii_strict(domain).map_err(|_| WHY)?;
    let labels = ascii.split('.').count();
    // A name that ends in a number would be read as an IPv4 address by some software.
    let numeric = ascii.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    if labels >= 2 && !numeric && ascii.len() <= 253 && !ascii.ends_with('.') { Ok(ascii) } else { Err(WHY) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_has_one_form() {
        let check = |text: &str, normal: &str| assert_eq!(Email::parse(text).unwrap().as_str(), normal);
        check("Ada@Example.COM", "ada@example.com");
        check("  ada+work@example.com ", "ada+work@example.com");
        check("ada@bücher.example", "ada@xn--bcher-kva.example");
        check("ada@BÜCHER.example", "ada@xn--bcher-kva.example");
        check("JOSÉ@example.com", "josÉ@example.com");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("{}@example.com", "a".repeat(65));
        for bad in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "ada@localhost",
            "a b@example.com",
            "\"a\"@example.com",
            ".a@example.com",
            "a..b@example.com",
            "ada@[127.0.0.1]",
            "ada@1.2.3.4",
            "ada@example..com",
            "ada@-a.com",
            "ada@example.com.",
            "a\n@example.com",
            "a\0@example.com",
            "a\u{202E}@example.com",
            "ada@exa mple.com",
            &long,
        ] {
            assert!(Email::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn normalising_twice_changes_nothing() {
        for text in ["Ada@Example.COM", "ada@bücher.example", "JOSÉ@ﬁle.example"] {
            let once = Email::parse(text).unwrap();
            assert_eq!(Email::parse(once.as_str()).unwrap(), once);
        }
    }

    #[test]
    fn masking_keeps_the_first_character() {
        assert_eq!(Email::parse("ada@example.com").unwrap().masked(), "a***@example.com");
    }
}
