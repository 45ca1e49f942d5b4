//! Whether somebody may become a member, by the rules of the tree.

use chrono::{DateTime, Utc};

use super::{Result, Work};
use crate::{
    domain::{Broken, Team, User, member},
    repository::{Source, invitations, members, teams},
};

/// Whether this person, who is no member of the team, may become one.
pub(super) async fn check_user(source: &impl Source, team: &Team, user: &User, now: DateTime<Utc>) -> Result<()> {
    team.policy.check_domain(&user.email)?;
    if !team.policy.allow_external_members && has_home_elsewhere(source, team, user).await? {
        return Err(Broken::ExternalNotAllowed.into());
    }
    if team.policy.exclusive_membership && is_member_elsewhere(source, team, user, now).await? {
        return Err(Broken::MemberElsewhere.into());
    }
    Ok(())
}

/// Whether this person has a seat: who was invited took one with the invitation, and everybody else needs one that no open
/// invitation holds.
pub(super) async fn check_seat(work: &Work<'_>, team: &Team, user: &User, source: member::Source) -> Result<()> {
    if team.policy.max_members.is_none() {
        return Ok(());
    }
    let members = members::count(work.tx, team.id, work.now).await?;
    let held = match source {
        member::Source::Invitation => 0,
        member::Source::Direct | member::Source::TeamCreation => {
            invitations::count_open(work.tx, team.id, Some(&user.email), work.now).await?
        }
    };
    Ok(team.policy.check_seat(members + held)?)
}

/// Whether the person is at home in another tree that is still there.
pub(super) async fn has_home_elsewhere(source: &impl Source, team: &Team, user: &User) -> Result<bool> {
    match user.home {
        Some(home) if home != team.root() => Ok(teams::get(source, home).await?.is_some()),
        _ => Ok(false),
    }
}

async fn is_member_elsewhere(source: &impl Source, team: &Team, user: &User, now: DateTime<Utc>) -> Result<bool> {
    let memberships = members::of_user(source, &user.id).await?;
    let live = memberships.iter().filter(|member| !member.has_expired(now)).map(|member| member.team_id);
    let teams = teams::get_many(source, live).await?;
    Ok(teams.values().any(|other| other.root() == team.root() && other.id != team.id))
}
