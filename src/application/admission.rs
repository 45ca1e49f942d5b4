//! Whether somebody may become a member, by the rules of the tree.

use super::{Result, Work};
use crate::{
    domain::{Broken, Team, User, member::Source},
    repository::{invitations, members, teams},
};

/// Whether this person, who is no member of the team, may become one.
pub(super) async fn check_user(work: &Work<'_>, team: &Team, user: &User) -> Result<()> {
    team.policy.check_domain(&user.email)?;
    if !team.policy.allow_external_members && has_home_elsewhere(work, team, user).await? {
        return Err(Broken::ExternalNotAllowed.into());
    }
    if team.policy.exclusive_membership && is_member_elsewhere(work, team, user).await? {
        return Err(Broken::MemberElsewhere.into());
    }
    Ok(())
}

/// Whether this person has a seat: who was invited took one with the invitation, and everybody else needs one that no open
/// invitation holds.
pub(super) async fn check_seat(work: &Work<'_>, team: &Team, user: &User, source: Source) -> Result<()> {
    if team.policy.max_members.is_none() {
        return Ok(());
    }
    let members = members::count(work.tx, team.id, work.now).await?;
    let held = match source {
        Source::Invitation => 0,
        Source::Direct | Source::TeamCreation => {
            invitations::count_open(work.tx, team.id, Some(&user.email), work.now).await?
        }
    };
    Ok(team.policy.check_seat(members + held)?)
}

/// Whether the person is at home in another tree that is still there.
pub(super) async fn has_home_elsewhere(work: &Work<'_>, team: &Team, user: &User) -> Result<bool> {
    match user.home {
        Some(home) if home != team.root() => Ok(teams::get(work.tx, home).await?.is_some()),
        _ => Ok(false),
    }
}

async fn is_member_elsewhere(work: &Work<'_>, team: &Team, user: &User) -> Result<bool> {
    let memberships = members::of_user(work.tx, &user.id).await?;
    let live = memberships.iter().filter(|member| !member.has_expired(work.now)).map(|member| member.team_id);
    let teams = teams::get_many(work.tx, live).await?;
    Ok(teams.values().any(|other| other.root() == team.root() && other.id != team.id))
}
