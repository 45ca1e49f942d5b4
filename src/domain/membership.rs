//! What may be done to members, and by whom.

use std::collections::BTreeSet;

use super::{Broken, Member, PermissionSet, RoleId, Roles, UserId};

/// The authority that a decision is made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authority {
    /// A service on its own behalf: it answers for what it grants.
    Service,
    /// A person, with what they hold in the team.
    Person {
        /// Who.
        user: UserId,
        /// What they hold.
        permissions: PermissionSet,
    },
}

impl Authority {
    /// The person whose authority it is.
    pub fn person(&self) -> Option<&UserId> {
        match self {
            Self::Service => None,
            Self::Person { user, .. } => Some(user),
        }
    }

    /// Nobody gives, by whatever path, what they do not hold themselves; and nobody gives the ownership this way.
    pub fn check_grant(&self, roles: &Roles, granted: &BTreeSet<RoleId>) -> Result<(), Broken> {
        roles.check_exist(granted)?;
        if granted.contains(RoleId::OWNER) {
            return Err(Broken::OwnerRoleNotGrantable);
        }
        let Self::Person { permissions, .. } = self else { return Ok(()) };
        match permissions.missing(&roles.permissions(granted)) {
            Some(permission) => Err(Broken::GrantExceedsOwn { permission: permission.clone() }),
            None => Ok(()),
        }
    }

    fn is(&self, user: &UserId) -> bool {
        self.person() == Some(user)
    }
}

impl Member {
    /// The member with other roles. What they had already needs no authority to keep.
    pub fn with_roles(&self, by: &Authority, roles: &Roles, wanted: BTreeSet<RoleId>) -> Result<Self, Broken> {
        if by.is(&self.user_id) {
            return Err(Broken::OwnRole);
        }
        if self.is_owner() && !wanted.contains(RoleId::OWNER) {
            return Err(Broken::LastOwner);
        }
        by.check_grant(roles, &wanted.difference(&self.roles).cloned().collect())?;
        Ok(Self { roles: wanted, ..self.clone() })
    }

    /// Whether the membership may be ended by somebody else.
    pub fn check_remove(&self, by: &Authority) -> Result<(), Broken> {
        if by.is(&self.user_id) { Err(Broken::OwnMembership) } else { self.check_leave() }
    }

    /// Whether the membership may be ended by the member.
    pub fn check_leave(&self) -> Result<(), Broken> {
        if self.is_owner() { Err(Broken::LastOwner) } else { Ok(()) }
    }

    /// The member with the roles of an invitation in addition to their own: accepting never takes anything away.
    pub fn joined_by(&self, granted: &BTreeSet<RoleId>) -> Self {
        Self { roles: self.roles.union(granted).cloned().collect(), ..self.clone() }
    }

    /// Passes the ownership from this member to another: answers the former and the new owner.
    pub fn transfer_to(&self, new: &Self) -> Result<(Self, Self), Broken> {
        if new.is_owner() {
            return Err(Broken::AlreadyOwner);
        }
        let mut former_roles = self.roles.clone();
        former_roles.remove(RoleId::OWNER);
        former_roles.insert(RoleId::admin());
        let mut new_roles = new.roles.clone();
        new_roles.insert(RoleId::owner());
        Ok((Self { roles: former_roles, ..self.clone() }, Self { roles: new_roles, ..new.clone() }))
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use uuid::Uuid;

    use super::*;
    use crate::domain::{PermissionPattern, Role, TeamId, Version, member::Source};

    fn ids(ids: &[&str]) -> BTreeSet<RoleId> {
        ids.iter().map(|id| id.parse().unwrap()).collect()
    }

    fn roles() -> Roles {
        let role = |id: &str, permissions: &[&str]| Role {
            id: id.parse().unwrap(),
            name: id.to_owned(),
            description: String::new(),
            permissions: permissions.iter().map(|p| PermissionPattern::parse(p).unwrap()).collect(),
        };
        [
            role("owner", &["*", "roster.teams.delete", "roster.ownership.transfer"]),
            role("admin", &["*"]),
            role("member", &["roster.teams.read"]),
        ]
        .into_iter()
        .collect()
    }

    fn member(user: &str, held: &[&str]) -> Member {
        Member {
            team_id: TeamId(Uuid::nil()),
            user_id: user.parse().unwrap(),
            roles: ids(held),
            invited_by: None,
            source: Source::Direct,
            join_time: DateTime::<Utc>::UNIX_EPOCH,
            changed: Version(1),
        }
    }

    fn person(user: &str, held: &[&str]) -> Authority {
        Authority::Person { user: user.parse().unwrap(), permissions: roles().permissions(&ids(held)) }
    }

    #[test]
    fn roles_change_within_what_the_granter_holds() {
        let check = |by: &Authority, target: &Member, wanted: &[&str], expected: Result<(), Broken>| {
            assert_eq!(target.with_roles(by, &roles(), ids(wanted)).map(drop), expected, "{by:?} {wanted:?}");
        };
        let (ada, bob) = (person("ada", &["admin"]), member("bob", &["member"]));
        check(&ada, &bob, &["admin"], Ok(()));
        check(&ada, &bob, &["owner"], Err(Broken::OwnerRoleNotGrantable));
        check(&ada, &member("ada", &["admin"]), &["member"], Err(Broken::OwnRole));
        check(&ada, &member("carol", &["owner"]), &["member"], Err(Broken::LastOwner));
        check(&ada, &member("carol", &["admin"]), &["member"], Ok(()));
        check(&Authority::Service, &bob, &["admin"], Ok(()));
        check(&ada, &bob, &["ghost"], Err(Broken::RoleNotFound { role: "ghost".parse().unwrap() }));
        let weak = person("dan", &["member"]);
        let star = PermissionPattern::parse("*").unwrap();
        check(&weak, &bob, &["admin"], Err(Broken::GrantExceedsOwn { permission: star }));
        check(&weak, &member("eve", &["admin", "member"]), &["admin"], Ok(()));
    }

    #[test]
    fn the_owner_stays_until_the_ownership_passes_on() {
        let (owner, admin) = (member("ada", &["owner"]), member("bob", &["admin"]));
        assert_eq!(owner.check_remove(&person("bob", &["admin"])), Err(Broken::LastOwner));
        assert_eq!(owner.check_leave(), Err(Broken::LastOwner));
        assert_eq!(admin.check_remove(&person("bob", &["admin"])), Err(Broken::OwnMembership));
        assert_eq!(admin.check_leave(), Ok(()));
        let (former, new) = owner.transfer_to(&admin).unwrap();
        assert_eq!((former.roles, new.roles), (ids(&["admin"]), ids(&["admin", "owner"])));
        assert_eq!(owner.transfer_to(&owner), Err(Broken::AlreadyOwner));
    }
}
