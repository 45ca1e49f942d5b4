//! What somebody may do in a team, and why: a pure function over a snapshot of what was recorded.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::{
    Member, PermissionPattern, PermissionSet, Role, RoleId, Roles, Team, TeamId, UserId, member::State, permission,
};

/// All that decides about one person's access to one team.
#[derive(Debug, Clone, Copy)]
pub struct Snapshot<'a> {
    /// The team.
    pub team: &'a Team,
    /// The person's memberships of the team and of those above it.
    pub memberships: &'a [Member],
    /// The roles that these memberships name, as far as they exist.
    pub roles: &'a Roles,
    /// The time.
    pub now: DateTime<Utc>,
}

/// What somebody holds in a team.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holdings {
    /// In the team itself.
    pub here: PermissionSet,
    /// In the team and in every team below it.
    pub below: PermissionSet,
    /// Whether they own the tree.
    pub owner: bool,
}

/// What gives a permission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The role; `None` for a permission of the member's own.
    pub role: Option<RoleId>,
    /// The team in which it is held: the one asked about, or one above it.
    pub team: TeamId,
}

/// Something that a membership gave until it ran out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lapsed {
    /// The team.
    pub team_id: TeamId,
    /// The member.
    pub user_id: UserId,
    /// The role; `None` for permissions of the member's own.
    pub role: Option<RoleId>,
    /// Those permissions.
    pub permissions: BTreeSet<PermissionPattern>,
    /// When it ran out.
    pub expire_time: DateTime<Utc>,
}

impl Lapsed {
    /// What a membership gave `before` and, with what is left of it, gives no more.
    pub fn of(before: &Member, left: Option<&Member>) -> Vec<Self> {
        let whole = before.expire_time.filter(|_| left.is_none());
        let lapsed = |role: Option<RoleId>, permissions, expire_time| {
            let (team_id, user_id) = (before.team_id, before.user_id.clone());
            Self { team_id, user_id, role, permissions, expire_time }
        };
        let gone = before.roles.iter().filter(|role| left.is_none_or(|left| !left.roles.contains(*role)));
        let of_role = |role: &RoleId| {
            let end = before.role_expire_times.get(role).copied().into_iter().chain(whole).min()?;
            Some(lapsed(Some(role.clone()), BTreeSet::new(), end))
        };
        let own = whole.filter(|_| !before.permissions.is_empty());
        let own = own.map(|end| lapsed(None, before.permissions.clone(), end));
        gone.filter_map(of_role).chain(own).collect()
    }

    /// Memberships as if what has run out had not been taken out of them: whoever asks why can be told.
    pub fn recalled(lapsed: Vec<Self>, mut memberships: Vec<Member>) -> Vec<Member> {
        let mut over: BTreeMap<TeamId, Member> = BTreeMap::new();
        for Self { team_id, user_id, role, permissions, expire_time } in lapsed {
            if let Some(member) = memberships.iter_mut().find(|member| member.team_id == team_id) {
                if let Some(role) = role.filter(|role| !member.roles.contains(role)) {
                    member.role_expire_times.insert(role.clone(), expire_time);
                    member.roles.insert(role);
                }
                continue;
            }
            let member = over.entry(team_id).or_insert_with(|| Member::over(team_id, user_id, expire_time));
            member.roles.extend(role);
            member.permissions.extend(permissions);
        }
        memberships.extend(over.into_values());
        memberships
    }
}

/// Whether somebody may do something, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// They may.
    Allowed(Origin),
    /// They would by this, but the team is disabled, or one above it.
    Disabled {
        /// What gives the permission.
        origin: Origin,
        /// The disabled team.
        team: TeamId,
    },
    /// They would by this, but the membership is suspended.
    Suspended(Origin),
    /// They would by this, but it has run out.
    Expired(Origin),
    /// They are a member, and hold nothing that gives it.
    Missing,
    /// They are no member of the team, nor of one above it by a role that reaches down.
    NotAMember,
}

/// One thing that a membership gives.
struct Held<'a> {
    member: &'a Member,
    role: Option<&'a Role>,
    patterns: PermissionSet,
}

