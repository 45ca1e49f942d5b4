//! What the service promises: for each step whether it is done, or why it is refused.
//!
//! The promise says that whoever may not is told so, and nothing else, and then whoever comes to a closed team. Beyond
//! that it leaves open which of several reasons a refusal names: the model answers all that apply.

mod consequences;
mod invitations;

use std::collections::BTreeSet;

use super::{
    program::{Do, Grant, Patch, Role, Rules, Step},
    state::{Membership, Model, OwnRole, Team, covers},
};

/// The reasons that a refusal may name.
pub type Reasons = BTreeSet<&'static str>;

/// What the service is to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    Done,
    Allowed(bool),
    /// Whether it is allowed, and what may be said of why.
    Explained(bool, Reasons),
    /// What becomes of each of several addresses.
    Each(Vec<Reasons>),
    Refused(Reasons),
}

pub type Ruling = Result<(), Reasons>;

/// The reasons found so far.
#[derive(Debug, Default)]
pub struct Refusals(pub Reasons);

impl Refusals {
    pub fn when(&mut self, applies: bool, reason: &'static str) {
        if applies {
            self.0.insert(reason);
        }
    }

    pub fn add(&mut self, ruling: Ruling) {
        self.0.extend(ruling.err().unwrap_or_default());
    }

    pub fn end(self) -> Ruling {
        if self.0.is_empty() { Ok(()) } else { Err(self.0) }
    }
}

pub fn refuse(reason: &'static str) -> Ruling {
    Err(BTreeSet::from([reason]))
}

pub fn require(holds: bool, reason: &'static str) -> Ruling {
    if holds { Ok(()) } else { refuse(reason) }
}

impl Model {
    /// Whether the step cannot be asked for: a team is made once.
    pub fn skips(&self, step: &Step) -> bool {
        matches!(step.what, Do::CreateTeam { team, .. } if self.made.contains(&team))
    }

    /// Does a step, or says why not.
    pub fn step(&mut self, step: &Step) -> Expected {
        let by = step.by;
        let ruling = match &step.what {
            Do::Check { team, who, permission } => return self.check(by, *team, *who, permission),
            Do::Explain { team, who, permission } => return self.explain(by, *team, *who, permission),
            Do::Invitations(act) => {
                let expected = self.act(by, act);
                self.check_owners();
                return expected;
            }
            Do::CreateTeam { team, parent } => self.create_team(by, *team, *parent),
            Do::Disable(team) => self.set_disabled(by, *team, true),
            Do::Enable(team) => self.set_disabled(by, *team, false),
            Do::Delete { team, cascade } => self.delete_team(by, *team, *cascade),
            Do::SetRules(team, rules) => self.set_rules(by, *team, rules),
            Do::Add { team, who, grant } => self.add_member(by, *team, *who, grant),
            Do::Update { team, who, patch } => self.update_member(by, *team, *who, patch),
            Do::Suspend { team, who } => self.suspend(by, *team, *who),
            Do::Reactivate { team, who } => self.reactivate(by, *team, *who),
            Do::Remove { team, who, descendants } => self.remove(by, *team, *who, *descendants),
            Do::Leave(team) => self.leave(by, *team),
            Do::Transfer { team, to } => self.transfer(by, *team, *to),
            Do::CreateRole { team, role, gives, reaches } => {
                self.create_role(by, *team, *role, OwnRole { gives: gives.clone(), reaches: *reaches })
            }
            Do::UpdateRole { team, role, gives, reaches } => {
                self.update_role(by, *team, *role, gives.as_ref(), *reaches)
            }
            Do::DeleteRole { team, role, replacement } => self.delete_role(by, *team, *role, *replacement),
            Do::SetAccess { who, grants, removals } => self.set_access(by, *who, grants, removals),
            Do::Wait(minutes) => {
                self.wait(*minutes);
                Ok(())
            }
        };
        self.check_owners();
        ruling.map_or_else(Expected::Refused, |()| Expected::Done)
    }

    /// Who may do this in a team: services everything; people what they hold there, unless the team is closed to them.
    pub fn enter(&self, by: Option<usize>, team: usize, permission: &str) -> Ruling {
        let there = self.teams.contains_key(&team);
        let Some(person) = by else { return require(there, "TEAM_NOT_FOUND") };
        require(there && covers(&self.holdings(team, person).here, permission), "PERMISSION_DENIED")?;
        require(self.closed_by(team).is_empty() || self.owns(person), "TEAM_DISABLED")
    }

    /// A closed team is so to whoever comes from above, too.
    fn open_to(&self, by: Option<usize>, team: usize) -> Ruling {
        let owner = by.is_none_or(|person| self.owns(person));
        require(owner || self.closed_by(team).is_empty(), "TEAM_DISABLED")
    }

