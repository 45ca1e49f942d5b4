//! The record of changes, its order, and the answers kept for retries.

use sea_orm_migration::prelude::*;

use crate::column::{exact, number, text, time, uuid};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_table(
            Table::create()
                .table("events")
                .col(number("id").not_null().auto_increment().primary_key())
                .col(uuid("event_id").not_null())
                .col(uuid("team_id"))
                .col(uuid("root_team_id"))
                .col(number("team_version"))
                .col(exact(m, "user_id"))
                .col(number("user_version"))
                .col(text("kind").not_null())
                .col(ColumnDef::new("payload").blob().not_null())
                .col(time("occur_time").not_null())
                // The place among all events; given by the sequencer, not by the writer.
                .col(number("position"))
                .col(time("publish_time"))
                .to_owned(),
        )
        .await?;
        let unique = |name: &'static str| Index::create().name(name).table("events").unique().take();
        m.create_index(unique("events_event_id_key").col("event_id").take()).await?;
        m.create_index(unique("events_team_version_key").col("team_id").col("team_version").take()).await?;
        m.create_index(unique("events_user_version_key").col("user_id").col("user_version").take()).await?;
        m.create_index(unique("events_position_key").col("position").take()).await?;
        let plain = |name: &'static str| Index::create().name(name).table("events").take();
        m.create_index(plain("events_team_position_idx").col("team_id").col("position").take()).await?;
        m.create_index(plain("events_unsequenced_idx").col("id").cond_where(Expr::col("position").is_null()).take())
            .await?;
        m.create_index(
            plain("events_unpublished_idx").col("position").cond_where(Expr::col("publish_time").is_null()).take(),
        )
        .await?;

        m.create_table(
            Table::create()
                .table("event_sequence")
                .col(number("id").not_null().primary_key())
                .col(number("last_position").not_null())
                // Events up to here are not retained any more.
                .col(number("purged_position").not_null())
                .to_owned(),
        )
        .await?;
        m.execute(
            Query::insert()
                .into_table("event_sequence")
                .columns(["id", "last_position", "purged_position"])
                .values_panic([1.into(), 0.into(), 0.into()])
                .to_owned(),
        )
        .await?;

        m.create_table(
            Table::create()
                .table("idempotency_keys")
                .col(exact(m, "principal").not_null())
                .col(exact(m, "request_id").not_null())
                .col(ColumnDef::new("fingerprint").blob().not_null())
                .col(text("answer"))
                .col(time("create_time").not_null())
                .primary_key(Index::create().name("idempotency_keys_pkey").col("principal").col("request_id"))
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create().name("idempotency_keys_age_idx").table("idempotency_keys").col("create_time").to_owned(),
        )
        .await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for table in ["idempotency_keys", "event_sequence", "events"] {
            m.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}
