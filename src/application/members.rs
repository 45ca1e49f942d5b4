//! Adding, changing and removing members.

use serde::{Deserialize, Serialize};

use super::{
    Command, Error, Missing, Result, Work,
    admission::{self, has_home_elsewhere},
    authorize::{check_open, check_open_to, denied},
    consequence,
    context::Etag,
    roles::{check_below, named},
};
use crate::{
    domain::{
        Authority, Broken, Cause, Change, Member, Team, TeamId, User, UserId,
        event::Step,
        member::{Grant, GrantPatch, Source, State},
        membership::{Given, OtherOwner},
        permission::{AddMembers, LeaveTeams, RemoveMembers, UpdateMembers},
    },
    repository::{expirations, members, teams, users},
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
    /// What to give.
    pub grant: Grant,
}

impl Command for AddMember {
    const NAME: &'static str = "AddMember";
    type Answer = TeamMember;

    async fn execute(&self, work: &mut Work<'_>) -> Result<TeamMember> {
        let (team, allowed) = work.team::<AddMembers>(self.team).await?;
        add(work, &team, allowed.authority(), &self.user, self.grant.clone()).await
    }
}

/// Makes a user who is no member one, with what `by` may give.
pub(super) async fn add(
    work: &mut Work<'_>,
    team: &Team,
    by: &Authority,
    user: &UserId,
    grant: Grant,
) -> Result<TeamMember> {
    check_grant(work, team, by, &grant).await?;
    grant.check_ends(None, work.now)?;
    if by.person() == Some(user) {
        return Err(Broken::OwnRole.into());
    }
    let user = joining_user(work, team, user).await?;
    if member(work, team, &user.id).await?.is_some() {
        return Err(Broken::AlreadyMember.into());
    }
    let by = by.person().cloned();
    join(work, team, user, grant, by, Source::Direct, Cause::Direct).await
}

/// Whether `by` may give this in the team.
pub(super) async fn check_grant(work: &Work<'_>, team: &Team, by: &Authority, grant: &Grant) -> Result<()> {
    let roles = named(work.tx, work.roles, team.root(), &grant.roles).await?;
    Ok(by.check_grant(&Given { team, roles: &roles, ids: &grant.roles, permissions: &grant.permissions })?)
}

/// Makes a user who is no member one, within the rules of the tree. The first tree that a person joins by an act of their
/// own, or that a service brings them into, is their home: nobody else decides where somebody belongs.
pub(super) async fn join(
    work: &mut Work<'_>,
    team: &Team,
    user: User,
    grant: Grant,
    invited_by: Option<UserId>,
    source: Source,
    cause: Cause,
) -> Result<TeamMember> {
    match source {
        // Whoever makes a tree is in it, wherever their home is.
        Source::TeamCreation => team.policy.check_domain(&user.email)?,
        Source::Direct | Source::Invitation => admission::check_user(work.tx, team, &user, work.now).await?,
    }
    admission::check_seat(work, team, &user, source).await?;
    let brought = source == Source::Direct && invited_by.is_some();
    let external = has_home_elsewhere(work.tx, team, &user).await?;
    let slot = work.tx.next(team.id);
    let Grant { roles, role_expire_times, permissions, expire_time } = grant;
    let member = Member {
        team_id: team.id,
        user_id: user.id.clone(),
        roles,
        role_expire_times,
        permissions,
        state: State::Active,
        expire_time,
        external,
        invited_by,
        source,
        join_time: work.now,
        changed: slot.version,
    };
    member.check_owner_stays()?;
    members::insert(work.tx, &member, &user).await?;
    work.tx.record(slot, cause, Change::MemberAdded(member.clone()));
    consequence::of_joining(work, team, &user, cause).await?;
    let user = if external || brought { user } else { settle_down(work, team, user, cause).await? };
    Ok(TeamMember { member, user })
}

/// Notes that the tree is the person's home, unless it is known already.
async fn settle_down(work: &mut Work<'_>, team: &Team, before: User, cause: Cause) -> Result<User> {
    if before.home == Some(team.root()) {
        return Ok(before);
    }
    let slot = work.tx.next_of_user(&before.id, before.version);
    let home = Some(team.root());
    let after = User { home, version: slot.version, update_time: work.now, ..before.clone() };
    users::update(work.tx, &after).await?;
    members::mirror_user(work.tx, &after).await?;
    work.tx.record(slot, cause, Change::UserUpdated(Step { before, after: after.clone() }));
    Ok(after)
}

