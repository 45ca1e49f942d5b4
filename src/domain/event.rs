//! The immutable record of a change.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Actor, EventId, Invitation, Member, Role, Team, TeamId, User, UserId, Version};

/// One change, as it is recorded and published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The id.
    pub id: EventId,
    /// Whose version the change made.
    pub subject: Subject,
    /// The version.
    pub version: Version,
    /// When.
    pub occur_time: DateTime<Utc>,
    /// On whose behalf.
    pub actor: Actor,
    /// Why.
    pub cause: Cause,
    /// The request that made it.
    pub request_id: String,
    /// The W3C trace context of that request.
    pub traceparent: Option<String>,
    /// What changed.
    pub change: Change,
}

/// What an event's version counts the changes of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A team, its members and its invitations.
    Team {
        /// The team.
        id: TeamId,
        /// The root of its tree.
        root: TeamId,
    },
    /// A person's own record.
    User(UserId),
}

/// Why a change was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// The call asked for just this.
    Direct,
    /// An invitation was accepted.
    Invitation,
    /// A team was created or deleted.
    Team,
    /// A member was removed or left.
    Removal,
    /// A member lost a role.
    Demotion,
    /// The ownership passed on.
    Transfer,
    /// Time ran out.
    Expiry,
    /// A mail was sent or could not be sent.
    Delivery,
    /// A role was changed or deleted.
    Role,
    /// A member was suspended.
    Suspension,
    /// A person's record was deleted.
    User,
}

/// Something before and after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step<T> {
    /// Before.
    pub before: T,
    /// After.
    pub after: T,
}

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A team came to be.
    TeamCreated(Team),
    /// A team's own fields changed.
    TeamUpdated(Step<Team>),
    /// A team was closed.
    TeamDisabled(Step<Team>),
    /// A team was opened again.
    TeamEnabled(Step<Team>),
    /// A team is gone.
    TeamDeleted(Team),
    /// Somebody became a member.
    MemberAdded(Member),
    /// What a member holds changed.
    MemberUpdated(Step<Member>),
    /// A membership was ended.
    MemberRemoved(Member),
    /// A membership gives nothing for now.
    MemberSuspended(Step<Member>),
    /// A suspended membership gives what it did before.
    MemberReactivated(Step<Member>),
    /// A membership ran out.
    MemberExpired(Member),
    /// The ownership passed from one member to another.
    OwnershipTransferred {
        /// The former owner.
        former: Step<Member>,
        /// The new owner.
        new: Step<Member>,
    },
    /// Somebody was invited.
    InvitationCreated(Invitation),
    /// Something happened to an invitation.
    InvitationChanged(InvitationChange, Box<Step<Invitation>>),
    /// A tree has a role more.
    RoleCreated(Role),
    /// A role of a tree changed.
    RoleUpdated(Step<Role>),
    /// A role of a tree is gone.
    RoleDeleted(Role),
    /// A person was recorded.
    UserCreated(User),
    /// A person's record changed.
    UserUpdated(Step<User>),
    /// A person's record is gone.
    UserDeleted(User),
}

/// What happened to an invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvitationChange {
    /// Its mail was taken by the mail server.
    Sent,
    /// It was changed, extended or revived.
    Updated,
    /// It was accepted.
    Accepted,
    /// It was declined.
    Declined,
    /// It was canceled.
    Canceled,
    /// It was found to have run out.
    Expired,
    /// Its mail was refused for good, given up, or came back.
    DeliveryFailed,
    /// An outside mailer is asked to send its mail.
    DeliveryRequested,
    /// The holder of its link asks for a new one, after it ran out.
    RenewalRequested {
        /// Who is to hear of it: whoever answers for the invitation, or else an owner of the tree.
        recipient: Option<UserId>,
    },
    /// It was taken off the list.
    Deleted,
}

impl Change {
    /// The change's name in subjects and headers: the name of the event's payload field.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::TeamCreated(_) => "team_created",
            Self::TeamUpdated(_) => "team_updated",
            Self::TeamDisabled(_) => "team_disabled",
            Self::TeamEnabled(_) => "team_enabled",
            Self::TeamDeleted(_) => "team_deleted",
            Self::MemberAdded(_) => "member_added",
            Self::MemberUpdated(_) => "member_updated",
            Self::MemberRemoved(_) => "member_removed",
            Self::MemberSuspended(_) => "member_suspended",
            Self::MemberReactivated(_) => "member_reactivated",
            Self::MemberExpired(_) => "member_expired",
            Self::OwnershipTransferred { .. } => "ownership_transferred",
            Self::InvitationCreated(_) => "invitation_created",
            Self::InvitationChanged(change, _) => match change {
                InvitationChange::Sent => "invitation_sent",
                InvitationChange::Updated => "invitation_updated",
                InvitationChange::Accepted => "invitation_accepted",
                InvitationChange::Declined => "invitation_declined",
                InvitationChange::Canceled => "invitation_canceled",
                InvitationChange::Expired => "invitation_expired",
                InvitationChange::DeliveryFailed => "invitation_delivery_failed",
                InvitationChange::DeliveryRequested => "invitation_delivery_requested",
                InvitationChange::RenewalRequested { .. } => "invitation_renewal_requested",
                InvitationChange::Deleted => "invitation_deleted",
            },
            Self::RoleCreated(_) => "role_created",
            Self::RoleUpdated(_) => "role_updated",
            Self::RoleDeleted(_) => "role_deleted",
            Self::UserCreated(_) => "user_created",
            Self::UserUpdated(_) => "user_updated",
            Self::UserDeleted(_) => "user_deleted",
        }
    }
}
