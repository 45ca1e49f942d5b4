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
            // Copies of the user's address and of the folded name: a team's members are found and sorted by them.
            exact(m, "email").not_null().default("").take(),
            exact(m, "name_key").not_null().default("").take(),
        ] {
            m.alter_table(Table::alter().table("memberships").add_column(column).to_owned()).await?;
        }
        copy_people(m).await?;
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

/// How many people are read at a time.
const BATCH: u64 = 1000;

/// Copies what members are found and sorted by. The databases differ in what they make small letters of, so that it is not
/// left to them.
async fn copy_people(m: &SchemaManager<'_>) -> Result<(), DbErr> {
    let db = m.get_connection();
    let mut last = String::new();
    loop {
        let people = Query::select()
            .columns(["id", "email", "display_name"])
            .from("users")
            .and_where(Expr::col("id").gt(last.as_str()))
            .order_by("id", Order::Asc)
            .limit(BATCH)
            .to_owned();
        let people = db.query_all(&people).await?;
        for person in &people {
            last = person.try_get("", "id")?;
            let (email, name): (String, String) = (person.try_get("", "email")?, person.try_get("", "display_name")?);
            let copy = Query::update()
                .table("memberships")
                .value("email", email)
                .value("name_key", fold(&name))
                .and_where(Expr::col("user_id").eq(last.as_str()))
                .to_owned();
            db.execute(&copy).await?;
        }
        if (people.len() as u64) < BATCH {
            return Ok(());
        }
    }
}

/// A name without the difference between capital and small letters, each character by itself.
fn fold(name: &str) -> String {
    name.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}
