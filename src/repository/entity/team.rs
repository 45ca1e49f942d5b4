//! The table `teams`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "teams")]
pub(in crate::repository) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(in crate::repository) id: Uuid,
    pub(in crate::repository) root_id: Uuid,
    pub(in crate::repository) name: String,
    pub(in crate::repository) slug: Option<String>,
    pub(in crate::repository) labels: Json,
    pub(in crate::repository) policy: Json,
    pub(in crate::repository) version: i64,
    pub(in crate::repository) changed: i64,
    pub(in crate::repository) create_time: DateTimeUtc,
    pub(in crate::repository) update_time: DateTimeUtc,
    pub(in crate::repository) delete_time: Option<DateTimeUtc>,
    pub(in crate::repository) parent_id: Option<Uuid>,
    pub(in crate::repository) path: String,
    pub(in crate::repository) disable_time: Option<DateTimeUtc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(in crate::repository) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
