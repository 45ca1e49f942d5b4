//! Teams.

use prost_types::FieldMask;
use roster_proto::v1 as wire;

use super::{Violations, timestamp};
use crate::{
    application::context::Etag,
    domain::{
        Invalid, Team, TeamPolicy,
        label::Labels,
        policy::{AllowedDomains, InvitationTtl},
        team::TeamPatch,
        text::{Slug, TeamName},
    },
};

/// The fields that an update can set, in full.
const MUTABLE: [&str; 8] = [
    "name",
    "slug",
    "labels",
    "policy.invitation_ttl",
    "policy.allowed_email_domains",
    "policy.max_members",
    "policy.max_pending_invitations",
    "policy.require_email_match",
];
const IMMUTABLE: [&str; 5] = ["id", "version", "create_time", "update_time", "etag"];

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
    }
}

/// The rules of a new team; what is not said is as by default.
pub(in crate::grpc) fn policy(violations: &mut Violations, message: Option<&wire::TeamPolicy>) -> Option<TeamPolicy> {
    let message = message.cloned().unwrap_or_default();
    let before = violations.0.len();
    let mut patch = TeamPatch::default();
    for path in MUTABLE.iter().filter(|path| path.starts_with("policy.")) {
        set_policy(violations, &mut patch, path, path, &message);
    }
    let default = TeamPolicy::default();
    (violations.0.len() == before).then(|| TeamPolicy {
        invitation_ttl: patch.invitation_ttl.unwrap_or(default.invitation_ttl),
        allowed_email_domains: patch.allowed_email_domains.unwrap_or(default.allowed_email_domains),
        max_members: patch.max_members.unwrap_or(default.max_members),
        max_pending_invitations: patch.max_pending_invitations.unwrap_or(default.max_pending_invitations),
        require_email_match: patch.require_email_match.unwrap_or(default.require_email_match),
    })
}

/// An empty slug means none.
pub(in crate::grpc) fn slug(violations: &mut Violations, path: &str, text: &str) -> Option<Option<Slug>> {
    if text.is_empty() { Some(None) } else { violations.field(path, Slug::parse(text)).map(Some) }
}

/// The new values that an update asks for.
pub(in crate::grpc) fn patch(violations: &mut Violations, mask: Option<&FieldMask>, team: &wire::Team) -> TeamPatch {
    let mut patch = TeamPatch::default();
    for path in paths(violations, mask, team) {
        let field = format!("team.{path}");
        match path {
            "name" => patch.name = violations.field(&field, TeamName::parse(&team.name)),
            "slug" => patch.slug = slug(violations, &field, &team.slug),
            "labels" => patch.labels = violations.field(&field, Labels::team(team.labels.clone())),
            _ => set_policy(violations, &mut patch, &field, path, &team.policy.clone().unwrap_or_default()),
        }
    }
    patch
}

fn set_policy(violations: &mut Violations, patch: &mut TeamPatch, field: &str, key: &str, message: &wire::TeamPolicy) {
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
        _ => patch.require_email_match = Some(message.require_email_match.unwrap_or(true)),
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

/// Which fields the mask names, in full; without one, those that are not empty (AIP-134).
fn paths(violations: &mut Violations, mask: Option<&FieldMask>, team: &wire::Team) -> Vec<&'static str> {
    let Some(mask) = mask.filter(|mask| !mask.paths.is_empty()) else { return populated(team) };
    let mut chosen = Vec::new();
    for path in &mask.paths {
        let matching = |known: &&&str| {
            path == "*" || **known == path || known.strip_prefix("policy.").is_some() && path == "policy"
        };
        let found: Vec<&'static str> = MUTABLE.iter().filter(matching).copied().collect();
        if found.is_empty() {
            let immutable = IMMUTABLE.contains(&path.as_str());
            let why = if immutable { "cannot be changed" } else { "is no field of a team" };
            violations.add("update_mask", format_args!("{path} {why}"));
        }
        chosen.extend(found);
    }
    chosen
}

fn populated(team: &wire::Team) -> Vec<&'static str> {
    let policy = team.policy.clone().unwrap_or_default();
    let set = [
        !team.name.is_empty(),
        !team.slug.is_empty(),
        !team.labels.is_empty(),
        policy.invitation_ttl.is_some(),
        !policy.allowed_email_domains.is_empty(),
        policy.max_members != 0,
        policy.max_pending_invitations != 0,
        policy.require_email_match.is_some(),
    ];
    MUTABLE.into_iter().zip(set).filter_map(|(path, set)| set.then_some(path)).collect()
}
