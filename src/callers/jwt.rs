//! JSON Web Tokens: whether one is good, and whose it is.
//!
//! The order is that of trust. The form and the header say only which key to try (`jws`); the signature is checked with a
//! key of the issuer's (`keys`, from `source`); then the claims are read and believed (`claims`). Whoever sends a token
//! that is not good is told only that; why stands in the log.

mod claims;
mod fetch;
mod json;
mod jws;
mod keys;
mod source;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{claims::Claims, fetch::Fetcher, jws::Jws, keys::KeySet, source::Source};
use super::{
    Decision, Identity, Refusal,
    files::{Files, Live},
};
use crate::{config, env::Env, lifecycle::spawn_essential};

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Why {
    /// It is no token, or not one of a kind that is taken.
    #[error("{0}")]
    Malformed(&'static str),
    /// It is signed in a way that is not configured.
    #[error("it is signed with another algorithm")]
    Algorithm,
    /// No key of the issuer's is like the one that it names.
    #[error("its key is not known")]
    UnknownKey,
    /// There are no keys yet.
    #[error("the issuer's keys were never fetched")]
    NoKeys,
    /// The key that it names has not signed it.
    #[error("its signature is not good")]
    Signature,
    /// It is of somebody else.
    #[error("it is of another issuer")]
    Issuer,
    /// It is for somebody else.
    #[error("it is for another audience")]
    Audience,
    /// A date is missing or is none.
    #[error("a date is missing or is none")]
    Date,
    /// It is not good yet.
    #[error("its time has not come")]
    TooEarly,
    /// It is not good any more.
    #[error("it has expired")]
    Expired,
    /// A claim that says whose it is is missing or is none.
    #[error("a claim that says whose it is is missing or is none")]
    Claim,
}

impl From<Why> for Refusal {
    fn from(why: Why) -> Self {
        match why {
            Why::Expired => Self::Expired,
            Why::NoKeys => Self::Unverifiable,
            _ => Self::Invalid,
        }
    }
}

/// Knows the tokens of an issuer.
#[derive(Debug)]
pub(super) struct Tokens {
    config: config::Jwt,
    source: Source,
    env: Env,
}

impl Tokens {
    /// As configured; within, `None` if no tokens are taken. `None` if a file cannot be used.
    pub(super) fn read(
        config: &config::Jwt,
        env: &Env,
        tasks: &TaskTracker,
        files: &mut Files,
    ) -> Option<Option<Self>> {
        if !config.is_taken() {
            return Some(None);
        }
        let algorithms = config.algorithms.clone();
        let source = match (&config.jwks_file, &config.jwks_url) {
            (Some(path), _) => Source::of_file(
                files.read("auth.jwt.jwks_file", [path], move |[text]| Ok(Some(KeySet::parse(text, &algorithms)?)))?,
            ),
            (None, url) => {
                let (url, key) = (url.as_ref()?.to_string(), "auth.jwt.jwks_ca_file");
                let fetcher = match &config.jwks_ca_file {
                    Some(path) => files.read(key, [path], move |[pem]| Fetcher::new(&url, Some(pem)))?,
                    None => Live::new(files.noting(key, Fetcher::new(&url, None))?),
                };
                Source::of_url(fetcher, algorithms, env, tasks)
            }
        };
        Some(Some(Self { config: config.clone(), source, env: env.clone() }))
    }

    /// Keeps the keys fresh, as a task of `tasks` until `stop`.
    pub(super) fn start(&self, tasks: &TaskTracker, stop: &CancellationToken) {
        spawn_essential(tasks, stop, self.source.clone().follow(self.config.refresh_interval, stop.clone()));
    }

    /// Whose token this is. `certified` is the service that the connection's certificate stands for.
    pub(super) fn identify(self: &Arc<Self>, token: &str, certified: Option<String>) -> Decision {
        let refresh = match self.check(token, certified.clone()) {
            Err(Why::UnknownKey | Why::NoKeys) => self.source.refresh(),
            known => return Decision::Now(told(known)),
        };
        let (tokens, token) = (Arc::clone(self), token.to_owned());
        Decision::Later(Box::pin(async move {
            if let Some(refresh) = refresh {
                refresh.await;
            }
            told(tokens.check(&token, certified))
        }))
    }

    fn check(&self, token: &str, certified: Option<String>) -> Result<Identity, Why> {
        let jws = Jws::parse(token)?;
        if !self.config.algorithms.contains(&jws.algorithm) {
            return Err(Why::Algorithm);
        }
        let keys = self.source.keys();
        let keys = (*keys).as_ref().ok_or(Why::NoKeys)?.find(jws.algorithm, jws.kid.as_deref());
        if keys.is_empty() {
            return Err(Why::UnknownKey);
        }
        if !keys.iter().any(|key| key.has_signed(jws.algorithm, jws.signed, &jws.signature)) {
            return Err(Why::Signature);
        }
        let claims = Claims::parse(&jws.claims)?;
        claims.check(&self.config, self.env.now())?;
        claims.identity(&self.config, certified)
    }
}

/// Tells the log why.
fn told(checked: Result<Identity, Why>) -> Result<Identity, Refusal> {
    checked.map_err(|why| {
        tracing::info!(%why, "a JWT is refused");
        why.into()
    })
}
