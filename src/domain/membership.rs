//! What may be done to members, and by whom.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::{
    Broken, Member, PermissionPattern, RoleId, Roles, Team, UserId,
    access::Holdings,
    invitation::Offer,
    member::{Grant, MAX_PERMISSIONS, MAX_ROLES, State},
    permission::TransferOwnership,
    policy::Ownership,
};

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
        holdings: Holdings,
    },
}

/// What is given to somebody.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    /// The team.
    pub team: &'a Team,
    /// The roles that can be held in it, at least those given.
    pub roles: &'a Roles,
    /// The roles given.
    pub ids: &'a BTreeSet<RoleId>,
    /// The permissions given beside them.
    pub permissions: &'a BTreeSet<PermissionPattern>,
}

impl Authority {
    /// The person whose authority it is.
    pub fn person(&self) -> Option<&UserId> {
        match self {
            Self::Service => None,
            Self::Person { user, .. } => Some(user),
        }
    }

    /// Whether it is good for this permission in the team.
    pub fn covers(&self, permission: &str) -> bool {
        match self {
            Self::Service => true,
            Self::Person { holdings, .. } => holdings.here.covers(permission),
        }
    }

    /// Nobody gives, by whatever path, what they do not hold themselves, and in the teams below what they do not hold
    /// there. The ownership is given this way only where it is shared, by its holders.
    pub fn check_grant(&self, given: &Given<'_>) -> Result<(), Broken> {
        given.roles.check_exist(given.ids)?;
        if given.ids.contains(RoleId::OWNER) && !self.may_share_ownership(given.team) {
            return Err(Broken::OwnerRoleNotGrantable);
        }
        let mut here = given.roles.permissions(given.ids);
        here.extend(given.permissions);
        self.check_holds(&here, &given.roles.reaching(given.ids))
    }

    /// Whether whoever decides holds all of this: in the team, and in those below it.
    pub fn check_holds(&self, here: &super::PermissionSet, below: &super::PermissionSet) -> Result<(), Broken> {
        let Self::Person { holdings, .. } = self else { return Ok(()) };
        match holdings.here.missing(here).or_else(|| holdings.below.missing(below)) {
            Some(permission) => Err(Broken::GrantExceedsOwn { permission: permission.clone() }),
            None => Ok(()),
        }
    }

    /// Whether whoever decides holds everything that a membership gives, or would give if it were active: in its team, and
    /// below it what reaches there. What an owner holds only an owner holds.
    pub fn check_covers(&self, member: &Member, roles: &Roles) -> Result<(), Broken> {
        let Self::Person { holdings, .. } = self else { return Ok(()) };
        if member.is_owner() && !holdings.owner {
            return Err(Broken::GrantExceedsOwn { permission: PermissionPattern::exact::<TransferOwnership>() });
        }
        let mut here = roles.permissions(&member.roles);
        here.extend(&member.permissions);
        self.check_holds(&here, &roles.reaching(&member.roles))
    }

    fn may_share_ownership(&self, team: &Team) -> bool {
        let owner = match self {
            Self::Service => true,
            Self::Person { holdings, .. } => holdings.owner,
        };
        team.is_root() && team.policy.ownership == Ownership::Shared && owner
    }

    fn is(&self, user: &UserId) -> bool {
        self.person() == Some(user)
    }
}

/// Whether the tree has an active owner besides the member whom a decision is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherOwner {
    /// It has.
    There,
    /// It has not.
    None,
}

impl OtherOwner {
    fn check_there(self) -> Result<(), Broken> {
        match self {
            Self::There => Ok(()),
            Self::None => Err(Broken::LastOwner),
        }
    }
}

impl Member {
    /// The member with another grant. What they had already needs no authority to keep.
    pub fn regranted(
        &self,
        by: &Authority,
        team: &Team,
        roles: &Roles,
        others: OtherOwner,
        wanted: Grant,
    ) -> Result<Self, Broken> {
        if by.is(&self.user_id) {
            return Err(Broken::OwnRole);
        }
        let ids = wanted.roles.difference(&self.roles).cloned().collect();
        let permissions = wanted.permissions.difference(&self.permissions).cloned().collect();
        let after = self.with_grant(wanted);
        if after.roles.is_empty() && after.permissions.is_empty() {
            return Err(Broken::NothingGranted);
        }
        if self.is_owner() && !after.is_owner() {
            others.check_there()?;
        }
        after.check_owner_stays()?;
        by.check_grant(&Given { team, roles, ids: &ids, permissions: &permissions })?;
        let (ids, permissions) = (after.prolonged_roles(self), after.prolonged_permissions(self));
        by.check_grant(&Given { team, roles, ids: &ids, permissions: &permissions })?;
        Ok(after)
    }

