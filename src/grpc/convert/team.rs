//! Teams.

use prost_types::FieldMask;
use roster_proto::v1 as wire;

use super::{Violations, mask, optional_text, timestamp};
use crate::{
    application::context::Etag,
    domain::{
        Invalid, Team, TeamPolicy,
        label::Labels,
        policy::{AllowedDomains, InvitationTtl, Ownership, PolicyPatch, ProfileEditing, Rule},
        team::TeamPatch,
        text::{Slug, TeamName},
    },
};

/// The fields that an update can set, in full.
const MUTABLE: [&str; 13] = [
    "name",
    "slug",
    "labels",
    "policy.invitation_ttl",
    "policy.allowed_email_domains",
    "policy.max_members",
    "policy.max_pending_invitations",
    "policy.require_email_match",
    "policy.ownership",
    "policy.exclusive_membership",
    "policy.allow_external_members",
    "policy.profile_editing",
    "policy.invitee_roles_editable",
];
const IMMUTABLE: [&str; 9] = [
    "id",
    "version",
    "create_time",
    "update_time",
    "etag",
    "parent_team_id",
    "root_team_id",
    "disable_time",
    "disabled_by_team_id",
];

pub(in crate::grpc) fn message(team: &Team) -> wire::Team {
    wire::Team {
        id: team.id.to_string(),
        name: team.name.to_string(),
        slug: team.slug.as_ref().map(|slug| slug.as_str().to_owned()).unwrap_or_default(),
        labels: team.labels.as_map().clone(),
        policy: Some(policy_message(&team.policy)),
        version: team.version.0,
        create_time: Some(timestamp(team.create_time)),
        update_time: Some(timestamp(team.update_time)),
        etag: Etag::of(team.changed),
        parent_team_id: optional_text(team.parent()),
        root_team_id: team.root().to_string(),
        disable_time: team.disable_time.map(timestamp),
        disabled_by_team_id: optional_text(team.disabled_by),
    }
}

fn policy_message(policy: &TeamPolicy) -> wire::TeamPolicy {
    let limit = |limit: Option<u32>| limit.and_then(|n| i32::try_from(n).ok()).unwrap_or(0);
    wire::TeamPolicy {
        invitation_ttl: Some(prost_types::Duration { seconds: policy.invitation_ttl.seconds(), nanos: 0 }),
        allowed_email_domains: policy.allowed_email_domains.as_slice().to_vec(),
        max_members: limit(policy.max_members),
        max_pending_invitations: limit(policy.max_pending_invitations),
        require_email_match: Some(policy.require_email_match),
        ownership: match policy.ownership {
            Ownership::Single => wire::Ownership::SingleOwner.into(),
            Ownership::Shared => wire::Ownership::Shared.into(),
        },
        exclusive_membership: policy.exclusive_membership,
        allow_external_members: Some(policy.allow_external_members),
        profile_editing: match policy.profile_editing {
            ProfileEditing::SelfOnly => wire::ProfileEditing::SelfOnly.into(),
            ProfileEditing::Admins => wire::ProfileEditing::Admins.into(),
        },
        invitee_roles_editable: Some(policy.invitee_roles_editable),
    }
}

/// A rule that something is at odds with, and how many there are.
pub(in crate::grpc) fn grandfathered((rule, count): (Rule, u64)) -> wire::Grandfathered {
    let (field, description) = match rule {
        Rule::AllowedEmailDomains => ("policy.allowed_email_domains", "memberships of people with other addresses"),
        Rule::MaxMembers => ("policy.max_members", "teams with more members and open invitations"),
        Rule::MaxPendingInvitations => ("policy.max_pending_invitations", "teams with more open invitations"),
        Rule::ExclusiveMembership => ("policy.exclusive_membership", "people who are members of several teams"),
        Rule::AllowExternalMembers => ("policy.allow_external_members", "external memberships"),
        Rule::InvitedEmailDomains => {
            ("policy.allowed_email_domains", "open invitations to other addresses, which cannot be accepted")
        }
        Rule::InvitedToSeveral => {
            ("policy.exclusive_membership", "open invitations to several teams, which cannot be accepted")
        }
        Rule::InvitedElsewhere => {
            ("policy.exclusive_membership", "open invitations to members of other teams, which cannot be accepted")
        }
        Rule::InvitedOwners => ("policy.ownership", "open invitations to become an owner, which cannot be accepted"),
    };
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    wire::Grandfathered { field: field.to_owned(), count, description: description.to_owned() }
}

/// The rules of a new tree; what is not said is as by default.
pub(in crate::grpc) fn policy(violations: &mut Violations, message: Option<&wire::TeamPolicy>) -> Option<TeamPolicy> {
    let message = message.cloned().unwrap_or_default();
    let before = violations.0.len();
    let mut patch = PolicyPatch::default();
    for path in MUTABLE.iter().filter(|path| path.starts_with("policy.")) {
        set_policy(violations, &mut patch, path, path, &message);
    }
    (violations.0.len() == before).then(|| TeamPolicy::default().patched(&patch))
}

