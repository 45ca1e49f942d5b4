//! Who calls: a service or a person, with a client for each service of the API.

use roster::{
    config::{ServiceToken, TokenDigest},
    domain::PermissionPattern,
};
use roster_proto::v1::{
    access_service_client::AccessServiceClient, event_service_client::EventServiceClient,
    invitation_service_client::InvitationServiceClient, role_service_client::RoleServiceClient,
    team_service_client::TeamServiceClient, user_service_client::UserServiceClient,
};
use tonic::{
    Request, Status,
    metadata::{AsciiMetadataValue, MetadataKey},
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};

/// A connection that says who calls.
pub type Identified = InterceptedService<Channel, Identity>;

/// What is said of the caller with every call.
#[derive(Debug, Clone, Default)]
pub struct Identity(Vec<(&'static str, AsciiMetadataValue)>);

impl Interceptor for Identity {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        for (key, value) in &self.0 {
            request.metadata_mut().insert(MetadataKey::from_static(key), value.clone());
        }
        Ok(request)
    }
}

/// Somebody who calls.
#[derive(Debug, Clone)]
pub struct Caller {
    channel: Channel,
    identity: Identity,
}

impl Caller {
    pub fn new(channel: Channel) -> Self {
        Self { channel, identity: Identity::default() }
    }

    /// For a person.
    pub fn acting_for(self, user: &str) -> Self {
        self.saying("roster-actor", &format!("user:{user}"))
    }

    /// With a service token.
    pub fn with_token(self, token: &str) -> Self {
        self.saying("authorization", &format!("Bearer {token}"))
    }

    /// With one more piece of metadata.
    pub fn saying(mut self, key: &'static str, value: &str) -> Self {
        self.identity.0.push((key, value.parse().unwrap()));
        self
    }

    /// The connection that says who calls.
    pub fn connection(&self) -> Identified {
        InterceptedService::new(self.channel.clone(), self.identity.clone())
    }

    pub fn access(&self) -> AccessServiceClient<Identified> {
        AccessServiceClient::with_interceptor(self.channel.clone(), self.identity.clone())
    }

    pub fn teams(&self) -> TeamServiceClient<Identified> {
        TeamServiceClient::with_interceptor(self.channel.clone(), self.identity.clone())
    }

    pub fn roles(&self) -> RoleServiceClient<Identified> {
        RoleServiceClient::with_interceptor(self.channel.clone(), self.identity.clone())
    }

    pub fn users(&self) -> UserServiceClient<Identified> {
        UserServiceClient::with_interceptor(self.channel.clone(), self.identity.clone())
    }

    pub fn invitations(&self) -> InvitationServiceClient<Identified> {
        InvitationServiceClient::with_interceptor(self.channel.clone(), self.identity.clone())
    }

    pub fn events(&self) -> EventServiceClient<Identified> {
        EventServiceClient::with_interceptor(self.channel.clone(), self.identity.clone())
    }
}

/// A service whose token is its name.
pub fn service_token(name: &str, scopes: &[&str], act_for_users: bool) -> ServiceToken {
    ServiceToken {
        name: name.to_owned(),
        sha256: TokenDigest::of(name),
        scopes: scopes.iter().map(|scope| PermissionPattern::parse(scope).unwrap()).collect(),
        act_for_users,
    }
}
