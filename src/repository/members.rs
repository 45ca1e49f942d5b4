//! Memberships in the database.

mod list;
mod roster;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, EntityTrait, ExprTrait, FromQueryResult, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait, Select,
    sea_query::{BinOper, Expr, Func},
};

use super::{
    Result, Source,
    entity::{membership, membership_role},
    row::{At, word_of},
};
use crate::domain::{
    Member, RoleId, TeamId, UserId, Version,
    member::{Source as MemberSource, State},
};

pub use list::{Filter, Key, Order, Page, Place, list, name_key, teams_of};
pub use roster::{Entry, EntryPlace, RosterPage, Status, roster};
pub use write::{delete, delete_many, forget_home, insert, mirror_user, update};

const SOURCES: [(&str, MemberSource); 3] = [
    ("TEAM_CREATION", MemberSource::TeamCreation),
    ("DIRECT", MemberSource::Direct),
    ("INVITATION", MemberSource::Invitation),
];
const STATES: [(&str, State); 2] = [("ACTIVE", State::Active), ("SUSPENDED", State::Suspended)];

/// The membership as it is recorded, whether or not it has run out.
pub async fn get(source: &impl Source, team: TeamId, user: &UserId) -> Result<Option<Member>> {
    let key = (team.0, user.to_string());
    Ok(read(source, membership::Entity::find_by_id(key)).await?.pop())
}

/// Those of these users' memberships of a team that there are, as they are recorded.
pub async fn get_many(source: &impl Source, team: TeamId, users: &[UserId]) -> Result<Vec<Member>> {
    let query = membership::Entity::find()
        .filter(membership::Column::TeamId.eq(team.0))
        .filter(membership::Column::UserId.is_in(users.iter().map(UserId::as_str)));
    read(source, query).await
}

/// A person's memberships of these teams, as they are recorded. The one query of every access check.
pub async fn of_user_in(
    source: &impl Source,
    user: &UserId,
    teams: impl IntoIterator<Item = TeamId>,
) -> Result<Vec<Member>> {
    of_users_in(source, [user], teams).await
}

/// Some people's memberships of these teams, as they are recorded.
pub async fn of_users_in(
    source: &impl Source,
    users: impl IntoIterator<Item = &UserId>,
    teams: impl IntoIterator<Item = TeamId>,
) -> Result<Vec<Member>> {
    let query = membership::Entity::find()
        .filter(membership::Column::UserId.is_in(users.into_iter().map(UserId::as_str)))
        .filter(membership::Column::TeamId.is_in(teams.into_iter().map(|id| id.0)));
    read(source, query).await
}

/// All of some people's memberships, as they are recorded.
pub async fn of_users(source: &impl Source, users: impl IntoIterator<Item = &UserId>) -> Result<Vec<Member>> {
    let users = users.into_iter().map(UserId::as_str);
    read(source, membership::Entity::find().filter(membership::Column::UserId.is_in(users))).await
}

/// All of a person's memberships, as they are recorded.
pub async fn of_user(source: &impl Source, user: &UserId) -> Result<Vec<Member>> {
    let query = membership::Entity::find().filter(membership::Column::UserId.eq(user.as_str()));
    read(source, query.order_by_asc(membership::Column::TeamId)).await
}

/// Some memberships of a team, as they are recorded.
pub async fn all(source: &impl Source, team: TeamId, limit: u64) -> Result<Vec<Member>> {
    let query = membership::Entity::find().filter(membership::Column::TeamId.eq(team.0)).limit(limit);
    read(source, query.order_by_asc(membership::Column::UserId)).await
}

/// An owner of a root team.
pub async fn owner(source: &impl Source, team: TeamId, now: DateTime<Utc>) -> Result<Option<Member>> {
    let role = RoleId::owner();
    let filter = Filter { role: Some(&role), state: Some(State::Active), ..Filter::default() };
    Ok(list(source, team, &Page { filter, order: Order::JoinTime, after: None, limit: 1, now }).await?.0.pop())
}

