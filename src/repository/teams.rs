//! Teams in the database.
//!
//! A row holds what is a team's own; the rules in force and whether it is closed come from the rows above it. They are
//! read with it, so that a [`Team`] is always whole.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, EntityTrait, ExprTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Alias, BinOper, Expr, LockType, Query},
};

use serde::{Deserialize, Serialize};

use super::{
    Result, Source, Tx,
    entity::{
        membership,
        team::{ActiveModel, Column, Entity, Model},
    },
    path,
    row::{At, to_json},
};
use crate::domain::{
    Team, TeamId, TeamPolicy, UserId, Version,
    text::{Slug, TeamName},
};

/// Which teams below another to list.
#[derive(Debug, Clone)]
pub struct Page<'a> {
    /// All of them, a team before those below it; otherwise only those right below, the oldest first.
    pub all: bool,
    /// Only those that this person is a member of, and those below these.
    pub member: Option<&'a UserId>,
    /// After this place.
    pub after: Option<&'a Place>,
    /// How many at the most.
    pub limit: u64,
}

/// Where a team stands in a list, also when it is there no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    ancestors: Vec<TeamId>,
    id: TeamId,
}

impl Place {
    /// Where this team stands.
    pub fn of(team: &Team) -> Self {
        Self { ancestors: team.ancestors.clone(), id: team.id }
    }
}

/// The team, unless it does not exist or was deleted.
pub async fn get(source: &impl Source, id: TeamId) -> Result<Option<Team>> {
    let found = Entity::find_by_id(id.0).filter(Column::DeleteTime.is_null()).one(source.connection()).await?;
    one(source, found).await
}

/// The team with this slug.
pub async fn get_by_slug(source: &impl Source, slug: &Slug) -> Result<Option<Team>> {
    let found = Entity::find().filter(Column::Slug.eq(slug.as_str())).one(source.connection()).await?;
    one(source, found).await
}

/// Those of these teams that exist.
pub async fn get_many(source: &impl Source, ids: impl IntoIterator<Item = TeamId>) -> Result<BTreeMap<TeamId, Team>> {
    let query = Entity::find().filter(Column::Id.is_in(ids.into_iter().map(|id| id.0)));
    let teams = read(source, query.filter(Column::DeleteTime.is_null())).await?;
    Ok(teams.into_iter().map(|team| (team.id, team)).collect())
}

/// A page of the teams below a team.
pub async fn list_below(source: &impl Source, team: &Team, page: &Page<'_>) -> Result<Vec<Team>> {
    let mut query = Entity::find().filter(Column::DeleteTime.is_null()).limit(page.limit);
    if page.all {
        let (begin, end) = path::range(&team.ancestors, team.id);
        let begin = page.after.map_or(begin, |after| path::encode(&after.ancestors, after.id));
        query = query.filter(Column::Path.gt(begin)).filter(Column::Path.lt(end)).order_by_asc(Column::Path);
    } else {
        query = query.filter(Column::ParentId.eq(team.id.0)).order_by_asc(Column::Id);
        query = page.after.iter().fold(query, |query, after| query.filter(Column::Id.gt(after.id.0)));
    }
    if let Some(user) = page.member {
        query = query.filter(is_within_reach(team, user));
    }
    read(source, query).await
}

/// Whether a person is a member of the team, or of one above it that stands below `top`.
fn is_within_reach(top: &Team, user: &UserId) -> Expr {
    let theirs = membership::Entity::find()
        .select_only()
        .column(membership::Column::TeamId)
        .filter(membership::Column::UserId.eq(user.as_str()));
    let held = Alias::new("held");
    let own = |column: Column| Expr::col((held.clone(), column));
    let (begin, end) = path::range(&top.ancestors, top.id);
    let above = Query::select()
        .expr(Expr::value(1))
        .from_as(Entity, held.clone())
        .and_where(own(Column::Id).in_subquery(sea_orm::QueryTrait::into_query(theirs)))
        .and_where(own(Column::Path).gt(begin))
        .and_where(own(Column::Path).lt(end))
        .and_where(Column::Path.into_expr().gte(own(Column::Path)))
        .and_where(Column::Path.into_expr().lt(own(Column::Path).binary(BinOper::Custom("||"), path::BEHIND)))
        .take();
    Expr::exists(above)
}

