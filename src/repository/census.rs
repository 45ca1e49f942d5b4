//! Counting, over a whole tree, what its rules would not let in any more.

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

/// How many teams have more members than this.
pub async fn teams_over_seats(source: &impl Source, root: TeamId, limit: u32, now: DateTime<Utc>) -> Result<u64> {
    groups(source, members(root, now), membership::Column::TeamId, limit).await
}

/// How many teams have more open invitations that grant something in them than this.
pub async fn teams_over_pending(source: &impl Source, root: TeamId, limit: u32, now: DateTime<Utc>) -> Result<u64> {
    use invitation_grant::Column;

    let open = invitation::Entity::find()
        .select_only()
        .column(invitation::Column::Id)
        .filter(in_state(StateFilter::Pending, now))
        .into_query();
    let grants = invitation_grant::Entity::find()
        .filter(Column::TeamId.in_subquery(teams(root)))
        .filter(Column::InvitationId.in_subquery(open));
    groups(source, grants, Column::TeamId, limit).await
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
    let ids = open(root, now).select_only().column(invitation::Column::Id).into_query();
    let grants = invitation_grant::Entity::find().filter(invitation_grant::Column::InvitationId.in_subquery(ids));
    groups(source, grants, invitation_grant::Column::InvitationId, 1).await
}

/// The open invitations of a tree.
fn open(root: TeamId, now: DateTime<Utc>) -> Select<invitation::Entity> {
    invitation::Entity::find()
        .filter(invitation::Column::TeamId.in_subquery(teams(root)))
        .filter(in_state(StateFilter::Pending, now))
}

fn members(root: TeamId, now: DateTime<Utc>) -> Select<membership::Entity> {
    membership::Entity::find().filter(membership::Column::TeamId.in_subquery(teams(root))).filter(not_over(now))
}

fn teams(root: TeamId) -> SelectStatement {
    team::Entity::find().select_only().column(team::Column::Id).filter(team::Column::RootId.eq(root.0)).into_query()
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
