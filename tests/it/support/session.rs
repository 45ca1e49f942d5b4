//! A database session of the test's own, past the service: to look at what is committed, and to get in the way.

use sea_orm::{ConnectOptions, ConnectionTrait as _, DatabaseConnection, Statement, TryGetable};

use super::parts;

/// One session, always the same one.
#[derive(Debug)]
pub struct Session(DatabaseConnection);

impl Session {
    pub async fn open(url: &str) -> Self {
        let mut options = ConnectOptions::new(url);
        options.max_connections(1).min_connections(1).sqlx_logging(false);
        Self(sea_orm::Database::connect(options).await.unwrap())
    }

    /// On the PostgreSQL server, in no test's database.
    pub async fn on_server() -> Self {
        Self::open(&parts::postgres_url()).await
    }

    /// Runs one or several statements.
    pub async fn run(&self, sql: &str) {
        self.0.execute_unprepared(sql).await.unwrap_or_else(|why| panic!("{sql}: {why}"));
    }

    /// The first value of the only row.
    pub async fn value<T: TryGetable>(&self, sql: &str) -> T {
        let statement = Statement::from_string(self.0.get_database_backend(), sql);
        let row = self.0.query_one_raw(statement).await.unwrap_or_else(|why| panic!("{sql}: {why}"));
        row.unwrap_or_else(|| panic!("no row: {sql}")).try_get_by_index(0).unwrap()
    }

    /// Ends the session.
    pub async fn close(self) {
        self.0.close().await.unwrap();
    }
}
