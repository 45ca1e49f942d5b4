//! The invitations that are recorded as pending, run out or not.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, ExprTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::SelectStatement,
};

use super::{Column, Entity, PENDING, granting, invitation_grant, listed, read, subtree};
use crate::{
    domain::{Email, Invitation, InvitationId, RoleId, Team, TeamId, UserId},
    repository::{Result, Source},
};

/// Those that grant something in one of these teams to one of these addresses.
pub async fn pending_for(
    source: &impl Source,
    teams: impl IntoIterator<Item = TeamId>,
    emails: impl IntoIterator<Item = &Email>,
) -> Result<Vec<Invitation>> {
    use invitation_grant::Column as Grant;

    let of = Condition::all()
        .add(Grant::TeamId.is_in(teams.into_iter().map(|id| id.0)))
        .add(Grant::Email.is_in(emails.into_iter().map(Email::as_str)));
    read(source, pending(of).order_by_asc(Column::Id)).await
}

/// Those that this person answers for and that grant something in a team or below it, oldest first.
pub async fn pending_sent_by(source: &impl Source, team: &Team, inviter: &UserId) -> Result<Vec<Invitation>> {
    let theirs = below(subtree(team)).filter(Column::Inviter.eq(inviter.as_str()));
    read(source, theirs.order_by_asc(Column::Id)).await
}

/// Those of a tree that are open and grant this role of its own, oldest first.
pub async fn pending_to_role(
    source: &impl Source,
    root: &Team,
    role: &RoleId,
    now: DateTime<Utc>,
) -> Result<Vec<Invitation>> {
    // A role's id as text may also be part of a permission's name, so that what is found is looked at once more.
    let text = Column::Grants.into_expr().cast_as("text").like(format!("%{role}%"));
    let open = below(subtree(root)).filter(Column::ExpireTime.gt(now)).filter(text).order_by_asc(Column::Id);
    let mut found = read(source, open).await?;
    found.retain(|invitation| invitation.grants.values().any(|offer| offer.roles.contains(role)));
    Ok(found)
}

/// Those that grant something in a team, oldest first.
pub async fn all_granting(source: &impl Source, team: TeamId) -> Result<Vec<Invitation>> {
    read(source, in_team(team).order_by_asc(Column::Id)).await
}

/// How many open invitations grant something in a team, without those to these addresses.
pub async fn count_open(source: &impl Source, team: TeamId, except: Option<&Email>, now: DateTime<Utc>) -> Result<u64> {
    let mut open = in_team(team).filter(Column::ExpireTime.gt(now));
    if let Some(email) = except {
        open = open.filter(Column::Email.ne(email.as_str()));
    }
    Ok(open.count(source.connection()).await?)
}

/// Those that have run out and are recorded as pending still, each with the team that sent it: in the order of their ids,
/// after this one.
pub async fn overdue(
    source: &impl Source,
    now: DateTime<Utc>,
    after: Option<InvitationId>,
    limit: u64,
) -> Result<Vec<(TeamId, InvitationId)>> {
    let mut rows = Entity::find()
        .select_only()
        .columns([Column::TeamId, Column::Id])
        .filter(Column::State.eq(PENDING))
        .filter(Column::ExpireTime.lte(now))
        .order_by_asc(Column::Id)
        .limit(limit);
    if let Some(after) = after {
        rows = rows.filter(Column::Id.gt(after.0));
    }
    let found: Vec<(uuid::Uuid, uuid::Uuid)> = rows.into_tuple().all(source.connection()).await?;
    Ok(found.into_iter().map(|(team, id)| (TeamId(team), InvitationId(id))).collect())
}

fn in_team(team: TeamId) -> Select<Entity> {
    pending(Condition::all().add(invitation_grant::Column::TeamId.eq(team.0)))
}

fn below(teams: SelectStatement) -> Select<Entity> {
    pending(Condition::all().add(invitation_grant::Column::TeamId.in_subquery(teams)))
}

fn pending(of: Condition) -> Select<Entity> {
    let ids = granting(of.add(invitation_grant::Column::Pending.eq(true)));
    listed().filter(Column::State.eq(PENDING)).filter(Column::Id.in_subquery(ids))
}
