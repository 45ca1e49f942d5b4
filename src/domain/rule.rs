//! The rules that a request can break, each with what a caller needs to know to do better.

use super::{InvitationId, PermissionPattern, RoleId};

/// A rule of the domain that a decision would break. The messages are for people; programs go by the variant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A role that was named does not exist.
    #[error("the team has no role {role}")]
    RoleNotFound {
        /// The role.
        role: RoleId,
    },
    /// Nobody grants what they do not hold.
    #[error("giving these roles would give {permission}, which you do not hold")]
    GrantExceedsOwn {
        /// The permission that is lacking.
        permission: PermissionPattern,
    },
    /// Ownership passes on by transfer only.
    #[error("the role owner passes on by TransferOwnership only")]
    OwnerRoleNotGrantable,
    /// A team always has its owner.
    #[error("the owner cannot be removed, demoted or leave; transfer the ownership first")]
    LastOwner,
    /// Nobody changes their own roles.
    #[error("nobody changes their own roles")]
    OwnRole,
    /// Nobody removes themselves.
    #[error("nobody removes themselves; leave the team instead")]
    OwnMembership,
    /// The new owner is the owner.
    #[error("this member is the owner already")]
    AlreadyOwner,
    /// The person is in the team.
    #[error("this person is a member of the team already")]
    AlreadyMember,
    /// The address has been invited and has not answered.
    #[error("this address has an open invitation, {invitation}")]
    InvitationPending {
        /// The open one.
        invitation: InvitationId,
    },
    /// The invitation ran out.
    #[error("the invitation has expired")]
    InvitationExpired,
    /// The invitation was canceled.
    #[error("the invitation was canceled")]
    InvitationCanceled,
    /// The invitation was declined.
    #[error("the invitation was declined")]
    InvitationDeclined,
    /// The invitation was accepted.
    #[error("the invitation was accepted already")]
    InvitationAccepted,
    /// Another address was invited.
    #[error("the invitation is addressed to {masked_email}")]
    EmailMismatch {
        /// The invited address, masked.
        masked_email: String,
    },
    /// Who invited lost the authority to.
    #[error("whoever sent this invitation may not grant these roles any more")]
    InviterNoLongerAllowed,
    /// A granted role is gone.
    #[error("the invitation grants the role {role}, which is gone")]
    RoleGone {
        /// The role.
        role: RoleId,
    },
    /// The team does not admit the address.
    #[error("the team does not admit addresses of {domain}")]
    DomainNotAllowed {
        /// The domain.
        domain: String,
    },
    /// The team is full.
    #[error("the team has all of its {limit} members")]
    SeatsExhausted {
        /// The limit.
        limit: u32,
    },
    /// Too many have been invited and have not answered.
    #[error("the team has all of its {limit} open invitations")]
    PendingInvitationsExhausted {
        /// The limit.
        limit: u32,
    },
}
