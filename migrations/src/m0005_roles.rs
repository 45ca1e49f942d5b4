//! Roles of a tree's own, and what a membership holds besides roles.

use sea_orm_migration::prelude::*;

use crate::column::{exact, json, number, text, time, uuid};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_table(
            Table::create()
                .table("roles")
                .col(uuid("id").not_null().primary_key())
                .col(uuid("root_id").not_null())
                .col(exact(m, "key").not_null())
                .col(text("name").not_null())
                .col(text("description").not_null())
                .col(json("permissions").not_null())
                .col(ColumnDef::new("reaches_descendants").boolean().not_null())
                .col(number("changed").not_null())
                .col(time("create_time").not_null())
                .col(time("update_time").not_null())
                .foreign_key(ForeignKey::create().name("roles_root_id_fkey").from("roles", "root_id").to("teams", "id"))
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create().name("roles_key_key").table("roles").col("root_id").col("key").unique().to_owned(),
        )
        .await?;
        // Who holds a role, in whichever team of the tree.
        m.create_index(
            Index::create().name("membership_roles_holder_idx").table("membership_roles").col("role_id").to_owned(),
        )
        .await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.drop_index(Index::drop().name("membership_roles_holder_idx").table("membership_roles").to_owned()).await?;
        m.drop_table(Table::drop().table("roles").to_owned()).await
    }
}
