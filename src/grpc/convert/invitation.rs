//! Invitations.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use roster_proto::v1 as wire;

use super::{Violations, optional_text, texts, timestamp};
use crate::{
    application::context::Etag,
    domain::{
        Invitation,
        invitation::{Channel, Delivery, DeliveryState, State},
    },
    repository::invitations::StateFilter,
};

pub(in crate::grpc) fn message(invitation: &Invitation, now: DateTime<Utc>) -> wire::Invitation {
    let own = invitation.grants.iter().filter(|(team, _)| **team == invitation.team_id);
    let others = invitation.grants.iter().filter(|(team, _)| **team != invitation.team_id);
    let grant =
        |(team, roles): (&_, &BTreeSet<_>)| wire::Grant { team_id: ToString::to_string(team), role_ids: texts(roles) };
    wire::Invitation {
        id: invitation.id.to_string(),
        team_id: invitation.team_id.to_string(),
        email: invitation.email.to_string(),
        grants: own.chain(others).map(grant).collect(),
        state: state(invitation.state_at(now)).into(),
        inviter_user_id: optional_text(invitation.inviter.as_ref()),
        message: invitation.message.to_string(),
        metadata: invitation.metadata.as_map().clone(),
        create_time: Some(timestamp(invitation.create_time)),
        expire_time: Some(timestamp(invitation.expire_time)),
        close_time: invitation.close_time(now).map(timestamp),
        accepted_user_id: optional_text(invitation.accepted_by()),
        delivery: Some(delivery(&invitation.delivery)),
        etag: Etag::of(invitation.changed),
    }
}

pub(in crate::grpc) fn state(state: &State) -> wire::InvitationState {
    match state {
        State::Pending => wire::InvitationState::Pending,
        State::Accepted { .. } => wire::InvitationState::Accepted,
        State::Declined { .. } => wire::InvitationState::Declined,
        State::Canceled { .. } => wire::InvitationState::Canceled,
        State::Expired => wire::InvitationState::Expired,
    }
}

fn delivery(delivery: &Delivery) -> wire::Delivery {
    let channel = match delivery.channel {
        Channel::Email => wire::DeliveryChannel::Email,
        Channel::LinkOnly => wire::DeliveryChannel::LinkOnly,
    };
    let state = match delivery.state {
        DeliveryState::None => wire::DeliveryState::Unspecified,
        DeliveryState::Queued => wire::DeliveryState::Queued,
        DeliveryState::Sent => wire::DeliveryState::Sent,
        DeliveryState::Failed => wire::DeliveryState::Failed,
    };
    wire::Delivery {
        channel: channel.into(),
        state: state.into(),
        attempts: i32::try_from(delivery.attempts).unwrap_or(i32::MAX),
        last_error: delivery.last_error.clone().unwrap_or_default(),
        last_sent_time: delivery.last_sent_time.map(timestamp),
        send_count: i32::try_from(delivery.send_count).unwrap_or(i32::MAX),
    }
}

pub(in crate::grpc) fn channel(violations: &mut Violations, path: &str, channel: i32) -> Option<Channel> {
    match wire::DeliveryChannel::try_from(channel) {
        Ok(wire::DeliveryChannel::Unspecified | wire::DeliveryChannel::Email) => Some(Channel::Email),
        Ok(wire::DeliveryChannel::LinkOnly) => Some(Channel::LinkOnly),
        Err(_) => {
            violations.add(path, "is no known channel");
            None
        }
    }
}

pub(in crate::grpc) fn states(violations: &mut Violations, states: &[i32]) -> BTreeSet<StateFilter> {
    let mut filter = BTreeSet::new();
    for (i, state) in states.iter().enumerate() {
        match wire::InvitationState::try_from(*state) {
            Ok(wire::InvitationState::Pending) => filter.insert(StateFilter::Pending),
            Ok(wire::InvitationState::Accepted) => filter.insert(StateFilter::Accepted),
            Ok(wire::InvitationState::Declined) => filter.insert(StateFilter::Declined),
            Ok(wire::InvitationState::Canceled) => filter.insert(StateFilter::Canceled),
            Ok(wire::InvitationState::Expired) => filter.insert(StateFilter::Expired),
            Ok(wire::InvitationState::Unspecified) | Err(_) => {
                violations.add(&format!("states[{i}]"), "is no known state");
                false
            }
        };
    }
    filter
}
