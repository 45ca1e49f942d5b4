//! Roles: named sets of permissions.

use std::{collections::BTreeSet, sync::Arc};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Broken, PermissionPattern, PermissionSet, RoleId, TeamId, Version, id::RoleKey};

/// A named set of permissions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// The id.
    pub id: RoleId,
    /// A name for machines: a system role's id.
    pub key: RoleKey,
    /// A name for people.
    pub name: String,
    /// What the role is for.
    pub description: String,
    /// What it gives.
    pub permissions: BTreeSet<PermissionPattern>,
    /// Whether it gives the same in every team below the one it is held in.
    pub reaches_descendants: bool,
    /// Where a role of a tree's own belongs; `None` for a system role, which comes from the configuration.
    pub custom: Option<Custom>,
}

/// What is known of a role of a tree's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Custom {
    /// The root of the tree that it can be held in.
    pub root_id: TeamId,
    /// The version of the root that changed it last.
    pub changed: Version,
    /// When it was created.
    pub create_time: DateTime<Utc>,
    /// When it changed last.
    pub update_time: DateTime<Utc>,
}

/// The roles that a decision knows: those of the configuration, in its order, and some or all of a tree's own.
#[derive(Debug, Clone, Default)]
pub struct Roles {
    system: Arc<[Role]>,
    custom: Vec<Role>,
}

impl Roles {
    /// Whether this is a role of the configuration.
    pub fn is_system(&self, id: &RoleId) -> bool {
        self.system.iter().any(|role| role.id == *id)
    }

    /// Whether a system role has this key.
    pub fn is_reserved(&self, key: &RoleKey) -> bool {
        self.system.iter().any(|role| role.key == *key)
    }

    /// The system roles and these of a tree.
    pub fn with(&self, custom: Vec<Role>) -> Self {
        Self { system: self.system.clone(), custom }
    }

    /// The role with this id.
    pub fn get(&self, id: &RoleId) -> Option<&Role> {
        self.iter().find(|role| role.id == *id)
    }

    /// All of them, the system roles first.
    pub fn iter(&self) -> impl Iterator<Item = &Role> {
        self.system.iter().chain(&self.custom)
    }

    /// Those that come after this one, which may be gone by now: the tree's own come in the order of their ids. After a role
    /// that is in the configuration no more, all of them come again.
    pub fn after(&self, last: &RoleId) -> impl Iterator<Item = &Role> {
        let known = self.iter().position(|role| role.id == *last);
        let own = last.uuid().is_some();
        let begun = known.map_or(0, |place| place + 1);
        self.iter().skip(begun).filter(move |role| known.is_some() || !own || role.custom.is_some() && role.id > *last)
    }

    /// What holding these roles gives. A role that is gone gives nothing.
    pub fn permissions(&self, ids: &BTreeSet<RoleId>) -> PermissionSet {
        ids.iter().filter_map(|id| self.get(id)).flat_map(|role| &role.permissions).collect()
    }

    /// What holding these roles gives in the teams below.
    pub fn reaching(&self, ids: &BTreeSet<RoleId>) -> PermissionSet {
        let reaching = ids.iter().filter_map(|id| self.get(id)).filter(|role| role.reaches_descendants);
        reaching.flat_map(|role| &role.permissions).collect()
    }

    /// Fails with the first role that does not exist.
    pub fn check_exist(&self, ids: &BTreeSet<RoleId>) -> Result<(), Broken> {
        match ids.iter().find(|id| self.get(id).is_none()) {
            Some(id) => Err(Broken::RoleNotFound { role: id.clone() }),
            None => Ok(()),
        }
    }
}

impl FromIterator<Role> for Roles {
    /// Of the roles of the configuration.
    fn from_iter<I: IntoIterator<Item = Role>>(system: I) -> Self {
        Self { system: system.into_iter().collect(), custom: Vec::new() }
    }
}

/// Roles for tests: owner and admin hold everything below too, a member only sees their team.
#[cfg(test)]
pub(super) fn fixture() -> Roles {
    let role = |id: &str, permissions: &[&str]| Role {
        id: id.parse().unwrap(),
        key: id.parse().unwrap(),
        name: id.to_owned(),
        description: String::new(),
        permissions: permissions.iter().map(|p| PermissionPattern::parse(p).unwrap()).collect(),
        reaches_descendants: id != "member",
        custom: None,
    };
    let owner = ["*", "roster.teams.delete", "roster.ownership.transfer"];
    [role("owner", &owner), role("admin", &["*"]), role("member", &["roster.teams.read"])].into_iter().collect()
}
