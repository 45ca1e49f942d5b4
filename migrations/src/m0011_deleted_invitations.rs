//! Invitations that were taken off the list are forgotten after a while.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_index(
            Index::create()
                .name("invitations_deleted_idx")
                .table("invitations")
                .col("delete_time")
                .cond_where(Expr::col("delete_time").is_not_null())
                .to_owned(),
        )
        .await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.drop_index(Index::drop().name("invitations_deleted_idx").table("invitations").to_owned()).await
    }
}
