//! Memberships in the database.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, ExprTrait, FromQueryResult, Order, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait, Select,
    sea_query::{Expr, Func},
};

use super::{
    Result, Source, Tx,
    entity::{membership, membership_role, team},
    row::{At, word_of},
};
use crate::domain::{Member, RoleId, Team, TeamId, UserId, Version, member::Source as MemberSource};

const SOURCES: [(&str, MemberSource); 3] = [
    ("TEAM_CREATION", MemberSource::TeamCreation),
    ("DIRECT", MemberSource::Direct),
    ("INVITATION", MemberSource::Invitation),
];

/// A place in a list of memberships: when it began, and the id that breaks ties.
pub type Place<Id> = (DateTime<Utc>, Id);

/// Which members of a team to list.
#[derive(Debug, Clone)]
pub struct Page<'a> {
    /// Only those who hold this role.
    pub role: Option<&'a RoleId>,
    /// Whether the last to join comes first.
    pub descending: bool,
    /// After this place.
    pub after: Option<Place<UserId>>,
    /// How many at the most.
    pub limit: u64,
}

/// The member, if the user is one.
pub async fn get(source: &impl Source, team: TeamId, user: &UserId) -> Result<Option<Member>> {
    let key = (team.0, user.to_string());
    Ok(read(source, membership::Entity::find_by_id(key)).await?.pop())
}

/// The roles that a user holds in a team: none if they are not a member. The one query of every access check.
pub async fn roles(source: &impl Source, team: TeamId, user: &UserId) -> Result<BTreeSet<RoleId>> {
    let rows = membership_role::Entity::find()
        .filter(membership_role::Column::TeamId.eq(team.0))
        .filter(membership_role::Column::UserId.eq(user.as_str()))
        .all(source.connection())
        .await?;
    rows.into_iter().map(|row| role_id(&row)).collect()
}

/// The owner of a team.
pub async fn owner(source: &impl Source, team: TeamId) -> Result<Option<Member>> {
    let page = Page { role: Some(&RoleId::owner()), descending: false, after: None, limit: 1 };
    Ok(list(source, team, &page).await?.pop())
}

/// A page of a team's members.
pub async fn list(source: &impl Source, team: TeamId, page: &Page<'_>) -> Result<Vec<Member>> {
    use membership::Column;

    let order = if page.descending { Order::Desc } else { Order::Asc };
    let mut query = membership::Entity::find()
        .filter(Column::TeamId.eq(team.0))
        .order_by(Column::JoinTime, order.clone())
        .order_by(Column::UserId, order)
        .limit(page.limit);
    if let Some(role) = page.role {
        let holders = membership_role::Entity::find()
            .select_only()
            .column(membership_role::Column::UserId)
            .filter(membership_role::Column::TeamId.eq(team.0))
            .filter(membership_role::Column::RoleId.eq(role.as_str()));
        query = query.filter(Column::UserId.in_subquery(holders.into_query()));
    }
    if let Some((time, user)) = &page.after {
        // Compared as one row value, so that the index leads to the place however far down it is.
        let place = Expr::tuple([Column::JoinTime.into_expr(), Column::UserId.into_expr()]);
        let after = Expr::tuple([Expr::value(*time), Expr::value(user.as_str())]);
        query = query.filter(if page.descending { place.lt(after) } else { place.gt(after) });
    }
    read(source, query).await
}

/// How many members a team has.
pub async fn count(source: &impl Source, team: TeamId) -> Result<u64> {
    Ok(membership::Entity::find().filter(membership::Column::TeamId.eq(team.0)).count(source.connection()).await?)
}

/// A page of the teams that a user is a member of, the one joined first at the top, each with when they joined.
pub async fn teams_of(
    source: &impl Source,
    user: &UserId,
    after: Option<&Place<TeamId>>,
    limit: u64,
) -> Result<Vec<(DateTime<Utc>, Team)>> {
    use membership::Column;

    let mut query = membership::Entity::find()
        .filter(Column::UserId.eq(user.as_str()))
        .order_by_asc(Column::JoinTime)
        .order_by_asc(Column::TeamId)
        .limit(limit);
    if let Some((time, team)) = after {
        let place = Expr::tuple([Column::JoinTime.into_expr(), Column::TeamId.into_expr()]);
        query = query.filter(place.gt(Expr::tuple([Expr::value(*time), Expr::value(team.0)])));
    }
    let joined = query.all(source.connection()).await?;
    let ids = joined.iter().map(|row| row.team_id);
    let teams = team::Entity::find().filter(team::Column::Id.is_in(ids)).all(source.connection()).await?;
    let mut teams: BTreeMap<_, _> = teams.into_iter().map(|row| (row.id, row)).collect();
    let found = joined.into_iter().filter_map(|row| Some((row.join_time, teams.remove(&row.team_id)?)));
    found.map(|(time, row)| Ok((time, Team::try_from(row)?))).collect()
}

