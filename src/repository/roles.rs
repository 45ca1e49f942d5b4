//! The roles of trees' own in the database.

use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, Select,
};

use super::{
    Result, Source, Tx,
    entity::role::{ActiveModel, Column, Entity, Model},
    row::{At, to_json},
};
use crate::domain::{Role, RoleId, TeamId, Version, role::Custom};

/// Those of these roles that the tree has.
pub async fn get_many<'a>(
    source: &impl Source,
    root: TeamId,
    ids: impl IntoIterator<Item = &'a RoleId>,
) -> Result<Vec<Role>> {
    get_in_trees(source, [root], ids).await
}

/// Those of these roles that these trees have.
pub async fn get_in_trees<'a>(
    source: &impl Source,
    roots: impl IntoIterator<Item = TeamId>,
    ids: impl IntoIterator<Item = &'a RoleId>,
) -> Result<Vec<Role>> {
    let ids: Vec<_> = ids.into_iter().filter_map(RoleId::uuid).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let of_trees = Entity::find().filter(Column::RootId.is_in(roots.into_iter().map(|id| id.0)));
    read(source, of_trees.filter(Column::Id.is_in(ids))).await
}

/// All roles of the tree's own, the oldest first.
pub async fn list(source: &impl Source, root: TeamId) -> Result<Vec<Role>> {
    read(source, of(root).order_by_asc(Column::Id)).await
}

/// Adds a role.
pub async fn insert(tx: &Tx, role: &Role, custom: &Custom) -> Result<()> {
    let row = ActiveModel {
        id: Set(role.id.uuid().unwrap_or_default()),
        root_id: Set(custom.root_id.0),
        create_time: Set(custom.create_time),
        ..changing_fields(role, custom)
    };
    Entity::insert(row).exec_without_returning(tx.connection()).await?;
    Ok(())
}

/// Writes what can change of a role.
pub async fn update(tx: &Tx, role: &Role, custom: &Custom) -> Result<()> {
    let update = Entity::update_many().set(changing_fields(role, custom));
    let own = Column::Id.eq(role.id.uuid().unwrap_or_default()).and(Column::RootId.eq(custom.root_id.0));
    update.filter(own).exec(tx.connection()).await?;
    Ok(())
}

/// Deletes a role of the tree.
pub async fn delete(tx: &Tx, root: TeamId, id: &RoleId) -> Result<()> {
    let own = Column::Id.eq(id.uuid().unwrap_or_default()).and(Column::RootId.eq(root.0));
    Entity::delete_many().filter(own).exec(tx.connection()).await?;
    Ok(())
}

/// Deletes all roles of the tree.
pub async fn delete_all(tx: &Tx, root: TeamId) -> Result<()> {
    Entity::delete_many().filter(Column::RootId.eq(root.0)).exec(tx.connection()).await?;
    Ok(())
}

fn of(root: TeamId) -> Select<Entity> {
    Entity::find().filter(Column::RootId.eq(root.0))
}

fn changing_fields(role: &Role, custom: &Custom) -> ActiveModel {
    ActiveModel {
        key: Set(role.key.to_string()),
        name: Set(role.name.clone()),
        description: Set(role.description.clone()),
        permissions: Set(to_json(&role.permissions)),
        reaches_descendants: Set(role.reaches_descendants),
        changed: Set(custom.changed.0),
        update_time: Set(custom.update_time),
        id: NotSet,
        root_id: NotSet,
        create_time: NotSet,
    }
}

async fn read(source: &impl Source, query: Select<Entity>) -> Result<Vec<Role>> {
    query.all(source.connection()).await?.into_iter().map(Role::try_from).collect()
}

impl TryFrom<Model> for Role {
    type Error = super::Error;

    fn try_from(row: Model) -> Result<Self> {
        let at = At::new("roles", &row.id);
        Ok(Self {
            id: RoleId::from_uuid(row.id),
            key: at.check("key", row.key.parse())?,
            name: row.name,
            description: row.description,
            permissions: at.json("permissions", row.permissions)?,
            reaches_descendants: row.reaches_descendants,
            custom: Some(Custom {
                root_id: TeamId(row.root_id),
                changed: Version(row.changed),
                create_time: row.create_time,
                update_time: row.update_time,
            }),
        })
    }
}