/// How many teams there are below a team, at all depths.
pub async fn count_below(source: &impl Source, team: &Team) -> Result<u64> {
    let (begin, end) = path::range(&team.ancestors, team.id);
    let below = Entity::find().filter(Column::Path.gt(begin)).filter(Column::Path.lt(end));
    Ok(below.filter(Column::DeleteTime.is_null()).count(source.connection()).await?)
}

/// The version of a team, deleted ones included.
pub async fn version(source: &impl Source, id: TeamId) -> Result<Option<Version>> {
    Ok(Entity::find_by_id(id.0).one(source.connection()).await?.map(|row| Version(row.version)))
}

/// Takes the team's row until the transaction ends, and with it the row of its root: from here on the changes of the
/// whole tree are serial. Lock teams of several trees by [`lock_roots`] first.
pub async fn lock(tx: &mut Tx, id: TeamId) -> Result<Option<Team>> {
    // Most teams are roots, and a root takes one statement.
    if let Some(team) = take(tx, Column::Id.eq(id.0).and(Column::ParentId.is_null())).await? {
        return Ok(Some(team));
    }
    let Some(team) = get(tx, id).await?.filter(|team| !team.is_root()) else { return Ok(None) };
    hold(tx, team.root()).await?;
    take(tx, Column::Id.eq(id.0)).await
}

/// Takes the roots of these teams' trees, in the order of their ids, so that two writers of several trees never wait for
/// each other.
pub async fn lock_roots(tx: &Tx, teams: impl IntoIterator<Item = &Team>) -> Result<()> {
    let roots: BTreeSet<TeamId> = teams.into_iter().map(Team::root).collect();
    for root in roots {
        hold(tx, root).await?;
    }
    Ok(())
}

/// Takes a row without a change of its version.
async fn hold(tx: &Tx, root: TeamId) -> Result<()> {
    let row = Entity::find_by_id(root.0).select_only().column(Column::Id).lock(LockType::NoKeyUpdate);
    row.into_tuple::<uuid::Uuid>().one(tx.connection()).await?;
    Ok(())
}

/// Takes the row that this condition finds.
async fn take(tx: &mut Tx, which: Expr) -> Result<Option<Team>> {
    let rows = Entity::update_many()
        .col_expr(Column::Version, Expr::col(Column::Version).add(1))
        .filter(which)
        .filter(Column::DeleteTime.is_null())
        .exec_with_returning(tx.connection())
        .await?;
    let Some(mut team) = one(tx, rows.into_iter().next()).await? else { return Ok(None) };
    let bumped = team.version;
    // A transaction that takes the row a second time has versions of its own already.
    team.version = Version(bumped.0 - 1);
    let version = tx.note_lock(&team, team.version, bumped);
    Ok(Some(Team { version, ..team }))
}

/// Sets the version that the transaction made.
pub(super) async fn set_version(tx: &Tx, id: TeamId, version: Version) -> Result<()> {
    let update = Entity::update_many().col_expr(Column::Version, Expr::value(version.0)).filter(Column::Id.eq(id.0));
    update.exec(tx.connection()).await?;
    Ok(())
}

/// Adds a team at version 0 and holds its row: the changes that made it follow.
pub async fn insert(tx: &mut Tx, team: &Team) -> Result<()> {
    let row = ActiveModel {
        id: Set(team.id.0),
        root_id: Set(team.root().0),
        parent_id: Set(team.parent().map(|id| id.0)),
        path: Set(path::encode(&team.ancestors, team.id)),
        version: Set(0),
        create_time: Set(team.create_time),
        delete_time: Set(None),
        ..own_fields(team)
    };
    Entity::insert(row).exec_without_returning(tx.connection()).await?;
    tx.note_lock(team, Version(0), Version(0));
    Ok(())
}

