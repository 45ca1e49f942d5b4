//! What is known of a person, and what they want to be told.

use sea_orm_migration::prelude::*;

use crate::{
    column::{json, text, time},
    online,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let columns = [
            text("phone"),
            text("locale"),
            text("time_zone"),
            text("sending_country"),
            text("external_id"),
            json("notifications").not_null().default("{}").take(),
            // A deleted user stays as a row without any of it, so that the versions of an id are never used again.
            time("delete_time"),
        ];
        online::add_columns(m, "users", columns).await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let columns =
            ["delete_time", "notifications", "external_id", "sending_country", "time_zone", "locale", "phone"];
        online::drop_columns(m, "users", columns).await
    }
}
