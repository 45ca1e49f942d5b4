//! Steps about invitations.

use std::collections::{BTreeMap, BTreeSet};

use rand::{Rng as _, seq::IndexedRandom as _};

use super::{Dice, Do, Minute, PEOPLE, ROLES, Role, Step, TEAMS};

/// How many addresses there are: those of the people, and then those of strangers.
const ADDRESSES: usize = PEOPLE + 2;

/// The domain of an address: one person and one stranger have another one than the others.
pub fn domain_of(address: usize) -> usize {
    usize::from([PEOPLE - 1, ADDRESSES - 1].contains(&address))
}

/// What an invitation gives in a team.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offer {
    pub roles: BTreeSet<Role>,
    pub permissions: BTreeSet<&'static str>,
}

/// The same in each of its teams.
pub type Offers = BTreeMap<usize, Offer>;

/// An invitation by the place that it has in a program, and the team that is to have sent it.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    pub n: usize,
    pub team: usize,
}

/// How whoever answers names the invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum With {
    /// By its latest link.
    Link,
    /// By the link that it had first.
    FirstLink,
    /// By its id.
    Id,
}

/// Something to do with invitations. Addresses are numbers: those of people are theirs.
#[derive(Debug, Clone)]
pub enum Act {
    Invite {
        as_n: usize,
        team: usize,
        to: usize,
        grants: Offers,
    },
    /// The first address becomes this invitation, and the others the next ones.
    Batch {
        as_n: usize,
        team: usize,
        to: Vec<usize>,
        grants: Offers,
        atomic: bool,
    },
    Accept {
        n: usize,
        who: usize,
        with: With,
    },
    Decline {
        n: usize,
        who: usize,
        with: With,
    },
    /// Asks for a new one in its place, with a link.
    AskAgain {
        n: usize,
        with: With,
    },
    Cancel(Sent),
    Resend(Sent),
    Update {
        sent: Sent,
        grants: Option<Offers>,
        end: Option<Minute>,
    },
    Delete(Sent),
}

impl Dice {
    /// Somebody who is likely to be allowed to invite, and may lose that.
    fn inviter(&mut self) -> Option<usize> {
        match self.rng.random_range(0..10) {
            0..=1 => None,
            2 => Some(0),
            3..=6 => Some(1),
            _ => Some(self.who()),
        }
    }

    fn offer(&mut self) -> Offer {
        let all = [Role::Admin, Role::Member, Role::Own(0), Role::Own(0), Role::Own(1), Role::Own(1)];
        let mut offer = Offer::default();
        if !self.one_in(6) {
            offer.roles.insert(*all.choose(&mut self.rng).unwrap());
        }
        if self.one_in(20) {
            offer.roles.insert(Role::Owner);
        }
        if self.one_in(5) {
            offer.permissions = self.permissions(2);
        }
        // Something is given.
        if offer.roles.is_empty() && offer.permissions.is_empty() {
            offer.permissions.insert("catalog.read");
        }
        offer
    }

    fn offers(&mut self, team: usize) -> Offers {
        let mut grants = Offers::from([(team, self.offer())]);
        if self.one_in(3) {
            grants.entry(self.rng.random_range(0..TEAMS)).or_insert(self.offer());
        }
        grants
    }

    /// The address becomes that of the next invitation.
    fn send(&mut self, team: usize, to: usize) -> usize {
        self.sent.push((team, to));
        self.sent.len() - 1
    }

    pub(super) fn invite(&mut self) -> Act {
        let (team, to) = (self.team(), self.rng.random_range(0..ADDRESSES));
        Act::Invite { as_n: self.send(team, to), team, to, grants: self.offers(team) }
    }

    fn batch(&mut self) -> Act {
        let team = self.team();
        let to: BTreeSet<_> = (0..4).map(|_| self.rng.random_range(0..ADDRESSES)).collect();
        let as_n = self.sent.len();
        for to in &to {
            self.send(team, *to);
        }
        let (to, grants, atomic) = (to.into_iter().collect(), self.offers(team), self.one_in(5));
        Act::Batch { as_n, team, to, grants, atomic }
    }

    /// Mostly one of the latest.
    fn pick(&mut self) -> Sent {
        let least = if self.one_in(3) { 0 } else { self.sent.len().saturating_sub(4) };
        let n = self.rng.random_range(least..=self.sent.len().saturating_sub(1).max(least));
        Sent { n, team: self.sent.get(n).map_or(0, |(team, _)| *team) }
    }

    /// Somebody who answers, how, and who asks for them.
    fn answer(&mut self) -> (Option<usize>, usize, usize, With) {
        let n = self.pick().n;
        let addressed = self.sent.get(n).map(|(_, to)| *to).filter(|to| *to < PEOPLE);
        let who = addressed.filter(|_| !self.one_in(5)).unwrap_or_else(|| self.who());
        let with = match self.rng.random_range(0..8) {
            0..=1 => With::Id,
            2 => With::FirstLink,
            _ => With::Link,
        };
        let by = match self.rng.random_range(0..10) {
            0 => self.by(),
            1..=4 => Some(who),
            _ => None,
        };
        (by, n, who, with)
    }

    pub(super) fn on_invitations(&mut self) -> Step {
        let (by, act) = match self.rng.random_range(0..100) {
            0..=29 => (self.inviter(), self.invite()),
            30..=37 => (self.inviter(), self.batch()),
            38..=61 => {
                let (by, n, who, with) = self.answer();
                (by, Act::Accept { n, who, with })
            }
            62..=67 => {
                let (by, n, who, with) = self.answer();
                (by, Act::Decline { n, who, with })
            }
            68..=72 => (self.inviter(), Act::Cancel(self.pick())),
            73..=82 => (self.inviter(), Act::Resend(self.pick())),
            83..=90 => (self.inviter(), self.change()),
            91..=95 => return self.change_what_is_offered(),
            96 => {
                let with = if self.one_in(3) { With::FirstLink } else { With::Link };
                (self.by(), Act::AskAgain { n: self.pick().n, with })
            }
            _ => (self.inviter(), Act::Delete(self.pick())),
        };
        Step { by, what: Do::Invitations(act) }
    }

    /// A role comes to give something else, maybe what owners alone hold.
    fn change_what_is_offered(&mut self) -> Step {
        let by = if self.one_in(2) { None } else { Some(0) };
        let mut gives = self.permissions(2);
        if self.one_in(2) {
            gives.insert("roster.teams.delete");
        }
        let role = Role::Own(self.rng.random_range(0..ROLES));
        Step { by, what: Do::UpdateRole { team: 0, role, gives: Some(gives), reaches: None } }
    }

    fn change(&mut self) -> Act {
        let sent = self.pick();
        let end = self.one_in(2).then(|| self.end());
        let grants = (end.is_none() || self.one_in(2)).then(|| self.offers(sent.team));
        Act::Update { sent, grants, end }
    }
}
