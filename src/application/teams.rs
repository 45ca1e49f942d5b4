//! Creating, changing and deleting teams.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Command, Error, Missing, Result, Work, authorize, consequence, context::Etag, members::TeamMember};
use crate::{
    domain::{
        Cause, Change, Member, RoleId, Team, TeamId, TeamPolicy, UserId, Version,
        event::Step,
        label::Labels,
        member::Source,
        permission::{CreateTeams, DeleteTeams, UpdateTeams},
        team::TeamPatch,
        text::{Slug, TeamName},
    },
    repository::{invitations, members, teams, users},
};

/// How many members are read at a time while a team is deleted.
const DELETE_BATCH: u64 = 1000;

/// Creates a team with its owner.
#[derive(Debug, Serialize)]
pub struct CreateTeam {
    /// The name.
    pub name: TeamName,
    /// The slug.
    pub slug: Option<Slug>,
    /// The labels.
    pub labels: Labels,
    /// The rules.
    pub policy: TeamPolicy,
    /// Who becomes the owner. A person can make only themselves one.
    pub owner: UserId,
}

/// A new team.
#[derive(Debug, Serialize, Deserialize)]
pub struct CreatedTeam {
    /// The team.
    pub team: Team,
    /// Its owner.
    pub owner: TeamMember,
}

impl Command for CreateTeam {
    const NAME: &'static str = "CreateTeam";
    type Answer = CreatedTeam;

    async fn execute(&self, work: &mut Work<'_>) -> Result<CreatedTeam> {
        authorize::for_self::<CreateTeams>(work.cx, Some(&self.owner))?;
        let user = users::get(work.tx, &self.owner).await?;
        let user = user.ok_or_else(|| Error::Missing(Missing::User(self.owner.to_string())))?;
        let id = TeamId(work.id());
        let team = Team {
            id,
            root_id: id,
            name: self.name.clone(),
            slug: self.slug.clone(),
            labels: self.labels.clone(),
            policy: self.policy.clone(),
            version: Version(1),
            changed: Version(1),
            create_time: work.now,
            update_time: work.now,
        };
        teams::insert(work.tx, &team).await?;
        let created = work.tx.next(id);
        work.tx.record(created, Cause::Team, Change::TeamCreated(team.clone()));

        let joined = work.tx.next(id);
        let member = Member {
            team_id: id,
            user_id: user.id.clone(),
            roles: BTreeSet::from([RoleId::owner()]),
            invited_by: None,
            source: Source::TeamCreation,
            join_time: work.now,
            changed: joined.version,
        };
        members::insert(work.tx, &member).await?;
        let team = Team { version: joined.version, ..team };
        work.tx.record(joined, Cause::Team, Change::MemberAdded(member.clone()));
        Ok(CreatedTeam { team, owner: TeamMember { member, user } })
    }
}

/// Changes a team's own fields.
#[derive(Debug, Serialize)]
pub struct UpdateTeam {
    /// The team.
    pub team: TeamId,
    /// The new values.
    pub patch: TeamPatch,
    /// As the caller saw the team last.
    pub etag: Etag,
}

impl Command for UpdateTeam {
    const NAME: &'static str = "UpdateTeam";
    type Answer = Team;

    async fn execute(&self, work: &mut Work<'_>) -> Result<Team> {
        let (before, _) = work.team::<UpdateTeams>(self.team).await?;
        self.etag.check(before.changed)?;
        let wanted = before.patched(&self.patch);
        if wanted == before {
            return Ok(before);
        }
        let slot = work.tx.next(self.team);
        let after = Team { version: slot.version, changed: slot.version, update_time: work.now, ..wanted };
        teams::update(work.tx, &after).await?;
        work.tx.record(slot, Cause::Direct, Change::TeamUpdated(Step { before, after: after.clone() }));
        Ok(after)
    }
}

/// Deletes a team with everything in it.
#[derive(Debug, Serialize)]
pub struct DeleteTeam {
    /// The team.
    pub team: TeamId,
    /// As the caller saw the team last.
    pub etag: Etag,
}

impl Command for DeleteTeam {
    const NAME: &'static str = "DeleteTeam";
    type Answer = ();

    async fn execute(&self, work: &mut Work<'_>) -> Result<()> {
        let (team, _) = work.team::<DeleteTeams>(self.team).await?;
        self.etag.check(team.changed)?;
        let pending = invitations::all_pending(work.tx, self.team).await?;
        consequence::close(work, pending, Cause::Team).await?;
        let mut page = members::Page { role: None, descending: false, after: None, limit: DELETE_BATCH };
        loop {
            let batch = members::list(work.tx, self.team, &page).await?;
            let Some(last) = batch.last() else { break };
            page.after = Some((last.join_time, last.user_id.clone()));
            for member in batch {
                let slot = work.tx.next(self.team);
                work.tx.record(slot, Cause::Team, Change::MemberRemoved(member));
            }
        }
        members::delete_all(work.tx, self.team).await?;
        teams::delete(work.tx, self.team, work.now).await?;
        let slot = work.tx.next(self.team);
        work.tx.record(slot, Cause::Team, Change::TeamDeleted(team));
        Ok(())
    }
}
