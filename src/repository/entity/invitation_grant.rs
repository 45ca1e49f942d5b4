//! The table `invitation_grants`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "invitation_grants")]
pub(in crate::repository) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(in crate::repository) invitation_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(in crate::repository) team_id: Uuid,
    pub(in crate::repository) email: String,
    pub(in crate::repository) pending: bool,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(in crate::repository) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