impl Held<'_> {
    fn origin(&self) -> Origin {
        Origin { role: self.role.map(|role| role.id.clone()), team: self.member.team_id }
    }

    fn reaches(&self) -> bool {
        self.role.is_some_and(|role| role.reaches_descendants)
    }
}

impl<'a> Snapshot<'a> {
    /// What the person holds, whether or not the team is disabled.
    pub fn holdings(&self) -> Holdings {
        let mut holdings = Holdings::default();
        for held in self.held().filter(|held| self.is_in_force(held)) {
            holdings.here.add(&held.patterns);
            if held.reaches() {
                holdings.below.add(&held.patterns);
            }
        }
        holdings.owner = self.is_owner();
        holdings
    }

    /// Whether the person may do this, and why. What gives it is looked for in the team first, then upwards. A pattern asks
    /// for all that it stands for, with what no wildcard gives.
    pub fn verdict(&self, permission: &str) -> Verdict {
        let verdict = self.verdict_of(permission);
        let refused = |verdict: &Verdict| !matches!(verdict, Verdict::Allowed(_));
        let mut beyond = permission::beyond_wildcards(permission).map(|name| self.verdict_of(name));
        if refused(&verdict) { verdict } else { beyond.find(refused).unwrap_or(verdict) }
    }

    fn verdict_of(&self, permission: &str) -> Verdict {
        let mut fallback = None;
        for held in self.held().filter(|held| held.patterns.covers(permission)) {
            let origin = held.origin();
            if self.is_in_force(&held) {
                return match self.team.disabled_by {
                    Some(team) if !self.is_owner() => Verdict::Disabled { origin, team },
                    _ => Verdict::Allowed(origin),
                };
            }
            let why = if self.is_over(&held) { Verdict::Expired } else { Verdict::Suspended };
            fallback.get_or_insert(why(origin));
        }
        let is_of_team = |member: &Member| member.team_id == self.team.id && !member.has_expired(self.now);
        let member = || self.held().any(|held| !self.is_over(&held)) || self.memberships.iter().any(is_of_team);
        fallback.unwrap_or_else(|| if member() { Verdict::Missing } else { Verdict::NotAMember })
    }

    /// The roles in force in the team, each with where it is held. In a disabled team none is, but for owners of the tree.
    pub fn roles_in_force(&self) -> Vec<Origin> {
        if self.team.disabled_by.is_some() && !self.is_owner() {
            return Vec::new();
        }
        let held = self.held().filter(|held| held.role.is_some() && self.is_in_force(held));
        held.map(|held| held.origin()).collect()
    }

    /// Whether the person owns the tree now.
    fn is_owner(&self) -> bool {
        let root = self.team.root();
        let of_root = self.memberships.iter().find(|member| member.team_id == root);
        of_root
            .is_some_and(|member| member.is_owner() && member.state == State::Active && !member.has_expired(self.now))
    }

    fn is_in_force(&self, held: &Held<'_>) -> bool {
        held.member.state == State::Active && !self.is_over(held)
    }

    fn is_over(&self, held: &Held<'_>) -> bool {
        let until = held.role.and_then(|role| held.member.role_expire_times.get(&role.id));
        held.member.has_expired(self.now) || until.is_some_and(|end| self.now >= *end)
    }

    /// Everything recorded that concerns the team: all that is held in it, and above it the roles that reach down.
    fn held(&self) -> impl Iterator<Item = Held<'a>> {
        let Self { team, memberships, roles, .. } = *self;
        let nearest_first = team.lineage().filter_map(|id| memberships.iter().find(|member| member.team_id == id));
        nearest_first.flat_map(move |member| {
            let here = member.team_id == team.id;
            let of_roles = member.roles.iter().filter_map(|id| roles.get(id));
            let of_roles = of_roles.filter(move |role| here || role.reaches_descendants);
            let by_role = of_roles.map(move |role| Held { member, role: Some(role), patterns: set(&role.permissions) });
            let own = (here && !member.permissions.is_empty()).then(|| Held {
                member,
                role: None,
                patterns: set(&member.permissions),
            });
            by_role.chain(own)
        })
    }
}

