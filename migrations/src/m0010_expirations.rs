//! What ran out not long ago: for explanations, and nothing is decided by it.

use sea_orm_migration::prelude::*;

use crate::column::{exact, json, time, uuid};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_table(
            Table::create()
                .table("expirations")
                .col(exact(m, "user_id").not_null())
                .col(uuid("team_id").not_null())
                // Empty for the permissions that the membership held besides roles.
                .col(exact(m, "role_id").not_null())
                .col(json("permissions").not_null())
                .col(time("expire_time").not_null())
                .primary_key(Index::create().name("expirations_pkey").col("user_id").col("team_id").col("role_id"))
                .to_owned(),
        )
        .await?;
        m.create_index(Index::create().name("expirations_time_idx").table("expirations").col("expire_time").to_owned())
            .await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.drop_table(Table::drop().table("expirations").to_owned()).await
    }
}