/// Changes what a member holds.
#[derive(Debug, Serialize)]
pub struct UpdateMember {
    /// The team.
    pub team: TeamId,
    /// The member.
    pub user: UserId,
    /// What they shall have.
    pub patch: GrantPatch,
    /// As the caller saw the member last.
    pub etag: Etag,
}

impl Command for UpdateMember {
    const NAME: &'static str = "UpdateMember";
    type Answer = TeamMember;

    async fn execute(&self, work: &mut Work<'_>) -> Result<TeamMember> {
        let (team, allowed) = work.team::<UpdateMembers>(self.team).await?;
        let (member, user) = member_of(work, &team, &self.user).await?;
        self.etag.check(member.changed)?;
        let wanted = member.grant().patched(&self.patch);
        regrant(work, &team, allowed.authority(), TeamMember { member, user }, wanted).await
    }
}

/// Gives a member another grant, with what `by` may give.
pub(super) async fn regrant(
    work: &mut Work<'_>,
    team: &Team,
    by: &Authority,
    TeamMember { member: before, user }: TeamMember,
    wanted: Grant,
) -> Result<TeamMember> {
    wanted.check_ends(Some(&before.grant()), work.now)?;
    let roles = named(work.tx, work.roles, team.root(), wanted.roles.union(&before.roles)).await?;
    let others = other_owners(work, team, &before).await?;
    let wanted = before.regranted(by, team, &roles, others, wanted)?;
    if wanted == before {
        return Ok(TeamMember { member: before, user });
    }
    let less = !before.roles.is_subset(&wanted.roles) || !before.permissions.is_subset(&wanted.permissions);
    let cause = if less { Cause::Demotion } else { Cause::Direct };
    let member = change(work, before, wanted, cause).await?;
    if less {
        consequence::of_demotion(work, team, &user, Cause::Demotion).await?;
    }
    Ok(TeamMember { member, user })
}

/// Writes what a member holds now and records the change.
pub(super) async fn change(work: &mut Work<'_>, before: Member, wanted: Member, cause: Cause) -> Result<Member> {
    let slot = work.tx.next(wanted.team_id);
    let after = Member { changed: slot.version, ..wanted };
    members::update(work.tx, &before, &after).await?;
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
    /// Whether to end their memberships of the teams below too.
    pub include_descendants: bool,
    /// As the caller saw the member last.
    pub etag: Etag,
}

impl Command for RemoveMember {
    const NAME: &'static str = "RemoveMember";
    type Answer = ();

    async fn execute(&self, work: &mut Work<'_>) -> Result<()> {
        let (team, allowed) = work.team::<RemoveMembers>(self.team).await?;
        let by = allowed.authority();
        let mut found = Vec::new();
        if self.include_descendants {
            check_below::<RemoveMembers>(by, &team)?;
            // Before the first membership changes, as in everything that changes several of a person's.
            users::hold(work.tx, &self.user).await?;
            found = below(work, &team, &self.user).await?;
            found.iter().try_for_each(|(below, _)| check_open_to(by, below))?;
        }
        match member_of(work, &team, &self.user).await {
            Ok((member, _)) => {
                self.etag.check(member.changed)?;
                found.insert(0, (team, member));
            }
            Err(Error::Missing(_)) if !found.is_empty() => self.etag.check_gone()?,
            Err(error) => return Err(error),
        }
        let user = known_user(work, &self.user).await?;
        for (team, member) in found {
            remove(work, &team, by, &user, member).await.map_err(|error| error.in_team(team.id))?;
        }
        Ok(())
    }
}

/// Ends somebody else's membership, which `by` may do.
pub(super) async fn remove(
    work: &mut Work<'_>,
    team: &Team,
    by: &Authority,
    user: &User,
    member: Member,
) -> Result<()> {
    member.check_remove(by, other_owners(work, team, &member).await?)?;
    end(work, team, user, member, Cause::Removal).await
}

