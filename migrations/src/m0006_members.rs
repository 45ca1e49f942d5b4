//! What a membership holds besides roles, until when, and by what its member is found.

use sea_orm_migration::{prelude::*, sea_orm::Statement};

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
        online::add_columns(m, "users", [uuid("home_team_id")]).await?;
        let columns = [
            json("permissions").not_null().default("[]").take(),
            text("state").not_null().default("ACTIVE").take(),
            time("expire_time"),
            ColumnDef::new("external").boolean().not_null().default(false).take(),
            // Copies of the user's address and of the folded name: a team's members are found and sorted by them.
            exact(m, "email").not_null().default("").take(),
            exact(m, "name_key").not_null().default("").take(),
        ];
        online::add_columns(m, "memberships", columns).await?;
        copy_people(m).await?;
        // In microseconds since 1970, so that both databases put it into the same text beside the role's id.
        online::add_columns(m, "membership_roles", [number("expire_micros")]).await?;
        for (name, table, columns) in [
            ("memberships_team_email_idx", "memberships", ["team_id", "email", "user_id"]),
            ("memberships_team_name_idx", "memberships", ["team_id", "name_key", "user_id"]),
            // The people of a team in one list: members by the index that is there, and beside them who was invited.
            ("invitations_team_time_idx", "invitations", ["team_id", "create_time", "id"]),
            ("invitations_team_email_idx", "invitations", ["team_id", "email", "id"]),
        ] {
            let mut index = Index::create().table(table).take();
            for column in columns {
                index.col(column);
            }
            online::create_index(m, name, &mut index).await?;
        }
        for (name, table, column) in PARTIAL {
            let given = Expr::col(column).is_not_null();
            online::create_index(m, name, Index::create().table(table).col(column).cond_where(given)).await?;
        }
        Ok(())
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for (name, table, _) in PARTIAL {
            online::drop_index(m, name, table).await?;
        }
        for name in ["invitations_team_email_idx", "invitations_team_time_idx"] {
            online::drop_index(m, name, "invitations").await?;
        }
        for name in ["memberships_team_name_idx", "memberships_team_email_idx"] {
            online::drop_index(m, name, "memberships").await?;
        }
        online::drop_columns(m, "membership_roles", ["expire_micros"]).await?;
        let columns = ["name_key", "email", "external", "expire_time", "state", "permissions"];
        online::drop_columns(m, "memberships", columns).await?;
        online::drop_columns(m, "users", ["home_team_id"]).await
    }
}

/// Indexes of the rows that have a value there.
const PARTIAL: [(&str, &str, &str); 3] = [
    ("users_home_idx", "users", "home_team_id"),
    ("memberships_expire_idx", "memberships", "expire_time"),
    ("membership_roles_expire_idx", "membership_roles", "expire_micros"),
];

/// How many people are read at a time: few enough, with all their memberships, for whoever waits for one of these.
const BATCH: u64 = 200;

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
        let mut copies = Vec::new();
        for person in &people {
            last = person.try_get("", "id")?;
            let (email, name): (String, String) = (person.try_get("", "email")?, person.try_get("", "display_name")?);
            copies.extend([Value::from(last.as_str()), email.into(), fold(&name).into()]);
        }
        if copies.is_empty() {
            return Ok(());
        }
        // Both databases call the columns of such rows so.
        let rows: Vec<_> =
            (0..people.len()).map(|i| format!("(${}, ${}, ${})", 3 * i + 1, 3 * i + 2, 3 * i + 3)).collect();
        let sql = format!(
            "UPDATE memberships SET email = copy.column2, name_key = copy.column3 FROM (VALUES {}) AS copy \
             WHERE user_id = copy.column1",
            rows.join(", ")
        );
        online::run(m, Statement::from_sql_and_values(db.get_database_backend(), sql, copies)).await?;
    }
}

/// A name without the difference between capital and small letters, each character by itself.
fn fold(name: &str) -> String {
    name.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}
