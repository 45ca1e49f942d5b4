//! `links`: the links in invitations, and the keys that sign their tokens.

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretSlice};
use serde::{Deserialize, Serialize};
use url::Url;

use super::auth::from_hex;
use super::error::Problems;
use super::text::{HumanTime, InvalidText, MASK, Text};
use super::web::WebUrl;

/// Invitation links.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Links {
    /// The page that a link in an invitation leads to: an absolute `http` or `https` URL of at most 800 characters,
    /// without quotes, brackets and a fragment. The token is added as the query parameter `token`.
    #[serde(with = "Text")]
    pub accept_url: AcceptUrl,
    /// The keys that sign tokens: the first one signs, all verify. If there is none, one is made at the first start and
    /// kept in `secret.key` in `data_dir`. Replicas must share their keys, so that PostgreSQL with authentication
    /// requires one here.
    pub keys: Vec<LinkKey>,
    /// For how long the holder of the link of a deleted invitation, or of one of a deleted team, is told what became of it.
    /// Then the invitation is forgotten, with its address.
    #[serde(with = "HumanTime")]
    pub deleted_retention: Duration,
}

/// A key that signs the tokens of links.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LinkKey {
    /// Names the key in the tokens that it signed, 0 to 255. Unique, and never given to another key. The generated key
    /// has 0.
    #[schemars(extend("x-required" = true))]
    pub id: u8,
    /// At least 32 bytes, in base64 or hexadecimal (`openssl rand -base64 32`).
    #[serde(with = "Text")]
    #[schemars(extend("x-required" = true))]
    pub secret: KeyBytes,
    /// A file that holds the key.
    pub secret_file: Option<PathBuf>,
}

impl Default for Links {
    fn default() -> Self {
        let deleted_retention = Duration::from_hours(30 * 24);
        Self { accept_url: AcceptUrl::default(), keys: Vec::new(), deleted_retention }
    }
}

impl Links {
    pub(super) fn check(&self, problems: &mut Problems) {
        let mut ids = HashSet::new();
        for (index, key) in self.keys.iter().enumerate() {
            problems.require(ids.insert(key.id), &format!("links.keys[{index}].id"), "is the id of another key");
        }
    }
}

/// The page that accepts invitations: a [`WebUrl`], short enough for a link that can stand in a mail as well.
#[derive(Debug, Clone)]
pub struct AcceptUrl(Url);

impl AcceptUrl {
    /// The longest address in octets: less than any other page's by what a token takes.
    const MAX: usize = 800;

    /// The address.
    pub fn as_url(&self) -> &Url {
        &self.0
    }
}

impl Default for AcceptUrl {
    fn default() -> Self {
        #[expect(clippy::expect_used, reason = "a constant, which every test that makes a configuration parses")]
        "http://localhost:8080/invitations/accept".parse().expect("the default is a URL")
    }
}

impl FromStr for AcceptUrl {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let page: WebUrl = text.parse()?;
        let url = Url::parse(page.as_str()).map_err(|_| InvalidText("expected a URL"))?;
        if url.as_str().len() > Self::MAX {
            return Err(InvalidText("must have at most 800 characters"));
        }
        if url.fragment().is_some() {
            return Err(InvalidText("must have no fragment"));
        }
        if url.query_pairs().any(|(name, _)| name == "token") {
            return Err(InvalidText("must not have the parameter \"token\", which is added to it"));
        }
        Ok(Self(url))
    }
}

impl fmt::Display for AcceptUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The bytes of a key, at least 32 of them. Printing masks them.
#[derive(Clone, Default)]
pub struct KeyBytes(SecretSlice<u8>);

impl KeyBytes {
    /// The fewest bytes a key has: as many as the HMAC it makes.
    pub(super) const MIN: usize = 32;

    /// The bytes; for signing, not for printing.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.expose_secret()
    }
}

impl FromStr for KeyBytes {
    type Err = InvalidText;

    /// Hexadecimal if it can be that, else base64 of either alphabet, padded or not.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let bytes = from_hex(text)
            .or_else(|| GeneralPurpose::new(&STANDARD, config).decode(text).ok())
            .or_else(|| GeneralPurpose::new(&URL_SAFE, config).decode(text).ok())
            .ok_or(InvalidText("expected base64 or hexadecimal digits"))?;
        if bytes.len() < Self::MIN {
            return Err(InvalidText("must be at least 32 bytes; make one with `openssl rand -base64 32`"));
        }
        Ok(Self(bytes.into()))
    }
}

impl fmt::Display for KeyBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Debug for KeyBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_urls_that_no_link_can_be_made_of() {
        for url in
            ["/join", "ftp://h/x", "https://u:p@h/", "https://h/#top", "https://h/?token=x", "mailto:ada@example.com"]
        {
            assert!(url.parse::<AcceptUrl>().is_err(), "{url}");
        }
    }

    #[test]
    fn refuses_urls_whose_links_no_mail_can_hold() {
        for sign in "\"'<>\\^`{|}".chars() {
            // Whatever is accepted is accepted in the form in which it stands in mails.
            for url in [format!("https://h/a{sign}b"), format!("https://h/?a={sign}b")] {
                let accepted = url.parse::<AcceptUrl>().map(|url| url.to_string()).unwrap_or_default();
                assert!(!accepted.contains(sign), "{url} became {accepted}");
            }
        }
        for url in ["https://h/it's", "https://h/a|b"] {
            assert!(url.parse::<AcceptUrl>().is_err(), "{url}");
        }
    }

    #[test]
    fn the_longest_url_makes_a_link_that_a_mail_can_hold() {
        let url = |length: usize| format!("https://h/{}", "x".repeat(length - "https://h/".len()));
        assert!(url(AcceptUrl::MAX + 1).parse::<AcceptUrl>().is_err());
        let longest: AcceptUrl = url(AcceptUrl::MAX).parse().unwrap();
        // A token has 71 characters.
        let link = format!("{longest}?token={}", "x".repeat(80));
        assert!(link.parse::<WebUrl>().is_ok(), "{link}");
    }

    #[test]
    fn keys_are_base64_or_hexadecimal() {
        let bytes = |text: &str| text.parse::<KeyBytes>().map(|key| key.expose().to_vec());
        assert_eq!(bytes(&"ab".repeat(32)), Ok(vec![0xab; 32]));
        assert_eq!(bytes("//////////////////////////////////////////8="), Ok(vec![0xff; 32]));
        assert_eq!(bytes("__________________________________________8"), Ok(vec![0xff; 32]));
        assert!(bytes(&"ab".repeat(31)).is_err());
        assert!(bytes("not a key").is_err());
    }
}
