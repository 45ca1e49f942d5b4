//! The table `memberships`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "memberships")]
pub(in crate::repository) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(in crate::repository) team_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(in crate::repository) user_id: String,
    pub(in crate::repository) invited_by: Option<String>,
    pub(in crate::repository) source: String,
    pub(in crate::repository) join_time: DateTimeUtc,
    pub(in crate::repository) changed: i64,
    pub(in crate::repository) permissions: Json,
    pub(in crate::repository) state: String,
    pub(in crate::repository) expire_time: Option<DateTimeUtc>,
    pub(in crate::repository) external: bool,
    pub(in crate::repository) email: String,
    pub(in crate::repository) name_key: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(in crate::repository) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
