//! Roles of a tree's own, and what a membership holds besides roles.

use sea_orm_migration::prelude::*;

use crate::{
    column::{exact, json, number, text, time, uuid},
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
        m.create_table(
            Table::create()
                .table("roles")
                .if_not_exists()
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
        let mut keys = Index::create().table("roles").col("root_id").col("key").unique().take();
        online::create_index(m, "roles_key_key", &mut keys).await?;
        // Who holds a role, in whichever team of the tree.
        let mut holders = Index::create().table("membership_roles").col("role_id").take();
        online::create_index(m, "membership_roles_holder_idx", &mut holders).await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        online::drop_index(m, "membership_roles_holder_idx", "membership_roles").await?;
        m.drop_table(Table::drop().table("roles").if_exists().to_owned()).await
    }
}
