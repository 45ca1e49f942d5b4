//! Which code belongs to which reason.

use roster_proto::v1::ErrorReason as Reason;
use tonic::Code;

/// The code that `error_reason.proto` documents for a reason.
pub(super) fn code(reason: Reason) -> Code {
    match reason {
        Reason::InvalidField
        | Reason::PageTokenInvalid
        | Reason::RequestIdReused
        | Reason::RevisionInvalid
        | Reason::CursorInvalid
        | Reason::TokenInvalid
        | Reason::MessageMalformed => Code::InvalidArgument,
        Reason::CredentialsMissing | Reason::CredentialsInvalid | Reason::CredentialsExpired => Code::Unauthenticated,
        Reason::PermissionDenied | Reason::GrantExceedsOwn => Code::PermissionDenied,
        Reason::TeamNotFound
        | Reason::UserNotFound
        | Reason::MemberNotFound
        | Reason::RoleNotFound
        | Reason::InvitationNotFound
        | Reason::UnknownName => Code::NotFound,
        Reason::SlugTaken
        | Reason::UserIdTaken
        | Reason::EmailTaken
        | Reason::RoleKeyTaken
        | Reason::AlreadyMember
        | Reason::InvitationPending => Code::AlreadyExists,
        Reason::LastOwner
        | Reason::OwnRole
        | Reason::OwnMembership
        | Reason::OwnerRoleNotGrantable
        | Reason::AlreadyOwner
        | Reason::InvitationExpired
        | Reason::InvitationCanceled
        | Reason::InvitationDeclined
        | Reason::InvitationAccepted
        | Reason::EmailMismatch
        | Reason::InviterNoLongerAllowed
        | Reason::RoleGone
        | Reason::DomainNotAllowed
        | Reason::TeamDisabled
        | Reason::NotARootTeam
        | Reason::TreeTooDeep
        | Reason::TeamHasChildren
        | Reason::MemberElsewhere
        | Reason::ExternalNotAllowed
        | Reason::SystemRole
        | Reason::RoleInUse
        | Reason::RoleNotHeld
        | Reason::ExpireTimePassed
        | Reason::OwnerExpiry
        | Reason::SeveralOwners
        | Reason::MemberSuspended
        | Reason::NothingGranted
        | Reason::TooMuchHeld
        | Reason::OwnUser
        | Reason::ProfileNotEditable
        | Reason::InvitationOpen
        | Reason::LinkReplaced
        | Reason::InviteeRoleLocked
        | Reason::AnotherTree
        | Reason::OneTeamOnly
        | Reason::ExpireTimeTooLate
        | Reason::DeliveryNotReportable
        | Reason::DeliverySuperseded
        | Reason::BatchRefused
        | Reason::EmailNotVerified => Code::FailedPrecondition,
        Reason::EtagMismatch | Reason::ConcurrentModification => Code::Aborted,
        Reason::SeatsExhausted
        | Reason::PendingInvitationsExhausted
        | Reason::InvitationRateLimited
        | Reason::RateLimited
        | Reason::Overloaded
        | Reason::MessageTooLarge => Code::ResourceExhausted,
        Reason::CursorExpired => Code::OutOfRange,
        Reason::StorageUnavailable | Reason::RevisionNotReached | Reason::ShuttingDown | Reason::KeysUnavailable => {
            Code::Unavailable
        }
        Reason::DeadlineExceeded => Code::DeadlineExceeded,
        Reason::UnknownMethod | Reason::CompressionUnsupported => Code::Unimplemented,
        Reason::Internal | Reason::Unspecified => Code::Internal,
    }
}

#[cfg(test)]
mod tests {
    use prost_reflect::DescriptorPool;

    use super::*;

    #[test]
    fn every_reason_has_the_code_that_its_comment_begins_with() {
        let pool = DescriptorPool::decode(roster_proto::DESCRIPTORS).unwrap();
        let reasons = pool.get_enum_by_name("roster.v1.ErrorReason").unwrap();
        let file = reasons.parent_file();
        let comments = &file.file_descriptor_proto().source_code_info.as_ref().unwrap().location;
        for value in reasons.values().filter(|value| value.number() != 0) {
            let reason = Reason::try_from(value.number()).unwrap();
            let comment = comments.iter().find(|location| location.path == value.path()).unwrap();
            let documented = comment.leading_comments().trim().split(':').next().unwrap();
            let code = format!("{:?}", code(reason));
            assert_eq!(code.to_lowercase(), documented.to_lowercase().replace('_', ""), "{}", value.name());
        }
    }
}