/// Writes the team's own fields.
pub async fn update(tx: &Tx, team: &Team) -> Result<()> {
    Entity::update_many().set(own_fields(team)).filter(Column::Id.eq(team.id.0)).exec(tx.connection()).await?;
    Ok(())
}

/// Marks the team as deleted and sets its slug free.
pub async fn delete(tx: &Tx, id: TeamId, now: DateTime<Utc>) -> Result<()> {
    let deleted = ActiveModel { slug: Set(None), delete_time: Set(Some(now)), ..ActiveModel::default() };
    Entity::update_many().set(deleted).filter(Column::Id.eq(id.0)).exec(tx.connection()).await?;
    Ok(())
}

fn own_fields(team: &Team) -> ActiveModel {
    ActiveModel {
        name: Set(team.name.to_string()),
        slug: Set(team.slug.as_ref().map(|slug| slug.as_str().to_owned())),
        labels: Set(to_json(&team.labels)),
        // Only a root's rules are ever read.
        policy: Set(if team.is_root() { to_json(&team.policy) } else { serde_json::json!({}) }),
        disable_time: Set(team.disable_time),
        changed: Set(team.changed.0),
        update_time: Set(team.update_time),
        id: NotSet,
        root_id: NotSet,
        parent_id: NotSet,
        path: NotSet,
        version: NotSet,
        create_time: NotSet,
        delete_time: NotSet,
    }
}

pub(super) async fn read(source: &impl Source, query: Select<Entity>) -> Result<Vec<Team>> {
    let rows = query.all(source.connection()).await?;
    whole(source, rows).await
}

async fn one(source: &impl Source, row: Option<Model>) -> Result<Option<Team>> {
    Ok(whole(source, row.into_iter().collect()).await?.pop())
}

/// The teams of these rows, each with what it has from those above it.
async fn whole(source: &impl Source, rows: Vec<Model>) -> Result<Vec<Team>> {
    let rows = rows.into_iter().map(|row| {
        let ancestors = path::ancestors(At::new("teams", &row.id), &row.path)?;
        Ok((row, ancestors))
    });
    let rows = rows.collect::<Result<Vec<_>>>()?;
    let above: BTreeSet<TeamId> = rows.iter().flat_map(|(_, ancestors)| ancestors.iter().copied()).collect();
    let above = if above.is_empty() {
        BTreeMap::new()
    } else {
        let query = Entity::find().filter(Column::Id.is_in(above.iter().map(|id| id.0)));
        let found = query.all(source.connection()).await?;
        found.into_iter().map(|row| (TeamId(row.id), row)).collect()
    };
    rows.into_iter().map(|(row, ancestors)| team(row, ancestors, &above)).collect()
}

fn team(row: Model, ancestors: Vec<TeamId>, above: &BTreeMap<TeamId, Model>) -> Result<Team> {
    let id = TeamId(row.id);
    let at = At::new("teams", &id);
    let policy = |row: &Model| at.json::<TeamPolicy>("policy", row.policy.clone());
    let missing = || at.corrupt("path", &"leads through a team that is not there");
    let policy = match ancestors.first() {
        None => policy(&row)?,
        Some(root) => policy(above.get(root).ok_or_else(missing)?)?,
    };
    let closed = ancestors.iter().find(|id| above.get(id).is_some_and(|row| row.disable_time.is_some()));
    Ok(Team {
        id,
        disabled_by: closed.copied().or_else(|| row.disable_time.map(|_| id)),
        ancestors,
        name: at.check("name", TeamName::parse(&row.name))?,
        slug: at.check("slug", row.slug.as_deref().map(Slug::parse).transpose())?,
        labels: at.json("labels", row.labels)?,
        policy,
        version: Version(row.version),
        changed: Version(row.changed),
        create_time: row.create_time,
        update_time: row.update_time,
        disable_time: row.disable_time,
    })
}
