//! What a program does: its steps, and how they are drawn.

mod invitations;
mod kept;

use std::collections::{BTreeMap, BTreeSet};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};

pub use invitations::{Act, Offer, Offers, Sent, With, domain_of};

/// How many people there are.
pub const PEOPLE: usize = 5;
/// Who is at home in another tree.
pub const EXTERNAL: usize = 3;
/// The domains of addresses.
pub const DOMAINS: [&str; 2] = ["example.com", "example.org"];
/// How many teams a tree has at the most: the root is 0.
pub const TEAMS: usize = 4;
/// How many roles of its own a tree has at the most.
pub const ROLES: usize = 2;

/// What is given: by roles of the tree's own, and as single permissions.
pub const GIVEN: [&str; 17] = [
    "catalog.read",
    "catalog.write",
    "catalog.*",
    "*",
    "roster.teams.read",
    "roster.teams.delete",
    "roster.teams.*",
    "roster.ownership.transfer",
    "roster.members.*",
    "roster.members.add",
    "roster.members.update",
    "roster.members.remove",
    "roster.roles.*",
    "roster.access.explain",
    "roster.invitations.*",
    "roster.invitations.create",
    "roster.invitations.update",
];

/// What is asked for.
pub const ASKED: [&str; 12] = [
    "catalog.read",
    "catalog.write",
    "catalog.*",
    "*",
    "orders.read",
    "roster.teams.read",
    "roster.teams.delete",
    "roster.ownership.transfer",
    "roster.members.add",
    "roster.members.update",
    "roster.members.remove",
    "roster.roles.update",
];

/// Minutes since the program began.
pub type Minute = i64;

/// A role by the place that it has in a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Owner,
    Admin,
    Member,
    Own(usize),
}

/// What a member is to have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {
    pub roles: BTreeSet<Role>,
    pub role_ends: BTreeMap<Role, Minute>,
    pub permissions: BTreeSet<&'static str>,
    pub end: Option<Minute>,
}

/// What of it is to change.
#[derive(Debug, Clone, Default)]
pub struct Patch {
    pub roles: Option<BTreeSet<Role>>,
    pub role_ends: Option<BTreeMap<Role, Minute>>,
    pub permissions: Option<BTreeSet<&'static str>>,
    pub end: Option<Option<Minute>>,
}

/// New rules of the tree.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    pub shared: Option<bool>,
    pub exclusive: Option<bool>,
    /// 0 means unlimited.
    pub max_members: Option<usize>,
    pub email_match: Option<bool>,
    /// The one domain that is admitted; none means any.
    pub domain: Option<Option<usize>>,
    pub externals: Option<bool>,
    /// 0 means unlimited.
    pub max_pending: Option<usize>,
    pub editable: Option<bool>,
}