    /// Whether it is held in the teams below too.
    fn enter_below(&self, by: Option<usize>, team: usize, permission: &str) -> Ruling {
        let holds = by.is_none_or(|person| covers(&self.holdings(team, person).below, permission));
        require(holds, "PERMISSION_DENIED")
    }

    fn of(&mut self, team: usize) -> &mut Team {
        self.teams.get_mut(&team).unwrap()
    }

    fn create_team(&mut self, by: Option<usize>, team: usize, parent: usize) -> Ruling {
        self.enter(by, parent, "roster.teams.create")?;
        self.made.insert(team);
        self.teams.insert(team, Team { parent: Some(parent), ..Team::default() });
        Ok(())
    }

    fn set_disabled(&mut self, by: Option<usize>, team: usize, disabled: bool) -> Ruling {
        self.enter(by, team, "roster.teams.disable")?;
        self.of(team).disabled = disabled;
        Ok(())
    }

    fn delete_team(&mut self, by: Option<usize>, team: usize, cascade: bool) -> Ruling {
        self.enter(by, team, "roster.teams.delete")?;
        let below = self.below(team);
        if !below.is_empty() {
            require(cascade, "TEAM_HAS_CHILDREN")?;
            // What is done to the teams below takes the permission there.
            self.enter_below(by, team, "roster.teams.delete")?;
            below.iter().try_for_each(|below| self.open_to(by, *below))?;
        }
        for gone in below.into_iter().chain([team]) {
            self.before_deletion(gone);
            self.teams.remove(&gone);
        }
        if team == 0 {
            self.roles.clear();
        }
        Ok(())
    }

    fn set_rules(&mut self, by: Option<usize>, team: usize, rules: &Rules) -> Ruling {
        self.enter(by, team, "roster.teams.update")?;
        require(team == 0, "NOT_A_ROOT_TEAM")?;
        // Suspended owners are owners too: they come back.
        let several = self.holders(Role::Owner).len() > 1;
        require(!(self.shared && several && rules.shared == Some(false)), "SEVERAL_OWNERS")?;
        self.shared = rules.shared.unwrap_or(self.shared);
        self.exclusive = rules.exclusive.unwrap_or(self.exclusive);
        self.email_match = rules.email_match.unwrap_or(self.email_match);
        self.seats = rules.max_members.map_or(self.seats, |most| (most > 0).then_some(most));
        self.domain = rules.domain.unwrap_or(self.domain);
        self.externals = rules.externals.unwrap_or(self.externals);
        self.max_pending = rules.max_pending.map_or(self.max_pending, |most| (most > 0).then_some(most));
        self.editable = rules.editable.unwrap_or(self.editable);
        Ok(())
    }

    /// Nobody gives what they do not hold: in the team, and below it what reaches there.
    pub fn check_grant(
        &self,
        by: Option<usize>,
        team: usize,
        roles: &BTreeSet<Role>,
        permissions: &BTreeSet<&'static str>,
    ) -> Ruling {
        let mut why = Refusals::default();
        why.when(roles.iter().any(|role| !self.exists(*role)), "ROLE_NOT_FOUND");
        let shares = team == 0 && self.shared && by.is_none_or(|person| self.owns(person));
        why.when(roles.contains(&Role::Owner) && !shares, "OWNER_ROLE_NOT_GRANTABLE");
        let here = roles.iter().flat_map(|role| self.gives(*role)).chain(permissions.iter().copied()).collect();
        let reaching = roles.iter().filter(|role| self.reaches(**role));
        let below = reaching.flat_map(|role| self.gives(*role)).collect();
        why.when(!self.holds(by, team, &here, &below), "GRANT_EXCEEDS_OWN");
        why.end()
    }

    pub fn holds(
        &self,
        by: Option<usize>,
        team: usize,
        here: &BTreeSet<&'static str>,
        below: &BTreeSet<&'static str>,
    ) -> bool {
        let Some(person) = by else { return true };
        let holdings = self.holdings(team, person);
        here.iter().all(|wanted| covers(&holdings.here, wanted))
            && below.iter().all(|wanted| covers(&holdings.below, wanted))
    }

    fn add_member(&mut self, by: Option<usize>, team: usize, who: usize, grant: &Grant) -> Ruling {
        self.enter(by, team, "roster.members.add")?;
        self.join(by, team, who, grant)
    }

