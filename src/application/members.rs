//! Adding, changing and removing members.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Command, Error, Missing, Result, Work, authorize::denied, consequence, context::Etag};
use crate::{
    domain::{
        Broken, Cause, Change, Member, RoleId, Team, TeamId, User, UserId,
        event::Step,
        member::Source,
        permission::{AddMembers, LeaveTeams, RemoveMembers, UpdateMembers},
    },
    repository::{self, members, teams, users},
};

/// A membership and the person who holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamMember {
    /// The membership.
    pub member: Member,
    /// The person.
    pub user: User,
}

/// Adds a user to a team.
#[derive(Debug, Serialize)]
pub struct AddMember {
    /// The team.
    pub team: TeamId,
    /// The user.
    pub user: UserId,
    /// The roles to give.
    pub roles: BTreeSet<RoleId>,
}

impl Command for AddMember {
    const NAME: &'static str = "AddMember";
    type Answer = TeamMember;

    async fn execute(&self, work: &mut Work<'_>) -> Result<TeamMember> {
        let (team, allowed) = work.team::<AddMembers>(self.team).await?;
        allowed.authority().check_grant(work.roles, &self.roles)?;
        let user = known_user(work, &self.user).await?;
        if members::get(work.tx, self.team, &self.user).await?.is_some() {
            return Err(Broken::AlreadyMember.into());
        }
        let by = allowed.authority().person().cloned();
        join(work, &team, user, &self.roles, by, Source::Direct, Cause::Direct).await
    }
}

/// Makes a user who is no member one, within the team's rules.
pub(super) async fn join(
    work: &mut Work<'_>,
    team: &Team,
    user: User,
    roles: &BTreeSet<RoleId>,
    invited_by: Option<UserId>,
    source: Source,
    cause: Cause,
) -> Result<TeamMember> {
    team.policy.check_domain(&user.email)?;
    if team.policy.max_members.is_some() {
        team.policy.check_seat(members::count(work.tx, team.id).await?)?;
    }
    let slot = work.tx.next(team.id);
    let member = Member {
        team_id: team.id,
        user_id: user.id.clone(),
        roles: roles.clone(),
        invited_by,
        source,
        join_time: work.now,
        changed: slot.version,
    };
    members::insert(work.tx, &member).await?;
    work.tx.record(slot, cause, Change::MemberAdded(member.clone()));
    Ok(TeamMember { member, user })
}

/// Gives a member other roles.
#[derive(Debug, Serialize)]
pub struct UpdateMember {
    /// The team.
    pub team: TeamId,
    /// The member.
    pub user: UserId,
    /// The roles that they shall have.
    pub roles: BTreeSet<RoleId>,
    /// As the caller saw the member last.
    pub etag: Etag,
}

impl Command for UpdateMember {
    const NAME: &'static str = "UpdateMember";
    type Answer = TeamMember;

    async fn execute(&self, work: &mut Work<'_>) -> Result<TeamMember> {
        let (_, allowed) = work.team::<UpdateMembers>(self.team).await?;
        let (before, user) = member_of(work, self.team, &self.user).await?;
        self.etag.check(before.changed)?;
        let wanted = before.with_roles(allowed.authority(), work.roles, self.roles.clone())?;
        if wanted == before {
            return Ok(TeamMember { member: before, user });
        }
        let lost = !before.roles.is_subset(&wanted.roles);
        let cause = if lost { Cause::Demotion } else { Cause::Direct };
        let member = change_roles(work, before, wanted, cause).await?;
        if lost {
            consequence::of_demotion(work, &member, Cause::Demotion).await?;
        }
        Ok(TeamMember { member, user })
    }
}

/// Writes a member's new roles and records the change.
pub(super) async fn change_roles(work: &mut Work<'_>, before: Member, wanted: Member, cause: Cause) -> Result<Member> {
    let slot = work.tx.next(wanted.team_id);
    let after = Member { changed: slot.version, ..wanted };
    members::update(work.tx, &before.roles, &after).await?;
    work.tx.record(slot, cause, Change::MemberUpdated(Step { before, after: after.clone() }));
    Ok(after)
}

/// Ends somebody else's membership.
#[derive(Debug, Serialize)]
pub struct RemoveMember {
    /// The team.
    pub team: TeamId,
    /// The member.
    pub user: UserId,
    /// As the caller saw the member last.
    pub etag: Etag,
}

impl Command for RemoveMember {
    const NAME: &'static str = "RemoveMember";
    type Answer = ();

    async fn execute(&self, work: &mut Work<'_>) -> Result<()> {
        let (_, allowed) = work.team::<RemoveMembers>(self.team).await?;
        let (member, user) = member_of(work, self.team, &self.user).await?;
        self.etag.check(member.changed)?;
        member.check_remove(allowed.authority())?;
        end(work, &user, member).await
    }
}

/// Ends the caller's own membership.
#[derive(Debug, Serialize)]
pub struct LeaveTeam {
    /// The team.
    pub team: TeamId,
}

impl Command for LeaveTeam {
    const NAME: &'static str = "LeaveTeam";
    type Answer = ();

    async fn execute(&self, work: &mut Work<'_>) -> Result<()> {
        super::authorize::check_scope::<LeaveTeams>(&work.cx.principal)?;
        // For who is no member, the team might as well not exist.
        let refuse = || denied::<LeaveTeams>(Some(self.team));
        let person = work.cx.principal.person.clone().ok_or_else(refuse)?;
        teams::lock(work.tx, self.team).await?.ok_or_else(refuse)?;
        let (member, user) = match member_of(work, self.team, &person).await {
            Err(Error::Missing(_)) => return Err(refuse()),
            found => found?,
        };
        member.check_leave()?;
        end(work, &user, member).await
    }
}

async fn end(work: &mut Work<'_>, user: &User, member: Member) -> Result<()> {
    members::delete(work.tx, &member).await?;
    let slot = work.tx.next(member.team_id);
    work.tx.record(slot, Cause::Removal, Change::MemberRemoved(member.clone()));
    consequence::of_removal(work, user, &member).await
}

/// The member and their record.
pub(super) async fn member_of(work: &Work<'_>, team: TeamId, user: &UserId) -> Result<(Member, User)> {
    let missing = || Error::Missing(Missing::Member(user.to_string()));
    let member = members::get(work.tx, team, user).await?.ok_or_else(missing)?;
    Ok((member, users::get(work.tx, user).await?.ok_or_else(missing)?))
}

/// The user, who has to exist.
pub(super) async fn known_user(work: &Work<'_>, id: &UserId) -> Result<User> {
    let found = repository::users::get(work.tx, id).await?;
    found.ok_or_else(|| Error::Missing(Missing::User(id.to_string())))
}
