//! Who calls: credentials in, an [`Identity`] out.
//!
//! A bearer token is a service's own (`Services`) or a JWT (`jwt`); a client certificate stands for a service. A token
//! decides by itself: a bad one is refused whatever certificate the connection has, and a good one needs none
//! (`docs/adr/0029-a-bearer-token-decides.md`). What credentials are checked against is read again when it changes
//! (`files`, `jwt::source`). Here is also TLS, since certificates are checked there, and how often a caller may call
//! (`rate`). Not here: metadata, statuses, and what a caller may do.

mod files;
mod jwt;
mod rate;
mod services;
mod tls;

use std::sync::Arc;

use futures::future::BoxFuture;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{files::Files, services::Services};
use crate::{
    config::{self, TokenDigest},
    domain::{UserId, permission::Scopes},
    env::Env,
    lifecycle::spawn_essential,
};

pub use self::{
    files::Unusable,
    rate::{Account, Rates},
    tls::{Certificate, Tls},
};

/// Somebody whose credentials are good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The service that calls, or that a person uses.
    pub service: String,
    /// What may be asked for.
    pub scopes: Scopes,
    /// Whose credentials they are.
    pub of: Holder,
}

/// Whose credentials they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// The service's.
    Service {
        /// Whether it may act for users.
        act_for_users: bool,
    },
    /// A person's, and not the service's that they use.
    Person(UserId),
}

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There are no credentials.
    Missing,
    /// They are malformed, unknown, or not good here.
    Invalid,
    /// They were good, and are not any more.
    Expired,
    /// What they have to be checked with is not at hand.
    Unverifiable,
}

/// What comes of credentials: at once, unless keys have to be fetched first.
pub enum Decision {
    /// Known.
    Now(Result<Identity, Refusal>),
    /// Known when the issuer's keys are.
    Later(BoxFuture<'static, Result<Identity, Refusal>>),
}

/// Knows those who may call.
#[derive(Debug, Clone)]
pub struct Callers(Arc<Known>);

#[derive(Debug)]
struct Known {
    services: files::Live<Services>,
    jwt: Option<Arc<jwt::Tokens>>,
}

/// Callers, and the TLS that they come through.
#[derive(Debug)]
pub struct Started {
    /// Those who may call.
    pub callers: Callers,
    /// What connections are secured with, if they are.
    pub tls: Option<Tls>,
}

impl Callers {
    /// Reads what credentials are checked against, and from then on reads it again when it changes, as a task of `tasks`
    /// until `stop`. That an issuer cannot be reached is no error: its tokens are refused until it can.
    ///
    /// # Errors
    /// With every file that cannot be used.
    pub fn start(
        auth: &config::Auth,
        server: &config::Server,
        env: &Env,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Result<Started, Unusable> {
        let mut files = Files::default();
        let services = services::read(auth, &mut files);
        let tls = tls::read(server, &mut files);
        let jwt = jwt::Tokens::read(&auth.jwt, env, tasks, &mut files);
        let known = files.all_or_nothing((services, tls, jwt));
        let ((services, tls, jwt), files) = known?;
        let jwt = jwt.map(Arc::new);
        if let Some(jwt) = &jwt {
            jwt.start(tasks, stop);
        }
        if !files.is_empty() {
            spawn_essential(tasks, stop, files.follow(auth.reload_interval, stop.clone()));
        }
        Ok(Started { callers: Self(Arc::new(Known { services, jwt })), tls })
    }

    /// Reads what [`Callers::start`] would read, and nothing more.
    ///
    /// # Errors
    /// As there.
    pub fn check(auth: &config::Auth, server: &config::Server, env: &Env) -> Result<(), Unusable> {
        let mut files = Files::default();
        let services = services::read(auth, &mut files);
        let tls = tls::read(server, &mut files);
        let jwt = jwt::Tokens::read(&auth.jwt, env, &TaskTracker::new(), &mut files);
        files.all_or_nothing((services, tls, jwt)).map(drop)
    }

    /// Who has these credentials. Nothing of them is kept or told.
    pub fn identify(&self, bearer: Option<&str>, certificate: Option<&Certificate>) -> Decision {
        let services = self.0.services.get();
        let certified = || certificate.and_then(|certificate| services.by_certificate(certificate));
        let Some(token) = bearer else {
            return Decision::Now(match (certified(), certificate) {
                (Some(service), _) => Ok(service.identity()),
                (None, Some(_)) => Err(Refusal::Invalid),
                (None, None) => Err(Refusal::Missing),
            });
        };
        if let Some(service) = services.by_token(&TokenDigest::of(token)) {
            return Decision::Now(Ok(service.identity()));
        }
        match &self.0.jwt {
            Some(jwt) => jwt.identify(token, certified().map(|service| service.name.clone())),
            None => Decision::Now(Err(Refusal::Invalid)),
        }
    }
}
