//! The same for a tree's own roles, for access in several teams at once, and for questions.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    program::{Grant, Role},
    rules::{Expected, Reasons, Refusals, Ruling, require},
    state::{Model, OwnRole, beyond_wildcards, covers},
};

impl Model {
    pub fn create_role(&mut self, by: Option<usize>, team: usize, role: usize, new: OwnRole) -> Ruling {
        self.enter(by, team, "roster.roles.create")?;
        let mut why = Refusals::default();
        why.when(team != 0, "NOT_A_ROOT_TEAM");
        why.when(self.roles.contains_key(&role), "ROLE_KEY_TAKEN");
        why.when(!self.may_gain(by, team, None, &new, false), "GRANT_EXCEEDS_OWN");
        why.end()?;
        self.roles.insert(role, new);
        Ok(())
    }

    /// Whether somebody may have the holders of a role gain what it is to give. What holders in the teams below gain has
    /// to be held there too.
    fn may_gain(&self, by: Option<usize>, team: usize, before: Option<&OwnRole>, after: &OwnRole, below: bool) -> bool {
        let gave = |pattern: &str| before.is_some_and(|role| covers(&role.gives, pattern));
        let gain: BTreeSet<_> = after.gives.iter().copied().filter(|pattern| !gave(pattern)).collect();
        let mut gain_below = if below || after.reaches { gain.clone() } else { BTreeSet::new() };
        if after.reaches && before.is_some_and(|role| !role.reaches) {
            gain_below.extend(&after.gives);
        }
        self.holds(by, team, &gain, &gain_below)
    }

    /// A role that can be changed in this team.
    fn own_role(&self, team: usize, role: Role) -> Result<usize, Reasons> {
        let mut why = Refusals::default();
        why.when(team != 0, "NOT_A_ROOT_TEAM");
        why.when(!matches!(role, Role::Own(_)), "SYSTEM_ROLE");
        why.when(!self.exists(role), "ROLE_NOT_FOUND");
        match (why.end(), role) {
            (Ok(()), Role::Own(n)) => Ok(n),
            (ruling, _) => Err(ruling.err().unwrap_or_default()),
        }
    }

    pub fn update_role(
        &mut self,
        by: Option<usize>,
        team: usize,
        role: Role,
        gives: Option<&BTreeSet<&'static str>>,
        reaches: Option<bool>,
    ) -> Ruling {
        self.enter(by, team, "roster.roles.update")?;
        let n = self.own_role(team, role)?;
        let before = self.roles[&n].clone();
        let after =
            OwnRole { gives: gives.unwrap_or(&before.gives).clone(), reaches: reaches.unwrap_or(before.reaches) };
        if after == before {
            return Ok(());
        }
        let holders = self.holders(role);
        let below = self.is_below(role);
        let mut why = Refusals::default();
        why.when(!self.may_gain(by, team, Some(&before), &after, below), "GRANT_EXCEEDS_OWN");
        why.when(holders.iter().any(|(_, who)| by == Some(*who)), "OWN_ROLE");
        why.end()?;
        let less = !before.gives.is_subset(&after.gives) || before.reaches && !after.reaches;
        self.roles.insert(n, after);
        let invited = self.invited_to(role).into_iter().map(|(n, _)| n).collect();
        self.after_change_of(&invited);
        if less {
            holders.into_iter().for_each(|(team, who)| self.after_loss(team, who));
        }
        Ok(())
    }

    /// Whether somebody holds a role below the root, or is invited to it there.
    fn is_below(&self, role: Role) -> bool {
        let held = self.holders(role).into_iter().map(|(team, _)| team);
        held.chain(self.invited_to(role).into_iter().map(|(_, team)| team)).any(|team| team != 0)
    }

    pub fn delete_role(&mut self, by: Option<usize>, team: usize, role: Role, replacement: Option<Role>) -> Ruling {
        self.enter(by, team, "roster.roles.delete")?;
        let n = self.own_role(team, role)?;
        let holders = self.holders(role);
        let Some(replacement) = replacement else {
            require(holders.is_empty() && self.invited_to(role).is_empty(), "ROLE_IN_USE")?;
            self.roles.remove(&n);
            self.replace_offered(role, None);
            return Ok(());
        };
        self.check_replacement(by, role, replacement, &holders)?;
        for (team, who) in &holders {
            let grant = &mut self.teams.get_mut(team).unwrap().members.get_mut(who).unwrap().grant;
            replace(grant, role, replacement);
        }
        let invited = self.invited_to(role).into_iter().map(|(n, _)| n).collect();
        self.roles.remove(&n);
        self.replace_offered(role, Some(replacement));
        self.after_change_of(&invited);
        holders.into_iter().for_each(|(team, who)| self.after_loss(team, who));
        Ok(())
    }

