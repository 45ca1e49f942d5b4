//! The same for invitations.

use std::collections::BTreeSet;

use super::{
    super::{
        program::{Act, Grant, Minute, Offer, Offers, Role, Sent, With},
        state::{Fate, Invitation, Membership, Model, OPEN},
    },
    Expected, Reasons, Refusals, Ruling, refuse, require,
};

const CREATE: &str = "roster.invitations.create";
const UPDATE: &str = "roster.invitations.update";

impl Model {
    pub fn act(&mut self, by: Option<usize>, act: &Act) -> Expected {
        let ruling = match act {
            Act::Invite { as_n, team, to, grants } => self.invite(by, *as_n, *team, *to, grants),
            Act::Batch { as_n, team, to, grants, atomic } => {
                return self.batch(by, *as_n, *team, to, grants, *atomic).unwrap_or_else(Expected::Refused);
            }
            Act::Accept { n, who, with } => self.accept(by, *n, *who, *with),
            Act::Decline { n, who, with } => self.decline(by, *n, *who, *with),
            Act::AskAgain { n, with } => self.ask_again(*n, *with),
            Act::Cancel(sent) => self.cancel(by, *sent),
            Act::Resend(sent) => self.resend(by, *sent),
            Act::Update { sent, grants, end } => self.change(by, *sent, grants.as_ref(), *end),
            Act::Delete(sent) => self.delete(by, *sent),
        };
        ruling.map_or_else(Expected::Refused, |()| Expected::Done)
    }

