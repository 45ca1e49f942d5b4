//! Invitations.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use prost_types::FieldMask;
use roster_proto::v1 as wire;

use super::{Violations, mask, member, optional_text, texts, time, timestamp};
use crate::{
    application::context::Etag,
    domain::{
        Invitation, TeamId,
        invitation::{Channel, Delivery, DeliveryState, InvitationPatch, Offer, Offers, Outcome, State},
        label::Labels,
        text::Message,
    },
    repository::invitations::{Order, StateFilter},
};

/// The most teams that one invitation grants something in besides the one that invites.
const MAX_OTHERS: usize = 100;

const MUTABLE: [&str; 4] = ["grants", "expire_time", "message", "metadata"];
const IMMUTABLE: [&str; 12] = [
    "id",
    "team_id",
    "email",
    "state",
    "inviter_user_id",
    "create_time",
    "close_time",
    "accepted_user_id",
    "delivery",
    "etag",
    "locale",
    "renewal_request_time",
];

pub(in crate::grpc) fn message(invitation: &Invitation, now: DateTime<Utc>) -> wire::Invitation {
    let own = invitation.grants.iter().filter(|(team, _)| **team == invitation.team_id);
    let others = invitation.grants.iter().filter(|(team, _)| **team != invitation.team_id);
    let grant = |(team, offer): (&TeamId, &Offer)| wire::Grant {
        team_id: team.to_string(),
        role_ids: texts(&offer.roles),
        permissions: texts(&offer.permissions),
    };
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
        locale: optional_text(invitation.locale.as_ref()),
        renewal_request_time: invitation.renewal_request_time.map(timestamp),
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
        Channel::External => wire::DeliveryChannel::External,
    };
    let state = match delivery.state {
        DeliveryState::None => wire::DeliveryState::Unspecified,
        DeliveryState::Queued => wire::DeliveryState::Queued,
        DeliveryState::Sent => wire::DeliveryState::Sent,
        DeliveryState::Failed => wire::DeliveryState::Failed,
        DeliveryState::Bounced => wire::DeliveryState::Bounced,
    };
    wire::Delivery {
        channel: channel.into(),
        state: state.into(),
        attempts: i32::try_from(delivery.attempts).unwrap_or(i32::MAX),
        last_error: delivery.last_error.clone().unwrap_or_default(),
        last_sent_time: delivery.last_sent_time.map(timestamp),
        send_count: i32::try_from(delivery.send_count).unwrap_or(i32::MAX),
        id: optional_text(delivery.id),
    }
}