    fn check_replacement(
        &self,
        by: Option<usize>,
        role: Role,
        replacement: Role,
        holders: &[(usize, usize)],
    ) -> Ruling {
        let mut why = Refusals::default();
        // A role that is going replaces nothing.
        why.when(role == replacement, "ROLE_NOT_FOUND");
        why.when(holders.iter().any(|(_, who)| by == Some(*who)), "OWN_ROLE");
        // Nobody becomes an owner by what happens to another role.
        why.when(replacement == Role::Owner, "OWNER_ROLE_NOT_GRANTABLE");
        why.add(self.check_grant(by, 0, &BTreeSet::from([replacement]), &BTreeSet::new()));
        let given = self.gives(replacement);
        why.when(self.is_below(role) && !self.holds(by, 0, &given, &given), "GRANT_EXCEEDS_OWN");
        why.end()
    }

    pub fn set_access(
        &mut self,
        by: Option<usize>,
        who: usize,
        grants: &BTreeMap<usize, Grant>,
        removals: &BTreeSet<usize>,
    ) -> Ruling {
        // All of it or nothing. Who goes from one team to another is never in both.
        let mut after = self.clone();
        let mut why = Refusals::default();
        for team in removals {
            why.add(after.remove(by, *team, who, false));
        }
        for (team, grant) in grants {
            why.add(after.grant(by, *team, who, grant));
        }
        why.end()?;
        *self = after;
        Ok(())
    }

    fn grant(&mut self, by: Option<usize>, team: usize, who: usize, grant: &Grant) -> Ruling {
        self.enter(by, team, "roster.members.update")?;
        if self.member(team, who).is_some() {
            return self.regrant(by, team, who, grant.clone());
        }
        self.enter(by, team, "roster.members.add")?;
        self.join(by, team, who, grant)
    }

    pub fn check(&self, by: Option<usize>, team: usize, who: usize, permission: &str) -> Expected {
        if by.is_some_and(|person| person != who) {
            return Expected::Refused(BTreeSet::from(["PERMISSION_DENIED"]));
        }
        Expected::Allowed(self.allows(team, who, permission))
    }

    pub fn explain(&self, by: Option<usize>, team: usize, who: usize, permission: &str) -> Expected {
        if by != Some(who)
            && let Err(reasons) = self.enter(by, team, "roster.access.explain")
        {
            return Expected::Refused(reasons);
        }
        Expected::Explained(self.allows(team, who, permission), self.why(team, who, permission))
    }

    /// What may be said of why somebody may do something or not.
    fn why(&self, team: usize, who: usize, permission: &str) -> Reasons {
        if !self.teams.contains_key(&team) {
            return BTreeSet::from(["NOT_A_MEMBER"]);
        }
        let held = self.holdings(team, who).here;
        let open = self.closed_by(team).is_empty() || self.owns(who);
        if !open && covers(&held, permission) {
            return BTreeSet::from(["TEAM_DISABLED"]);
        }
        // Of all that a pattern stands for, what is lacking tells why.
        let lacking = |name: &&str| !covers(&held, name);
        let beyond = || beyond_wildcards(permission).map(|name| -> &str { name }).find(lacking);
        let lacking = Some(permission).filter(lacking).or_else(beyond);
        let Some(permission) = lacking else { return BTreeSet::from(["GRANTED"]) };
        let lineage = self.lineage(team);
        let mut active = self.clone();
        for team in &lineage {
            active.teams.get_mut(team).unwrap().members.get_mut(&who).into_iter().for_each(|m| m.suspended = false);
        }
        let suspended = covers(&active.holdings(team, who).here, permission);
        let reaches = |above: &usize| {
            self.member(*above, who).is_some_and(|member| member.grant.roles.iter().any(|role| self.reaches(*role)))
        };
        let member = self.member(team, who).is_some() || lineage.iter().any(reaches);
        let plain = if member { "MISSING_PERMISSION" } else { "NOT_A_MEMBER" };
        let mut reasons = BTreeSet::from([if suspended { "SUSPENDED" } else { plain }]);
        // What ran out is said to have, if it would have given this.
        if lineage.iter().any(|team| self.lapsed.contains(&(*team, who))) {
            reasons.extend(["EXPIRED", "MISSING_PERMISSION"]);
        }
        reasons
    }
}

/// A holder gets the replacement for as long as they held the role; one that they held before stays as it was.
fn replace(grant: &mut Grant, role: Role, replacement: Role) {
    grant.roles.remove(&role);
    let (end, own) = (grant.role_ends.remove(&role), grant.role_ends.remove(&replacement));
    // For the longer of the two times.
    let longest = if grant.roles.insert(replacement) { end } else { end.zip(own).map(|(end, own)| end.max(own)) };
    grant.role_ends.extend(longest.map(|end| (replacement, end)));
}
