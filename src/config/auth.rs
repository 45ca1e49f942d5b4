//! `auth`: who may call. Here are the credentials and their form; checking them is authentication.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::{TryRngCore as _, rngs::OsRng};
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::error::Problems;
use super::roles::Patterns;
use super::text::{InvalidText, Text};
use crate::domain::PermissionPattern;

/// Authentication.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// How callers show who they are.
    pub mode: AuthMode,
    /// The services that may call in mode `tokens`, at least one there. `roster token` makes an entry.
    pub tokens: Vec<ServiceToken>,
}

/// How callers show who they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuthMode {
    /// Not at all: every call is the service `dev`, which may do anything; on loopback only.
    #[default]
    Development,
    /// By `authorization: Bearer` and one of `auth.tokens`.
    Tokens,
}

/// A service that may call, known by the hash of its token.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServiceToken {
    /// The service's name, the actor in events. Unique; 1 to 63 of `a-z`, `0-9`, `-`, `_`, `.`.
    #[schemars(extend("x-required" = true))]
    pub name: String,
    /// SHA-256 of its token, 64 hexadecimal digits. Unique.
    #[serde(with = "Text")]
    #[schemars(extend("x-required" = true))]
    pub sha256: TokenDigest,
    /// What it may do: permissions such as `roster.members.read`, or patterns such as `roster.*`.
    #[serde(with = "Patterns")]
    #[schemars(extend("x-required" = true))]
    pub scopes: Vec<PermissionPattern>,
    /// Whether it may act for a person, named in the metadata `roster-actor`.
    pub act_for_users: bool,
}

impl Auth {
    pub(super) fn check(&self, problems: &mut Problems) {
        if self.mode == AuthMode::Tokens && self.tokens.is_empty() {
            problems.add("auth.tokens", "mode \"tokens\" needs at least one; see `roster token`");
        }
        let (mut names, mut hashes) = (HashSet::new(), HashSet::new());
        for (index, token) in self.tokens.iter().enumerate() {
            let key = |field: &str| format!("auth.tokens[{index}].{field}");
            if let Err(why) = ServiceToken::check_name(&token.name) {
                problems.add(key("name"), why.to_string());
            }
            problems.require(names.insert(&token.name), &key("name"), "is used by another token");
            problems.require(hashes.insert(token.sha256), &key("sha256"), "is the hash of another entry's token");
            problems.require(!token.scopes.is_empty(), &key("scopes"), "must not be empty");
        }
    }
}

impl ServiceToken {
    /// Checks a service's name.
    ///
    /// # Errors
    /// If it is not what [`ServiceToken::name`] asks for.
    pub fn check_name(name: &str) -> Result<(), InvalidText> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
        if (1..=63).contains(&name.len()) && name.bytes().all(allowed) {
            Ok(())
        } else {
            Err(InvalidText("must be 1 to 63 of a-z, 0-9, '-', '_' and '.'"))
        }
    }
}

/// SHA-256 of a service token. The token has 256 random bits, so a plain hash keeps it secret.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// The digest of a token as its bearer sends it.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }
}

impl FromStr for TokenDigest {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = from_hex(text).and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(InvalidText("expected SHA-256 as 64 hexadecimal digits"))
    }
}

impl fmt::Display for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Bytes of an even number of hexadecimal digits.
pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    match digits?.as_chunks::<2>() {
        (pairs, []) => Some(pairs.iter().map(|[high, low]| high << 4 | low).collect()),
        _ => None,
    }
}

/// A new service token: `rst_` and 256 random bits as base64url.
///
/// # Errors
/// If the operating system gives no randomness.
pub fn new_service_token() -> Result<SecretString, std::io::Error> {
    let mut bytes = [0; 32];
    OsRng.try_fill_bytes(&mut bytes).map_err(std::io::Error::other)?;
    let mut token = String::from("rst_");
    URL_SAFE_NO_PAD.encode_string(bytes, &mut token);
    Ok(token.into())
}
