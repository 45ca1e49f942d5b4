//! The table `mails`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "mails")]
pub(in crate::repository) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(in crate::repository) id: Uuid,
    pub(in crate::repository) invitation_id: Uuid,
    pub(in crate::repository) attempts: i64,
    pub(in crate::repository) create_time: DateTimeUtc,
    pub(in crate::repository) next_attempt_time: DateTimeUtc,
    pub(in crate::repository) kind: String,
    pub(in crate::repository) recipient: Option<String>,
    pub(in crate::repository) last_error: Option<String>,
    pub(in crate::repository) traceparent: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(in crate::repository) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
