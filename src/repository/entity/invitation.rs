//! The table `invitations`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "invitations")]
pub(in crate::repository) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(in crate::repository) id: Uuid,
    pub(in crate::repository) team_id: Uuid,
    pub(in crate::repository) email: String,
    pub(in crate::repository) grants: Json,
    pub(in crate::repository) state: String,
    pub(in crate::repository) link_version: i64,
    pub(in crate::repository) inviter: Option<String>,
    pub(in crate::repository) message: String,
    pub(in crate::repository) metadata: Json,
    pub(in crate::repository) create_time: DateTimeUtc,
    pub(in crate::repository) expire_time: DateTimeUtc,
    pub(in crate::repository) close_time: Option<DateTimeUtc>,
    pub(in crate::repository) accepted_by: Option<String>,
    pub(in crate::repository) channel: String,
    pub(in crate::repository) delivery_state: String,
    pub(in crate::repository) delivery_attempts: i64,
    pub(in crate::repository) delivery_error: Option<String>,
    pub(in crate::repository) last_sent_time: Option<DateTimeUtc>,
    pub(in crate::repository) send_count: i64,
    pub(in crate::repository) changed: i64,
    pub(in crate::repository) locale: Option<String>,
    pub(in crate::repository) delivery_id: Option<Uuid>,
    pub(in crate::repository) renewal_request_time: Option<DateTimeUtc>,
    pub(in crate::repository) delete_time: Option<DateTimeUtc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(in crate::repository) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