fn set<'a>(patterns: impl IntoIterator<Item = &'a PermissionPattern>) -> PermissionSet {
    patterns.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::{member, role, team};

    const OWN: u128 = 3;
    const NOON: i64 = 43_200;

    fn id(n: u128) -> TeamId {
        TeamId(Uuid::from_u128(n))
    }

    /// The person holds `roles` in the team with this number; 1 is the root, 2 its child, 3 the team asked about.
    fn holds(team: u128, roles: &[&str]) -> Member {
        Member { team_id: id(team), ..member::fixture("ada", roles) }
    }

    fn check(memberships: &[Member], permission: &str, disabled_by: Option<u128>, expected: &Verdict) {
        let team = team::fixture(&[1, 2, OWN]);
        let team = Team { disabled_by: disabled_by.map(id), ..team };
        let now = DateTime::from_timestamp(NOON, 0).unwrap();
        let snapshot = Snapshot { team: &team, memberships, roles: &role::fixture(), now };
        assert_eq!(snapshot.verdict(permission), *expected, "{memberships:?} {permission}");
        let allowed = matches!(expected, Verdict::Allowed(_) | Verdict::Disabled { .. });
        assert_eq!(snapshot.holdings().here.covers(permission), allowed, "{memberships:?} {permission}");
    }

    fn by(role: &str, team: u128) -> Origin {
        Origin { role: Some(role.parse().unwrap()), team: id(team) }
    }

    #[test]
    fn roles_that_reach_give_below_what_they_give_above() {
        let (read, write) = ("roster.teams.read", "catalog.write");
        check(&[holds(OWN, &["member"])], read, None, &Verdict::Allowed(by("member", OWN)));
        check(&[holds(OWN, &["member"])], write, None, &Verdict::Missing);
        check(&[holds(1, &["admin"])], write, None, &Verdict::Allowed(by("admin", 1)));
        check(&[holds(1, &["member"])], read, None, &Verdict::NotAMember);
        check(&[holds(1, &["member"]), holds(OWN, &["member"])], read, None, &Verdict::Allowed(by("member", OWN)));
        check(&[holds(1, &["owner"]), holds(2, &["admin"])], write, None, &Verdict::Allowed(by("admin", 2)));
        check(&[holds(2, &["admin"])], "roster.teams.delete", None, &Verdict::Missing);
        check(&[holds(1, &["owner"])], "roster.teams.delete", None, &Verdict::Allowed(by("owner", 1)));
        check(&[holds(4, &["admin"])], read, None, &Verdict::NotAMember);
        check(&[], read, None, &Verdict::NotAMember);
    }

    #[test]
    fn permissions_of_a_member_hold_in_that_team_alone() {
        let single = |team| Member {
            permissions: [PermissionPattern::parse("catalog.*").unwrap()].into(),
            ..holds(team, &["member"])
        };
        let origin = Origin { role: None, team: id(OWN) };
        check(&[single(OWN)], "catalog.write", None, &Verdict::Allowed(origin));
        check(&[single(2)], "catalog.write", None, &Verdict::NotAMember);
    }

    #[test]
    fn a_pattern_asks_for_all_that_it_stands_for() {
        let check = |roles: &[&str], pattern: &str, expected: &Verdict| {
            let (team, memberships, now) = (team::fixture(&[1]), [holds(1, roles)], DateTime::<Utc>::UNIX_EPOCH);
            let snapshot = Snapshot { team: &team, memberships: &memberships, roles: &role::fixture(), now };
            assert_eq!(snapshot.verdict(pattern), *expected, "{roles:?} {pattern}");
        };
        for pattern in ["*", "roster.*", "roster.teams.*", "roster.ownership.*"] {
            check(&["admin"], pattern, &Verdict::Missing);
            check(&["owner"], pattern, &Verdict::Allowed(by("owner", 1)));
            check(&["admin", "owner"], pattern, &Verdict::Allowed(by("admin", 1)));
        }
        for pattern in ["roster.members.*", "catalog.*", "roster.teams.read"] {
            check(&["admin"], pattern, &Verdict::Allowed(by("admin", 1)));
        }
    }

    #[test]
    fn what_ran_out_is_recalled() {
        let at = |seconds| DateTime::from_timestamp(seconds, 0);
        let before = Member {
            expire_time: at(NOON),
            role_expire_times: [("member".parse().unwrap(), at(NOON - 60).unwrap())].into(),
            permissions: [PermissionPattern::parse("orders.read").unwrap()].into(),
            ..holds(OWN, &["admin", "member"])
        };
        let left = before.clone().at(at(NOON - 1).unwrap()).unwrap();
        let partly = Lapsed::recalled(Lapsed::of(&before, Some(&left)), vec![left.clone()]);
        assert_eq!(partly.first(), Some(&before));
        check(&partly, "a.b", None, &Verdict::Expired(by("admin", OWN)));
        let whole = Lapsed::recalled(Lapsed::of(&before, None), Vec::new());
        check(&whole, "a.b", None, &Verdict::Expired(by("admin", OWN)));
        check(&whole, "roster.teams.delete", None, &Verdict::NotAMember);
        // What is held now counts, and what only ran out makes nobody a member.
        let now = holds(OWN, &["admin"]);
        check(
            &Lapsed::recalled(Lapsed::of(&before, None), vec![now.clone()]),
            "a.b",
            None,
            &Verdict::Allowed(by("admin", OWN)),
        );
        let member = Lapsed::recalled(Lapsed::of(&before, None), vec![holds(OWN, &["member"])]);
        check(&member, "a.b", None, &Verdict::Expired(by("admin", OWN)));
        check(&member, "roster.teams.delete", None, &Verdict::Missing);
    }

    #[test]
    fn the_roles_of_a_disabled_team_are_not_in_force() {
        let roles = |role: &str, disabled_by: Option<u128>| {
            let team = Team { disabled_by: disabled_by.map(id), ..team::fixture(&[1]) };
            let (memberships, now) = ([holds(1, &[role])], DateTime::<Utc>::UNIX_EPOCH);
            Snapshot { team: &team, memberships: &memberships, roles: &role::fixture(), now }.roles_in_force()
        };
        assert_eq!(roles("admin", None), [by("admin", 1)]);
        assert_eq!(roles("admin", Some(1)), []);
        assert_eq!(roles("owner", Some(1)), [by("owner", 1)]);
    }

    #[test]
    fn what_is_suspended_or_over_gives_nothing_and_says_so() {
        let end = |seconds| DateTime::from_timestamp(seconds, 0);
        let suspended = Member { state: State::Suspended, ..holds(OWN, &["admin"]) };
        check(std::slice::from_ref(&suspended), "a.b", None, &Verdict::Suspended(by("admin", OWN)));
        check(&[suspended, holds(1, &["owner"])], "a.b", None, &Verdict::Allowed(by("owner", 1)));
        let until = |at| Member { expire_time: end(at), ..holds(OWN, &["admin"]) };
        check(&[until(NOON + 1)], "a.b", None, &Verdict::Allowed(by("admin", OWN)));
        check(&[until(NOON)], "a.b", None, &Verdict::Expired(by("admin", OWN)));
        let role_until = |at| {
            let times = [("admin".parse().unwrap(), end(at).unwrap())];
            Member { role_expire_times: times.into(), ..holds(OWN, &["admin", "member"]) }
        };
        check(&[role_until(NOON)], "a.b", None, &Verdict::Expired(by("admin", OWN)));
        check(&[role_until(NOON)], "roster.teams.read", None, &Verdict::Allowed(by("member", OWN)));
        check(&[role_until(NOON + 1)], "a.b", None, &Verdict::Allowed(by("admin", OWN)));
    }

    #[test]
    fn a_disabled_team_lets_only_owners_of_the_tree_in() {
        let disabled = |role: &str, team: u128| Verdict::Disabled { origin: by(role, team), team: id(2) };
        check(&[holds(OWN, &["admin"])], "a.b", Some(2), &disabled("admin", OWN));
        check(&[holds(1, &["owner"])], "a.b", Some(2), &Verdict::Allowed(by("owner", 1)));
        check(&[holds(1, &["admin"])], "a.b", Some(2), &disabled("admin", 1));
        check(&[holds(OWN, &["member"])], "a.b", Some(2), &Verdict::Missing);
    }
}