/// A person's memberships of the teams below, each with its team.
async fn below(work: &mut Work<'_>, team: &Team, user: &UserId) -> Result<Vec<(Team, Member)>> {
    let theirs: Vec<TeamId> = members::of_user(work.tx, user).await?.into_iter().map(|member| member.team_id).collect();
    let teams = teams::get_many(work.tx, theirs).await?;
    let mut found = Vec::new();
    for id in teams.values().filter(|other| other.ancestors.contains(&team.id)).map(|other| other.id) {
        let team = work.hold(id).await?;
        found.extend(member(work, &team, user).await?.map(|member| (team, member)));
    }
    Ok(found)
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
        let team = teams::lock(work.tx, self.team).await?.ok_or_else(refuse)?;
        let (member, user) = match member_of(work, &team, &person).await {
            Err(Error::Missing(_)) => return Err(refuse()),
            found => found?,
        };
        check_open(work, &team, &person).await?;
        member.check_leave(other_owners(work, &team, &member).await?)?;
        end(work, &team, &user, member, Cause::Removal).await
    }
}

/// Ends a membership.
pub(super) async fn end(work: &mut Work<'_>, team: &Team, user: &User, member: Member, cause: Cause) -> Result<()> {
    members::delete(work.tx, &member).await?;
    let slot = work.tx.next(member.team_id);
    work.tx.record(slot, cause, Change::MemberRemoved(member));
    consequence::of_demotion(work, team, user, cause).await
}

/// Whether the tree has an active owner besides this member; asked only of an owner.
pub(super) async fn other_owners(work: &Work<'_>, team: &Team, member: &Member) -> Result<OtherOwner> {
    let others = member.is_owner() && members::count_other_owners(work.tx, team.id, &member.user_id).await? > 0;
    Ok(if others { OtherOwner::There } else { OtherOwner::None })
}

/// The member and their record.
pub(super) async fn member_of(work: &mut Work<'_>, team: &Team, user: &UserId) -> Result<(Member, User)> {
    let missing = || Error::Missing(Missing::Member(user.to_string()));
    let member = member(work, team, user).await?.ok_or_else(missing)?;
    Ok((member, users::get(work.tx, user).await?.ok_or_else(missing)?))
}

/// The member, if the user is one at this moment: what has run out is ended first.
pub(super) async fn member(work: &mut Work<'_>, team: &Team, user: &UserId) -> Result<Option<Member>> {
    match members::get(work.tx, team.id, user).await? {
        Some(recorded) => settle(work, team, recorded).await,
        None => Ok(None),
    }
}

/// What is left of a membership at this moment. What has run out is ended, and recorded as such.
pub(super) async fn settle(work: &mut Work<'_>, team: &Team, recorded: Member) -> Result<Option<Member>> {
    let Some(left) = recorded.clone().at(work.now) else {
        members::delete(work.tx, &recorded).await?;
        expirations::note(work.tx, &recorded, None).await?;
        let slot = work.tx.next(team.id);
        work.tx.record(slot, Cause::Expiry, Change::MemberExpired(recorded.clone()));
        if let Some(user) = users::get(work.tx, &recorded.user_id).await? {
            Box::pin(consequence::of_demotion(work, team, &user, Cause::Expiry)).await?;
        }
        return Ok(None);
    };
    if left == recorded {
        return Ok(Some(left));
    }
    expirations::note(work.tx, &recorded, Some(&left)).await?;
    let member = change(work, recorded, left, Cause::Expiry).await?;
    consequence::of_lost_authority(work, team, &member.user_id, Cause::Expiry).await?;
    Ok(Some(member))
}

/// The user, who has to exist.
pub(super) async fn known_user(work: &Work<'_>, id: &UserId) -> Result<User> {
    let found = users::get(work.tx, id).await?;
    found.ok_or_else(|| Error::Missing(Missing::User(id.to_string())))
}

/// A user who is about to join a team, and whose record nobody else changes until the transaction ends. Who has a home is
/// held in common, so that one person can be brought into many trees at once; otherwise this tree becomes it.
pub(super) async fn joining_user(work: &Work<'_>, team: &Team, id: &UserId) -> Result<User> {
    let found = known_user(work, id).await?;
    let settled = found.home == Some(team.root()) || has_home_elsewhere(work.tx, team, &found).await?;
    let held = if settled { users::hold(work.tx, id).await? } else { users::lock(work.tx, id).await? };
    held.ok_or_else(|| Error::Missing(Missing::User(id.to_string())))
}
