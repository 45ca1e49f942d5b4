//! Members: who is in which team.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{RoleId, TeamId, UserId, Version};

/// A membership: one user in one team, with at least one role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The team.
    pub team_id: TeamId,
    /// The user.
    pub user_id: UserId,
    /// The roles held.
    pub roles: BTreeSet<RoleId>,
    /// The person who brought the member in.
    pub invited_by: Option<UserId>,
    /// By which path.
    pub source: Source,
    /// When.
    pub join_time: DateTime<Utc>,
    /// The version of the team that changed the membership last.
    pub changed: Version,
}

/// By which path a member came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// As the owner that the team was created with.
    TeamCreation,
    /// Added directly.
    Direct,
    /// By an invitation.
    Invitation,
}

impl Member {
    /// Whether the member owns the team.
    pub fn is_owner(&self) -> bool {
        self.roles.contains(RoleId::OWNER)
    }
}

impl std::borrow::Borrow<str> for RoleId {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}
