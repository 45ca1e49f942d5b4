//! The rules of the domain that a request broke, explained to callers.

use roster_proto::v1::ErrorReason as Reason;

use super::detail::Explained;
use crate::domain::Broken;

/// The reason that stands for a broken rule.
pub(in crate::grpc) fn reason_of(rule: &Broken) -> Reason {
    explain(rule).reason()
}

pub(super) fn explain(rule: &Broken) -> Explained {
    let explained = by_rule(rule);
    match rule.hint() {
        Some(hint) => explained.with("hint", hint),
        None => explained,
    }
}

fn by_rule(rule: &Broken) -> Explained {
    let because = |reason| Explained::new(reason, rule);
    let state_of = |subject: &str, reason| because(reason).precondition(subject);
    match rule {
        Broken::RoleNotFound { role } => {
            because(Reason::RoleNotFound).with("role", role).resource("Role", role.as_str())
        }
        Broken::GrantExceedsOwn { permission } => because(Reason::GrantExceedsOwn).with("permission", permission),
        Broken::OwnerRoleNotGrantable => state_of("role", Reason::OwnerRoleNotGrantable),
        Broken::LastOwner => state_of("member", Reason::LastOwner),
        Broken::NothingGranted => state_of("member", Reason::NothingGranted),
        Broken::TooMuchHeld { limit, what } => {
            state_of("member", Reason::TooMuchHeld).with("limit", limit).with("what", what)
        }
        Broken::OwnerExpiry => state_of("member", Reason::OwnerExpiry),
        Broken::SeveralOwners { owners } => state_of("team", Reason::SeveralOwners).with("owners", owners),
        Broken::RoleNotHeld { role } => state_of("member", Reason::RoleNotHeld).with("role", role),
        Broken::ExpireTimePassed => state_of("member", Reason::ExpireTimePassed),
        Broken::TeamDisabled { team } => state_of("team", Reason::TeamDisabled).with("team", team),
        Broken::NotARootTeam { root } => state_of("team", Reason::NotARootTeam).with("root", root),
        Broken::TreeTooDeep { limit } => state_of("team", Reason::TreeTooDeep).with("limit", limit),
        Broken::TeamHasChildren { children } => state_of("team", Reason::TeamHasChildren).with("children", children),
        Broken::MemberElsewhere => state_of("member", Reason::MemberElsewhere),
        Broken::ExternalNotAllowed => state_of("member", Reason::ExternalNotAllowed),
        Broken::MemberSuspended => state_of("member", Reason::MemberSuspended),
        Broken::SystemRole { role } => state_of("role", Reason::SystemRole).with("role", role),
        Broken::RoleInUse { members, invitations } => {
            state_of("role", Reason::RoleInUse).with("members", members).with("invitations", invitations)
        }
        Broken::OwnUser => state_of("user", Reason::OwnUser),
        Broken::ProfileNotEditable => state_of("user", Reason::ProfileNotEditable),
        Broken::OwnRole => state_of("member", Reason::OwnRole),
        Broken::OwnMembership => state_of("member", Reason::OwnMembership),
        Broken::AlreadyOwner => state_of("member", Reason::AlreadyOwner),
        Broken::AlreadyMember => because(Reason::AlreadyMember).resource("Member", ""),
        Broken::InvitationPending { invitation } => because(Reason::InvitationPending)
            .with("invitation", invitation)
            .resource("Invitation", &invitation.to_string()),
        Broken::InvitationExpired => state_of("invitation", Reason::InvitationExpired),
        Broken::InvitationCanceled => state_of("invitation", Reason::InvitationCanceled),
        Broken::InvitationDeclined => state_of("invitation", Reason::InvitationDeclined),
        Broken::InvitationAccepted => state_of("invitation", Reason::InvitationAccepted),
        Broken::InvitationOpen => state_of("invitation", Reason::InvitationOpen),
        Broken::LinkReplaced => state_of("invitation", Reason::LinkReplaced),
        Broken::InviteeRoleLocked => state_of("team", Reason::InviteeRoleLocked),
        Broken::AnotherTree { team } => state_of("team", Reason::AnotherTree).with("team", team),
        Broken::OneTeamOnly => state_of("team", Reason::OneTeamOnly),
        Broken::ExpireTimeTooLate { days } => state_of("invitation", Reason::ExpireTimeTooLate).with("days", days),
        Broken::DeliveryNotReportable => state_of("invitation", Reason::DeliveryNotReportable),
        Broken::DeliverySuperseded => state_of("invitation", Reason::DeliverySuperseded),
        Broken::BatchRefused { refused, first } => {
            because(Reason::BatchRefused).with("refused", refused).preconditions(first)
        }
        Broken::EmailNotVerified => state_of("user", Reason::EmailNotVerified),
        Broken::EmailMismatch { masked_email } => {
            state_of("invitation", Reason::EmailMismatch).with("masked_email", masked_email)
        }
        Broken::InviterNoLongerAllowed => state_of("invitation", Reason::InviterNoLongerAllowed),
        Broken::RoleGone { role } => state_of("invitation", Reason::RoleGone).with("role", role),
        Broken::DomainNotAllowed { domain } => state_of("team", Reason::DomainNotAllowed).with("domain", domain),
        Broken::SeatsExhausted { limit } => because(Reason::SeatsExhausted).quota("team", *limit),
        Broken::PendingInvitationsExhausted { limit } => {
            because(Reason::PendingInvitationsExhausted).quota("team", *limit)
        }
    }
}
