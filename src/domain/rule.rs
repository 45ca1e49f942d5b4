//! The rules that a request can break, each with what a caller needs to know to do better.

use super::{InvitationId, PermissionPattern, RoleId, TeamId};

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
    #[error("this would give {permission}, which you do not hold")]
    GrantExceedsOwn {
        /// The permission that is lacking.
        permission: PermissionPattern,
    },
    /// Ownership passes on by transfer only, unless it is shared, and then from owners of the root.
    #[error("the role owner passes on by TransferOwnership; where it is shared, owners give it in the root team")]
    OwnerRoleNotGrantable,
    /// A tree always has an active owner.
    #[error("the last owner cannot be removed, demoted, suspended or leave; pass the ownership on first")]
    LastOwner,
    /// A membership gives something.
    #[error("a member holds at least one role or permission")]
    NothingGranted,
    /// A membership does not grow without an end.
    #[error("a member holds at most {limit} {what}")]
    TooMuchHeld {
        /// The limit.
        limit: usize,
        /// Of what: `roles` or `permissions`.
        what: &'static str,
    },
    /// An end was set to what is not held.
    #[error("the member does not hold the role {role}, which was to expire")]
    RoleNotHeld {
        /// The role.
        role: RoleId,
    },
    /// An end was set in the past.
    #[error("an expire time must be in the future")]
    ExpireTimePassed,
    /// An ownership has no end.
    #[error("the membership of an owner and the role owner do not expire")]
    OwnerExpiry,
    /// Several share what one is to have.
    #[error("the team has {owners} owners; leave one before the ownership becomes single")]
    SeveralOwners {
        /// How many.
        owners: u64,
    },
    /// Nobody changes their own roles.
    #[error("nobody changes their own roles or permissions")]
    OwnRole,
    /// Nobody removes or suspends themselves.
    #[error("nobody removes, suspends or reactivates themselves; to go, leave the team")]
    OwnMembership,
    /// A team is closed.
    #[error("the team {team} is disabled, and with it all teams below it")]
    TeamDisabled {
        /// The disabled team.
        team: TeamId,
    },
    /// Rules and roles belong to roots.
    #[error("only a root team has rules and roles of its own; the root of this tree is {root}")]
    NotARootTeam {
        /// The root.
        root: TeamId,
    },
    /// Trees have an end.
    #[error("a tree is at most {limit} teams deep")]
    TreeTooDeep {
        /// The limit.
        limit: usize,
    },
    /// There are teams below.
    #[error("the team has {children} teams below it; ask for cascade to delete them too")]
    TeamHasChildren {
        /// How many, at all depths.
        children: u64,
    },
    /// The person is in another team of a tree whose rules allow one.
    #[error("this person is a member of another team of the tree, and its rules allow one")]
    MemberElsewhere,
    /// The person is at home in another tree.
    #[error("this person's home is another tree, and the rules of this one do not admit external members")]
    ExternalNotAllowed,
    /// The configuration's roles are not for callers to change.
    #[error("the role {role} comes from the service's configuration and cannot be changed")]
    SystemRole {
        /// The role.
        role: RoleId,
    },
    /// Somebody holds the role or is invited to it.
    #[error("{members} members hold this role and {invitations} open invitations give it; name a replacement")]
    RoleInUse {
        /// How many members.
        members: u64,
        /// How many open invitations.
        invitations: u64,
    },
    /// The new owner is the owner.
    #[error("this member is the owner already")]
    AlreadyOwner,
    /// Nobody deletes themselves.
    #[error("nobody deletes themselves; somebody else has to")]
    OwnUser,
    /// Others may not edit this profile.
    #[error("only the person may edit this profile: its home is elsewhere, or the rules there say so")]
    ProfileNotEditable,
    /// A suspended member cannot take the ownership.
    #[error("this member is suspended")]
    MemberSuspended,
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
    /// It is open still.
    #[error("the invitation is open; it can be accepted")]
    InvitationOpen,
    /// A later mail holds the link that is alive.
    #[error("this link was replaced by a newer one, which was sent later")]
    LinkReplaced,
    /// The rules of the tree leave what was offered as it is.
    #[error("the rules of the tree do not let what an invitation grants be changed; cancel it and send another")]
    InviteeRoleLocked,
    /// An invitation is for one tree.
    #[error("the team {team} is of another tree, and an invitation is for one")]
    AnotherTree {
        /// The team.
        team: TeamId,
    },
    /// An invitation to several teams could never be accepted.
    #[error("the rules of the tree allow a person one team")]
    OneTeamOnly,
    /// An end was set too far away.
    #[error("an invitation is open for at most {days} days from now")]
    ExpireTimeTooLate {
        /// The limit.
        days: i64,
    },
    /// Nobody but Roster knows of this delivery.
    #[error("no outside mailer sends this invitation; of Roster's own mails only that they came back can be reported")]
    DeliveryNotReportable,
    /// A report is about a mail that another has replaced.
    #[error("this delivery was replaced by a newer one")]
    DeliverySuperseded,
    /// Not all addresses of an atomic batch can be invited.
    #[error("{refused} of the addresses cannot be invited, and the batch is atomic")]
    BatchRefused {
        /// How many.
        refused: usize,
        /// The first of them, as they were given, each with what stands against it.
        first: Vec<(String, String)>,
    },
    /// The address is not known to belong to the person.
    #[error("the address of this person's record is not verified")]
    EmailNotVerified,
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

impl Broken {
    /// What the person can do about it, above all one who is kept from accepting an invitation.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::InvitationExpired => "ask for a new invitation with RequestNewInvitation",
            Self::InvitationCanceled | Self::InvitationDeclined => "ask whoever invited to send another invitation",
            Self::InvitationAccepted => "the invitation was used; log in",
            Self::LinkReplaced => "open the link in the latest mail",
            Self::EmailMismatch { .. } => "log in with the invited address, or ask whoever invited to invite yours",
            Self::InviterNoLongerAllowed | Self::RoleGone { .. } => {
                "ask an owner or admin of the team to send another invitation"
            }
            Self::SeatsExhausted { .. } => {
                "ask an owner of the team for a seat; an open invitation stays open meanwhile"
            }
            Self::TeamDisabled { .. } => {
                "wait until the team is enabled again; an open invitation stays open meanwhile"
            }
            Self::DomainNotAllowed { .. } => {
                "ask an owner of the team to admit the domain, or to invite another address"
            }
            Self::TooMuchHeld { .. } => "ask an owner or admin of the team to take some away, and to invite you again",
            Self::ExternalNotAllowed => "ask an owner of the team to admit external members",
            Self::OwnRole => "ask another owner or admin of the team to do it",
            Self::MemberElsewhere => "leave the other team of the tree first, or ask its owner to move you",
            _ => return None,
        })
    }
}
