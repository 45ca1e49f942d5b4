//! The edge: gRPC in, use cases behind it.
//!
//! The only layer that knows `tonic` and the generated messages (besides `contract`, which encodes published events).
//! Start at [`server`] for what surrounds every call and at a service, [`teams`] for one, for what a call is: a message
//! becomes a command, with every violation reported at once; a use case decides; what it says becomes a message again, or
//! a status. Not here: who may do what in a team (see `application`), and how the process starts and ends (see `app` and
//! `lifecycle`).

pub mod access;
pub mod auth;
pub mod call;
mod convert;
pub mod events;
pub mod health;
pub mod healthcheck;
pub mod invitations;
mod layers;
mod methods;
mod page;
pub mod roles;
pub mod server;
mod status;
pub mod teams;
pub mod users;

use roster_proto::v1::{
    access_service_server::AccessServiceServer, event_service_server::EventServiceServer,
    invitation_service_server::InvitationServiceServer, role_service_server::RoleServiceServer,
    team_service_server::TeamServiceServer, user_service_server::UserServiceServer,
};
use tonic::service::Routes;

/// The services of the API.
pub fn routes(events: events::Events) -> Routes {
    use server::limited;

    let api = &events.api;
    Routes::new(limited!(TeamServiceServer::new(teams::Teams(api.clone()))))
        .add_service(limited!(RoleServiceServer::new(roles::RolesOfTeams(api.clone()))))
        .add_service(limited!(UserServiceServer::new(users::Users(api.clone()))))
        .add_service(limited!(InvitationServiceServer::new(invitations::Invitations(api.clone()))))
        .add_service(limited!(AccessServiceServer::new(access::Access(api.clone()))))
        .add_service(limited!(EventServiceServer::new(events)))
}
