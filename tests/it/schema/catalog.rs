//! What a database says of its own schema, in words that are the same for both.

use std::collections::{BTreeMap, BTreeSet};

use roster::repository::{Database, Source as _};
use sea_orm::{ConnectionTrait as _, QueryResult, Statement, TryGetable};

/// The tables by their names, without the one that the migrator keeps for itself.
pub type Schema = BTreeMap<String, Table>;

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Table {
    pub columns: BTreeMap<String, Column>,
    pub primary_key: Vec<String>,
    pub indexes: BTreeMap<String, Index>,
    /// Without their names, which SQLite does not keep.
    pub foreign_keys: BTreeSet<ForeignKey>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Column {
    pub kind: String,
    pub nullable: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Index {
    pub unique: bool,
    pub columns: Vec<String>,
    /// Which rows are in it; empty means all.
    pub predicate: String,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ForeignKey {
    pub columns: Vec<String>,
    pub table: String,
    pub their_columns: Vec<String>,
    pub on_delete: String,
}

/// Reads the schema.
pub async fn read(database: &Database) -> Schema {
    let dialect = if database.is_postgres() { &POSTGRES } else { &SQLITE };
    let mut schema = Schema::new();
    for row in rows(database, dialect.columns).await {
        let table = schema.entry(get(&row, "owner")).or_default();
        let kind = kind(&get::<String>(&row, "kind")).to_owned();
        table.columns.insert(get(&row, "name"), Column { kind, nullable: get(&row, "nullable") });
    }
    for row in rows(database, dialect.primary_keys).await {
        schema.get_mut(&get::<String>(&row, "owner")).unwrap().primary_key = list(&row, "members");
    }
    for row in rows(database, dialect.indexes).await {
        let predicate = plain(&get::<String>(&row, "predicate"));
        let index = Index { unique: get(&row, "is_unique"), columns: list(&row, "members"), predicate };
        schema.get_mut(&get::<String>(&row, "owner")).unwrap().indexes.insert(get(&row, "name"), index);
    }
    for row in rows(database, dialect.foreign_keys).await {
        let (columns, their_columns) = (list(&row, "members"), list(&row, "theirs"));
        let key = ForeignKey { columns, table: get(&row, "other"), their_columns, on_delete: get(&row, "on_delete") };
        schema.get_mut(&get::<String>(&row, "owner")).unwrap().foreign_keys.insert(key);
    }
    schema
}

/// The tables that there are.
pub async fn tables(database: &Database) -> BTreeSet<String> {
    read(database).await.into_keys().collect()
}

/// What a query about the schema answers.
pub async fn rows(database: &Database, sql: &str) -> Vec<QueryResult> {
    let reader = database.reader();
    let connection = reader.connection();
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    connection.query_all_raw(statement).await.unwrap()
}

pub fn get<T: TryGetable>(row: &QueryResult, column: &str) -> T {
    row.try_get("", column).unwrap()
}

fn list(row: &QueryResult, column: &str) -> Vec<String> {
    get::<String>(row, column).split(',').map(ToOwned::to_owned).collect()
}

/// One word for the types that hold the same.
fn kind(kind: &str) -> &'static str {
    match kind {
        "uuid" | "uuid_text" => "uuid",
        "text" => "text",
        "jsonb" | "jsonb_text" => "json",
        "bigint" | "integer" => "number",
        "boolean" => "boolean",
        "timestamp with time zone" | "timestamp_with_timezone_text" => "time",
        "bytea" | "blob" => "bytes",
        other => panic!("{other} is no type that both databases were looked at for"),
    }
}

/// A condition without what only one dialect writes.
fn plain(predicate: &str) -> String {
    predicate.replace("::text", "").replace(['(', ')', '"'], "").trim().to_owned()
}

/// How a dialect tells its schema.
struct Dialect {
    columns: &'static str,
    primary_keys: &'static str,
    indexes: &'static str,
    foreign_keys: &'static str,
}

const POSTGRES: Dialect = Dialect {
    columns: "SELECT table_name::text AS owner, column_name::text AS name, data_type::text AS kind, \
              is_nullable = 'YES' AS nullable FROM information_schema.columns \
              WHERE table_schema = 'public' AND table_name <> 'seaql_migrations'",
    primary_keys: "SELECT c.conrelid::regclass::text AS owner, \
                   (SELECT string_agg(attname, ',' ORDER BY n) FROM unnest(conkey) WITH ORDINALITY AS k(num, n) \
                   JOIN pg_attribute ON attrelid = conrelid AND attnum = num) AS members \
                   FROM pg_constraint c WHERE contype = 'p' AND conrelid::regclass::text <> 'seaql_migrations' \
                   AND connamespace = 'public'::regnamespace",
    indexes: "SELECT indrelid::regclass::text AS owner, indexrelid::regclass::text AS name, indisunique AS is_unique, \
              coalesce(pg_get_expr(indpred, indrelid), '') AS predicate, \
              (SELECT string_agg(attname, ',' ORDER BY n) FROM unnest(indkey) WITH ORDINALITY AS k(num, n) \
              JOIN pg_attribute ON attrelid = indrelid AND attnum = num) AS members \
              FROM pg_index JOIN pg_class ON pg_class.oid = indrelid \
              WHERE relnamespace = 'public'::regnamespace AND NOT indisprimary",
    foreign_keys: "SELECT conrelid::regclass::text AS owner, confrelid::regclass::text AS other, \
                   (SELECT string_agg(attname, ',' ORDER BY n) FROM unnest(conkey) WITH ORDINALITY AS k(num, n) \
                   JOIN pg_attribute ON attrelid = conrelid AND attnum = num) AS members, \
                   (SELECT string_agg(attname, ',' ORDER BY n) FROM unnest(confkey) WITH ORDINALITY AS k(num, n) \
                   JOIN pg_attribute ON attrelid = confrelid AND attnum = num) AS theirs, \
                   CASE confdeltype WHEN 'a' THEN 'NO ACTION' WHEN 'c' THEN 'CASCADE' ELSE confdeltype::text END \
                   AS on_delete FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace",
};

const SQLITE: Dialect = Dialect {
    columns: "SELECT t.name AS owner, c.name, lower(c.type) AS kind, c.\"notnull\" = 0 AS nullable \
              FROM sqlite_master t JOIN pragma_table_info(t.name) c \
              WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND t.name <> 'seaql_migrations'",
    primary_keys: "SELECT owner, group_concat(name) AS members FROM (\
                   SELECT t.name AS owner, c.name FROM sqlite_master t JOIN pragma_table_info(t.name) c \
                   WHERE t.type = 'table' AND c.pk > 0 AND t.name <> 'seaql_migrations' ORDER BY t.name, c.pk) \
                   GROUP BY owner",
    indexes: "SELECT owner, name, is_unique, predicate, group_concat(member) AS members FROM (\
              SELECT t.name AS owner, i.name, i.\"unique\" = 1 AS is_unique, c.name AS member, \
              CASE instr(m.sql, ' WHERE ') WHEN 0 THEN '' ELSE substr(m.sql, instr(m.sql, ' WHERE ') + 7) END AS predicate \
              FROM sqlite_master t JOIN pragma_index_list(t.name) i JOIN pragma_index_info(i.name) c \
              JOIN sqlite_master m ON m.name = i.name \
              WHERE t.type = 'table' AND i.origin = 'c' ORDER BY i.name, c.seqno) GROUP BY owner, name",
    foreign_keys: "SELECT owner, other, on_delete, group_concat(member) AS members, \
                   group_concat(their) AS theirs FROM (\
                   SELECT t.name AS owner, f.id, f.\"table\" AS other, f.on_delete, f.\"from\" AS member, \
                   f.\"to\" AS their FROM sqlite_master t JOIN pragma_foreign_key_list(t.name) f \
                   WHERE t.type = 'table' ORDER BY t.name, f.id, f.seq) GROUP BY owner, id",
};
