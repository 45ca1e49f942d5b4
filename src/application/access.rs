//! Giving one person what they shall have in many teams at once.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    Command, Result, Work, authorize,
    members::{self, TeamMember, known_user},
};
use crate::{
    domain::{
        Team, TeamId, UserId,
        member::Grant,
        permission::{AddMembers, Permission, RemoveMembers, UpdateMembers},
    },
    repository::{teams, users},
};

/// Gives a person just this in some teams and ends their membership of others: all of it or nothing.
#[derive(Debug, Serialize)]
pub struct SetUserAccess {
    /// The person.
    pub user: UserId,
    /// What they shall have, by team. Who is no member yet becomes one.
    pub grants: BTreeMap<TeamId, Grant>,
    /// The teams that they shall be a member of no more.
    pub removals: BTreeSet<TeamId>,
}

/// What a person has after [`SetUserAccess`].
#[derive(Debug, Serialize, Deserialize)]
pub struct Access {
    /// Their memberships of the teams that were granted.
    pub members: Vec<TeamMember>,
}

impl Command for SetUserAccess {
    const NAME: &'static str = "SetUserAccess";
    type Answer = Access;

    async fn execute(&self, work: &mut Work<'_>) -> Result<Access> {
        let named: BTreeSet<TeamId> = self.grants.keys().chain(&self.removals).copied().collect();
        let found = teams::get_many(work.tx, named).await?;
        // Nobody has trees locked that they have nothing to do with: who may not is refused before that. What was found
        // then may have changed meanwhile, so it is looked at again.
        if work.cx.principal.person.is_some() {
            self.check_unlocked(work, &found).await?;
        }
        teams::lock_roots(work.tx, found.values()).await?;
        // People are locked after teams and before memberships: a change of the record writes all of theirs.
        users::lock(work.tx, &self.user).await?;
        // Removals first: in a tree whose rules allow one membership, a person can move.
        for team in &self.removals {
            self.remove(work, *team).await.map_err(|error| error.in_team(*team))?;
        }
        let mut members = Vec::new();
        for (team, grant) in &self.grants {
            members.push(self.grant(work, *team, grant).await.map_err(|error| error.in_team(*team))?);
        }
        Ok(Access { members })
    }
}

impl SetUserAccess {
    /// The refusal of who may not change members in one of the teams, before anything is locked.
    async fn check_unlocked(&self, work: &Work<'_>, found: &BTreeMap<TeamId, Team>) -> Result<()> {
        for team in &self.removals {
            check_found::<RemoveMembers>(work, found, *team).await?;
        }
        for team in self.grants.keys() {
            check_found::<UpdateMembers>(work, found, *team).await?;
        }
        Ok(())
    }

    async fn remove(&self, work: &mut Work<'_>, team: TeamId) -> Result<()> {
        let (team, allowed) = work.team::<RemoveMembers>(team).await?;
        let (member, user) = members::member_of(work, &team, &self.user).await?;
        members::remove(work, &team, allowed.authority(), &user, member).await
    }

    async fn grant(&self, work: &mut Work<'_>, id: TeamId, grant: &Grant) -> Result<TeamMember> {
        let (team, may_update) = work.team::<UpdateMembers>(id).await?;
        let Some(member) = members::member(work, &team, &self.user).await? else {
            let (team, may_add) = work.team::<AddMembers>(id).await?;
            return members::add(work, &team, may_add.authority(), &self.user, grant.clone()).await;
        };
        let user = known_user(work, &self.user).await?;
        members::regrant(work, &team, may_update.authority(), TeamMember { member, user }, grant.clone()).await
    }
}

async fn check_found<P: Permission>(work: &Work<'_>, found: &BTreeMap<TeamId, Team>, id: TeamId) -> Result<()> {
    let team = found.get(&id).cloned();
    authorize::in_team::<P>(work.tx, work.cx, work.roles, work.now, id, team).await.map(drop)
}
