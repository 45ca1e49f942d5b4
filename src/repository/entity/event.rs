//! The table `events`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "events")]
pub(in crate::repository) struct Model {
    #[sea_orm(primary_key)]
    pub(in crate::repository) id: i64,
    pub(in crate::repository) event_id: Uuid,
    pub(in crate::repository) team_id: Option<Uuid>,
    pub(in crate::repository) root_team_id: Option<Uuid>,
    pub(in crate::repository) team_version: Option<i64>,
    pub(in crate::repository) user_id: Option<String>,
    pub(in crate::repository) user_version: Option<i64>,
    pub(in crate::repository) kind: String,
    pub(in crate::repository) payload: Vec<u8>,
    pub(in crate::repository) occur_time: DateTimeUtc,
    pub(in crate::repository) position: Option<i64>,
    pub(in crate::repository) publish_time: Option<DateTimeUtc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(in crate::repository) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
