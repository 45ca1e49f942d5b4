//! Invitations that were taken off the list are forgotten after a while.

use sea_orm_migration::prelude::*;

use crate::online;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(false)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let deleted = Expr::col("delete_time").is_not_null();
        let mut index = Index::create().table("invitations").col("delete_time").cond_where(deleted).take();
        online::create_index(m, "invitations_deleted_idx", &mut index).await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        online::drop_index(m, "invitations_deleted_idx", "invitations").await
    }
}
