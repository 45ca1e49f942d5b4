//! Teams in the database.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, EntityTrait, ExprTrait, QueryFilter,
    sea_query::Expr,
};

use super::{
    Result, Source, Tx,
    entity::team::{ActiveModel, Column, Entity, Model},
    row::{At, to_json},
};
use crate::domain::{
    Team, TeamId, Version,
    text::{Slug, TeamName},
};

/// The team, unless it does not exist or was deleted.
pub async fn get(source: &impl Source, id: TeamId) -> Result<Option<Team>> {
    let found = Entity::find_by_id(id.0).filter(Column::DeleteTime.is_null()).one(source.connection()).await?;
    found.map(Team::try_from).transpose()
}

/// The team with this slug.
pub async fn get_by_slug(source: &impl Source, slug: &Slug) -> Result<Option<Team>> {
    let found = Entity::find().filter(Column::Slug.eq(slug.as_str())).one(source.connection()).await?;
    found.map(Team::try_from).transpose()
}

/// The version of a team, deleted ones included.
pub async fn version(source: &impl Source, id: TeamId) -> Result<Option<Version>> {
    Ok(Entity::find_by_id(id.0).one(source.connection()).await?.map(|row| Version(row.version)))
}

/// Takes the team's row until the transaction ends: from here on its changes are serial. Lock several teams in the order
/// of their ids.
pub async fn lock(tx: &mut Tx, id: TeamId) -> Result<Option<Team>> {
    let rows = Entity::update_many()
        .col_expr(Column::Version, Expr::col(Column::Version).add(1))
        .filter(Column::Id.eq(id.0))
        .filter(Column::DeleteTime.is_null())
        .exec_with_returning(tx.connection())
        .await?;
    let Some(row) = rows.into_iter().next() else { return Ok(None) };
    let mut team = Team::try_from(row)?;
    let bumped = team.version;
    team.version = Version(bumped.0 - 1);
    tx.note_lock(id, team.root_id, team.version, bumped);
    Ok(Some(team))
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
        root_id: Set(team.root_id.0),
        version: Set(0),
        create_time: Set(team.create_time),
        delete_time: Set(None),
        ..own_fields(team)
    };
    Entity::insert(row).exec_without_returning(tx.connection()).await?;
    tx.note_lock(team.id, team.root_id, Version(0), Version(0));
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
        policy: Set(to_json(&team.policy)),
        changed: Set(team.changed.0),
        update_time: Set(team.update_time),
        id: NotSet,
        root_id: NotSet,
        version: NotSet,
        create_time: NotSet,
        delete_time: NotSet,
    }
}

impl TryFrom<Model> for Team {
    type Error = super::Error;

    fn try_from(row: Model) -> Result<Self> {
        let id = TeamId(row.id);
        let at = At::new("teams", &id);
        Ok(Self {
            id,
            root_id: TeamId(row.root_id),
            name: at.check("name", TeamName::parse(&row.name))?,
            slug: at.check("slug", row.slug.as_deref().map(Slug::parse).transpose())?,
            labels: at.json("labels", row.labels)?,
            policy: at.json("policy", row.policy)?,
            version: Version(row.version),
            changed: Version(row.changed),
            create_time: row.create_time,
            update_time: row.update_time,
        })
    }
}
