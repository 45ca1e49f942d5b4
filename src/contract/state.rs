//! What events say of the things that changed.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use roster_proto::events::v1 as wire;

use crate::domain::{Invitation, Member, RoleId, Team, User, UserId, invitation::State};

pub(super) fn timestamp(time: DateTime<Utc>) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: time.timestamp(),
        // Below 2^31 even in a leap second.
        nanos: i32::try_from(time.timestamp_subsec_nanos()).unwrap_or(i32::MAX),
    }
}

pub(super) fn team(team: &Team) -> wire::TeamState {
    let policy = &team.policy;
    let limit = |limit: Option<u32>| limit.and_then(|n| i32::try_from(n).ok()).unwrap_or(0);
    wire::TeamState {
        team_id: team.id.to_string(),
        name: team.name.to_string(),
        slug: team.slug.as_ref().map(|slug| slug.as_str().to_owned()).unwrap_or_default(),
        labels: team.labels.as_map().clone(),
        invitation_ttl: Some(prost_types::Duration { seconds: policy.invitation_ttl.seconds(), nanos: 0 }),
        allowed_email_domains: policy.allowed_email_domains.as_slice().to_vec(),
        max_members: limit(policy.max_members),
        max_pending_invitations: limit(policy.max_pending_invitations),
        require_email_match: policy.require_email_match,
    }
}

pub(super) fn member(member: &Member) -> wire::MemberState {
    wire::MemberState {
        user_id: member.user_id.to_string(),
        role_ids: role_ids(&member.roles),
        invited_by_user_id: optional(member.invited_by.as_ref()),
        join_time: Some(timestamp(member.join_time)),
    }
}

pub(super) fn invitation(invitation: &Invitation) -> wire::InvitationState {
    let status = match invitation.state {
        State::Pending => wire::InvitationStatus::Pending,
        State::Accepted { .. } => wire::InvitationStatus::Accepted,
        State::Declined { .. } => wire::InvitationStatus::Declined,
        State::Canceled { .. } => wire::InvitationStatus::Canceled,
        State::Expired => wire::InvitationStatus::Expired,
    };
    let grants = invitation.grants.iter();
    wire::InvitationState {
        invitation_id: invitation.id.to_string(),
        email: invitation.email.to_string(),
        grants: grants
            .map(|(team, roles)| wire::GrantState { team_id: team.to_string(), role_ids: role_ids(roles) })
            .collect(),
        status: status.into(),
        inviter_user_id: optional(invitation.inviter.as_ref()),
        metadata: invitation.metadata.as_map().clone(),
        expire_time: Some(timestamp(invitation.expire_time)),
        accepted_user_id: optional(invitation.accepted_by()),
        send_count: i32::try_from(invitation.delivery.send_count).unwrap_or(i32::MAX),
        delivery_error: invitation.delivery.last_error.clone().unwrap_or_default(),
    }
}

pub(super) fn user(user: &User) -> wire::UserState {
    wire::UserState {
        user_id: user.id.to_string(),
        email: user.email.to_string(),
        email_verified: user.email_verified,
        display_name: user.display_name.to_string(),
    }
}

fn role_ids(roles: &BTreeSet<RoleId>) -> Vec<String> {
    roles.iter().map(RoleId::to_string).collect()
}

fn optional(user: Option<&UserId>) -> String {
    user.map(UserId::to_string).unwrap_or_default()
}
