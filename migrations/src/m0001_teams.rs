//! Teams, users, and who is a member of what.

use sea_orm_migration::prelude::*;

use crate::column::{exact, json, number, text, time, uuid};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_table(
            Table::create()
                .table("teams")
                .col(uuid("id").not_null().primary_key())
                .col(uuid("root_id").not_null())
                .col(text("name").not_null())
                .col(exact(m, "slug"))
                .col(json("labels").not_null())
                .col(json("policy").not_null())
                .col(number("version").not_null())
                .col(number("changed").not_null())
                .col(time("create_time").not_null())
                .col(time("update_time").not_null())
                // A deleted team stays as a row, so that its id and its versions are never used again.
                .col(time("delete_time"))
                .to_owned(),
        )
        .await?;
        m.create_index(Index::create().name("teams_slug_key").table("teams").col("slug").unique().to_owned()).await?;

        m.create_table(
            Table::create()
                .table("users")
                .col(exact(m, "id").not_null().primary_key())
                .col(exact(m, "email").not_null())
                .col(ColumnDef::new("email_verified").boolean().not_null())
                .col(text("display_name").not_null())
                .col(number("version").not_null())
                .col(time("create_time").not_null())
                .col(time("update_time").not_null())
                .to_owned(),
        )
        .await?;
        m.create_index(Index::create().name("users_email_key").table("users").col("email").unique().to_owned()).await?;

        memberships(m).await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for table in ["membership_roles", "memberships", "users", "teams"] {
            m.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

async fn memberships(m: &SchemaManager<'_>) -> Result<(), DbErr> {
    m.create_table(
        Table::create()
            .table("memberships")
            .col(uuid("team_id").not_null())
            .col(exact(m, "user_id").not_null())
            .col(exact(m, "invited_by"))
            .col(text("source").not_null())
            .col(time("join_time").not_null())
            .col(number("changed").not_null())
            .primary_key(Index::create().name("memberships_pkey").col("team_id").col("user_id"))
            .foreign_key(
                ForeignKey::create().name("memberships_team_id_fkey").from("memberships", "team_id").to("teams", "id"),
            )
            .foreign_key(
                ForeignKey::create().name("memberships_user_id_fkey").from("memberships", "user_id").to("users", "id"),
            )
            .to_owned(),
    )
    .await?;
    // Pages of a team's members, and of a user's teams.
    m.create_index(
        Index::create()
            .name("memberships_team_join_idx")
            .table("memberships")
            .col("team_id")
            .col("join_time")
            .col("user_id")
            .to_owned(),
    )
    .await?;
    m.create_index(
        Index::create()
            .name("memberships_user_join_idx")
            .table("memberships")
            .col("user_id")
            .col("join_time")
            .col("team_id")
            .to_owned(),
    )
    .await?;

    m.create_table(
        Table::create()
            .table("membership_roles")
            .col(uuid("team_id").not_null())
            .col(exact(m, "user_id").not_null())
            .col(exact(m, "role_id").not_null())
            .primary_key(Index::create().name("membership_roles_pkey").col("team_id").col("user_id").col("role_id"))
            .foreign_key(
                ForeignKey::create()
                    .name("membership_roles_membership_fkey")
                    .from("membership_roles", ("team_id", "user_id"))
                    .to("memberships", ("team_id", "user_id"))
                    .on_delete(ForeignKeyAction::Cascade),
            )
            .to_owned(),
    )
    .await?;
    m.create_index(
        Index::create()
            .name("membership_roles_role_idx")
            .table("membership_roles")
            .col("team_id")
            .col("role_id")
            .col("user_id")
            .to_owned(),
    )
    .await
}
