//! What the model knows: the teams of a tree, who is in them, and what that gives.

use std::collections::{BTreeMap, BTreeSet};

use super::program::{Grant, Minute, Offers, Role};

/// What only owners hold: no wildcard gives it.
const OWNER_ONLY: [&str; 2] = ["roster.teams.delete", "roster.ownership.transfer"];

/// What the role `member` gives in a service whose configuration names no roles.
const MEMBER: [&str; 3] = ["roster.teams.read", "roster.members.read", "roster.roles.read"];

/// A membership: what it holds, and whether it gives it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Membership {
    pub grant: Grant,
    pub suspended: bool,
}

impl Membership {
    pub fn is_owner(&self) -> bool {
        self.grant.roles.contains(&Role::Owner)
    }
}

/// A team.
#[derive(Debug, Clone, Default)]
pub struct Team {
    pub parent: Option<usize>,
    pub disabled: bool,
    pub members: BTreeMap<usize, Membership>,
}

/// A role of the tree's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnRole {
    pub gives: BTreeSet<&'static str>,
    pub reaches: bool,
}

/// What became of an invitation. The clock decides whether one that nothing became of is open still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    None,
    Accepted(usize),
    Declined,
    Canceled,
}

/// An invitation.
#[derive(Debug, Clone)]
pub struct Invitation {
    pub team: usize,
    /// The address.
    pub to: usize,
    pub grants: Offers,
    /// Who answers for it; nobody means a service.
    pub inviter: Option<usize>,
    pub end: Minute,
    pub fate: Fate,
    /// How many links it has had: the last one is alive.
    pub links: usize,
    /// Whether it is on the list.
    pub listed: bool,
}

/// For how long an invitation is open.
pub const OPEN: Minute = 60;

/// The tree. What has run out is not in it, but for invitations.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "rules that have nothing to do with each other, each on or off")]
pub struct Model {
    pub now: Minute,
    pub teams: BTreeMap<usize, Team>,
    pub roles: BTreeMap<usize, OwnRole>,
    pub shared: bool,
    pub exclusive: bool,
    pub seats: Option<usize>,
    pub email_match: bool,
    /// The one domain that is admitted, if not all are.
    pub domain: Option<usize>,
    pub externals: bool,
    pub max_pending: Option<usize>,
    pub editable: bool,
    pub invitations: BTreeMap<usize, Invitation>,
    /// How many roles were deleted.
    pub deleted_roles: usize,
    /// The teams that there ever were: none is made twice.
    pub made: BTreeSet<usize>,
    /// Whose membership of a team, or a role of it, ran out.
    pub lapsed: BTreeSet<(usize, usize)>,
}

/// What somebody holds in a team, and in those below it.
#[derive(Debug, Default)]
pub struct Holdings {
    pub here: BTreeSet<&'static str>,
    pub below: BTreeSet<&'static str>,
}

/// Whether these patterns give this permission, or all that this pattern stands for.
pub fn covers(held: &BTreeSet<&'static str>, wanted: &str) -> bool {
    let gives = |pattern: &&str| match pattern.strip_suffix('*') {
        Some(prefix) => wanted.starts_with(prefix) && !OWNER_ONLY.contains(&wanted),
        None => *pattern == wanted,
    };
    held.iter().any(gives)
}

/// What a pattern stands for and no wildcard gives.
pub fn beyond_wildcards(pattern: &str) -> impl Iterator<Item = &'static str> {
    let prefix = pattern.strip_suffix('*');
    OWNER_ONLY.into_iter().filter(move |name| prefix.is_some_and(|prefix| name.starts_with(prefix)))
}

impl Model {
    /// A root team that the first person owns.
    pub fn new() -> Self {
        let grant = Grant { roles: BTreeSet::from([Role::Owner]), ..Grant::default() };
        let owner = Membership { grant, suspended: false };
        let root = Team { members: BTreeMap::from([(0, owner)]), ..Team::default() };
        Self {
            now: 0,
            teams: BTreeMap::from([(0, root)]),
            roles: BTreeMap::new(),
            shared: false,
            exclusive: false,
            seats: None,
            email_match: true,
            domain: None,
            externals: true,
            max_pending: None,
            editable: true,
            invitations: BTreeMap::new(),
            deleted_roles: 0,
            made: BTreeSet::from([0]),
            lapsed: BTreeSet::new(),
        }
    }

