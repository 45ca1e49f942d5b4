//! How Roster is reached, and the clients for its services.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use http::uri::Authority;
use roster_proto::v1::{
    access_service_client::AccessServiceClient, event_service_client::EventServiceClient,
    invitation_service_client::InvitationServiceClient, role_service_client::RoleServiceClient,
    team_service_client::TeamServiceClient, user_service_client::UserServiceClient,
};
use tonic::transport::Endpoint;

use crate::calls::{Calls, Settings};
use crate::identity::{Identity, Token};
use crate::retry::{Budget, Retries};

/// How long making a connection may take.
const CONNECT: Duration = Duration::from_secs(3);
/// How often a connection is tried, and how long an answer may take before it counts as lost. A peer that is gone without
/// a word would be waited for until the deadline otherwise.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(5));
/// The deadline of calls that set none.
const DEADLINE: Duration = Duration::from_secs(30);

/// A Roster that can be called. Cheap to clone; clones share the connection and the retry budget.
#[derive(Debug, Clone)]
pub struct Roster(Calls);

impl Roster {
    /// Roster at an address such as `http://127.0.0.1:50051`.
    pub fn at(address: impl Into<String>) -> Builder {
        Builder {
            address: address.into(),
            authority: None,
            #[cfg(feature = "tls")]
            tls: None,
            token: Token::None,
            retries: Retries::default(),
            deadline: Some(DEADLINE),
        }
    }

    /// The same for calls in the name of a person, whose permissions then count. The service's token must allow it.
    pub fn acting_for(&self, user: impl Into<String>) -> Self {
        let mut calls = self.0.clone();
        calls.identity.user = Some(user.into());
        Self(calls)
    }

    /// What calls are made through, for a client that is not among those below.
    pub fn calls(&self) -> Calls {
        self.0.clone()
    }

    /// Who may do what.
    pub fn access(&self) -> AccessServiceClient<Calls> {
        AccessServiceClient::new(self.calls())
    }

    /// What changed.
    pub fn events(&self) -> EventServiceClient<Calls> {
        EventServiceClient::new(self.calls())
    }

    /// Invitations.
    pub fn invitations(&self) -> InvitationServiceClient<Calls> {
        InvitationServiceClient::new(self.calls())
    }

    /// Roles.
    pub fn roles(&self) -> RoleServiceClient<Calls> {
        RoleServiceClient::new(self.calls())
    }

    /// Teams and their members.
    pub fn teams(&self) -> TeamServiceClient<Calls> {
        TeamServiceClient::new(self.calls())
    }

    /// People.
    pub fn users(&self) -> UserServiceClient<Calls> {
        UserServiceClient::new(self.calls())
    }
}

/// How to reach Roster. [`Builder::connect_lazy`] ends it.
#[derive(Debug, Clone)]
#[must_use]
pub struct Builder {
    address: String,
    authority: Option<Authority>,
    #[cfg(feature = "tls")]
    tls: Option<tonic::transport::ClientTlsConfig>,
    token: Token,
    retries: Retries,
    deadline: Option<Duration>,
}

impl Builder {
    /// The service token to call with.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Token::Fixed(token.into());
        self
    }

    /// Where to get the token to call with: asked with every attempt, so that a token that runs out is renewed in time.
    /// Keep what was got for as long as it is valid; a failure ends the call with `UNAUTHENTICATED`.
    pub fn token_from<F, P>(mut self, provide: P) -> Self
    where
        P: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<String, Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        self.token = Token::Provided(Arc::new(move || Box::pin(provide())));
        self
    }

    /// The name to call it by (`:authority`), where that is not the host of the address: behind a proxy, or by an IP
    /// address.
    pub fn authority(mut self, authority: Authority) -> Self {
        self.authority = Some(authority);
        self
    }

    /// Certificate authorities to trust, and a certificate to show. An address with `https` alone trusts the system's.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: tonic::transport::ClientTlsConfig) -> Self {
        self.tls = Some(tls);
        self
    }

    /// How often and how soon to try again.
    pub fn retries(mut self, retries: Retries) -> Self {
        self.retries = retries;
        self
    }

    /// How long a call may take with all its attempts, unless it says so itself (`tonic::Request::set_timeout`). `None`
    /// for as long as it takes. Default 30 s; streams have none.
    pub fn deadline(mut self, deadline: Option<Duration>) -> Self {
        self.deadline = deadline;
        self
    }

    /// A client that connects with its first call, and again whenever the connection is lost. Needs a tokio runtime
    /// around it.
    ///
    /// # Errors
    /// If the address is no URL, or TLS cannot be set up as asked.
    pub fn connect_lazy(self) -> Result<Roster, tonic::transport::Error> {
        let mut endpoint = Endpoint::from_shared(self.address.clone())?
            .user_agent(concat!("roster-client/", env!("CARGO_PKG_VERSION")))?
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .keep_alive_while_idle(true)
            .http2_keep_alive_interval(KEEP_ALIVE.0)
            .keep_alive_timeout(KEEP_ALIVE.1);
        #[cfg(feature = "tls")]
        if self.address.starts_with("https:") {
            let system = || tonic::transport::ClientTlsConfig::new().with_native_roots();
            endpoint = endpoint.tls_config(self.tls.unwrap_or_else(system))?;
        }
        if let Some(authority) = self.authority {
            let mut origin = endpoint.uri().clone().into_parts();
            origin.authority = Some(authority);
            // It fails only for an address without a scheme, which no call gets through to either.
            if let Ok(origin) = Uri::from_parts(origin) {
                endpoint = endpoint.origin(origin);
            }
        }
        Ok(Roster(Calls {
            channel: endpoint.connect_lazy(),
            identity: Identity { token: self.token, user: None },
            settings: Arc::new(Settings { retries: self.retries, deadline: self.deadline, budget: Budget::default() }),
        }))
    }
}
