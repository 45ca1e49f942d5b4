//! `auth`: who may call. Here is what is taken for a credential; checking credentials is authentication.
//!
//! The lists of services are in `services`, tokens of an identity provider in `jwt`.

mod jwt;
mod services;

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Problems;
use super::text::HumanTime;

pub use jwt::{JwksUrl, Jwt, JwtAlgorithm, JwtClaims};
pub(super) use services::from_hex;
pub use services::{San, ServiceCertificate, ServiceToken, Services, TokenDigest, new_service_token};

/// Authentication.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// Whether callers have to show who they are; [callers.md](callers.md) tells what each way is for.
    pub mode: AuthMode,
    /// The services that may call with a token. `roster token` makes an entry.
    pub tokens: Vec<ServiceToken>,
    /// The services that may call with a client certificate; needs `server.tls.client_ca_file`.
    pub certificates: Vec<ServiceCertificate>,
    /// A TOML file with more `[[tokens]]` and `[[certificates]]`, read again when it changes.
    pub callers_file: Option<PathBuf>,
    /// How often the files that are named here and in `server.tls` are looked at. What has changed is taken over; what
    /// cannot be used is told to the log, and the last good one stays.
    #[serde(with = "HumanTime")]
    pub reload_interval: Duration,
    /// JSON Web Tokens of one identity provider; taken if there is an issuer.
    pub jwt: Jwt,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            mode: AuthMode::default(),
            tokens: Vec::new(),
            certificates: Vec::new(),
            callers_file: None,
            reload_interval: Duration::from_secs(10),
            jwt: Jwt::default(),
        }
    }
}

/// Whether callers have to show who they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuthMode {
    /// They do not: every call is the service `dev`, which may do anything. On loopback only.
    #[default]
    Development,
    /// By whatever is set: a service token, a JWT, or a client certificate.
    Credentials,
}

impl Auth {
    /// The services that the configuration itself lists.
    pub fn services(&self) -> Services {
        Services { tokens: self.tokens.clone(), certificates: self.certificates.clone() }
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        let own = self.services();
        own.check("auth.", problems);
        if let Some(path) = &self.callers_file {
            // A list that is wrong by itself is told of already.
            let own = if problems.as_slice().is_empty() { own } else { Services::default() };
            if let Err(why) = Services::read(path).and_then(|more| own.and(more)) {
                problems.add("auth.callers_file", format!("cannot use {}: {why}", path.display()));
            }
        }
        self.jwt.check(problems);
        problems.positive(self.reload_interval, "auth.reload_interval");
        let somebody = !self.tokens.is_empty() || !self.certificates.is_empty() || self.callers_file.is_some();
        problems.require(
            self.mode == AuthMode::Development || somebody || self.jwt.is_taken(),
            "auth.mode",
            "\"credentials\" needs somebody who may call: auth.tokens (see `roster token`), auth.certificates, \
             auth.callers_file or auth.jwt.issuer",
        );
    }
}
