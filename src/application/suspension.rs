//! Suspending members and having them active again.

use serde::Serialize;

use super::{
    Command, Result, Work, consequence,
    context::Etag,
    members::{TeamMember, member_of, other_owners},
    roles::named,
};
use crate::{
    domain::{Cause, Change, Member, TeamId, UserId, event::Step, permission::SuspendMembers},
    repository::members,
};

/// Takes a member's authority away, for now.
#[derive(Debug, Serialize)]
pub struct SuspendMember {
    /// The team.
    pub team: TeamId,
    /// The member.
    pub user: UserId,
    /// As the caller saw the member last.
    pub etag: Etag,
}

impl Command for SuspendMember {
    const NAME: &'static str = "SuspendMember";
    type Answer = TeamMember;

    async fn execute(&self, work: &mut Work<'_>) -> Result<TeamMember> {
        let (team, allowed) = work.team::<SuspendMembers>(self.team).await?;
        let (before, user) = member_of(work, &team, &self.user).await?;
        self.etag.check(before.changed)?;
        let others = other_owners(work, &team, &before).await?;
        let wanted = before.suspended(allowed.authority(), others)?;
        let member = change(work, before, wanted, Change::MemberSuspended).await?;
        consequence::of_demotion(work, &team, &user, Cause::Suspension).await?;
        Ok(TeamMember { member, user })
    }
}

/// Gives a suspended member back what they held.
#[derive(Debug, Serialize)]
pub struct ReactivateMember {
    /// The team.
    pub team: TeamId,
    /// The member.
    pub user: UserId,
    /// As the caller saw the member last.
    pub etag: Etag,
}

impl Command for ReactivateMember {
    const NAME: &'static str = "ReactivateMember";
    type Answer = TeamMember;

    async fn execute(&self, work: &mut Work<'_>) -> Result<TeamMember> {
        let (team, allowed) = work.team::<SuspendMembers>(self.team).await?;
        let (before, user) = member_of(work, &team, &self.user).await?;
        self.etag.check(before.changed)?;
        let roles = named(work.tx, work.roles, team.root(), &before.roles).await?;
        let wanted = before.reactivated(allowed.authority(), &roles)?;
        let member = change(work, before, wanted, Change::MemberReactivated).await?;
        Ok(TeamMember { member, user })
    }
}

async fn change(
    work: &mut Work<'_>,
    before: Member,
    wanted: Member,
    what: impl FnOnce(Step<Member>) -> Change,
) -> Result<Member> {
    if wanted == before {
        return Ok(before);
    }
    let slot = work.tx.next(wanted.team_id);
    let after = Member { changed: slot.version, ..wanted };
    members::update(work.tx, &before, &after).await?;
    work.tx.record(slot, Cause::Direct, what(Step { before, after: after.clone() }));
    Ok(after)
}
