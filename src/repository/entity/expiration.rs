//! The table `expirations`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "expirations")]
pub(in crate::repository) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(in crate::repository) user_id: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(in crate::repository) team_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(in crate::repository) role_id: String,
    pub(in crate::repository) permissions: Json,
    pub(in crate::repository) expire_time: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(in crate::repository) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