/// How many active owners a root team has besides this member.
pub async fn count_other_owners(source: &impl Source, team: TeamId, except: &UserId) -> Result<u64> {
    let others = owners(team)
        .filter(membership::Column::State.eq(word_of(&STATES, &State::Active)))
        .filter(membership::Column::UserId.ne(except.as_str()));
    Ok(others.count(source.connection()).await?)
}

/// How many owners a root team has, suspended ones included.
pub async fn count_owners(source: &impl Source, team: TeamId) -> Result<u64> {
    Ok(owners(team).count(source.connection()).await?)
}

fn owners(team: TeamId) -> Select<membership::Entity> {
    membership::Entity::find()
        .filter(membership::Column::TeamId.eq(team.0))
        .filter(membership::Column::UserId.in_subquery(holders(team, &RoleId::owner()).into_query()))
}

/// How many members a team has.
pub async fn count(source: &impl Source, team: TeamId, now: DateTime<Utc>) -> Result<u64> {
    let members = membership::Entity::find().filter(membership::Column::TeamId.eq(team.0)).filter(not_over(now));
    Ok(members.count(source.connection()).await?)
}

/// Who holds a role of a tree's own, in whichever of its teams, as recorded.
pub async fn of_role(source: &impl Source, role: &RoleId) -> Result<Vec<Member>> {
    use membership::Column;

    let key = Expr::tuple([Column::TeamId.into_expr(), Column::UserId.into_expr()]);
    let holders = membership_role::Entity::find()
        .select_only()
        .column(membership_role::Column::TeamId)
        .column(membership_role::Column::UserId)
        .filter(membership_role::Column::RoleId.eq(role.as_str()));
    let query = membership::Entity::find().filter(key.in_subquery(holders.into_query()));
    read(source, query.order_by_asc(Column::TeamId).order_by_asc(Column::UserId)).await
}

/// Memberships that have run out, or a role of which has, and that still stand as they were: by team and person, those
/// after this one.
pub async fn overdue(
    source: &impl Source,
    now: DateTime<Utc>,
    after: Option<&(TeamId, UserId)>,
    limit: u64,
) -> Result<Vec<(TeamId, UserId)>> {
    let whole = {
        use membership::{Column, Entity};
        let over = Entity::find().filter(Column::ExpireTime.lte(now));
        first_keys(source, over, (Column::TeamId, Column::UserId), after, limit).await?
    };
    let single = {
        use membership_role::{Column, Entity};
        let over = Entity::find().filter(Column::ExpireMicros.lte(now.timestamp_micros()));
        first_keys(source, over, (Column::TeamId, Column::UserId), after, limit).await?
    };
    let found: BTreeSet<(TeamId, UserId)> = whole.into_iter().chain(single).collect();
    Ok(found.into_iter().take(usize::try_from(limit).unwrap_or(usize::MAX)).collect())
}

/// The first teams and people of what a query finds, after this one.
async fn first_keys<E: EntityTrait, C: ColumnTrait>(
    source: &impl Source,
    query: Select<E>,
    (team, user): (C, C),
    after: Option<&(TeamId, UserId)>,
    limit: u64,
) -> Result<Vec<(TeamId, UserId)>> {
    let mut query = query.select_only().columns([team, user]).order_by_asc(team).order_by_asc(user).limit(limit);
    if let Some((last_team, last_user)) = after {
        let place = Expr::tuple([team.into_expr(), user.into_expr()]);
        query = query.filter(place.gt(Expr::tuple([Expr::value(last_team.0), Expr::value(last_user.as_str())])));
    }
    let found: Vec<(uuid::Uuid, String)> = query.into_tuple().all(source.connection()).await?;
    let key = |(team, user): (uuid::Uuid, String)| {
        let user = At::new("memberships", &team).check("user_id", user.parse())?;
        Ok((TeamId(team), user))
    };
    found.into_iter().map(key).collect()
}

