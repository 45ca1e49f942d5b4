//! Whether somebody may become a member, by the rules of the tree.

use super::{Result, Work};
use crate::{
    domain::{Broken, Email, Team, User},
    repository::{members, teams},
};

/// Whether this address may be invited: its domain is admitted, and the rules would let whoever has it in.
pub(super) async fn check_address(work: &Work<'_>, team: &Team, email: &Email, user: Option<&User>) -> Result<()> {
    team.policy.check_domain(email)?;
    match user {
        Some(user) => check_user(work, team, user).await,
        None => Ok(()),
    }
}

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

/// Whether one more member has a seat.
pub(super) async fn check_seat(work: &Work<'_>, team: &Team) -> Result<()> {
    if team.policy.max_members.is_some() {
        team.policy.check_seat(members::count(work.tx, team.id, work.now).await?)?;
    }
    Ok(())
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