    /// An ownership has no end: fails for an owner's membership or role that expires.
    pub fn check_owner_stays(&self) -> Result<(), Broken> {
        let ends = self.expire_time.is_some() || self.role_expire_times.contains_key(RoleId::OWNER);
        if self.is_owner() && ends { Err(Broken::OwnerExpiry) } else { Ok(()) }
    }

    /// The roles that last longer than before: to prolong is to give.
    fn prolonged_roles(&self, before: &Self) -> BTreeSet<RoleId> {
        let end = |member: &Self, role: &RoleId| {
            let ends = [member.role_expire_times.get(role).copied(), member.expire_time];
            ends.into_iter().flatten().min()
        };
        let longer = |role: &&RoleId| is_later(end(self, role), end(before, role));
        self.roles.iter().filter(longer).filter(|role| role.as_str() != RoleId::OWNER).cloned().collect()
    }

    /// The permissions that last longer than before: they last as long as the membership.
    fn prolonged_permissions(&self, before: &Self) -> BTreeSet<PermissionPattern> {
        if is_later(self.expire_time, before.expire_time) { self.permissions.clone() } else { BTreeSet::new() }
    }

    /// Whether the membership may be ended by somebody else.
    pub fn check_remove(&self, by: &Authority, others: OtherOwner) -> Result<(), Broken> {
        if by.is(&self.user_id) { Err(Broken::OwnMembership) } else { self.check_leave(others) }
    }

    /// Whether the membership may be ended by the member.
    pub fn check_leave(&self, others: OtherOwner) -> Result<(), Broken> {
        if self.is_owner() { others.check_there() } else { Ok(()) }
    }

    /// The member without any authority until they are active again.
    pub fn suspended(&self, by: &Authority, others: OtherOwner) -> Result<Self, Broken> {
        self.check_remove(by, others)?;
        Ok(Self { state: State::Suspended, ..self.clone() })
    }

    /// The member as they were before they were suspended. To give back is to give: it takes who holds all of it, and
    /// nobody gives it to themselves.
    pub fn reactivated(&self, by: &Authority, roles: &Roles) -> Result<Self, Broken> {
        if by.is(&self.user_id) {
            return Err(Broken::OwnMembership);
        }
        if self.state == State::Suspended {
            by.check_covers(self, roles)?;
        }
        Ok(Self { state: State::Active, ..self.clone() })
    }

    /// The member with what an invitation gives in addition to their own: accepting never takes anything away, nor
    /// sets an end to what had none. Who becomes an owner by it stays.
    pub fn joined_by(&self, offer: &Offer) -> Result<Self, Broken> {
        let mut after = self.clone();
        after.roles.extend(offer.roles.iter().cloned());
        after.permissions.extend(offer.permissions.iter().cloned());
        after.role_expire_times.retain(|role, _| !offer.roles.contains(role));
        if after.is_owner() {
            after.expire_time = None;
        }
        after.check_growth(self)?;
        Ok(after)
    }

    /// Fails if the member holds more than before, and more than one may.
    fn check_growth(&self, before: &Self) -> Result<(), Broken> {
        let grown = |held: usize, before: usize, limit: usize| held > before && held > limit;
        if grown(self.roles.len(), before.roles.len(), MAX_ROLES) {
            return Err(Broken::TooMuchHeld { limit: MAX_ROLES, what: "roles" });
        }
        if grown(self.permissions.len(), before.permissions.len(), MAX_PERMISSIONS) {
            return Err(Broken::TooMuchHeld { limit: MAX_PERMISSIONS, what: "permissions" });
        }
        Ok(())
    }

    /// The member with another role in place of one that is to be gone, for as long as they had that one: who has the
    /// other already has it for the longer of the two.
    pub fn with_replaced(&self, role: &RoleId, replacement: &RoleId) -> Self {
        let mut after = self.clone();
        let end = after.role_expire_times.remove(role);
        if !after.roles.remove(role) {
            return after;
        }
        let held = !after.roles.insert(replacement.clone());
        let own = after.role_expire_times.remove(replacement);
        let longest = if held && !is_later(end, own) { own } else { end };
        after.role_expire_times.extend(longest.map(|end| (replacement.clone(), end)));
        after
    }