    pub fn join(&mut self, by: Option<usize>, team: usize, who: usize, grant: &Grant) -> Ruling {
        let mut why = Refusals::default();
        why.add(self.check_grant(by, team, &grant.roles, &grant.permissions));
        self.check_ends(None, grant, &mut why);
        why.when(by == Some(who), "OWN_ROLE");
        if self.member(team, who).is_some() {
            why.when(true, "ALREADY_MEMBER");
        } else {
            self.check_person(who, &mut why);
            why.when(self.exclusive && self.is_member_elsewhere(team, who), "MEMBER_ELSEWHERE");
            // The seat that was held for them is theirs.
            why.when(self.is_full(team, self.held_seats(team, Some(who))), "SEATS_EXHAUSTED");
        }
        why.end()?;
        self.of(team).members.insert(who, Membership { grant: grant.clone(), suspended: false });
        self.after_joining(team, who);
        Ok(())
    }

    /// Every end belongs to what is given, and is still to come unless it was set before; an ownership has none.
    fn check_ends(&self, before: Option<&Grant>, grant: &Grant, why: &mut Refusals) {
        why.when(grant.role_ends.keys().any(|role| !grant.roles.contains(role)), "ROLE_NOT_HELD");
        let is_new = |role: &Role, end| before.is_none_or(|before| before.role_ends.get(role) != Some(end));
        let mut new_ends: BTreeSet<_> =
            grant.role_ends.iter().filter(|(role, end)| is_new(role, end)).map(|(_, end)| *end).collect();
        new_ends.extend(grant.end.filter(|end| before.is_none_or(|before| before.end != Some(*end))));
        why.when(new_ends.iter().any(|end| *end <= self.now), "EXPIRE_TIME_PASSED");
        let ends = grant.end.is_some() || grant.role_ends.contains_key(&Role::Owner);
        why.when(grant.roles.contains(&Role::Owner) && ends, "OWNER_EXPIRY");
    }

    fn update_member(&mut self, by: Option<usize>, team: usize, who: usize, patch: &Patch) -> Ruling {
        self.enter(by, team, "roster.members.update")?;
        let Some(before) = self.member(team, who) else { return refuse("MEMBER_NOT_FOUND") };
        let mut wanted = before.grant.clone();
        if let Some(roles) = &patch.roles {
            wanted.role_ends.retain(|role, _| roles.contains(role));
            wanted.roles.clone_from(roles);
        }
        wanted.role_ends = patch.role_ends.clone().unwrap_or(wanted.role_ends);
        wanted.permissions = patch.permissions.clone().unwrap_or(wanted.permissions);
        wanted.end = patch.end.unwrap_or(wanted.end);
        self.regrant(by, team, who, wanted)
    }

    /// Gives a member something else. What is new or lasts longer has to be held by who gives it.
    pub fn regrant(&mut self, by: Option<usize>, team: usize, who: usize, wanted: Grant) -> Ruling {
        let before = self.member(team, who).unwrap().grant.clone();
        let mut why = Refusals::default();
        self.check_ends(Some(&before), &wanted, &mut why);
        why.when(by == Some(who), "OWN_ROLE");
        why.when(wanted.roles.is_empty() && wanted.permissions.is_empty(), "NOTHING_GRANTED");
        let demoted = before.roles.contains(&Role::Owner) && !wanted.roles.contains(&Role::Owner);
        why.when(demoted && !self.has_owner_besides(who), "LAST_OWNER");
        // A pattern is a permission of its own: one that is narrower than another is new.
        let roles = wanted.roles.difference(&before.roles).copied().collect();
        let permissions = wanted.permissions.difference(&before.permissions).copied().collect();
        why.add(self.check_grant(by, team, &roles, &permissions));
        let (roles, permissions) = prolonged(&before, &wanted);
        why.add(self.check_grant(by, team, &roles, &permissions));
        why.end()?;
        let less = !before.roles.is_subset(&wanted.roles) || !before.permissions.is_subset(&wanted.permissions);
        self.of(team).members.get_mut(&who).unwrap().grant = wanted;
        if less {
            self.after_demotion(team, who);
        }
        Ok(())
    }

    pub fn has_owner_besides(&self, who: usize) -> bool {
        self.teams[&0].members.keys().any(|other| *other != who && self.owns(*other))
    }

    fn is_last_owner(&self, team: usize, who: usize) -> bool {
        self.member(team, who).is_some_and(Membership::is_owner) && !self.has_owner_besides(who)
    }

    fn suspend(&mut self, by: Option<usize>, team: usize, who: usize) -> Ruling {
        self.enter(by, team, "roster.members.suspend")?;
        require(self.member(team, who).is_some(), "MEMBER_NOT_FOUND")?;
        self.check_removal(by, team, who)?;
        self.of(team).members.get_mut(&who).unwrap().suspended = true;
        self.after_demotion(team, who);
        Ok(())
    }

