//! The table `idempotency_keys`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "idempotency_keys")]
pub(in crate::repository) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(in crate::repository) principal: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(in crate::repository) request_id: String,
    pub(in crate::repository) fingerprint: Vec<u8>,
    pub(in crate::repository) answer: Option<String>,
    pub(in crate::repository) create_time: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(in crate::repository) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