/// Adds a member with their roles.
pub async fn insert(tx: &Tx, member: &Member) -> Result<()> {
    let row = membership::ActiveModel {
        team_id: Set(member.team_id.0),
        user_id: Set(member.user_id.to_string()),
        invited_by: Set(member.invited_by.as_ref().map(UserId::to_string)),
        source: Set(word_of(&SOURCES, &member.source)),
        join_time: Set(member.join_time),
        changed: Set(member.changed.0),
    };
    membership::Entity::insert(row).exec_without_returning(tx.connection()).await?;
    insert_roles(tx, member, member.roles.iter()).await
}

/// Writes a member's roles as they are now, given those before.
pub async fn update(tx: &Tx, before: &BTreeSet<RoleId>, member: &Member) -> Result<()> {
    use membership_role::Column;

    let changed = membership::ActiveModel { changed: Set(member.changed.0), ..Default::default() };
    membership::Entity::update_many()
        .set(changed)
        .filter(membership::Column::TeamId.eq(member.team_id.0))
        .filter(membership::Column::UserId.eq(member.user_id.as_str()))
        .exec(tx.connection())
        .await?;
    let lost: Vec<&str> = before.difference(&member.roles).map(RoleId::as_str).collect();
    if !lost.is_empty() {
        membership_role::Entity::delete_many()
            .filter(Column::TeamId.eq(member.team_id.0))
            .filter(Column::UserId.eq(member.user_id.as_str()))
            .filter(Column::RoleId.is_in(lost))
            .exec(tx.connection())
            .await?;
    }
    insert_roles(tx, member, member.roles.difference(before)).await
}

/// Ends a membership.
pub async fn delete(tx: &Tx, member: &Member) -> Result<()> {
    membership::Entity::delete_by_id((member.team_id.0, member.user_id.to_string())).exec(tx.connection()).await?;
    Ok(())
}

/// Ends every membership of a team.
pub async fn delete_all(tx: &Tx, team: TeamId) -> Result<()> {
    membership::Entity::delete_many().filter(membership::Column::TeamId.eq(team.0)).exec(tx.connection()).await?;
    Ok(())
}

async fn insert_roles(tx: &Tx, member: &Member, roles: impl Iterator<Item = &RoleId>) -> Result<()> {
    let rows: Vec<_> = roles
        .map(|role| membership_role::ActiveModel {
            team_id: Set(member.team_id.0),
            user_id: Set(member.user_id.to_string()),
            role_id: Set(role.to_string()),
        })
        .collect();
    if !rows.is_empty() {
        membership_role::Entity::insert_many(rows).exec_without_returning(tx.connection()).await?;
    }
    Ok(())
}

/// A membership and the ids of its roles, with a space between each two.
#[derive(FromQueryResult)]
struct Row {
    #[sea_orm(nested)]
    membership: membership::Model,
    roles: Option<String>,
}

/// The members that a query finds. One statement reads them and their roles, so that all of it is of the same moment:
/// no member is without roles because they were just removed, and no team without its owner.
async fn read(source: &impl Source, query: Select<membership::Entity>) -> Result<Vec<Member>> {
    use membership_role::{Column, Entity};

    let of_member = |held: Column, member: membership::Column| held.into_expr().eq(member.into_expr());
    let roles = Entity::find()
        .select_only()
        .expr(Func::cust("string_agg").arg(Column::RoleId.into_expr()).arg(" "))
        .filter(of_member(Column::TeamId, membership::Column::TeamId))
        .filter(of_member(Column::UserId, membership::Column::UserId));
    let rows = query.expr_as(roles.into_query(), "roles").into_model::<Row>().all(source.connection()).await?;
    rows.into_iter().map(member).collect()
}

fn member(Row { membership: row, roles }: Row) -> Result<Member> {
    let key = format!("{}/{}", row.team_id, row.user_id);
    let at = At::new("memberships", &key);
    let roles = roles.unwrap_or_default();
    Ok(Member {
        team_id: TeamId(row.team_id),
        roles: at.check("roles", roles.split_whitespace().map(str::parse).collect())?,
        user_id: at.check("user_id", row.user_id.parse())?,
        invited_by: at.check("invited_by", row.invited_by.map(|id| id.parse()).transpose())?,
        source: at.word("source", &SOURCES, &row.source)?,
        join_time: row.join_time,
        changed: Version(row.changed),
    })
}

fn role_id(row: &membership_role::Model) -> Result<RoleId> {
    let key = format!("{}/{}", row.team_id, row.user_id);
    At::new("membership_roles", &key).check("role_id", row.role_id.parse())
}
