//! What events say of the things that changed.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use roster_proto::events::v1 as wire;

use crate::domain::{
    Invitation, Member, Role, RoleId, Team, TeamPolicy, User,
    invitation::{DeliveryState, State},
    member::State as MemberState,
    policy::{Ownership, ProfileEditing},
};

pub(super) fn timestamp(time: DateTime<Utc>) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: time.timestamp(),
        // Below 2^31 even in a leap second.
        nanos: i32::try_from(time.timestamp_subsec_nanos()).unwrap_or(i32::MAX),
    }
}

pub(super) fn team(team: &Team) -> wire::TeamState {
    let state = wire::TeamState {
        team_id: team.id.to_string(),
        parent_team_id: team.parent().map(|id| id.to_string()).unwrap_or_default(),
        name: team.name.to_string(),
        slug: team.slug.as_ref().map(|slug| slug.as_str().to_owned()).unwrap_or_default(),
        labels: team.labels.as_map().clone(),
        disabled: team.disable_time.is_some(),
        ..wire::TeamState::default()
    };
    if team.is_root() { with_policy(state, &team.policy) } else { state }
}

fn with_policy(state: wire::TeamState, policy: &TeamPolicy) -> wire::TeamState {
    let limit = |limit: Option<u32>| limit.and_then(|n| i32::try_from(n).ok()).unwrap_or(0);
    wire::TeamState {
        invitation_ttl: Some(prost_types::Duration { seconds: policy.invitation_ttl.seconds(), nanos: 0 }),
        allowed_email_domains: policy.allowed_email_domains.as_slice().to_vec(),
        max_members: limit(policy.max_members),
        max_pending_invitations: limit(policy.max_pending_invitations),
        require_email_match: policy.require_email_match,
        shared_ownership: policy.ownership == Ownership::Shared,
        exclusive_membership: policy.exclusive_membership,
        allow_external_members: policy.allow_external_members,
        admins_edit_profiles: policy.profile_editing == ProfileEditing::Admins,
        invitee_roles_editable: policy.invitee_roles_editable,
        ..state
    }
}

pub(super) fn member(member: &Member) -> wire::MemberState {
    let ends = member.role_expire_times.iter();
    wire::MemberState {
        user_id: member.user_id.to_string(),
        role_ids: role_ids(&member.roles),
        invited_by_user_id: text(member.invited_by.as_ref()),
        join_time: Some(timestamp(member.join_time)),
        permissions: member.permissions.iter().map(ToString::to_string).collect(),
        suspended: member.state == MemberState::Suspended,
        external: member.external,
        expire_time: member.expire_time.map(timestamp),
        role_expire_times: ends.map(|(role, end)| (role.to_string(), timestamp(*end))).collect(),
    }
}

pub(super) fn role(role: &Role) -> wire::RoleState {
    wire::RoleState {
        role_id: role.id.to_string(),
        key: role.key.to_string(),
        name: role.name.clone(),
        description: role.description.clone(),
        permissions: role.permissions.iter().map(ToString::to_string).collect(),
        reaches_descendants: role.reaches_descendants,
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
    let delivery = &invitation.delivery;
    let delivery_status = match delivery.state {
        DeliveryState::None => wire::DeliveryStatus::Unspecified,
        DeliveryState::Queued => wire::DeliveryStatus::Queued,
        DeliveryState::Sent => wire::DeliveryStatus::Sent,
        DeliveryState::Failed => wire::DeliveryStatus::Failed,
        DeliveryState::Bounced => wire::DeliveryStatus::Bounced,
    };
    let grants = invitation.grants.iter().map(|(team, offer)| wire::GrantState {
        team_id: team.to_string(),
        role_ids: role_ids(&offer.roles),
        permissions: offer.permissions.iter().map(ToString::to_string).collect(),
    });
    wire::InvitationState {
        invitation_id: invitation.id.to_string(),
        email: invitation.email.to_string(),
        grants: grants.collect(),
        status: status.into(),
        inviter_user_id: text(invitation.inviter.as_ref()),
        metadata: invitation.metadata.as_map().clone(),
        expire_time: Some(timestamp(invitation.expire_time)),
        accepted_user_id: text(invitation.accepted_by()),
        send_count: i32::try_from(delivery.send_count).unwrap_or(i32::MAX),
        delivery_error: delivery.last_error.clone().unwrap_or_default(),
        delivery_id: text(delivery.id.as_ref()),
        delivery_status: delivery_status.into(),
        locale: text(invitation.locale.as_ref()),
        message: invitation.message.to_string(),
    }
}

pub(super) fn user(user: &User) -> wire::UserState {
    let (profile, notifications) = (&user.profile, &user.notifications);
    wire::UserState {
        user_id: user.id.to_string(),
        email: user.email.to_string(),
        email_verified: user.email_verified,
        display_name: user.display_name.to_string(),
        home_team_id: user.home.map(|id| id.to_string()).unwrap_or_default(),
        phone: text(profile.phone.as_ref()),
        locale: text(profile.locale.as_ref()),
        time_zone: text(profile.time_zone.as_ref()),
        default_sending_country: text(profile.default_sending_country.as_ref()),
        external_id: text(profile.external_id.as_ref()),
        notifications: Some(wire::NotificationState {
            desktop_notifications: notifications.desktop,
            browser_badges: notifications.badges,
            sounds: notifications.sounds,
            custom: notifications.custom.as_map().clone(),
        }),
    }
}

fn role_ids(roles: &BTreeSet<RoleId>) -> Vec<String> {
    roles.iter().map(RoleId::to_string).collect()
}

fn text<T: ToString>(value: Option<&T>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}
