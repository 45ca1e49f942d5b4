//! How far each limited thing has been used.

use sea_orm_migration::prelude::*;

use crate::column::{exact, number};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_table(
            Table::create()
                .table("rate_limits")
                .col(exact(m, "scope").not_null())
                .col(exact(m, "key").not_null())
                // Microseconds since 1970: until then what was used would last if it were used evenly.
                .col(number("arrival_micros").not_null())
                .primary_key(Index::create().name("rate_limits_pkey").col("scope").col("key"))
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create().name("rate_limits_arrival_idx").table("rate_limits").col("arrival_micros").to_owned(),
        )
        .await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.drop_table(Table::drop().table("rate_limits").to_owned()).await
    }
}