/// The ids of those who hold a role in a team.
fn holders(team: TeamId, role: &RoleId) -> Select<membership_role::Entity> {
    membership_role::Entity::find()
        .select_only()
        .column(membership_role::Column::UserId)
        .filter(membership_role::Column::TeamId.eq(team.0))
        .filter(membership_role::Column::RoleId.eq(role.as_str()))
}

/// The same, without those who held it until some time before `now`.
fn holders_at(team: TeamId, role: &RoleId, now: DateTime<Utc>) -> Select<membership_role::Entity> {
    use membership_role::Column::ExpireMicros;

    let lasts = sea_orm::Condition::any().add(ExpireMicros.is_null()).add(ExpireMicros.gt(now.timestamp_micros()));
    holders(team, role).filter(lasts)
}

/// The clock decides: a membership that has run out is none.
pub(super) fn not_over(now: DateTime<Utc>) -> sea_orm::Condition {
    use membership::Column::ExpireTime;

    sea_orm::Condition::any().add(ExpireTime.is_null()).add(ExpireTime.gt(now))
}

/// A membership and its roles: `id@` for good or `id@microseconds`, with a space between each two.
#[derive(FromQueryResult)]
struct Row {
    #[sea_orm(nested)]
    membership: membership::Model,
    roles: Option<String>,
}

/// The members that a query finds.
async fn read(source: &impl Source, query: Select<membership::Entity>) -> Result<Vec<Member>> {
    rows(source, query).await?.into_iter().map(member).collect()
}

/// The rows of the members that a query finds. One statement reads them and their roles, so that all of it is of the same moment:
/// no member is without roles because they were just removed, and no team without its owner.
async fn rows(source: &impl Source, query: Select<membership::Entity>) -> Result<Vec<Row>> {
    use membership_role::{Column, Entity};

    let of_member = |held: Column, member: membership::Column| held.into_expr().eq(member.into_expr());
    let end = Func::coalesce([Column::ExpireMicros.into_expr().cast_as("text"), Expr::value("")]);
    let concat = BinOper::Custom("||");
    let role = Column::RoleId.into_expr().binary(concat, Expr::value("@")).binary(concat, end);
    let roles = Entity::find()
        .select_only()
        .expr(Func::cust("string_agg").arg(role).arg(" "))
        .filter(of_member(Column::TeamId, membership::Column::TeamId))
        .filter(of_member(Column::UserId, membership::Column::UserId));
    Ok(query.expr_as(roles.into_query(), "roles").into_model::<Row>().all(source.connection()).await?)
}

fn member(Row { membership: row, roles }: Row) -> Result<Member> {
    let key = format!("{}/{}", row.team_id, row.user_id);
    let at = At::new("memberships", &key);
    let (mut ids, mut ends) = (BTreeSet::new(), BTreeMap::new());
    for held in roles.unwrap_or_default().split_whitespace() {
        let (id, end) = held.split_once('@').unwrap_or((held, ""));
        let id: RoleId = at.check("roles", id.parse())?;
        if !end.is_empty() {
            let micros = at.check("roles", end.parse())?;
            let end = DateTime::from_timestamp_micros(micros).ok_or_else(|| at.corrupt("roles", &"no such time"))?;
            ends.insert(id.clone(), end);
        }
        ids.insert(id);
    }
    Ok(Member {
        team_id: TeamId(row.team_id),
        roles: ids,
        role_expire_times: ends,
        permissions: at.json("permissions", row.permissions)?,
        state: at.word("state", &STATES, &row.state)?,
        expire_time: row.expire_time,
        external: row.external,
        user_id: at.check("user_id", row.user_id.parse())?,
        invited_by: at.check("invited_by", row.invited_by.map(|id| id.parse()).transpose())?,
        source: at.word("source", &SOURCES, &row.source)?,
        join_time: row.join_time,
        changed: Version(row.changed),
    })
}
