//! The services that may call, and what each is known by: the digest of a token, or a name in a client certificate.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::{TryRngCore as _, rngs::OsRng};
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::super::error::Problems;
use super::super::roles::Patterns;
use super::super::text::{InvalidText, Text};
use crate::domain::PermissionPattern;

/// Services, by what they are known by. A service may stand in several entries, so that a new token can be given out
/// before the old one is taken back; all of them then say the same of it.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Services {
    /// By token.
    pub tokens: Vec<ServiceToken>,
    /// By client certificate.
    pub certificates: Vec<ServiceCertificate>,
}

/// A service that may call, known by the hash of its token.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServiceToken {
    /// The service's name, the actor in events: 1 to 63 of `a-z`, `0-9`, `-`, `_`, `.`. Entries of one name have to
    /// agree in `scopes` and `act_for_users`.
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

/// A service that may call, known by a name in its certificate.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServiceCertificate {
    /// As in `auth.tokens`.
    #[schemars(extend("x-required" = true))]
    pub name: String,
    /// A subject alternative name of its certificate: a DNS name without wildcards such as `billing.internal`, or a URI
    /// such as a SPIFFE id. Unique.
    #[serde(with = "Text")]
    #[schemars(extend("x-required" = true))]
    pub san: San,
    /// As in `auth.tokens`.
    #[serde(with = "Patterns")]
    #[schemars(extend("x-required" = true))]
    pub scopes: Vec<PermissionPattern>,
    /// As in `auth.tokens`.
    pub act_for_users: bool,
}

impl Services {
    /// Reads `[[tokens]]` and `[[certificates]]` from a file.
    ///
    /// # Errors
    /// If the file cannot be read, or with all that [`Services::parse`] finds.
    pub fn read(path: &Path) -> Result<Self, String> {
        std::fs::read(path).map_err(|error| error.to_string()).and_then(|text| Self::parse(&text))
    }

    /// Reads `[[tokens]]` and `[[certificates]]`.
    ///
    /// # Errors
    /// If the text is no TOML, lists nobody, or with everything that is wrong in it.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(text).map_err(|_| "is not UTF-8".to_owned())?;
        let services: Self = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            format!("line {}: {}", before.matches('\n').count() + 1, error.message())
        })?;
        // Half of a file that is being written must not lock everybody out.
        if services.tokens.is_empty() && services.certificates.is_empty() {
            return Err("it lists nobody".to_owned());
        }
        let mut problems = Problems::default();
        services.check("", &mut problems);
        problems.none().map(|()| services)
    }

    /// These and others.
    ///
    /// # Errors
    /// If both know something of the same credential, or of one service different things.
    pub fn and(mut self, more: Self) -> Result<Self, String> {
        self.tokens.extend(more.tokens);
        self.certificates.extend(more.certificates);
        let mut problems = Problems::default();
        self.check("", &mut problems);
        problems.none().map(|()| self)
    }

    pub(super) fn check(&self, prefix: &str, problems: &mut Problems) {
        let (mut digests, mut sans) = (HashSet::new(), HashSet::new());
        let mut known: HashMap<&str, (HashSet<&PermissionPattern>, bool)> = HashMap::new();
        let tokens = self.tokens.iter().enumerate();
        let tokens = tokens.map(|(n, t)| (format!("{prefix}tokens[{n}]"), &t.name, &t.scopes, t.act_for_users));
        let certificates = self.certificates.iter().enumerate();
        let certificates =
            certificates.map(|(n, c)| (format!("{prefix}certificates[{n}]"), &c.name, &c.scopes, c.act_for_users));
        for (entry, name, scopes, act_for_users) in tokens.chain(certificates) {
            if let Err(why) = ServiceToken::check_name(name) {
                problems.add(format!("{entry}.name"), why.to_string());
            }
            problems.require(!scopes.is_empty(), &format!("{entry}.scopes"), "must not be empty");
            // A list that is missing agrees with nothing, and is told of already.
            if scopes.is_empty() {
                continue;
            }
            let rights = (scopes.iter().collect(), act_for_users);
            let agreed = known.entry(name).or_insert_with(|| rights.clone());
            let differs = "differs from what another entry says of this service";
            problems.require(agreed.0 == rights.0, &format!("{entry}.scopes"), differs);
            problems.require(agreed.1 == rights.1, &format!("{entry}.act_for_users"), differs);
        }
        for (index, token) in self.tokens.iter().enumerate() {
            let key = format!("{prefix}tokens[{index}].sha256");
            problems.require(token.sha256 != TokenDigest::default(), &key, "is required");
            problems.require(digests.insert(token.sha256), &key, "is the hash of another entry's token");
        }
        for (index, certificate) in self.certificates.iter().enumerate() {
            let key = format!("{prefix}certificates[{index}].san");
            problems.require(certificate.san != San::default(), &key, "is required");
            problems.require(sans.insert(&certificate.san), &key, "is in another entry");
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

/// A subject alternative name that stands for a service: compared whole, a DNS name without regard to its case.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct San(String);

impl San {
    /// A DNS name as it stands in a certificate. A wildcard is none: it would be many services.
    pub fn dns(name: &str) -> Self {
        Self(name.to_ascii_lowercase())
    }

    /// A URI as it stands in a certificate.
    pub fn uri(uri: &str) -> Self {
        Self(uri.to_owned())
    }
}

impl FromStr for San {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected =
            InvalidText("expected a DNS name without wildcards, or a URI such as spiffe://example.org/billing");
        if text.contains(':') {
            let good = Url::parse(text).is_ok() && text.bytes().all(|b| b.is_ascii_graphic()) && text.len() <= 2048;
            return if good { Ok(Self::uri(text)) } else { Err(expected) };
        }
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if text.len() <= 253 && text.split('.').all(label) { Ok(Self::dns(text)) } else { Err(expected) }
    }
}

impl fmt::Display for San {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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
pub(in crate::config) fn from_hex(text: &str) -> Option<Vec<u8>> {
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
