//! What becomes of open invitations when something else happens.

use std::collections::BTreeSet;

use super::{
    super::{
        program::{EXTERNAL, Offer, Offers, PEOPLE, ROLES, Role, domain_of},
        state::{Fate, Invitation, Model, covers},
    },
    Refusals,
};

impl Model {
    pub fn is_open(&self, invitation: &Invitation) -> bool {
        invitation.fate == Fate::None && invitation.end > self.now
    }

    /// The open invitations that are like this.
    fn open(&self, like: impl Fn(&Invitation) -> bool) -> Vec<usize> {
        let found = self.invitations.iter().filter(|(_, invitation)| self.is_open(invitation) && like(invitation));
        found.map(|(n, _)| *n).collect()
    }

    fn cancel_all(&mut self, like: impl Fn(&Invitation) -> bool) {
        for n in self.open(like) {
            self.invitation(n).fate = Fate::Canceled;
        }
    }

    pub fn invitation(&mut self, n: usize) -> &mut Invitation {
        self.invitations.get_mut(&n).unwrap()
    }

    /// Whether whoever answers for an invitation could send it now.
    pub fn is_vouched_for(&self, invitation: &Invitation) -> bool {
        let may = |team: &usize| match invitation.inviter {
            None => true,
            Some(person) => covers(&self.holdings(*team, person).here, "roster.invitations.create"),
        };
        let offers = |(team, offer): (&usize, &Offer)| {
            self.check_grant(invitation.inviter, *team, &offer.roles, &offer.permissions).is_ok()
        };
        invitation.grants.keys().all(|team| self.teams.contains_key(team) && may(team))
            && invitation.grants.iter().all(offers)
    }

    fn cancel_doubtful(&mut self, like: impl Fn(&Invitation) -> bool) {
        let before = self.clone();
        self.cancel_all(|invitation| like(invitation) && !before.is_vouched_for(invitation));
    }

    /// Somebody may do less in a team, and perhaps below it.
    pub fn after_loss(&mut self, team: usize, who: usize) {
        let mut teams = self.below(team);
        teams.push(team);
        self.cancel_doubtful(|sent| {
            sent.inviter == Some(who) && teams.iter().any(|team| sent.grants.contains_key(team))
        });
    }

    /// Somebody was demoted or suspended in a team, or is no member of it any more.
    pub fn after_demotion(&mut self, team: usize, who: usize) {
        self.cancel_all(|sent| sent.to == who && sent.grants.contains_key(&team));
        self.after_loss(team, who);
    }

    /// Somebody became a member of a team: what has nothing more to give them a place in is as good as accepted.
    pub fn after_joining(&mut self, team: usize, who: usize) {
        let joined = |sent: &Invitation| sent.grants.keys().all(|team| self.member(*team, who).is_some());
        for n in self.open(|sent| sent.to == who && sent.grants.contains_key(&team) && joined(sent)) {
            self.invitation(n).fate = Fate::Accepted(who);
        }
    }

    /// A team is about to be gone.
    pub fn before_deletion(&mut self, team: usize) {
        self.cancel_all(|sent| sent.grants.contains_key(&team));
    }

    /// These were changed, or give something else now.
    pub fn after_change_of(&mut self, invitations: &BTreeSet<usize>) {
        for n in invitations {
            let changed = &self.invitations[n];
            if self.is_open(changed) && !self.is_vouched_for(changed) {
                self.invitation(*n).fate = Fate::Canceled;
            }
        }
    }

    /// The open invitations that give a role, with where.
    pub fn invited_to(&self, role: Role) -> Vec<(usize, usize)> {
        let open = self.invitations.iter().filter(|(_, sent)| self.is_open(sent));
        let teams = |(n, sent): (&usize, &Invitation)| {
            let teams = sent.grants.iter().filter(|(_, offer)| offer.roles.contains(&role));
            teams.map(|(team, _)| (*n, *team)).collect::<Vec<_>>()
        };
        open.flat_map(teams).collect()
    }

    /// A role is gone: open invitations give the replacement, and closed ones what is not there any more.
    pub fn replace_offered(&mut self, role: Role, replacement: Option<Role>) {
        let gone = Role::Own(ROLES + self.deleted_roles);
        self.deleted_roles += 1;
        let open = self.open(|_| true);
        for (n, invitation) in &mut self.invitations {
            let new = replacement.filter(|_| open.contains(n)).unwrap_or(gone);
            for offer in invitation.grants.values_mut() {
                if offer.roles.remove(&role) {
                    offer.roles.insert(new);
                }
            }
        }
    }

    /// The seats that open invitations hold in a team, but for those to this address.
    pub fn held_seats(&self, team: usize, but: Option<usize>) -> usize {
        self.open(|sent| sent.grants.contains_key(&team) && Some(sent.to) != but).len()
    }

    /// Whether a team has no seat beside its members and as many others.
    pub fn is_full(&self, team: usize, others: usize) -> bool {
        let members = self.teams.get(&team).map_or(0, |team| team.members.len());
        self.seats.is_some_and(|most| members + others >= most)
    }

    /// What stands against somebody who is to become a member, whoever lets them in.
    pub fn check_person(&self, who: usize, why: &mut Refusals) {
        why.when(!self.admits(who), "DOMAIN_NOT_ALLOWED");
        why.when(!self.externals && who == EXTERNAL, "EXTERNAL_NOT_ALLOWED");
    }

    fn admits(&self, address: usize) -> bool {
        self.domain.is_none_or(|domain| domain == domain_of(address))
    }

    /// What stands against offering this to an address, whoever does; `but` is the invitation that does it.
    pub fn check_address(&self, to: usize, grants: &Offers, but: Option<usize>, why: &mut Refusals) {
        why.when(!self.admits(to), "DOMAIN_NOT_ALLOWED");
        if to < PEOPLE {
            why.when(grants.keys().all(|team| self.member(*team, to).is_some()), "ALREADY_MEMBER");
            let elsewhere = grants.keys().any(|team| self.is_member_elsewhere(*team, to));
            why.when(self.exclusive && elsewhere, "MEMBER_ELSEWHERE");
        }
        let pending = self.open(|sent| sent.to == to && sent.grants.keys().any(|team| grants.contains_key(team)));
        why.when(pending.iter().any(|n| Some(*n) != but), "INVITATION_PENDING");
    }

    /// Whether there is room for one more open invitation in each of these teams, and a seat for who is no member of it.
    pub fn check_room<'a>(&self, to: usize, teams: impl IntoIterator<Item = &'a usize>, why: &mut Refusals) {
        let lacks =
            |team: &usize| self.member(*team, to).is_none() && self.is_full(*team, self.held_seats(*team, None));
        for team in teams {
            why.when(lacks(team), "SEATS_EXHAUSTED");
            let pending = self.held_seats(*team, None);
            why.when(self.max_pending.is_some_and(|most| pending >= most), "PENDING_INVITATIONS_EXHAUSTED");
        }
    }
}