    /// Passes the ownership from this member to another: answers the former and the new owner. The new one's membership
    /// has no end from now on, and a suspended one cannot take it.
    pub fn transfer_to(&self, new: &Self) -> Result<(Self, Self), Broken> {
        if new.is_owner() {
            return Err(Broken::AlreadyOwner);
        }
        if new.state == State::Suspended {
            return Err(Broken::MemberSuspended);
        }
        let mut former = self.clone();
        former.roles.remove(RoleId::OWNER);
        former.roles.insert(RoleId::admin());
        former.role_expire_times.remove(RoleId::ADMIN);
        let mut owner = Self { expire_time: None, ..new.clone() };
        owner.roles.insert(RoleId::owner());
        owner.check_growth(new)?;
        Ok((former, owner))
    }
}

/// Whether one end comes later than another; what has none never ends.
fn is_later(end: Option<DateTime<Utc>>, than: Option<DateTime<Utc>>) -> bool {
    than.is_some_and(|than| end.is_none_or(|end| end > than))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{TeamPolicy, access::Snapshot, member::fixture, role, team};

    fn person(user: &str, held: &[&str]) -> Authority {
        let (root, now) = (team::fixture(&[0]), DateTime::<Utc>::UNIX_EPOCH);
        let memberships = [fixture(user, held)];
        let snapshot = Snapshot { team: &root, memberships: &memberships, roles: &role::fixture(), now };
        Authority::Person { user: user.parse().unwrap(), holdings: snapshot.holdings() }
    }

    fn shared() -> Team {
        let policy = TeamPolicy { ownership: Ownership::Shared, ..TeamPolicy::default() };
        Team { policy, ..team::fixture(&[0]) }
    }

    fn grant(roles: &[&str]) -> Grant {
        Grant::of_roles(roles.iter().map(|id| id.parse().unwrap()).collect())
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[track_caller]
    fn check(team: &Team, by: &Authority, target: &Member, wanted: &Grant, expected: &Result<(), Broken>) {
        let decided = target.regranted(by, team, &role::fixture(), OtherOwner::None, wanted.clone()).map(drop);
        assert_eq!(decided, *expected, "{by:?} {wanted:?}");
    }

    fn exceeds(permission: &str) -> Result<(), Broken> {
        Err(Broken::GrantExceedsOwn { permission: PermissionPattern::parse(permission).unwrap() })
    }

    #[test]
    fn roles_change_within_what_the_granter_holds() {
        let root = team::fixture(&[0]);
        let (ada, bob) = (person("ada", &["admin"]), fixture("bob", &["member"]));
        check(&root, &ada, &bob, &grant(&["admin"]), &Ok(()));
        check(&root, &ada, &bob, &grant(&["owner"]), &Err(Broken::OwnerRoleNotGrantable));
        check(&root, &ada, &fixture("ada", &["admin"]), &grant(&["member"]), &Err(Broken::OwnRole));
        check(&root, &ada, &fixture("carol", &["owner"]), &grant(&["member"]), &Err(Broken::LastOwner));
        check(&root, &ada, &fixture("carol", &["admin"]), &grant(&["member"]), &Ok(()));
        check(&root, &Authority::Service, &bob, &grant(&["admin"]), &Ok(()));
        check(&root, &ada, &bob, &grant(&["ghost"]), &Err(Broken::RoleNotFound { role: "ghost".parse().unwrap() }));
        let weak = person("dan", &["member"]);
        check(&root, &weak, &bob, &grant(&["admin"]), &exceeds("*"));
        check(&root, &weak, &fixture("eve", &["admin", "member"]), &grant(&["admin"]), &Ok(()));
    }

    #[test]
    fn single_permissions_are_given_within_what_the_granter_holds() {
        let (root, bob) = (team::fixture(&[0]), fixture("bob", &["member"]));
        let wanted = |permission: &str| Grant {
            permissions: [PermissionPattern::parse(permission).unwrap()].into(),
            ..grant(&["member"])
        };
        check(&root, &person("ada", &["admin"]), &bob, &wanted("catalog.*"), &Ok(()));
        check(&root, &person("dan", &["member"]), &bob, &wanted("roster.teams.read"), &Ok(()));
        check(&root, &person("dan", &["member"]), &bob, &wanted("catalog.*"), &exceeds("catalog.*"));
        check(&root, &person("ada", &["admin"]), &bob, &wanted("roster.teams.delete"), &exceeds("roster.teams.delete"));
    }

    #[test]
    fn what_reaches_down_is_given_by_who_holds_it_below() {
        let root = team::fixture(&[0]);
        let here_only = Authority::Person {
            user: "ada".parse().unwrap(),
            holdings: Holdings {
                below: super::super::PermissionSet::default(),
                ..holdings(&person("ada", &["admin"]))
            },
        };
        check(&root, &here_only, &fixture("bob", &["member"]), &grant(&["admin"]), &exceeds("*"));
    }

    fn holdings(authority: &Authority) -> Holdings {
        match authority {
            Authority::Person { holdings, .. } => holdings.clone(),
            Authority::Service => Holdings::default(),
        }
    }

    #[test]
    fn to_prolong_is_to_give() {
        let (root, weak) = (team::fixture(&[0]), person("dan", &["member"]));
        let ending = Member { expire_time: Some(at(10)), ..fixture("eve", &["admin"]) };
        let until = |time: Option<i64>| Grant { expire_time: time.map(at), ..grant(&["admin"]) };
        check(&root, &weak, &ending, &until(Some(9)), &Ok(()));
        check(&root, &weak, &ending, &until(Some(11)), &exceeds("*"));
        check(&root, &weak, &ending, &until(None), &exceeds("*"));
        check(&root, &person("ada", &["admin"]), &ending, &until(None), &Ok(()));

        let permissions: BTreeSet<_> = [PermissionPattern::parse("catalog.*").unwrap()].into();
        let single =
            Member { permissions: permissions.clone(), expire_time: Some(at(10)), ..fixture("eve", &["member"]) };
        let until =
            |time| Grant { permissions: permissions.clone(), expire_time: Some(at(time)), ..grant(&["member"]) };
        check(&root, &weak, &single, &until(9), &Ok(()));
        check(&root, &weak, &single, &until(11), &exceeds("catalog.*"));
    }

    #[test]
    fn a_shared_ownership_is_given_by_owners_and_never_expires() {
        let (owner, bob) = (person("ada", &["owner"]), fixture("bob", &["member"]));
        check(&shared(), &owner, &bob, &grant(&["owner"]), &Ok(()));
        check(&shared(), &Authority::Service, &bob, &grant(&["owner"]), &Ok(()));
        check(&shared(), &person("eve", &["admin"]), &bob, &grant(&["owner"]), &Err(Broken::OwnerRoleNotGrantable));
        let below = Team { policy: shared().policy, ..team::fixture(&[0, 1]) };
        check(&below, &owner, &bob, &grant(&["owner"]), &Err(Broken::OwnerRoleNotGrantable));
        let ends = Grant { expire_time: Some(at(1)), ..grant(&["owner"]) };
        check(&shared(), &owner, &bob, &ends, &Err(Broken::OwnerExpiry));
        let role_ends = Grant { role_expire_times: [(RoleId::owner(), at(1))].into(), ..grant(&["owner"]) };
        check(&shared(), &owner, &bob, &role_ends, &Err(Broken::OwnerExpiry));
    }

    #[test]
    fn the_last_owner_stays_until_the_ownership_passes_on() {
        let (owner, admin) = (fixture("ada", &["owner"]), fixture("bob", &["admin"]));
        let bob = person("bob", &["admin"]);
        assert_eq!(owner.check_remove(&bob, OtherOwner::None), Err(Broken::LastOwner));
        assert_eq!(owner.check_remove(&bob, OtherOwner::There), Ok(()));
        assert_eq!(owner.check_leave(OtherOwner::None), Err(Broken::LastOwner));
        assert_eq!(owner.suspended(&bob, OtherOwner::None), Err(Broken::LastOwner));
        assert_eq!(admin.check_remove(&bob, OtherOwner::There), Err(Broken::OwnMembership));
        assert_eq!(admin.suspended(&bob, OtherOwner::There), Err(Broken::OwnMembership));
        assert_eq!(admin.check_leave(OtherOwner::None), Ok(()));
        let (former, new) = owner.transfer_to(&admin).unwrap();
        assert_eq!((former.roles, new.roles), (grant(&["admin"]).roles, grant(&["admin", "owner"]).roles));
        assert_eq!(owner.transfer_to(&owner), Err(Broken::AlreadyOwner));
        let suspended = admin.suspended(&person("ada", &["owner"]), OtherOwner::None).unwrap();
        assert_eq!(owner.transfer_to(&suspended), Err(Broken::MemberSuspended));
        assert_eq!(suspended.reactivated(&person("ada", &["owner"]), &role::fixture()), Ok(admin));
    }

    #[test]
    fn to_bring_back_is_to_give() {
        let suspended = |user: &str, role: &str| Member { state: State::Suspended, ..fixture(user, &[role]) };
        let check = |by: &Authority, member: &Member, expected: &Result<(), Broken>| {
            assert_eq!(member.reactivated(by, &role::fixture()).map(drop), *expected, "{by:?} {member:?}");
        };
        let (admin, weak) = (person("bob", &["admin"]), person("dan", &["member"]));
        check(&weak, &suspended("carol", "member"), &Ok(()));
        check(&weak, &suspended("carol", "admin"), &exceeds("*"));
        check(&weak, &fixture("carol", &["admin"]), &Ok(()));
        check(&admin, &suspended("carol", "admin"), &Ok(()));
        check(&admin, &suspended("bob", "admin"), &Err(Broken::OwnMembership));
        check(&admin, &suspended("ada", "owner"), &exceeds("roster.ownership.transfer"));
        check(&person("eve", &["owner"]), &suspended("ada", "owner"), &Ok(()));
        check(&Authority::Service, &suspended("ada", "owner"), &Ok(()));
    }

    #[test]
    fn accepting_takes_nothing_away() {
        let ending = Member {
            role_expire_times: [("admin".parse().unwrap(), at(1))].into(),
            ..fixture("bob", &["admin", "member"])
        };
        let after = ending.joined_by(&Offer::of_roles(grant(&["admin"]).roles)).unwrap();
        assert_eq!((after.roles, after.role_expire_times.len()), (grant(&["admin", "member"]).roles, 0));
    }

    #[test]
    fn nobody_comes_to_hold_more_than_one_may() {
        let many = |count: usize| (0..count).map(|n| format!("r{n}").parse().unwrap()).collect::<BTreeSet<RoleId>>();
        let full = Member { roles: many(MAX_ROLES), ..fixture("eve", &[]) };
        let too_much = |limit, what| Err(Broken::TooMuchHeld { limit, what });
        assert_eq!(full.joined_by(&Offer::of_roles(many(MAX_ROLES))), Ok(full.clone()));
        assert_eq!(full.joined_by(&Offer::of_roles(many(MAX_ROLES + 1))), too_much(MAX_ROLES, "roles"));
        let transferred = fixture("ada", &["owner"]).transfer_to(&full);
        assert_eq!(transferred, Err(Broken::TooMuchHeld { limit: MAX_ROLES, what: "roles" }));
        // Who holds more since before there was a limit loses nothing by it, and gains nothing.
        let over = Member { roles: many(MAX_ROLES + 5), ..fixture("eve", &[]) };
        assert_eq!(over.joined_by(&Offer::of_roles(many(3))), Ok(over.clone()));
        let pattern = |n: usize| PermissionPattern::parse(&format!("catalog.p{n}")).unwrap();
        let offer = Offer { permissions: (0..=MAX_PERMISSIONS).map(pattern).collect(), ..Offer::default() };
        assert_eq!(fixture("eve", &["member"]).joined_by(&offer), too_much(MAX_PERMISSIONS, "permissions"));
    }

    #[test]
    fn a_replacement_is_held_for_as_long_as_what_it_replaces_or_longer() {
        let (old, new): (RoleId, RoleId) = ("old".parse().unwrap(), "new".parse().unwrap());
        let holding = |roles: &[&str], ends: &[(&RoleId, i64)]| {
            let ends = ends.iter().map(|(role, end)| ((*role).clone(), at(*end))).collect();
            Member { role_expire_times: ends, ..fixture("eve", roles) }
        };
        for (before, end) in [
            (holding(&["old"], &[]), None),
            (holding(&["old"], &[(&old, 5)]), Some(5)),
            (holding(&["old", "new"], &[]), None),
            (holding(&["old", "new"], &[(&old, 5)]), None),
            (holding(&["old", "new"], &[(&new, 5)]), None),
            (holding(&["old", "new"], &[(&old, 9), (&new, 5)]), Some(9)),
            (holding(&["old", "new"], &[(&old, 5), (&new, 9)]), Some(9)),
        ] {
            let after = before.with_replaced(&old, &new);
            let expected = holding(&["new"], &end.map(|end| (&new, end)).into_iter().collect::<Vec<_>>());
            assert_eq!(after, expected, "{before:?}");
        }
        let other = holding(&["new"], &[(&new, 5)]);
        assert_eq!(other.with_replaced(&old, &new), other);
    }
}
