//! Which of several instances gives positions and publishes.

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};

use super::{Database, Result};

/// "roster" and a number, as the key of a PostgreSQL advisory lock.
const RELAY: i64 = 0x726f_7374_6572_0001;
pub(super) const MIGRATION: i64 = 0x726f_7374_6572_0002;

/// A candidate for leadership. With SQLite there is one process, which always leads.
#[derive(Debug)]
pub struct Candidate {
    /// The session that holds the lock for as long as it lives.
    session: Option<DatabaseConnection>,
}

impl Candidate {
    /// A candidate with a session of its own.
    pub async fn new(database: &Database) -> Result<Self> {
        let session = if database.is_postgres() { Some(database.lone_session().await?) } else { None };
        Ok(Self { session })
    }

    /// Whether this candidate leads now. Ask again for every batch of work: when the session is lost, so is the lock.
    pub async fn leads(&self) -> Result<bool> {
        match &self.session {
            None => Ok(true),
            Some(session) => try_lock(session, RELAY).await,
        }
    }
}

/// Takes a lock that the session keeps; taking it again is harmless. Does not wait: a waiting statement would hold a
/// snapshot open, and `CREATE INDEX CONCURRENTLY` would wait for that.
pub(super) async fn try_lock(session: &DatabaseConnection, key: i64) -> Result<bool> {
    let statement =
        Statement::from_string(session.get_database_backend(), format!("SELECT pg_try_advisory_lock({key})"));
    let row = session.query_one_raw(statement).await?;
    Ok(row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or(false))
}
