//! Pages of members.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::{self, Expr},
};
use serde::{Deserialize, Serialize};

use super::{STATES, holders_at, member, not_over, read, rows};
use crate::{
    domain::{
        Member, RoleId, Team, TeamId, UserId,
        member::State,
        text::{DisplayName, fold},
    },
    repository::{Result, Source, entity::membership, row::word_of, teams},
};

/// A place in a list of memberships: what it is sorted by, and the id that breaks ties.
pub type Place<Id> = (Key, Id);

/// What a list of memberships is sorted by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Key {
    /// When they began.
    Time(DateTime<Utc>),
    /// The address, or the folded name.
    Text(String),
}

/// In which order to list members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The first to join comes first.
    JoinTime,
    /// The last to join comes first.
    JoinTimeDescending,
    /// By name, whatever the case of its letters.
    Name,
    /// By e-mail address.
    Email,
}

/// Which members of a team to list.
#[derive(Debug, Clone, Default)]
pub struct Filter<'a> {
    /// Only those who hold this role.
    pub role: Option<&'a RoleId>,
    /// Only those in this state.
    pub state: Option<State>,
    /// Only those whose home is another tree, or is not.
    pub external: Option<bool>,
    /// Only those who joined then or later.
    pub joined_since: Option<DateTime<Utc>>,
    /// Only those whose name or address begins so, whatever the case of its letters.
    pub search: Option<&'a str>,
}

/// A page of a team's members.
#[derive(Debug, Clone)]
pub struct Page<'a> {
    /// Which.
    pub filter: Filter<'a>,
    /// In which order.
    pub order: Order,
    /// After this place.
    pub after: Option<Place<UserId>>,
    /// How many at the most.
    pub limit: u64,
    /// The time of the call.
    pub now: DateTime<Utc>,
}

/// By what a row is sorted.
fn key(order: Order, row: &membership::Model) -> Key {
    match order {
        Order::JoinTime | Order::JoinTimeDescending => Key::Time(row.join_time),
        Order::Name => Key::Text(row.name_key.clone()),
        Order::Email => Key::Text(row.email.clone()),
    }
}

/// The form of a name by which members are found and sorted.
pub fn name_key(name: &DisplayName) -> String {
    fold(name.as_str())
}

/// A page of a team's members, and the place after which the next one begins, if there is one.
pub async fn list(source: &impl Source, team: TeamId, page: &Page<'_>) -> Result<(Vec<Member>, Option<Place<UserId>>)> {
    use membership::Column;

    let (column, order) = match page.order {
        Order::JoinTime => (Column::JoinTime, sea_orm::Order::Asc),
        Order::JoinTimeDescending => (Column::JoinTime, sea_orm::Order::Desc),
        Order::Name => (Column::NameKey, sea_orm::Order::Asc),
        Order::Email => (Column::Email, sea_orm::Order::Asc),
    };
    let mut query = membership::Entity::find()
        .filter(Column::TeamId.eq(team.0))
        .filter(not_over(page.now))
        .filter(matching(team, &page.filter, page.now))
        .order_by(column, order.clone())
        .order_by(Column::UserId, order.clone())
        .limit(page.limit + 1);
    if let Some((key, user)) = &page.after {
        // Compared as one row value, so that the index leads to the place however far down it is.
        let place = Expr::tuple([column.into_expr(), Column::UserId.into_expr()]);
        let after = Expr::tuple([value(key), Expr::value(user.as_str())]);
        query = query.filter(if order == sea_orm::Order::Desc { place.lt(after) } else { place.gt(after) });
    }
    let (rows, more) = cut(rows(source, query).await?, page.limit);
    let key = rows.last().filter(|_| more).map(|last| key(page.order, &last.membership));
    let members = rows.into_iter().map(member).collect::<Result<Vec<_>>>()?;
    let next = key.zip(members.last().map(|last| last.user_id.clone()));
    Ok((members, next))
}

/// What fits of what was read, one more than that, and whether that one was there.
fn cut<T>(mut found: Vec<T>, limit: u64) -> (Vec<T>, bool) {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = found.len() > limit;
    found.truncate(limit);
    (found, more)
}

fn value(key: &Key) -> Expr {
    match key {
        Key::Time(time) => Expr::value(*time),
        Key::Text(text) => Expr::value(text.as_str()),
    }
}

fn matching(team: TeamId, filter: &Filter<'_>, now: DateTime<Utc>) -> Condition {
    use membership::Column;

    let role = filter.role.map(|role| Column::UserId.in_subquery(holders_at(team, role, now).into_query()));
    let state = filter.state.map(|state| Column::State.eq(word_of(&STATES, &state)));
    let external = filter.external.map(|external| Column::External.eq(external));
    let since = filter.joined_since.map(|time| Column::JoinTime.gte(time));
    let mut all: Condition =
        [role, state, external, since].into_iter().flatten().fold(Condition::all(), Condition::add);
    if let Some(text) = filter.search {
        // As a range, for indexes and both databases to agree on; nothing sorts behind the last character.
        let begins = |column: Column, text: String| {
            let end = format!("{text}{}", char::MAX);
            Condition::all().add(column.gte(text)).add(column.lt(end))
        };
        let by_name = begins(Column::NameKey, fold(text));
        // What is not ASCII in an address is kept as it was written.
        all = all.add(Condition::any().add(by_name).add(begins(Column::Email, text.to_ascii_lowercase())));
    }
    all
}

/// The first of a user's memberships after a place, each with its team, and the place after which there are more.
pub async fn teams_of(
    source: &impl Source,
    user: &UserId,
    after: Option<&(DateTime<Utc>, TeamId)>,
    limit: u64,
    now: DateTime<Utc>,
) -> Result<(Vec<(Member, Team)>, Option<(DateTime<Utc>, TeamId)>)> {
    use membership::Column;

    let mut query = membership::Entity::find()
        .filter(Column::UserId.eq(user.as_str()))
        .filter(not_over(now))
        .order_by_asc(Column::JoinTime)
        .order_by_asc(Column::TeamId)
        .limit(limit + 1);
    if let Some((time, team)) = after {
        let place = Expr::tuple([Column::JoinTime.into_expr(), Column::TeamId.into_expr()]);
        query = query.filter(sea_query::ExprTrait::gt(place, Expr::tuple([Expr::value(*time), Expr::value(team.0)])));
    }
    let (joined, more) = cut(read(source, query).await?, limit);
    let next = joined.last().filter(|_| more).map(|last| (last.join_time, last.team_id));
    // One that was deleted meanwhile is left out, and the page goes on behind it all the same.
    let mut teams = teams::get_many(source, joined.iter().map(|member| member.team_id)).await?;
    let found = joined.into_iter().filter_map(|member| teams.remove(&member.team_id).map(|team| (member, team)));
    Ok((found.collect(), next))
}
