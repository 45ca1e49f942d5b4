//! The published form of events: domain values into `roster.events.v1` messages.
//!
//! An event is encoded once, when it is written, so that what is published tomorrow says what was true today. Its
//! position is not known then: [`with_position`] adds it to the encoded bytes.

mod json;
mod state;

use prost::Message as _;
use roster_proto::events::v1 as wire;

use crate::domain::{
    Actor, Cause, Change, Event, Subject,
    event::{InvitationChange, Step},
};
use state::{invitation, member, role, team, timestamp, user};

pub use json::{JsonError, to_json};

/// The encoded event, without a position.
pub fn encode(event: &Event) -> Vec<u8> {
    let (team, user_id) = match &event.subject {
        Subject::Team { id, root } => (Some((id, root)), String::new()),
        Subject::User(id) => (None, id.to_string()),
    };
    let version = event.version.0;
    let message = wire::Event {
        event_id: event.id.to_string(),
        position: String::new(),
        team_id: team.map(|(id, _)| id.to_string()).unwrap_or_default(),
        root_team_id: team.map(|(_, root)| root.to_string()).unwrap_or_default(),
        team_version: if team.is_some() { version } else { 0 },
        user_version: if team.is_none() { version } else { 0 },
        user_id,
        occur_time: Some(timestamp(event.occur_time)),
        actor: Some(actor(&event.actor)),
        cause: cause(event.cause).into(),
        request_id: event.request_id.clone(),
        traceparent: event.traceparent.clone().unwrap_or_default(),
        payload: Some(payload(&event.change)),
    };
    message.encode_to_vec()
}

/// The encoded event with its position: protobuf messages merge by being put together.
pub fn with_position(encoded: &[u8], position: String) -> Vec<u8> {
    let addition = wire::Event { position, ..wire::Event::default() }.encode_to_vec();
    [encoded, &addition].concat()
}

/// The event with its position.
pub fn decode(encoded: &[u8], position: String) -> Result<wire::Event, prost::DecodeError> {
    Ok(wire::Event { position, ..wire::Event::decode(encoded)? })
}

fn actor(actor: &Actor) -> wire::Actor {
    use wire::actor::Principal;

    let (principal, via_service) = match actor {
        Actor::User { id, via } => (Principal::UserId(id.to_string()), via.clone()),
        Actor::Service { name } => (Principal::Service(name.clone()), String::new()),
        Actor::System { name } => (Principal::System(name.clone()), String::new()),
    };
    wire::Actor { principal: Some(principal), via_service }
}

fn cause(cause: Cause) -> wire::Cause {
    match cause {
        Cause::Direct => wire::Cause::Direct,
        Cause::Invitation => wire::Cause::Invitation,
        Cause::Team => wire::Cause::Team,
        Cause::Removal => wire::Cause::Removal,
        Cause::Demotion => wire::Cause::Demotion,
        Cause::Transfer => wire::Cause::Transfer,
        Cause::Expiry => wire::Cause::Expiry,
        Cause::Delivery => wire::Cause::Delivery,
        Cause::Role => wire::Cause::Role,
        Cause::Suspension => wire::Cause::Suspension,
        Cause::User => wire::Cause::User,
    }
}