    fn check_removal(&self, by: Option<usize>, team: usize, who: usize) -> Ruling {
        let mut why = Refusals::default();
        why.when(by == Some(who), "OWN_MEMBERSHIP");
        why.when(self.is_last_owner(team, who), "LAST_OWNER");
        why.end()
    }

    fn reactivate(&mut self, by: Option<usize>, team: usize, who: usize) -> Ruling {
        self.enter(by, team, "roster.members.suspend")?;
        let Some(member) = self.member(team, who) else { return refuse("MEMBER_NOT_FOUND") };
        let grant = &member.grant;
        let mut why = Refusals::default();
        why.when(by == Some(who), "OWN_MEMBERSHIP");
        // What is given back is given: all of it, and an ownership by owners only.
        let here = grant.roles.iter().flat_map(|role| self.gives(*role)).chain(grant.permissions.iter().copied());
        let below = grant.roles.iter().filter(|role| self.reaches(**role)).flat_map(|role| self.gives(*role));
        let holds = self.holds(by, team, &here.collect(), &below.collect());
        let owner = by.is_none_or(|person| self.owns(person));
        why.when(member.suspended && !(holds && (owner || !member.is_owner())), "GRANT_EXCEEDS_OWN");
        why.end()?;
        self.of(team).members.get_mut(&who).unwrap().suspended = false;
        Ok(())
    }

    pub fn remove(&mut self, by: Option<usize>, team: usize, who: usize, descendants: bool) -> Ruling {
        self.enter(by, team, "roster.members.remove")?;
        let mut from = vec![team];
        if descendants {
            self.enter_below(by, team, "roster.members.remove")?;
            from.extend(self.below(team));
        }
        from.retain(|team| self.member(*team, who).is_some());
        require(!from.is_empty(), "MEMBER_NOT_FOUND")?;
        let mut why = Refusals::default();
        from.iter().for_each(|team| why.add(self.open_to(by, *team)));
        from.iter().for_each(|team| why.add(self.check_removal(by, *team, who)));
        why.end()?;
        from.iter().for_each(|team| drop(self.of(*team).members.remove(&who)));
        from.iter().for_each(|team| self.after_demotion(*team, who));
        Ok(())
    }

    fn leave(&mut self, by: Option<usize>, team: usize) -> Ruling {
        let Some(person) = by.filter(|person| self.member(team, *person).is_some()) else {
            return refuse("PERMISSION_DENIED");
        };
        require(self.closed_by(team).is_empty() || self.owns(person), "TEAM_DISABLED")?;
        require(!self.is_last_owner(team, person), "LAST_OWNER")?;
        self.of(team).members.remove(&person);
        self.after_demotion(team, person);
        Ok(())
    }

    fn transfer(&mut self, by: Option<usize>, team: usize, to: usize) -> Ruling {
        self.enter(by, team, "roster.ownership.transfer")?;
        let mut why = Refusals::default();
        why.when(team != 0, "NOT_A_ROOT_TEAM");
        let owner = by.filter(|person| self.owns(*person));
        why.when(owner.is_none(), "PERMISSION_DENIED");
        why.end()?;
        let Some(heir) = self.member(0, to) else { return refuse("MEMBER_NOT_FOUND") };
        let mut why = Refusals::default();
        why.when(heir.is_owner(), "ALREADY_OWNER");
        why.when(heir.suspended, "MEMBER_SUSPENDED");
        why.end()?;
        let heir = &mut self.of(0).members.get_mut(&to).unwrap().grant;
        heir.roles.insert(Role::Owner);
        heir.end = None;
        let owner = owner.unwrap();
        let former = &mut self.of(0).members.get_mut(&owner).unwrap().grant;
        former.roles.remove(&Role::Owner);
        former.roles.insert(Role::Admin);
        former.role_ends.remove(&Role::Admin);
        self.after_loss(0, owner);
        Ok(())
    }
}

/// What of this lasts longer than before.
fn prolonged(before: &Grant, wanted: &Grant) -> (BTreeSet<Role>, BTreeSet<&'static str>) {
    let end = |grant: &Grant, role: Option<&Role>| {
        let ends = [role.and_then(|role| grant.role_ends.get(role)).copied(), grant.end];
        ends.into_iter().flatten().min().unwrap_or(i64::MAX)
    };
    let roles = wanted.roles.intersection(&before.roles);
    let roles = roles.filter(|role| end(wanted, Some(role)) > end(before, Some(role))).copied();
    let permissions = wanted.permissions.intersection(&before.permissions);
    let permissions = permissions.filter(|_| end(wanted, None) > end(before, None)).copied();
    (roles.collect(), permissions.collect())
}
