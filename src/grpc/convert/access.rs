//! Questions about access, and their answers.

use roster_proto::v1 as wire;

use super::Violations;
use crate::{
    application::queries::Check,
    domain::{
        PermissionPattern,
        access::{Origin, Verdict},
    },
};

/// One question, whose fields stand below `prefix`.
pub(in crate::grpc) fn check(
    violations: &mut Violations,
    user_id: &str,
    team_id: &str,
    permission: &str,
) -> Option<Check> {
    let user = violations.id("user_id", user_id);
    let team = violations.id("team_id", team_id);
    let permission = violations.field("permission", PermissionPattern::parse(permission));
    Some(Check { user: user?, team: team?, permission: permission?.as_str().to_owned() })
}

pub(in crate::grpc) fn explanation(verdict: &Verdict) -> wire::ExplainAccessResponse {
    use wire::AccessReason as Reason;

    let (reason, origin) = match verdict {
        Verdict::Allowed(origin) => (Reason::Granted, Some(origin)),
        Verdict::Disabled { origin, .. } => (Reason::TeamDisabled, Some(origin)),
        Verdict::Suspended(origin) => (Reason::Suspended, Some(origin)),
        Verdict::Expired(origin) => (Reason::Expired, Some(origin)),
        Verdict::Missing => (Reason::MissingPermission, None),
        Verdict::NotAMember => (Reason::NotAMember, None),
    };
    let role = |origin: &Origin| origin.role.as_ref().map(ToString::to_string);
    wire::ExplainAccessResponse {
        allowed: reason == Reason::Granted,
        reason: reason.into(),
        role_id: origin.and_then(role).unwrap_or_default(),
        held_in_team_id: origin.map(|origin| origin.team.to_string()).unwrap_or_default(),
        disabled_team_id: match verdict {
            Verdict::Disabled { team, .. } => team.to_string(),
            _ => String::new(),
        },
    }
}
