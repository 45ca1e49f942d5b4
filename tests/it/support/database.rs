//! A database for each test.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use roster::repository::{Database, Source as _, database::Options};
use sea_orm::ConnectionTrait as _;
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::parts;

/// Which database a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Db {
    Sqlite,
    Postgres,
}

/// A database that goes with the test.
pub struct TestDatabase {
    pub url: String,
    /// Holds the SQLite file and whatever else the server keeps.
    pub folder: TempDir,
    name: Option<String>,
}

static TEMPLATE: OnceCell<String> = OnceCell::const_new();
static NEXT: AtomicU32 = AtomicU32::new(0);

impl TestDatabase {
    /// A database with the schema in place, and nothing in it.
    pub async fn new(db: Db) -> Self {
        match db {
            Db::Sqlite => {
                let database = Self::empty(db).await;
                migrate(&database.url).await;
                database
            }
            Db::Postgres => Self::on_postgres(TEMPLATE.get_or_init(make_template).await).await,
        }
    }

    /// A database without a schema.
    pub async fn empty(db: Db) -> Self {
        match db {
            Db::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                let url = format!("sqlite://{}", folder.path().join("roster.db").display());
                Self { url, folder, name: None }
            }
            Db::Postgres => Self::on_postgres("template0").await,
        }
    }

    async fn on_postgres(template: &str) -> Self {
        let name = format!("roster_test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        admin(&format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        Self { url: url_of(&name), folder: tempfile::tempdir().unwrap(), name: Some(name) }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Some(name) = self.name.take() else { return };
        // The runtime of the test is ending, so a thread with one of its own takes the database away.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(admin(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")));
        });
        let _ = dropping.join();
    }
}

/// One database is migrated; the others are copies of it, which takes a tenth of the time.
async fn make_template() -> String {
    let name = format!("roster_template_{}", std::process::id());
    admin(&format!("CREATE DATABASE {name}")).await;
    migrate(&url_of(&name)).await;
    name
}

/// Opens a database as the service does, without its haste.
pub async fn open(url: &str) -> Database {
    let (url, timeout) = (url.to_owned(), Duration::from_mins(10));
    let options = Options { url, max_connections: 2, acquire_timeout: timeout, statement_timeout: timeout };
    Database::open(options).await.unwrap()
}

/// Has a statement done.
pub async fn execute(database: &Database, sql: &str) {
    let tx = database.begin().await.unwrap();
    tx.connection().execute_unprepared(sql).await.unwrap_or_else(|why| panic!("{sql}: {why}"));
    tx.commit().await.unwrap();
}

async fn migrate(url: &str) {
    let database = open(url).await;
    roster::repository::schema::up(&database).await.unwrap();
    database.close().await.unwrap();
}

async fn admin(sql: &str) {
    let connection = sea_orm::Database::connect(parts::postgres_url()).await.unwrap();
    connection.execute_unprepared(sql).await.unwrap();
    connection.close().await.unwrap();
}

/// The address of a database on the server that the environment names.
fn url_of(name: &str) -> String {
    let server = parts::postgres_url();
    let (base, _) = server.rsplit_once('/').unwrap();
    format!("{base}/{name}")
}