fn payload(change: &Change) -> wire::event::Payload {
    use wire::event::Payload;

    match change {
        Change::TeamCreated(after) => Payload::TeamCreated(wire::TeamCreated { after: Some(team(after)) }),
        Change::TeamUpdated(Step { before, after }) => {
            Payload::TeamUpdated(wire::TeamUpdated { before: Some(team(before)), after: Some(team(after)) })
        }
        Change::TeamDisabled(Step { before, after }) => {
            Payload::TeamDisabled(wire::TeamDisabled { before: Some(team(before)), after: Some(team(after)) })
        }
        Change::TeamEnabled(Step { before, after }) => {
            Payload::TeamEnabled(wire::TeamEnabled { before: Some(team(before)), after: Some(team(after)) })
        }
        Change::TeamDeleted(before) => Payload::TeamDeleted(wire::TeamDeleted { before: Some(team(before)) }),
        Change::MemberAdded(after) => Payload::MemberAdded(wire::MemberAdded { after: Some(member(after)) }),
        Change::MemberUpdated(Step { before, after }) => {
            Payload::MemberUpdated(wire::MemberUpdated { before: Some(member(before)), after: Some(member(after)) })
        }
        Change::MemberRemoved(before) => Payload::MemberRemoved(wire::MemberRemoved { before: Some(member(before)) }),
        Change::MemberSuspended(Step { before, after }) => {
            Payload::MemberSuspended(wire::MemberSuspended { before: Some(member(before)), after: Some(member(after)) })
        }
        Change::MemberReactivated(Step { before, after }) => Payload::MemberReactivated(wire::MemberReactivated {
            before: Some(member(before)),
            after: Some(member(after)),
        }),
        Change::MemberExpired(before) => Payload::MemberExpired(wire::MemberExpired { before: Some(member(before)) }),
        Change::OwnershipTransferred { former, new } => Payload::OwnershipTransferred(wire::OwnershipTransferred {
            former_owner_before: Some(member(&former.before)),
            former_owner_after: Some(member(&former.after)),
            new_owner_before: Some(member(&new.before)),
            new_owner_after: Some(member(&new.after)),
        }),
        Change::InvitationCreated(after) => {
            Payload::InvitationCreated(wire::InvitationCreated { after: Some(invitation(after)) })
        }
        Change::InvitationChanged(change, step) => {
            let before = Some(invitation(&step.before));
            let after = Some(invitation(&step.after));
            match change {
                InvitationChange::Sent => Payload::InvitationSent(wire::InvitationSent { before, after }),
                InvitationChange::Updated => Payload::InvitationUpdated(wire::InvitationUpdated { before, after }),
                InvitationChange::Accepted => Payload::InvitationAccepted(wire::InvitationAccepted { before, after }),
                InvitationChange::Declined => Payload::InvitationDeclined(wire::InvitationDeclined { before, after }),
                InvitationChange::Canceled => Payload::InvitationCanceled(wire::InvitationCanceled { before, after }),
                InvitationChange::Expired => Payload::InvitationExpired(wire::InvitationExpired { before, after }),
                InvitationChange::DeliveryFailed => {
                    Payload::InvitationDeliveryFailed(wire::InvitationDeliveryFailed { before, after })
                }
                InvitationChange::DeliveryRequested => {
                    Payload::InvitationDeliveryRequested(wire::InvitationDeliveryRequested { after })
                }
                InvitationChange::RenewalRequested { recipient } => {
                    let recipient_user_id = recipient.as_ref().map(ToString::to_string).unwrap_or_default();
                    Payload::InvitationRenewalRequested(wire::InvitationRenewalRequested { after, recipient_user_id })
                }
                InvitationChange::Deleted => Payload::InvitationDeleted(wire::InvitationDeleted { before }),
            }
        }
        Change::RoleCreated(after) => Payload::RoleCreated(wire::RoleCreated { after: Some(role(after)) }),
        Change::RoleUpdated(Step { before, after }) => {
            Payload::RoleUpdated(wire::RoleUpdated { before: Some(role(before)), after: Some(role(after)) })
        }
        Change::RoleDeleted(before) => Payload::RoleDeleted(wire::RoleDeleted { before: Some(role(before)) }),
        Change::UserUpdated(Step { before, after }) => {
            Payload::UserUpdated(wire::UserUpdated { before: Some(user(before)), after: Some(user(after)) })
        }
        Change::UserDeleted(before) => Payload::UserDeleted(wire::UserDeleted { before: Some(user(before)) }),
        Change::UserCreated(after) => Payload::UserCreated(wire::UserCreated { after: Some(user(after)) }),
    }
}
