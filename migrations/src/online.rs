//! Changing tables that are in use, without making whoever uses them wait.
//!
//! On PostgreSQL a step that is made of these runs in no transaction (`use_transaction` says so), so that no lock outlives
//! a statement: columns are added at once and filled in small pieces, indexes are built while others write. Such a step may
//! be ended anywhere, by a lock that it did not get or by a crash, and is then done again from its beginning: so whatever
//! it does, it does only where that is left to do. On SQLite nobody else uses the file, and a step is one transaction.

use sea_orm_migration::{
    prelude::*,
    sea_orm::{DatabaseBackend, RuntimeErr, Statement},
};

/// How often a piece of work on rows that others hold is tried again before the step is.
const RETRIES: usize = 50;
/// How many rows are changed in one statement: few enough for whoever waits for one of them.
const BATCH: u64 = 1000;

fn is_postgres(m: &SchemaManager<'_>) -> bool {
    m.get_database_backend() == DatabaseBackend::Postgres
}

/// Adds columns. None may have a default that has to be computed for each row: then the table would be written anew.
pub(crate) async fn add_columns(
    m: &SchemaManager<'_>,
    table: &'static str,
    columns: impl IntoIterator<Item = ColumnDef>,
) -> Result<(), DbErr> {
    if !is_postgres(m) {
        // SQLite takes one column in each statement.
        for column in columns {
            m.alter_table(Table::alter().table(table).add_column(column).to_owned()).await?;
        }
        return Ok(());
    }
    // One lock for all of them.
    let mut alter = Table::alter().table(table).take();
    for column in columns {
        alter.add_column_if_not_exists(column);
    }
    m.alter_table(alter).await
}

/// Drops columns.
pub(crate) async fn drop_columns(
    m: &SchemaManager<'_>,
    table: &'static str,
    columns: impl IntoIterator<Item = &'static str>,
) -> Result<(), DbErr> {
    if !is_postgres(m) {
        for column in columns {
            m.alter_table(Table::alter().table(table).drop_column(column).to_owned()).await?;
        }
        return Ok(());
    }
    let mut alter = Table::alter().table(table).take();
    for column in columns {
        alter.drop_column_if_exists(column);
    }
    m.alter_table(alter).await
}

/// Creates an index of this name, which is put into the statement here.
pub(crate) async fn create_index(
    m: &SchemaManager<'_>,
    name: &'static str,
    index: &mut IndexCreateStatement,
) -> Result<(), DbErr> {
    index.name(name);
    if !is_postgres(m) {
        return m.create_index(index.take()).await;
    }
    let db = m.get_connection();
    let find = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1)";
    let find = Statement::from_sql_and_values(DatabaseBackend::Postgres, find, [name.into()]);
    let there = db.query_one_raw(find).await?.map(|row| row.try_get_by_index::<bool>(0)).transpose()?;
    match there {
        Some(true) => return Ok(()),
        // What is left when building it was given up.
        Some(false) => drop_index(m, name, "").await?,
        None => {}
    }
    index.concurrently();
    patiently(m, index.to_string(PostgresQueryBuilder)).await
}

/// Drops an index.
pub(crate) async fn drop_index(m: &SchemaManager<'_>, name: &'static str, table: &'static str) -> Result<(), DbErr> {
    if !is_postgres(m) {
        return m.drop_index(Index::drop().name(name).table(table).to_owned()).await;
    }
    patiently(m, format!(r#"DROP INDEX CONCURRENTLY IF EXISTS "{name}""#)).await
}

/// Runs a statement that waits for others and that nobody waits for: as long as it takes.
async fn patiently(m: &SchemaManager<'_>, sql: String) -> Result<(), DbErr> {
    let db = m.get_connection();
    let statement = |sql: &str| Statement::from_string(DatabaseBackend::Postgres, sql);
    let usual = db.query_one_raw(statement("SHOW lock_timeout")).await?;
    let usual: String = usual.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or_default();
    db.execute_unprepared("SET lock_timeout = 0").await?;
    let done = db.execute_unprepared(&sql).await;
    db.execute_unprepared(&format!("SET lock_timeout = '{usual}'")).await?;
    done.map(drop)
}

/// Changes every row of a table, some at a time. `key` is its primary key and the type of that; `change` is a statement
/// that ends where the condition on the key goes.
pub(crate) async fn change_rows(
    m: &SchemaManager<'_>,
    table: &'static str,
    key: (&'static str, &'static str),
    change: &str,
) -> Result<(), DbErr> {
    let db = m.get_connection();
    if !is_postgres(m) {
        return db.execute_unprepared(&format!("{change} TRUE")).await.map(drop);
    }
    let (name, kind) = key;
    let statement = |sql: String, values: &[&String]| {
        let values = values.iter().map(|value| Value::from(value.as_str()));
        Statement::from_sql_and_values(DatabaseBackend::Postgres, sql, values)
    };
    let mut last: Option<String> = None;
    loop {
        let after = if last.is_some() { format!("{name} > CAST($1 AS {kind})") } else { "TRUE".to_owned() };
        let find = format!(
            "SELECT CAST({name} AS text) FROM {table} WHERE {after} ORDER BY {name} OFFSET {} LIMIT 1",
            BATCH - 1
        );
        let next = db.query_one_raw(statement(find, last.as_slice().iter().collect::<Vec<_>>().as_slice())).await?;
        let next: Option<String> = next.map(|row| row.try_get_by_index(0)).transpose()?;
        let change = match (&next, &last) {
            (Some(next), Some(last)) => {
                statement(format!("{change} {after} AND {name} <= CAST($2 AS {kind})"), &[last, next])
            }
            (Some(next), None) => statement(format!("{change} {name} <= CAST($1 AS {kind})"), &[next]),
            (None, Some(last)) => statement(format!("{change} {after}"), &[last]),
            (None, None) => statement(format!("{change} TRUE"), &[]),
        };
        run(m, change).await?;
        if next.is_none() {
            return Ok(());
        }
        last = next;
    }
}

/// Changes rows. Somebody who holds one of them is let finish first: what was done to other rows need not be done again.
pub(crate) async fn run(m: &SchemaManager<'_>, change: Statement) -> Result<(), DbErr> {
    let db = m.get_connection();
    for _ in 0..RETRIES {
        match db.execute_raw(change.clone()).await {
            Err(error) if is_contention(&error) => {
                db.execute_unprepared("SELECT pg_sleep(0.1)").await?;
            }
            done => return done.map(drop),
        }
    }
    db.execute_raw(change).await.map(drop)
}

/// Whether a statement failed for a lock: `lock_not_available`, `deadlock_detected`.
fn is_contention(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error))) = error else {
        return false;
    };
    let Some(error) = error.as_database_error() else { return false };
    error.code().is_some_and(|code| ["55P03", "40P01"].contains(&code.as_ref()))
}