    /// What a role gives; nothing if it is gone.
    pub fn gives(&self, role: Role) -> BTreeSet<&'static str> {
        match role {
            Role::Owner => ["*"].into_iter().chain(OWNER_ONLY).collect(),
            Role::Admin => BTreeSet::from(["*"]),
            Role::Member => MEMBER.into(),
            Role::Own(n) => self.roles.get(&n).map(|role| role.gives.clone()).unwrap_or_default(),
        }
    }

    /// Whether a role gives below what it gives where it is held.
    pub fn reaches(&self, role: Role) -> bool {
        match role {
            Role::Owner | Role::Admin => true,
            Role::Member => false,
            Role::Own(n) => self.roles.get(&n).is_some_and(|role| role.reaches),
        }
    }

    pub fn exists(&self, role: Role) -> bool {
        !matches!(role, Role::Own(n) if !self.roles.contains_key(&n))
    }

    /// A team and those above it.
    pub fn lineage(&self, team: usize) -> Vec<usize> {
        std::iter::successors(Some(team), |team| self.teams.get(team)?.parent).collect()
    }

    /// The teams below a team, at all depths.
    pub fn below(&self, team: usize) -> Vec<usize> {
        self.teams.keys().copied().filter(|other| *other != team && self.lineage(*other).contains(&team)).collect()
    }

    /// The disabled teams that close this one.
    pub fn closed_by(&self, team: usize) -> Vec<usize> {
        self.lineage(team).into_iter().filter(|team| self.teams.get(team).is_some_and(|team| team.disabled)).collect()
    }

    pub fn member(&self, team: usize, who: usize) -> Option<&Membership> {
        self.teams.get(&team)?.members.get(&who)
    }

    pub fn is_member_elsewhere(&self, team: usize, who: usize) -> bool {
        self.teams.iter().any(|(other, of)| *other != team && of.members.contains_key(&who))
    }

    /// Everybody who holds a role, with where.
    pub fn holders(&self, role: Role) -> Vec<(usize, usize)> {
        let holds = |membership: &Membership| membership.grant.roles.contains(&role);
        let of_team = |(team, of): (&usize, &Team)| {
            let holders = of.members.iter().filter(|(_, membership)| holds(membership));
            holders.map(|(who, _)| (*team, *who)).collect::<Vec<_>>()
        };
        self.teams.iter().flat_map(of_team).collect()
    }

    /// Whether somebody is an active owner of the tree.
    pub fn owns(&self, who: usize) -> bool {
        self.member(0, who).is_some_and(|membership| membership.is_owner() && !membership.suspended)
    }

    /// What somebody holds in a team, whether or not it is disabled.
    pub fn holdings(&self, team: usize, who: usize) -> Holdings {
        let mut holdings = Holdings::default();
        for held_in in self.lineage(team) {
            let Some(membership) = self.member(held_in, who).filter(|membership| !membership.suspended) else {
                continue;
            };
            for role in &membership.grant.roles {
                if held_in == team || self.reaches(*role) {
                    holdings.here.extend(self.gives(*role));
                }
                if self.reaches(*role) {
                    holdings.below.extend(self.gives(*role));
                }
            }
            if held_in == team {
                holdings.here.extend(&membership.grant.permissions);
            }
        }
        holdings
    }

    /// Whether somebody may do something now.
    pub fn allows(&self, team: usize, who: usize, permission: &str) -> bool {
        let open = self.closed_by(team).is_empty() || self.owns(who);
        let held = self.holdings(team, who).here;
        let all = covers(&held, permission) && beyond_wildcards(permission).all(|name| covers(&held, name));
        self.teams.contains_key(&team) && open && all
    }

    /// Lets time pass: what runs out is gone.
    pub fn wait(&mut self, minutes: Minute) {
        self.now += minutes;
        let now = self.now;
        let (mut gone, mut less) = (Vec::new(), Vec::new());
        for (team, of) in &mut self.teams {
            for (who, membership) in &mut of.members {
                let Grant { roles, role_ends, end, .. } = &mut membership.grant;
                if end.is_some_and(|end| end <= now) {
                    gone.push((*team, *who));
                } else if role_ends.values().any(|end| *end <= now) {
                    less.push((*team, *who));
                }
                roles.retain(|role| role_ends.get(role).is_none_or(|end| *end > now));
                role_ends.retain(|_, end| *end > now);
            }
            of.members.retain(|_, membership| membership.grant.end.is_none_or(|end| end > now));
        }
        self.lapsed.extend(gone.iter().chain(&less));
        gone.into_iter().for_each(|(team, who)| self.after_demotion(team, who));
        less.into_iter().for_each(|(team, who)| self.after_loss(team, who));
    }

    /// The tree has an active owner, and just one where the ownership is single.
    pub fn check_owners(&self) {
        let Some(root) = self.teams.get(&0) else { return };
        let owners: Vec<_> = root.members.values().filter(|member| member.is_owner()).collect();
        let active = owners.iter().filter(|owner| !owner.suspended).count();
        assert!(active >= 1 && (self.shared || owners.len() == 1), "{owners:?}");
        assert!(self.holders(Role::Owner).iter().all(|(team, _)| *team == 0), "an owner below the root");
        assert!(owners.iter().all(|owner| owner.grant.end.is_none()), "an ownership with an end: {owners:?}");
    }
}
