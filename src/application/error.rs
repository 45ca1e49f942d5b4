//! What a use case can say instead of an answer.

use std::time::Duration;

use crate::{
    domain::{Broken, TeamId},
    repository::{self, Constraint},
};

/// A result of a use case.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a use case did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller lacks a permission, or may not know whether the team exists: both look the same.
    #[error("you need {permission}")]
    Denied {
        /// The permission.
        permission: &'static str,
        /// The team as the caller named it.
        team: Option<TeamId>,
    },
    /// Something that was named does not exist.
    #[error("{0}")]
    Missing(Missing),
    /// Something that has to be unique is taken.
    #[error("{0}")]
    Taken(Taken),
    /// A rule of the domain forbids it.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// Another error, in one of the teams that a request is about.
    #[error("{error}")]
    InTeam {
        /// The team.
        team: TeamId,
        /// What is wrong there.
        error: Box<Error>,
    },
    /// As many invitations were sent as may be for now.
    #[error("the limit of {limit} invitations at once per {scope} is used up")]
    InvitationRateLimited {
        /// Whose limit: `inviter`, `team` or `recipient`.
        scope: &'static str,
        /// The address, of the limit of a recipient.
        recipient: Option<String>,
        /// How many may be sent at once.
        limit: u32,
        /// When it would pass; none if it asks for more than may ever be sent at once.
        retry_after: Option<Duration>,
    },
    /// The resource changed since the etag was read.
    #[error("the resource has changed since its etag was read")]
    EtagMismatch,
    /// The request id was used for another request.
    #[error("this request_id was used for another request within the last 24 hours")]
    RequestIdReused,
    /// The token is not one of ours, or of a link that is dead.
    #[error("the token is not valid")]
    TokenInvalid,
    /// The revision is not one of ours.
    #[error("the revision is not valid")]
    RevisionInvalid,
    /// The data does not hold the revision yet.
    #[error("the data does not hold this revision yet")]
    RevisionNotReached,
    /// The cursor is not one of ours.
    #[error("the cursor is not valid")]
    CursorInvalid,
    /// The events after the cursor are gone.
    #[error("events after this cursor are not retained any more")]
    CursorExpired,
    /// The service is stopping.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// The database failed.
    #[error(transparent)]
    Storage(repository::Error),
    /// A defect of Roster.
    #[error("{0}")]
    Defect(String),
}

/// What does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// A team.
    #[error("there is no team {0}")]
    Team(String),
    /// A user.
    #[error("there is no user {0}")]
    User(String),
    /// A member.
    #[error("user {0} is not a member of the team")]
    Member(String),
    /// A role.
    #[error("the team has no role {0}")]
    Role(String),
    /// An invitation.
    #[error("the team has no invitation {0}")]
    Invitation(String),
}

/// What is taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Taken {
    /// A team's slug.
    #[error("another team has this slug")]
    Slug,
    /// A user's id.
    #[error("another user has this id")]
    UserId,
    /// A user's e-mail address.
    #[error("another user has this e-mail address")]
    Email,
    /// A role's key.
    #[error("another role of the tree has this key")]
    RoleKey,
}

impl From<repository::Error> for Error {
    fn from(error: repository::Error) -> Self {
        match error {
            repository::Error::Duplicate(Constraint::TeamSlug) => Self::Taken(Taken::Slug),
            repository::Error::Duplicate(Constraint::UserId) => Self::Taken(Taken::UserId),
            repository::Error::Duplicate(Constraint::UserEmail) => Self::Taken(Taken::Email),
            repository::Error::Duplicate(Constraint::RoleKey) => Self::Taken(Taken::RoleKey),
            repository::Error::Duplicate(Constraint::Membership) => Self::Broken(Broken::AlreadyMember),
            other => Self::Storage(other),
        }
    }
}

impl AsRef<Self> for Error {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl Error {
    /// The error of a request about many teams, with the team that it is about: where the caller is the one to mend it.
    pub(super) fn in_team(self, team: TeamId) -> Self {
        match self {
            Self::Missing(_) | Self::Broken(_) => Self::InTeam { team, error: Box::new(self) },
            other => other,
        }
    }

    /// Whether the transaction came to nothing for a reason that has passed when it is run again.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Storage(error) => match error {
                repository::Error::Conflict(_) | repository::Error::Unavailable(_) => true,
                // The lock on the team or user makes these impossible but for a race with another version of us.
                repository::Error::Duplicate(constraint) => {
                    matches!(constraint, Constraint::EventVersion | Constraint::PendingInvitation)
                }
                _ => false,
            },
            _ => false,
        }
    }
}
