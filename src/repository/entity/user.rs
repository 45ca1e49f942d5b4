//! The table `users`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub(in crate::repository) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(in crate::repository) id: String,
    pub(in crate::repository) email: String,
    pub(in crate::repository) email_verified: bool,
    pub(in crate::repository) display_name: String,
    pub(in crate::repository) version: i64,
    pub(in crate::repository) create_time: DateTimeUtc,
    pub(in crate::repository) update_time: DateTimeUtc,
    pub(in crate::repository) home_team_id: Option<Uuid>,
    pub(in crate::repository) phone: Option<String>,
    pub(in crate::repository) locale: Option<String>,
    pub(in crate::repository) time_zone: Option<String>,
    pub(in crate::repository) sending_country: Option<String>,
    pub(in crate::repository) external_id: Option<String>,
    pub(in crate::repository) notifications: Json,
    pub(in crate::repository) delete_time: Option<DateTimeUtc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(in crate::repository) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