    fn enter_all<'a>(&self, by: Option<usize>, teams: impl IntoIterator<Item = &'a usize>, permission: &str) -> Ruling {
        let mut why = Refusals::default();
        teams.into_iter().for_each(|team| why.add(self.enter(by, *team, permission)));
        why.end()
    }

    /// Whether somebody may offer this, in teams that they may invite to.
    fn check_offers(&self, by: Option<usize>, grants: &Offers, why: &mut Refusals) {
        why.when(self.exclusive && grants.len() > 1, "ONE_TEAM_ONLY");
        for (team, offer) in grants {
            why.add(self.check_grant(by, *team, &offer.roles, &offer.permissions));
        }
    }

    fn invite(&mut self, by: Option<usize>, as_n: usize, team: usize, to: usize, grants: &Offers) -> Ruling {
        self.enter(by, team, CREATE)?;
        self.enter_all(by, grants.keys(), CREATE)?;
        let mut why = Refusals::default();
        self.check_offers(by, grants, &mut why);
        why.when(by == Some(to), "OWN_ROLE");
        self.check_address(to, grants, None, &mut why);
        self.check_room(to, grants.keys(), &mut why);
        why.end()?;
        self.send(by, as_n, team, to, grants);
        Ok(())
    }

    fn send(&mut self, inviter: Option<usize>, as_n: usize, team: usize, to: usize, grants: &Offers) {
        let (grants, end) = (grants.clone(), self.now + OPEN);
        let new = Invitation { team, to, grants, inviter, end, fate: Fate::None, links: 1, listed: true };
        self.invitations.insert(as_n, new);
    }

    fn batch(
        &mut self,
        by: Option<usize>,
        as_n: usize,
        team: usize,
        to: &[usize],
        grants: &Offers,
        atomic: bool,
    ) -> Result<Expected, Reasons> {
        self.enter(by, team, CREATE)?;
        self.enter_all(by, grants.keys(), CREATE)?;
        let mut why = Refusals::default();
        self.check_offers(by, grants, &mut why);
        why.end()?;
        let mut after = self.clone();
        let mut outcomes = Vec::new();
        for (n, to) in to.iter().enumerate() {
            let mut why = Refusals::default();
            why.when(by == Some(*to), "OWN_ADDRESS");
            after.check_address(*to, grants, None, &mut why);
            after.check_room(*to, grants.keys(), &mut why);
            if why.0.is_empty() {
                after.send(by, as_n + n, team, *to, grants);
                why.0.insert("CREATED");
            }
            let name = |reason| if reason == "INVITATION_PENDING" { "ALREADY_INVITED" } else { reason };
            outcomes.push(why.0.into_iter().map(name).collect::<Reasons>());
        }
        require(!atomic || outcomes.iter().all(|outcome| outcome.contains("CREATED")), "BATCH_REFUSED")?;
        *self = after;
        Ok(Expected::Each(outcomes))
    }

    /// An invitation on its team's list.
    fn on_list(&self, n: usize) -> Result<Invitation, Reasons> {
        let found = self.invitations.get(&n).filter(|invitation| invitation.listed);
        found.cloned().ok_or_else(|| BTreeSet::from(["INVITATION_NOT_FOUND"]))
    }

    /// Why an invitation cannot be accepted, declined or canceled any more.
    fn check_open(&self, invitation: &Invitation) -> Ruling {
        match invitation.fate {
            Fate::None => require(self.is_open(invitation), "INVITATION_EXPIRED"),
            Fate::Accepted(_) => refuse("INVITATION_ACCEPTED"),
            Fate::Declined => refuse("INVITATION_DECLINED"),
            Fate::Canceled => refuse("INVITATION_CANCELED"),
        }
    }

    fn cancel(&mut self, by: Option<usize>, Sent { n, team }: Sent) -> Ruling {
        self.enter(by, team, "roster.invitations.cancel")?;
        self.check_open(&self.on_list(n)?)?;
        self.invitation(n).fate = Fate::Canceled;
        Ok(())
    }

    fn delete(&mut self, by: Option<usize>, Sent { n, team }: Sent) -> Ruling {
        self.enter(by, team, "roster.invitations.delete")?;
        let before = self.on_list(n)?;
        let invitation = self.invitation(n);
        // One that ran out, too: to whoever holds its link it was taken back.
        if before.fate == Fate::None {
            invitation.fate = Fate::Canceled;
        }
        invitation.listed = false;
        Ok(())
    }

    fn resend(&mut self, by: Option<usize>, Sent { n, team }: Sent) -> Ruling {
        self.enter(by, team, CREATE)?;
        let before = self.on_list(n)?;
        let open = self.is_open(&before);
        if before.fate != Fate::None {
            return self.check_open(&before);
        }
        self.enter_all(by, before.grants.keys(), CREATE)?;
        let mut why = Refusals::default();
        self.check_offers(by, &before.grants, &mut why);
        // What was there when it was offered is said to be gone.
        if why.0.remove("ROLE_NOT_FOUND") {
            why.0.insert("ROLE_GONE");
        }
        why.when(by == Some(before.to), "OWN_ROLE");
        self.check_address(before.to, &before.grants, Some(n), &mut why);
        if !open {
            self.check_room(before.to, before.grants.keys(), &mut why);
        }
        why.end()?;
        let (end, links) = (before.end.max(self.now + OPEN), before.links + usize::from(!open));
        *self.invitation(n) = Invitation { inviter: by, end, links, ..before };
        Ok(())
    }

    fn change(
        &mut self,
        by: Option<usize>,
        Sent { n, team }: Sent,
        grants: Option<&Offers>,
        end: Option<Minute>,
    ) -> Ruling {
        self.enter(by, team, UPDATE)?;
        let before = self.on_list(n)?;
        self.check_open(&before)?;
        let mut after = Invitation { end: end.unwrap_or(before.end), ..before.clone() };
        let mut why = Refusals::default();
        why.when(after.end <= self.now, "EXPIRE_TIME_PASSED");
        let grants = grants.unwrap_or(&before.grants);
        if *grants != before.grants || after.end > before.end {
            why.when(*grants != before.grants && !self.editable, "INVITEE_ROLE_LOCKED");
            // Who changes what is granted, or for how long, comes to answer for it: they have to be able to send it.
            let mut entry = Refusals::default();
            entry.add(self.enter_all(by, before.grants.keys().chain(grants.keys()), UPDATE));
            entry.add(self.enter_all(by, grants.keys(), CREATE));
            if let Err(reasons) = entry.end() {
                why.0.extend(reasons);
                return why.end();
            }
            self.check_offers(by, grants, &mut why);
            why.when(by == Some(before.to), "OWN_ROLE");
            self.check_address(before.to, grants, Some(n), &mut why);
            let added = grants.keys().filter(|team| !before.grants.contains_key(team));
            self.check_room(before.to, added, &mut why);
            after = Invitation { grants: grants.clone(), inviter: by, ..after };
        }
        why.end()?;
        *self.invitation(n) = after;
        Ok(())
    }

    /// The invitation that somebody names who answers it.
    fn named(&self, by: Option<usize>, n: usize, who: usize, with: With) -> Result<Invitation, Reasons> {
        let found = self.invitations.get(&n);
        let mut why = Refusals::default();
        if with == With::Id {
            require(by.is_none_or(|person| person == who), "PERMISSION_DENIED")?;
            why.when(!found.is_some_and(|found| found.to == who && found.listed), "INVITATION_NOT_FOUND");
        } else {
            why.when(found.is_none(), "TOKEN_INVALID");
            why.when(found.is_some_and(|found| found.links > 1 && with == With::FirstLink), "LINK_REPLACED");
        }
        // The invitations of a team that is gone are, too; those that had another end before may say so.
        let addressed = with != With::Id || found.is_some_and(|found| found.to == who);
        if let Some(found) = found.filter(|found| addressed && !self.teams.contains_key(&found.team)) {
            why.when(true, "INVITATION_CANCELED");
            why.add(self.check_open(found));
        }
        why.end()?;
        Ok(found.unwrap().clone())
    }

    fn decline(&mut self, by: Option<usize>, n: usize, who: usize, with: With) -> Ruling {
        let before = self.named(by, n, who, with)?;
        self.check_open(&before)?;
        self.invitation(n).fate = Fate::Declined;
        Ok(())
    }

    /// Somebody is told, and nothing else comes of it: whoever holds a link may ask, once it has run out.
    fn ask_again(&self, n: usize, with: With) -> Ruling {
        let named = self.named(None, n, 0, with)?;
        match self.check_open(&named) {
            Ok(()) => refuse("INVITATION_OPEN"),
            Err(reasons) if reasons.contains("INVITATION_EXPIRED") => Ok(()),
            closed => closed,
        }
    }

    fn accept(&mut self, by: Option<usize>, n: usize, who: usize, with: With) -> Ruling {
        if by.is_some_and(|person| person != who) {
            let mut why = Refusals(BTreeSet::from(["PERMISSION_DENIED"]));
            why.when(with != With::Id && !self.invitations.contains_key(&n), "TOKEN_INVALID");
            return why.end();
        }
        let before = self.named(by, n, who, with)?;
        // Again, by the same person.
        if before.fate == Fate::Accepted(who) && self.member(before.team, who).is_some() {
            return Ok(());
        }
        self.check_open(&before)?;
        self.check_acceptance(&before, who)?;
        self.invitation(n).fate = Fate::Accepted(who);
        for (team, offer) in &before.grants {
            self.admit(*team, who, offer);
        }
        Ok(())
    }

    fn check_acceptance(&self, invitation: &Invitation, who: usize) -> Ruling {
        let grants = &invitation.grants;
        let mut why = Refusals::default();
        why.when(grants.keys().any(|team| !self.closed_by(*team).is_empty()), "TEAM_DISABLED");
        let mut roles = grants.values().flat_map(|offer| &offer.roles);
        why.when(roles.any(|role| !self.exists(*role)), "ROLE_GONE");
        why.when(!self.is_vouched_for(invitation), "INVITER_NO_LONGER_ALLOWED");
        why.when(self.email_match && invitation.to != who, "EMAIL_MISMATCH");
        why.when(invitation.inviter == Some(who), "OWN_ROLE");
        for team in grants.keys().filter(|team| self.member(**team, who).is_none()) {
            self.check_person(who, &mut why);
            let elsewhere = grants.len() > 1 || self.is_member_elsewhere(*team, who);
            why.when(self.exclusive && elsewhere, "MEMBER_ELSEWHERE");
            // The invitation held the seat.
            why.when(self.is_full(*team, 0), "SEATS_EXHAUSTED");
        }
        why.end()
    }

    /// Gives what is offered: to a member in addition to what they have, and without an end.
    fn admit(&mut self, team: usize, who: usize, offer: &Offer) {
        let members = &mut self.of(team).members;
        let Some(member) = members.get_mut(&who) else {
            let grant =
                Grant { roles: offer.roles.clone(), permissions: offer.permissions.clone(), ..Grant::default() };
            members.insert(who, Membership { grant, suspended: false });
            return self.after_joining(team, who);
        };
        let grant = &mut member.grant;
        grant.roles.extend(&offer.roles);
        grant.permissions.extend(&offer.permissions);
        grant.role_ends.retain(|role, _| !offer.roles.contains(role));
        grant.end = grant.end.filter(|_| !grant.roles.contains(&Role::Owner));
    }
}
