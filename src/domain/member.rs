//! Members: who is in which team.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Broken, PermissionPattern, RoleId, TeamId, UserId, Version};

/// The most roles that one membership holds.
pub const MAX_ROLES: usize = 20;

/// The most permissions that one membership holds besides roles.
pub const MAX_PERMISSIONS: usize = 100;

/// A membership: one user in one team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The team.
    pub team_id: TeamId,
    /// The user.
    pub user_id: UserId,
    /// The roles held.
    pub roles: BTreeSet<RoleId>,
    /// Until when those roles are held that are not held for good.
    pub role_expire_times: BTreeMap<RoleId, DateTime<Utc>>,
    /// What is held besides the roles, in this team alone.
    pub permissions: BTreeSet<PermissionPattern>,
    /// Whether the membership gives anything.
    pub state: State,
    /// Until when the membership lasts, if not for good.
    pub expire_time: Option<DateTime<Utc>>,
    /// Whether the person's home is another tree.
    pub external: bool,
    /// The person who brought the member in.
    pub invited_by: Option<UserId>,
    /// By which path.
    pub source: Source,
    /// When.
    pub join_time: DateTime<Utc>,
    /// The version of the team that changed the membership last.
    pub changed: Version,
}

/// Whether a membership gives anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// What it holds.
    #[default]
    Active,
    /// Nothing, until it is active again.
    Suspended,
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

/// What a membership is to give, and until when.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The roles.
    pub roles: BTreeSet<RoleId>,
    /// Until when those roles are held that are not held for good.
    pub role_expire_times: BTreeMap<RoleId, DateTime<Utc>>,
    /// What is held besides the roles.
    pub permissions: BTreeSet<PermissionPattern>,
    /// Until when the membership lasts, if not for good.
    pub expire_time: Option<DateTime<Utc>>,
}

impl Grant {
    /// Roles for good, and nothing else.
    pub fn of_roles(roles: BTreeSet<RoleId>) -> Self {
        Self { roles, ..Self::default() }
    }
}

/// New values for a grant; `None` keeps what is there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct GrantPatch {
    /// The roles.
    pub roles: Option<BTreeSet<RoleId>>,
    /// Until when those roles are held that are not held for good. Without it, roles that stay keep their end.
    pub role_expire_times: Option<BTreeMap<RoleId, DateTime<Utc>>>,
    /// What is held besides the roles.
    pub permissions: Option<BTreeSet<PermissionPattern>>,
    /// Until when the membership lasts; `Some(None)` for good.
    pub expire_time: Option<Option<DateTime<Utc>>>,
}

impl Grant {
    /// The grant with these values.
    pub fn patched(&self, patch: &GrantPatch) -> Self {
        let roles = patch.roles.clone().unwrap_or_else(|| self.roles.clone());
        let kept = || {
            let ends = self.role_expire_times.iter().filter(|(role, _)| roles.contains(*role));
            ends.map(|(role, end)| (role.clone(), *end)).collect()
        };
        Self {
            role_expire_times: patch.role_expire_times.clone().unwrap_or_else(kept),
            permissions: patch.permissions.clone().unwrap_or_else(|| self.permissions.clone()),
            expire_time: patch.expire_time.unwrap_or(self.expire_time),
            roles,
        }
    }

    /// Whether everything that has an end is given, and every end is still to come. Ends that were set `before` are
    /// not looked at again.
    pub fn check_ends(&self, before: Option<&Self>, now: DateTime<Utc>) -> Result<(), Broken> {
        if let Some(role) = self.role_expire_times.keys().find(|role| !self.roles.contains(*role)) {
            return Err(Broken::RoleNotHeld { role: role.clone() });
        }
        let known = |role: &RoleId| before.and_then(|grant| grant.role_expire_times.get(role));
        let new_ends =
            self.role_expire_times.iter().filter(|(role, end)| known(role) != Some(*end)).map(|(_, end)| end);
        let whole =
            self.expire_time.as_ref().filter(|end| before.and_then(|grant| grant.expire_time.as_ref()) != Some(*end));
        if new_ends.chain(whole).any(|end| *end <= now) { Err(Broken::ExpireTimePassed) } else { Ok(()) }
    }
}

impl Member {
    /// Whether the member owns the tree, as far as their roles go.
    pub fn is_owner(&self) -> bool {
        self.roles.contains(RoleId::OWNER)
    }

    /// What the membership gives, while it is active.
    pub fn grant(&self) -> Grant {
        Grant {
            roles: self.roles.clone(),
            role_expire_times: self.role_expire_times.clone(),
            permissions: self.permissions.clone(),
            expire_time: self.expire_time,
        }
    }

    /// The membership with another grant.
    pub fn with_grant(&self, grant: Grant) -> Self {
        let Grant { roles, role_expire_times, permissions, expire_time } = grant;
        Self { roles, role_expire_times, permissions, expire_time, ..self.clone() }
    }

    /// A membership that ran out, as far as it is remembered.
    pub(super) fn over(team_id: TeamId, user_id: UserId, end: DateTime<Utc>) -> Self {
        Self {
            team_id,
            user_id,
            roles: BTreeSet::new(),
            role_expire_times: BTreeMap::new(),
            permissions: BTreeSet::new(),
            state: State::Active,
            expire_time: Some(end),
            external: false,
            invited_by: None,
            source: Source::Direct,
            join_time: end,
            changed: Version(0),
        }
    }

    /// Whether the membership has run out by `now`. The clock decides, whatever is recorded.
    pub fn has_expired(&self, now: DateTime<Utc>) -> bool {
        self.expire_time.is_some_and(|end| now >= end)
    }

    /// The membership without the roles that have run out by `now`; `None` if it has run out itself.
    pub fn at(self, now: DateTime<Utc>) -> Option<Self> {
        if self.has_expired(now) {
            return None;
        }
        let over: Vec<RoleId> =
            self.role_expire_times.iter().filter(|(_, end)| now >= **end).map(|(role, _)| role.clone()).collect();
        let mut member = self;
        for role in over {
            member.roles.remove(&role);
            member.role_expire_times.remove(&role);
        }
        Some(member)
    }
}

/// A member for tests.
#[cfg(test)]
pub(super) fn fixture(user: &str, roles: &[&str]) -> Member {
    Member {
        team_id: TeamId(uuid::Uuid::nil()),
        user_id: user.parse().unwrap(),
        roles: roles.iter().map(|id| id.parse().unwrap()).collect(),
        role_expire_times: BTreeMap::new(),
        permissions: BTreeSet::new(),
        state: State::Active,
        expire_time: None,
        external: false,
        invited_by: None,
        source: Source::Direct,
        join_time: DateTime::<Utc>::UNIX_EPOCH,
        changed: Version(1),
    }
}