pub(in crate::grpc) fn channel(violations: &mut Violations, path: &str, channel: i32) -> Option<Channel> {
    match wire::DeliveryChannel::try_from(channel) {
        Ok(wire::DeliveryChannel::Unspecified | wire::DeliveryChannel::Email) => Some(Channel::Email),
        Ok(wire::DeliveryChannel::LinkOnly) => Some(Channel::LinkOnly),
        Ok(wire::DeliveryChannel::External) => Some(Channel::External),
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

pub(in crate::grpc) fn delivery_states(violations: &mut Violations, states: &[i32]) -> BTreeSet<DeliveryState> {
    let mut filter = BTreeSet::new();
    for (i, state) in states.iter().enumerate() {
        match wire::DeliveryState::try_from(*state) {
            Ok(wire::DeliveryState::Queued) => filter.insert(DeliveryState::Queued),
            Ok(wire::DeliveryState::Sent) => filter.insert(DeliveryState::Sent),
            Ok(wire::DeliveryState::Failed) => filter.insert(DeliveryState::Failed),
            Ok(wire::DeliveryState::Bounced) => filter.insert(DeliveryState::Bounced),
            Ok(wire::DeliveryState::Unspecified) | Err(_) => {
                violations.add(&format!("delivery_states[{i}]"), "is no known state");
                false
            }
        };
    }
    filter
}

pub(in crate::grpc) fn order(violations: &mut Violations, order: i32) -> Option<Order> {
    match wire::InvitationOrder::try_from(order) {
        Ok(wire::InvitationOrder::Unspecified | wire::InvitationOrder::CreateTimeDesc) => {
            Some(Order::CreateTimeDescending)
        }
        Ok(wire::InvitationOrder::CreateTime) => Some(Order::CreateTime),
        Ok(wire::InvitationOrder::Email) => Some(Order::Email),
        Ok(wire::InvitationOrder::ExpireTime) => Some(Order::ExpireTime),
        Err(_) => {
            violations.add("order_by", "is no known order");
            None
        }
    }
}

/// How a mail ended that somebody else sent.
pub(in crate::grpc) fn outcome(violations: &mut Violations, state: i32, error: &str) -> Option<Outcome> {
    if error.chars().count() > 500 || error.chars().any(char::is_control) {
        violations.add("error", "must be at most 500 characters on one line");
    }
    let told = !error.is_empty();
    let error = error.to_owned();
    let outcome = match wire::DeliveryState::try_from(state) {
        Ok(wire::DeliveryState::Sent) => return Some(Outcome::Sent),
        Ok(wire::DeliveryState::Failed) => Outcome::Failed { error },
        Ok(wire::DeliveryState::Bounced) => Outcome::Bounced { error },
        Ok(wire::DeliveryState::Unspecified | wire::DeliveryState::Queued) | Err(_) => {
            violations.add("state", "must be that a mail was sent, failed or bounced");
            return None;
        }
    };
    if !told {
        violations.add("error", "must say why the mail was not delivered");
    }
    Some(outcome)
}

/// What is given in one team, by the fields that stand below `prefix`.
fn offer(violations: &mut Violations, prefix: &str, role_ids: &[String], permissions: &[String]) -> Option<Offer> {
    let none = BTreeMap::new();
    let given = member::Given { prefix, role_ids, permissions, expire_time: None, role_expire_times: &none };
    given.grant(violations).map(|grant| Offer { roles: grant.roles, permissions: grant.permissions })
}

/// What an invitation of `team` gives there, by fields of the request, and in other teams.
pub(in crate::grpc) fn offers(
    violations: &mut Violations,
    team: Option<TeamId>,
    role_ids: &[String],
    permissions: &[String],
    others: &[wire::Grant],
) -> Option<Offers> {
    let own = offer(violations, "", role_ids, permissions);
    if others.len() > MAX_OTHERS {
        violations.add("other_grants", format_args!("must name at most {MAX_OTHERS} teams"));
        return None;
    }
    let others = grants(violations, "other_grants", others);
    if let (Some(team), Some(others)) = (team, &others)
        && others.contains_key(&team)
    {
        violations.add("other_grants", "must not name the team that invites");
    }
    let mut offers = others?;
    offers.insert(team?, own?);
    Some(offers)
}

fn grants(violations: &mut Violations, path: &str, asked: &[wire::Grant]) -> Option<Offers> {
    let mut grants = Some(Offers::new());
    for (i, asked) in asked.iter().enumerate() {
        let prefix = format!("{path}[{i}].");
        let team = violations.id::<TeamId>(&format!("{prefix}team_id"), &asked.team_id);
        let offer = offer(violations, &prefix, &asked.role_ids, &asked.permissions);
        let Some((team, offer)) = team.zip(offer) else {
            grants = None;
            continue;
        };
        if grants.as_mut().is_some_and(|grants| grants.insert(team, offer).is_some()) {
            violations.add(&format!("{prefix}team_id"), "is named twice");
        }
    }
    grants
}

/// The new values that an update asks for.
pub(in crate::grpc) fn patch(
    violations: &mut Violations,
    asked: Option<&FieldMask>,
    invitation: &wire::Invitation,
    team: Option<TeamId>,
) -> InvitationPatch {
    let populated = [
        !invitation.grants.is_empty(),
        invitation.expire_time.is_some(),
        !invitation.message.is_empty(),
        !invitation.metadata.is_empty(),
    ];
    let mut patch = InvitationPatch::default();
    let paths = mask::paths(violations, asked, &MUTABLE, &IMMUTABLE, &populated, "an invitation");
    if paths.is_empty() && violations.is_empty() {
        violations.add("update_mask", "names nothing to change");
    }
    for path in paths {
        let field = format!("invitation.{path}");
        match path {
            "grants" => {
                let most = MAX_OTHERS + 1;
                if !(1..=most).contains(&invitation.grants.len()) {
                    violations.add(&field, format_args!("must name 1 to {most} teams"));
                    continue;
                }
                let grants = grants(violations, &field, &invitation.grants);
                if let (Some(team), Some(grants)) = (team, &grants)
                    && !grants.contains_key(&team)
                {
                    violations.add(&field, "must name the team that invites");
                }
                patch.grants = grants;
            }
            "expire_time" => match &invitation.expire_time {
                Some(end) => patch.expire_time = violations.field(&field, time(end)),
                None => violations.add(&field, "must be set: every invitation has an end"),
            },
            "message" => patch.message = violations.field(&field, Message::parse(&invitation.message)),
            _ => patch.metadata = violations.field(&field, Labels::metadata(invitation.metadata.clone())),
        }
    }
    patch
}
