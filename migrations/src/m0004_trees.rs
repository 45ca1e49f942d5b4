//! Trees of teams.

use sea_orm_migration::{prelude::*, sea_orm::DatabaseBackend};

use crate::column::{exact, time, uuid};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        // SQLite takes one column in each statement.
        for column in [uuid("parent_id"), exact(m, "path").not_null().default("").take(), time("disable_time")] {
            m.alter_table(Table::alter().table("teams").add_column(column).to_owned()).await?;
        }
        // The ids of the teams from the root down to the team itself, 32 hexadecimal digits each: a prefix finds a
        // subtree, and the order by path is the order of a tree read from its root.
        let own = match m.get_database_backend() {
            DatabaseBackend::Postgres => "replace(CAST(id AS text), '-', '')",
            _ => "lower(hex(id))",
        };
        m.execute(Query::update().table("teams").value("path", Expr::cust(own)).to_owned()).await?;
        m.create_index(Index::create().name("teams_path_key").table("teams").col("path").unique().to_owned()).await?;
        m.create_index(Index::create().name("teams_parent_idx").table("teams").col("parent_id").col("id").to_owned())
            .await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for index in ["teams_parent_idx", "teams_path_key"] {
            m.drop_index(Index::drop().name(index).table("teams").to_owned()).await?;
        }
        for column in ["disable_time", "path", "parent_id"] {
            m.alter_table(Table::alter().table("teams").drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}
