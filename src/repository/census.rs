//! Counting, over a whole tree, what its rules would not let in any more.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, ExprTrait, FromQueryResult, PaginatorTrait, QueryFilter, QuerySelect,
    QueryTrait, Select,
    sea_query::{Expr, Func, SelectStatement},
};

use super::{
    Result, Source,
    entity::{invitation, invitation_grant, membership, team},
    invitations::{StateFilter, in_state},
    members::not_over,
};
use crate::domain::TeamId;

/// How many teams have more seats taken than this, by members and by open invitations that grant something in them.
pub async fn teams_over_seats(source: &impl Source, root: TeamId, limit: u32, now: DateTime<Utc>) -> Result<u64> {
    let mut seats = sizes(source, members(root, now), membership::Column::TeamId).await?;
    for (team, held) in sizes(source, grants(root, now), invitation_grant::Column::TeamId).await? {
        *seats.entry(team).or_default() += held;
    }
    Ok(seats.values().filter(|taken| **taken > i64::from(limit)).count() as u64)
}

/// How many teams have more open invitations that grant something in them than this.
pub async fn teams_over_pending(source: &impl Source, root: TeamId, limit: u32, now: DateTime<Utc>) -> Result<u64> {
    groups(source, grants(root, now), invitation_grant::Column::TeamId, limit).await
}

/// How many people are members of more than one team.
pub async fn people_in_several_teams(source: &impl Source, root: TeamId, now: DateTime<Utc>) -> Result<u64> {
    groups(source, members(root, now), membership::Column::UserId, 1).await
}

/// How many memberships there are of people whose home is another tree.
pub async fn external_members(source: &impl Source, root: TeamId, now: DateTime<Utc>) -> Result<u64> {
    let external = members(root, now).filter(membership::Column::External.eq(true));
    Ok(external.count(source.connection()).await?)
}

/// How many memberships there are of people with addresses of other domains than these.
pub async fn members_of_other_domains(
    source: &impl Source,
    root: TeamId,
    domains: &[String],
    now: DateTime<Utc>,
) -> Result<u64> {
    let of = |domain: &String| membership::Column::Email.like(format!("%@{domain}"));
    let any = domains.iter().map(of).fold(Condition::any(), Condition::add);
    Ok(members(root, now).filter(any.not()).count(source.connection()).await?)
}

/// How many open invitations there are to addresses of other domains than these.
pub async fn invitations_to_other_domains(
    source: &impl Source,
    root: TeamId,
    domains: &[String],
    now: DateTime<Utc>,
) -> Result<u64> {
    let of = |domain: &String| invitation::Column::Email.like(format!("%@{domain}"));
    let any = domains.iter().map(of).fold(Condition::any(), Condition::add);
    Ok(open(root, now).filter(any.not()).count(source.connection()).await?)
}

/// How many open invitations grant something in more than one team.
pub async fn invitations_to_several_teams(source: &impl Source, root: TeamId, now: DateTime<Utc>) -> Result<u64> {
    groups(source, grants(root, now), invitation_grant::Column::InvitationId, 1).await
}

/// How many open invitations to one team there are for members of another.
pub async fn invitations_to_members_elsewhere(source: &impl Source, root: TeamId, now: DateTime<Utc>) -> Result<u64> {
    use invitation::Column::{Email, Id, TeamId};

    let of_other_teams = invitation_grant::Entity::find()
        .filter(invitation_grant::Column::InvitationId.into_expr().eq(Id.into_expr()))
        .filter(invitation_grant::Column::TeamId.into_expr().ne(TeamId.into_expr()));
    let elsewhere = members(root, now)
        .filter(membership::Column::Email.into_expr().eq(Email.into_expr()))
        .filter(membership::Column::TeamId.into_expr().ne(TeamId.into_expr()));
    let found = open(root, now)
        .filter(Expr::not_exists(of_other_teams.into_query()))
        .filter(Expr::exists(elsewhere.into_query()));
    Ok(found.count(source.connection()).await?)
}

/// The open invitations of a tree.
fn open(root: TeamId, now: DateTime<Utc>) -> Select<invitation::Entity> {
    invitation::Entity::find()
        .filter(invitation::Column::TeamId.in_subquery(teams(root)))
        .filter(in_state(StateFilter::Pending, now))
}

/// What the open invitations of a tree grant, a row for each team.
fn grants(root: TeamId, now: DateTime<Utc>) -> Select<invitation_grant::Entity> {
    let ids = open(root, now).select_only().column(invitation::Column::Id).into_query();
    invitation_grant::Entity::find().filter(invitation_grant::Column::InvitationId.in_subquery(ids))
}

fn members(root: TeamId, now: DateTime<Utc>) -> Select<membership::Entity> {
    membership::Entity::find().filter(membership::Column::TeamId.in_subquery(teams(root))).filter(not_over(now))
}

fn teams(root: TeamId) -> SelectStatement {
    team::Entity::find().select_only().column(team::Column::Id).filter(team::Column::RootId.eq(root.0)).into_query()
}

/// How many rows there are with each value.
async fn sizes<E: EntityTrait>(
    source: &impl Source,
    rows: Select<E>,
    by: impl ColumnTrait,
) -> Result<BTreeMap<uuid::Uuid, i64>> {
    let size = Expr::expr(Func::count(by.into_expr()));
    let groups = rows.select_only().column(by).column_as(size, "size").group_by(by);
    let sizes: Vec<(uuid::Uuid, i64)> = groups.into_tuple().all(source.connection()).await?;
    Ok(sizes.into_iter().collect())
}

/// How many groups of rows with the same value have more than so many.
async fn groups<E: EntityTrait>(
    source: &impl Source,
    rows: Select<E>,
    by: impl ColumnTrait,
    more_than: u32,
) -> Result<u64> {
    #[derive(FromQueryResult)]
    struct Group {
        #[expect(dead_code, reason = "only how many groups there are counts")]
        size: i64,
    }
    let size = || Expr::expr(Func::count(by.into_expr()));
    let groups = rows
        .select_only()
        .column_as(size(), "size")
        .group_by(by)
        .having(size().gt(i64::from(more_than)))
        .into_model::<Group>();
    Ok(groups.all(source.connection()).await?.len() as u64)
}