/// An empty slug means none.
pub(in crate::grpc) fn slug(violations: &mut Violations, path: &str, text: &str) -> Option<Option<Slug>> {
    if text.is_empty() { Some(None) } else { violations.field(path, Slug::parse(text)).map(Some) }
}

/// The new values that an update asks for.
pub(in crate::grpc) fn patch(violations: &mut Violations, asked: Option<&FieldMask>, team: &wire::Team) -> TeamPatch {
    let mut patch = TeamPatch::default();
    for path in mask::paths(violations, asked, &MUTABLE, &IMMUTABLE, &populated(team), "a team") {
        let field = format!("team.{path}");
        match path {
            "name" => patch.name = violations.field(&field, TeamName::parse(&team.name)),
            "slug" => patch.slug = slug(violations, &field, &team.slug),
            "labels" => patch.labels = violations.field(&field, Labels::team(team.labels.clone())),
            _ => set_policy(violations, &mut patch.policy, &field, path, &team.policy.clone().unwrap_or_default()),
        }
    }
    patch
}

fn set_policy(
    violations: &mut Violations,
    patch: &mut PolicyPatch,
    field: &str,
    key: &str,
    message: &wire::TeamPolicy,
) {
    match key {
        "policy.invitation_ttl" => patch.invitation_ttl = violations.field(field, ttl(message.invitation_ttl.as_ref())),
        "policy.allowed_email_domains" => {
            patch.allowed_email_domains =
                violations.field(field, AllowedDomains::parse(&message.allowed_email_domains));
        }
        "policy.max_members" => patch.max_members = violations.field(field, limit(message.max_members)),
        "policy.max_pending_invitations" => {
            patch.max_pending_invitations = violations.field(field, limit(message.max_pending_invitations));
        }
        "policy.require_email_match" => patch.require_email_match = Some(message.require_email_match.unwrap_or(true)),
        "policy.ownership" => patch.ownership = violations.field(field, ownership(message.ownership)),
        "policy.exclusive_membership" => patch.exclusive_membership = Some(message.exclusive_membership),
        "policy.allow_external_members" => {
            patch.allow_external_members = Some(message.allow_external_members.unwrap_or(true));
        }
        "policy.invitee_roles_editable" => {
            patch.invitee_roles_editable = Some(message.invitee_roles_editable.unwrap_or(true));
        }
        _ => patch.profile_editing = violations.field(field, profile_editing(message.profile_editing)),
    }
}

fn ttl(duration: Option<&prost_types::Duration>) -> Result<InvitationTtl, Invalid> {
    match duration {
        None => Ok(InvitationTtl::default()),
        Some(duration) if duration.nanos != 0 => Err(Invalid::new("must be whole seconds")),
        Some(duration) => InvitationTtl::from_seconds(duration.seconds),
    }
}

fn limit(limit: i32) -> Result<Option<u32>, Invalid> {
    match u32::try_from(limit) {
        Ok(0) => Ok(None),
        Ok(limit) => Ok(Some(limit)),
        Err(_) => Err(Invalid::new("must not be negative")),
    }
}

fn ownership(value: i32) -> Result<Ownership, Invalid> {
    match wire::Ownership::try_from(value) {
        Ok(wire::Ownership::Unspecified | wire::Ownership::SingleOwner) => Ok(Ownership::Single),
        Ok(wire::Ownership::Shared) => Ok(Ownership::Shared),
        Err(_) => Err(Invalid::new("is no known ownership")),
    }
}

fn profile_editing(value: i32) -> Result<ProfileEditing, Invalid> {
    match wire::ProfileEditing::try_from(value) {
        Ok(wire::ProfileEditing::Unspecified | wire::ProfileEditing::SelfOnly) => Ok(ProfileEditing::SelfOnly),
        Ok(wire::ProfileEditing::Admins) => Ok(ProfileEditing::Admins),
        Err(_) => Err(Invalid::new("is no known way of editing profiles")),
    }
}

fn populated(team: &wire::Team) -> [bool; MUTABLE.len()] {
    let policy = team.policy.clone().unwrap_or_default();
    [
        !team.name.is_empty(),
        !team.slug.is_empty(),
        !team.labels.is_empty(),
        policy.invitation_ttl.is_some(),
        !policy.allowed_email_domains.is_empty(),
        policy.max_members != 0,
        policy.max_pending_invitations != 0,
        policy.require_email_match.is_some(),
        policy.ownership != 0,
        policy.exclusive_membership,
        policy.allow_external_members.is_some(),
        policy.profile_editing != 0,
        policy.invitee_roles_editable.is_some(),
    ]
}
