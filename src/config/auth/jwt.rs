//! `auth.jwt`: which tokens of an identity provider are taken, and what their claims mean.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{
    Deserialize, Serialize,
    de::value::{Error, StrDeserializer},
};
use url::{Host, Url};

use super::super::error::Problems;
use super::super::roles::Patterns;
use super::super::text::{HumanTime, InvalidText, OptionalText};
use super::ServiceToken;
use crate::domain::PermissionPattern;

/// JSON Web Tokens (RFC 7519) of one issuer, signed (RFC 7515) with keys that it publishes (RFC 7517).
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Jwt {
    /// What the claim `iss` has to be, to the letter. Empty: no JWT is taken.
    pub issuer: String,
    /// What the claim `aud` has to be, or to hold. Required with an issuer.
    pub audience: String,
    /// How tokens may be signed, all of one family, so that a key is never used in two ways: `RS256`, `RS384`, `RS512`,
    /// `PS256`, `PS384`, `PS512`; or `ES256`, `ES384`; or `EdDSA`, `Ed25519`. Required with an issuer.
    pub algorithms: Vec<JwtAlgorithm>,
    /// Where the issuer publishes its keys: `https`, or `http` on this machine. This or `jwks_file` is required with an
    /// issuer.
    #[serde(with = "OptionalText")]
    pub jwks_url: Option<JwksUrl>,
    /// A file with the issuer's keys, read again when it changes. This or `jwks_url`.
    pub jwks_file: Option<PathBuf>,
    /// A PEM file with the certificate authorities to trust for `jwks_url`, in place of the system's.
    pub jwks_ca_file: Option<PathBuf>,
    /// How often the keys are fetched. An unknown key is looked for at once, at most every 30 s.
    #[serde(with = "HumanTime")]
    pub refresh_interval: Duration,
    /// Which claims say what. A name that begins with `/` is a JSON Pointer into the claims.
    pub claims: JwtClaims,
    /// What a person's token may ask for besides what its scopes say.
    #[serde(with = "Patterns")]
    pub user_scopes: Vec<PermissionPattern>,
    /// The service that a person's token counts as used by where neither the token nor a certificate names one.
    pub user_service: String,
    /// The scope that lets a service act for users (metadata `roster-actor`).
    pub act_for_users_scope: Option<String>,
}

/// Claims by their names. A name that begins with `/` is a JSON Pointer (RFC 6901) into the claims.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JwtClaims {
    /// The claim with the user's id.
    pub user: String,
    /// The claim with the service whose token it is, or that a person uses; at most 128 letters, digits and `-_.:@`.
    pub service: Option<String>,
    /// The claim with the scopes: text with spaces between them, or a list.
    pub scopes: String,
    /// The claim that tells a service's token from a person's, by whether it is `service_kind`.
    pub kind: Option<String>,
    /// What the claim `kind` is in the token of a service.
    pub service_kind: Option<String>,
}

/// A way to sign (RFC 7518, RFC 8037, RFC 9864) with a key whose public half is enough to check it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[expect(missing_docs, reason = "the names are the standards'")]
pub enum JwtAlgorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
    Ed25519,
}

impl Default for Jwt {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            audience: String::new(),
            algorithms: Vec::new(),
            jwks_url: None,
            jwks_file: None,
            jwks_ca_file: None,
            refresh_interval: Duration::from_mins(5),
            claims: JwtClaims::default(),
            user_scopes: Vec::new(),
            user_service: "direct".to_owned(),
            act_for_users_scope: None,
        }
    }
}

impl Default for JwtClaims {
    fn default() -> Self {
        Self { user: "sub".to_owned(), service: None, scopes: "scope".to_owned(), kind: None, service_kind: None }
    }
}

impl Jwt {
    /// Whether JWTs are taken at all.
    pub fn is_taken(&self) -> bool {
        !self.issuer.is_empty()
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        if !self.is_taken() {
            let others = !self.audience.is_empty() || self.jwks_url.is_some() || self.jwks_file.is_some();
            problems.require(!others, "auth.jwt.issuer", "is required where auth.jwt says anything else");
            return;
        }
        problems.require(!self.audience.is_empty(), "auth.jwt.audience", "is required with auth.jwt.issuer");
        let families: Vec<_> = self.algorithms.iter().map(|algorithm| algorithm.family()).collect();
        // A list of which one is refused stands empty here.
        let told = problems.within("auth.jwt.algorithms");
        let some = told || !families.is_empty();
        problems.require(some, "auth.jwt.algorithms", "at least one is required with auth.jwt.issuer");
        let one = families.iter().all(|family| Some(family) == families.first());
        problems.require(
            one,
            "auth.jwt.algorithms",
            "must be of one family: RS* and PS*, or ES*, or EdDSA and Ed25519",
        );
        match (&self.jwks_url, &self.jwks_file) {
            (None, None) => problems.add("auth.jwt.jwks_url", "this or jwks_file is required with auth.jwt.issuer"),
            (Some(_), Some(_)) => problems.add("auth.jwt.jwks_url", "give this or jwks_file, not both"),
            (Some(_), None) => {}
            (None, Some(_)) => {
                problems.require(self.jwks_ca_file.is_none(), "auth.jwt.jwks_ca_file", "is for jwks_url");
            }
        }
        problems.positive(self.refresh_interval, "auth.jwt.refresh_interval");
        if let Err(why) = ServiceToken::check_name(&self.user_service) {
            problems.add("auth.jwt.user_service", why.to_string());
        }
        problems.require(!self.claims.user.is_empty(), "auth.jwt.claims.user", "must not be empty");
        problems.require(!self.claims.scopes.is_empty(), "auth.jwt.claims.scopes", "must not be empty");
        problems.require(
            self.claims.kind.is_some() == self.claims.service_kind.is_some(),
            "auth.jwt.claims.kind",
            "goes together with service_kind",
        );
        problems.require(
            self.claims.kind.is_none() || self.claims.service.is_some(),
            "auth.jwt.claims.service",
            "is required with kind: it names the service",
        );
    }
}

impl JwtAlgorithm {
    /// The algorithm of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::deserialize(StrDeserializer::<Error>::new(name)).ok()
    }

    /// The kind of key that it needs.
    fn family(self) -> &'static str {
        match self {
            Self::RS256 | Self::RS384 | Self::RS512 | Self::PS256 | Self::PS384 | Self::PS512 => "RSA",
            Self::ES256 | Self::ES384 => "EC",
            Self::EdDSA | Self::Ed25519 => "OKP",
        }
    }
}

/// Where keys are fetched: over `https`, or over `http` from this machine. Whoever can change them on the way decides who
/// may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwksUrl(Url);

impl JwksUrl {
    /// The address.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for JwksUrl {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = InvalidText("expected an https:// URL, or an http:// one of this machine");
        let url = Url::parse(text).map_err(|_| expected.clone())?;
        let here = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        };
        if url.scheme() != "https" && !(url.scheme() == "http" && here) {
            return Err(expected);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidText("must have neither user nor password"));
        }
        Ok(Self(url))
    }
}

impl fmt::Display for JwksUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
