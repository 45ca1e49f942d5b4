//! Trees of teams.

use sea_orm_migration::{prelude::*, sea_orm::DatabaseBackend};

use crate::{
    column::{exact, time, uuid},
    online,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(false)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let path = exact(m, "path").not_null().default("").take();
        online::add_columns(m, "teams", [uuid("parent_id"), path, time("disable_time")]).await?;
        // The ids of the teams from the root down to the team itself, 32 hexadecimal digits each: a prefix finds a
        // subtree, and the order by path is the order of a tree read from its root.
        let own = match m.get_database_backend() {
            DatabaseBackend::Postgres => "replace(CAST(id AS text), '-', '')",
            _ => "lower(hex(id))",
        };
        let change = format!("UPDATE teams SET path = {own} WHERE path = '' AND");
        online::change_rows(m, "teams", ("id", "uuid"), &change).await?;
        let index = || Index::create().table("teams").take();
        online::create_index(m, "teams_path_key", index().col("path").unique()).await?;
        online::create_index(m, "teams_parent_idx", index().col("parent_id").col("id")).await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for index in ["teams_parent_idx", "teams_path_key"] {
            online::drop_index(m, index, "teams").await?;
        }
        online::drop_columns(m, "teams", ["disable_time", "path", "parent_id"]).await
    }
}
