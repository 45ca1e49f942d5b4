//! Roles: named sets of permissions.

use std::collections::BTreeSet;

use super::{Broken, PermissionPattern, PermissionSet, RoleId};

/// A named set of permissions that comes from the service's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// The id.
    pub id: RoleId,
    /// A name for people.
    pub name: String,
    /// What the role is for.
    pub description: String,
    /// What it gives.
    pub permissions: Vec<PermissionPattern>,
}

/// The roles that can be held in a team, in the order of the configuration.
#[derive(Debug, Clone, Default)]
pub struct Roles(Vec<Role>);

impl Roles {
    /// The role with this id.
    pub fn get(&self, id: &RoleId) -> Option<&Role> {
        self.0.iter().find(|role| role.id == *id)
    }

    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Role> {
        self.0.iter()
    }

    /// What holding these roles gives. A role that is gone gives nothing.
    pub fn permissions(&self, ids: &BTreeSet<RoleId>) -> PermissionSet {
        ids.iter().filter_map(|id| self.get(id)).flat_map(|role| &role.permissions).collect()
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
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        Self(roles.into_iter().collect())
    }
}

impl<'a> IntoIterator for &'a Roles {
    type Item = &'a Role;
    type IntoIter = std::slice::Iter<'a, Role>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