/// Something to do. Teams, people and roles are numbers; those that are not there yet are asked for all the same.
#[derive(Debug, Clone)]
pub enum Do {
    CreateTeam { team: usize, parent: usize },
    Disable(usize),
    Enable(usize),
    Delete { team: usize, cascade: bool },
    SetRules(usize, Rules),
    Add { team: usize, who: usize, grant: Grant },
    Update { team: usize, who: usize, patch: Patch },
    Suspend { team: usize, who: usize },
    Reactivate { team: usize, who: usize },
    Remove { team: usize, who: usize, descendants: bool },
    Leave(usize),
    Transfer { team: usize, to: usize },
    CreateRole { team: usize, role: usize, gives: BTreeSet<&'static str>, reaches: bool },
    UpdateRole { team: usize, role: Role, gives: Option<BTreeSet<&'static str>>, reaches: Option<bool> },
    DeleteRole { team: usize, role: Role, replacement: Option<Role> },
    SetAccess { who: usize, grants: BTreeMap<usize, Grant>, removals: BTreeSet<usize> },
    Check { team: usize, who: usize, permission: &'static str },
    Explain { team: usize, who: usize, permission: &'static str },
    Invitations(Act),
    Wait(Minute),
}

/// Who does what; nobody means the service.
#[derive(Debug, Clone)]
pub struct Step {
    pub by: Option<usize>,
    pub what: Do,
}

/// The program with this number.
pub fn draw(seed: u64) -> Vec<Step> {
    kept::kept(seed).unwrap_or_else(|| random(seed))
}

fn random(seed: u64) -> Vec<Step> {
    let mut dice = Dice { rng: StdRng::seed_from_u64(seed), now: 0, sent: Vec::new() };
    let length = dice.rng.random_range(25..=50);
    (0..length).map(|n| if n < 10 { dice.opening(n) } else { dice.step() }).collect()
}

struct Dice {
    rng: StdRng,
    now: Minute,
    /// The team and the address of each invitation that the program tries to send.
    sent: Vec<(usize, usize)>,
}

impl Dice {
    fn one_in(&mut self, n: u32) -> bool {
        self.rng.random_ratio(1, n)
    }

    fn team(&mut self) -> usize {
        // The root is where most of it happens.
        if self.one_in(3) { 0 } else { self.rng.random_range(0..TEAMS) }
    }

    fn who(&mut self) -> usize {
        self.rng.random_range(0..PEOPLE)
    }

    fn by(&mut self) -> Option<usize> {
        match self.rng.random_range(0..10) {
            0..=2 => None,
            3..=4 => Some(0),
            _ => Some(self.who()),
        }
    }

    fn role(&mut self) -> Role {
        let all = [Role::Owner, Role::Admin, Role::Admin, Role::Member, Role::Own(0), Role::Own(0), Role::Own(1)];
        *all.choose(&mut self.rng).unwrap()
    }

    fn roles(&mut self) -> BTreeSet<Role> {
        (0..self.rng.random_range(1..=2)).map(|_| self.role()).collect()
    }

    fn permissions(&mut self, most: usize) -> BTreeSet<&'static str> {
        (0..self.rng.random_range(0..=most)).map(|_| *GIVEN.choose(&mut self.rng).unwrap()).collect()
    }

    /// Seldom one that has passed.
    fn end(&mut self) -> Minute {
        self.now + if self.one_in(12) { self.rng.random_range(-5..=0) } else { self.rng.random_range(1..=60) }
    }

    fn role_ends(&mut self, roles: &BTreeSet<Role>) -> BTreeMap<Role, Minute> {
        let mut ends: BTreeMap<Role, Minute> = BTreeMap::new();
        for role in roles {
            if self.one_in(4) {
                ends.insert(*role, self.end());
            }
        }
        if self.one_in(25) {
            ends.insert(self.role(), self.end());
        }
        ends
    }

    fn grant(&mut self) -> Grant {
        let roles = self.roles();
        let permissions = if self.one_in(3) { self.permissions(2) } else { BTreeSet::new() };
        let end = self.one_in(4).then(|| self.end());
        Grant { role_ends: self.role_ends(&roles), roles, permissions, end }
    }

    fn patch(&mut self) -> Patch {
        let permissions = self.one_in(3).then(|| self.permissions(2));
        let end = self.one_in(3).then(|| (!self.one_in(3)).then(|| self.end()));
        // At least something is named.
        let roles = (permissions.is_none() && end.is_none() || self.one_in(3)).then(|| self.roles());
        let role_ends = self.one_in(5).then(|| self.role_ends(&roles.clone().unwrap_or_default()));
        Patch { roles, role_ends, permissions, end }
    }

    fn rules(&mut self) -> Rules {
        match self.rng.random_range(0..10) {
            0..=1 => Rules { shared: Some(!self.one_in(3)), ..Rules::default() },
            2 => Rules { exclusive: Some(self.one_in(2)), ..Rules::default() },
            3..=4 => Rules { email_match: Some(self.one_in(3)), ..Rules::default() },
            5 => {
                let domain = (!self.one_in(3)).then(|| self.rng.random_range(0..DOMAINS.len()));
                Rules { domain: Some(domain), ..Rules::default() }
            }
            6 => Rules { externals: Some(self.one_in(3)), ..Rules::default() },
            7 => Rules { max_pending: Some(self.rng.random_range(0..=2)), ..Rules::default() },
            8 => Rules { editable: Some(self.one_in(3)), ..Rules::default() },
            _ => Rules { max_members: Some(self.rng.random_range(0..=4)), ..Rules::default() },
        }
    }

    /// What most programs begin with: teams, roles and members.
    fn opening(&mut self, n: usize) -> Step {
        let by = if self.one_in(3) { Some(0) } else { None };
        let what = match n {
            0 | 3 | 4 => {
                let team = n.saturating_sub(2).max(1);
                Do::CreateTeam { team, parent: self.rng.random_range(0..team) }
            }
            1 | 2 => self.create_role(n - 1),
            // Somebody who gives much, and not what owners alone hold.
            5 => {
                let grant = Grant { roles: BTreeSet::from([Role::Admin]), ..Grant::default() };
                Do::Add { team: 0, who: 1, grant }
            }
            6..=7 => Do::Add { team: self.team(), who: self.rng.random_range(1..PEOPLE), grant: self.grant() },
            _ => Do::SetRules(0, self.rules()),
        };
        Step { by, what }
    }

    fn create_role(&mut self, role: usize) -> Do {
        let mut gives = self.permissions(3);
        gives.insert(GIVEN.choose(&mut self.rng).unwrap());
        Do::CreateRole { team: usize::from(self.one_in(12)), role, gives, reaches: self.one_in(2) }
    }

    fn step(&mut self) -> Step {
        if self.rng.random_ratio(2, 5) {
            return self.on_invitations();
        }
        Step { by: self.by(), what: self.what() }
    }

    fn what(&mut self) -> Do {
        match self.rng.random_range(0..100) {
            0..=3 => {
                let team = self.rng.random_range(1..TEAMS);
                Do::CreateTeam { team, parent: self.rng.random_range(0..team) }
            }
            4..=6 => Do::Disable(self.team()),
            7..=9 => Do::Enable(self.team()),
            10..=11 => Do::Delete { team: self.rng.random_range(0..TEAMS), cascade: self.one_in(2) },
            12..=17 => Do::SetRules(if self.one_in(8) { self.team() } else { 0 }, self.rules()),
            18..=29 => Do::Add { team: self.team(), who: self.who(), grant: self.grant() },
            30..=43 => Do::Update { team: self.team(), who: self.who(), patch: self.patch() },
            44..=48 => Do::Suspend { team: self.team(), who: self.who() },
            49..=52 => Do::Reactivate { team: self.team(), who: self.who() },
            53..=57 => Do::Remove { team: self.team(), who: self.who(), descendants: self.one_in(2) },
            58..=60 => Do::Leave(self.team()),
            61..=65 => Do::Transfer { team: if self.one_in(8) { self.team() } else { 0 }, to: self.who() },
            66..=82 => self.on_roles(),
            83..=88 => self.set_access(),
            89..=90 => Do::Check { team: self.team(), who: self.who(), permission: self.asked() },
            91..=92 => Do::Explain { team: self.team(), who: self.who(), permission: self.asked() },
            _ => {
                // An invitation is open for an hour.
                let minutes =
                    if self.one_in(4) { self.rng.random_range(31..=70) } else { self.rng.random_range(1..=30) };
                self.now += minutes;
                Do::Wait(minutes)
            }
        }
    }

    fn asked(&mut self) -> &'static str {
        ASKED.choose(&mut self.rng).unwrap()
    }

    fn on_roles(&mut self) -> Do {
        let team = usize::from(self.one_in(12));
        let role = if self.one_in(10) { self.role() } else { Role::Own(self.rng.random_range(0..ROLES)) };
        match self.rng.random_range(0..10) {
            0..=1 => {
                let role = self.rng.random_range(0..ROLES);
                self.create_role(role)
            }
            2..=6 => {
                let gives = (!self.one_in(3)).then(|| self.permissions(3));
                Do::UpdateRole { team, role, gives, reaches: self.one_in(2).then(|| self.one_in(2)) }
            }
            _ => Do::DeleteRole { team, role, replacement: (!self.one_in(3)).then(|| self.role()) },
        }
    }

    fn set_access(&mut self) -> Do {
        let mut grants = BTreeMap::new();
        let mut removals = BTreeSet::new();
        grants.insert(self.team(), self.grant());
        for team in 0..TEAMS {
            match self.rng.random_range(0..6) {
                0 => drop(grants.insert(team, self.grant())),
                2 if !grants.contains_key(&team) => drop(removals.insert(team)),
                _ => {}
            }
        }
        Do::SetAccess { who: self.who(), grants, removals }
    }
}
