//! The table `roles`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "roles")]
pub(in crate::repository) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(in crate::repository) id: Uuid,
    pub(in crate::repository) root_id: Uuid,
    pub(in crate::repository) key: String,
    pub(in crate::repository) name: String,
    pub(in crate::repository) description: String,
    pub(in crate::repository) permissions: Json,
    pub(in crate::repository) reaches_descendants: bool,
    pub(in crate::repository) changed: i64,
    pub(in crate::repository) create_time: DateTimeUtc,
    pub(in crate::repository) update_time: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(in crate::repository) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
