//! What a membership holds besides roles, until when, and by what its member is found.

use sea_orm_migration::prelude::*;

use crate::column::{exact, json, number, text, time, uuid};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.alter_table(Table::alter().table("users").add_column(uuid("home_team_id")).to_owned()).await?;
        m.create_index(
            Index::create()
                .name("users_home_idx")
                .table("users")
                .col("home_team_id")
                .cond_where(Expr::col("home_team_id").is_not_null())
                .to_owned(),
        )
        .await?;
        for column in [
            json("permissions").not_null().default("[]").take(),
            text("state").not_null().default("ACTIVE").take(),
            time("expire_time"),
            ColumnDef::new("external").boolean().not_null().default(false).take(),
            // Copies of the user's address and of the name in lower case: a team's members are found and sorted by them.
            exact(m, "email").not_null().default("").take(),
            exact(m, "name_key").not_null().default("").take(),
        ] {
            m.alter_table(Table::alter().table("memberships").add_column(column).to_owned()).await?;
        }
        let of_user =
            |column: &str| Expr::cust(format!("(SELECT {column} FROM users WHERE users.id = memberships.user_id)"));
        m.execute(
            Query::update()
                .table("memberships")
                .value("email", of_user("email"))
                .value("name_key", of_user("lower(display_name)"))
                .to_owned(),
        )
        .await?;
        // In microseconds since 1970, so that both databases put it into the same text beside the role's id.
        m.alter_table(Table::alter().table("membership_roles").add_column(number("expire_micros")).to_owned()).await?;
        for (name, columns) in [
            ("memberships_team_email_idx", ["team_id", "email", "user_id"]),
            ("memberships_team_name_idx", ["team_id", "name_key", "user_id"]),
        ] {
            let mut index = Index::create().name(name).table("memberships").take();
            for column in columns {
                index.col(column);
            }
            m.create_index(index).await?;
        }
        // The people of a team in one list: members by the index that is there, and beside them who was invited.
        m.create_index(
            Index::create()
                .name("invitations_team_time_idx")
                .table("invitations")
                .col("team_id")
                .col("create_time")
                .col("id")
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create()
                .name("invitations_team_email_idx")
                .table("invitations")
                .col("team_id")
                .col("email")
                .col("id")
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create()
                .name("memberships_expire_idx")
                .table("memberships")
                .col("expire_time")
                .cond_where(Expr::col("expire_time").is_not_null())
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create()
                .name("membership_roles_expire_idx")
                .table("membership_roles")
                .col("expire_micros")
                .cond_where(Expr::col("expire_micros").is_not_null())
                .to_owned(),
        )
        .await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let drop_index = |name: &'static str, table: &'static str| Index::drop().name(name).table(table).to_owned();
        m.drop_index(drop_index("membership_roles_expire_idx", "membership_roles")).await?;
        for name in ["invitations_team_email_idx", "invitations_team_time_idx"] {
            m.drop_index(drop_index(name, "invitations")).await?;
        }
        for name in ["memberships_expire_idx", "memberships_team_name_idx", "memberships_team_email_idx"] {
            m.drop_index(drop_index(name, "memberships")).await?;
        }
        m.alter_table(Table::alter().table("membership_roles").drop_column("expire_micros").to_owned()).await?;
        for column in ["name_key", "email", "external", "expire_time", "state", "permissions"] {
            m.alter_table(Table::alter().table("memberships").drop_column(column).to_owned()).await?;
        }
        m.drop_index(drop_index("users_home_idx", "users")).await?;
        m.alter_table(Table::alter().table("users").drop_column("home_team_id").to_owned()).await
    }
}
