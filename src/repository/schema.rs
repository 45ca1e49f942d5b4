//! Bringing the schema up to date.
//!
//! On PostgreSQL others work with the tables meanwhile. So a step never waits for a lock for long, since everybody who
//! comes later would wait behind it: it gives up, lets them pass, and is done again ([ADR
//! 43](../../docs/adr/0043-migrations-let-others-pass.md)). On SQLite a step is one transaction.

use std::time::Duration;

use roster_migrations::Migrator;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr};
use sea_orm_migration::{
    MigrationName, MigrationStatus, MigrationTrait, MigratorTrait, MigratorTraitSelf, SchemaManager, async_trait,
};
use tokio::time::Instant;

use super::{
    Database, Error, Result,
    leader::{MIGRATION, try_lock},
};

/// How long to wait before asking again whether nobody else migrates.
const POLL: Duration = Duration::from_millis(100);
/// How long a step waits for a lock, in PostgreSQL's words: for so long others may wait behind it.
const LOCK_TIMEOUT: &str = "500ms";
/// How long to let others pass then.
const PAUSE: Duration = Duration::from_secs(1);
/// For how long to try again.
const PATIENCE: Duration = Duration::from_mins(5);

/// How a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It has been applied.
    Applied,
    /// It has not.
    Pending,
    /// It has been applied by a newer version of this program, which this one does not know. It can work with that.
    Newer,
}

/// Why steps are not taken back.
#[derive(Debug, thiserror::Error)]
pub enum DownError {
    /// Only who knows a step can take it back.
    #[error("a newer version of this program applied {0}: take that back with the newer version")]
    Newer(String),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] Error),
}

/// Applies every step that has not been applied.
pub async fn up(database: &Database) -> Result<()> {
    let session = locked_session(database).await?;
    let steps = Steps::of(&session).await?;
    let patience = Patience::new();
    loop {
        if let Some(done) = patience.judge(steps.up(&session, None).await).await {
            return done;
        }
    }
}

/// Takes back the latest steps.
pub async fn down(database: &Database, steps: u32) -> Result<(), DownError> {
    let session = locked_session(database).await?;
    let known = Steps::of(&session).await?;
    if let Some(newest) = known.newer.last() {
        return Err(DownError::Newer(newest.clone()));
    }
    let applied = known.get_applied_migrations(&session).await.map_err(Error::from)?.len();
    for _ in 0..applied.min(usize::try_from(steps).unwrap_or(usize::MAX)) {
        // One at a time, so that none is counted again when another one is tried again.
        let patience = Patience::new();
        loop {
            if let Some(done) = patience.judge(known.down(&session, Some(1)).await).await {
                break done?;
            }
        }
    }
    Ok(())
}

/// Every step, and how it stands.
pub async fn status(database: &Database) -> Result<Vec<(String, Step)>> {
    let session = database.writer();
    let steps = Steps::of(session).await?;
    let found = steps.get_migration_with_status(session).await?.into_iter().map(|step| {
        let state = match step.status() {
            _ if steps.newer.iter().any(|newer| newer == step.name()) => Step::Newer,
            MigrationStatus::Applied => Step::Applied,
            MigrationStatus::Pending => Step::Pending,
        };
        (step.name().to_owned(), state)
    });
    Ok(found.collect())
}

/// How long a step is tried again.
struct Patience {
    until: Instant,
}

impl Patience {
    fn new() -> Self {
        Self { until: Instant::now() + PATIENCE }
    }

    /// What came of a try; `None` if it only failed for a lock, and can be tried again now.
    async fn judge(&self, done: Result<(), DbErr>) -> Option<Result<()>> {
        match done.map_err(Error::from) {
            Err(Error::Timeout(why) | Error::Conflict(why)) if Instant::now() < self.until => {
                tracing::info!(%why, "somebody works with what is to be changed: trying again");
                tokio::time::sleep(PAUSE).await;
                None
            }
            done => Some(done),
        }
    }
}

/// A session that nobody else migrates beside: the lock goes with the session.
async fn locked_session(database: &Database) -> Result<DatabaseConnection> {
    if !database.is_postgres() {
        return Ok(database.writer().clone());
    }
    let session = database.lone_session().await?;
    // A statement may take its time, but does not make others wait for a table for long.
    session.execute_unprepared(&format!("SET statement_timeout = 0; SET lock_timeout = '{LOCK_TIMEOUT}'")).await?;
    while !try_lock(&session, MIGRATION).await? {
        tokio::time::sleep(POLL).await;
    }
    Ok(session)
}

/// The steps that this program knows, and those it does not know that were applied to this database.
struct Steps {
    sqlite: bool,
    newer: Vec<String>,
}

fn known() -> Vec<Box<dyn MigrationTrait>> {
    <Migrator as MigratorTrait>::migrations()
}

impl Steps {
    async fn of(session: &DatabaseConnection) -> Result<Self> {
        let known = known();
        let applied =
            <Migrator as MigratorTrait>::get_migration_models(session).await?.into_iter().map(|step| step.version);
        let newer = applied.filter(|name| known.iter().all(|step| step.name() != name)).collect();
        let sqlite = session.get_database_backend() == sea_orm::DbBackend::Sqlite;
        Ok(Self { sqlite, newer })
    }
}

impl MigratorTraitSelf for Steps {
    fn migrations(&self) -> Vec<Box<dyn MigrationTrait>> {
        let known = known().into_iter().map(|step| -> Box<dyn MigrationTrait> {
            if self.sqlite { Box::new(Whole(step)) } else { step }
        });
        let newer = self.newer.iter().map(|name| -> Box<dyn MigrationTrait> { Box::new(Newer(name.clone())) });
        known.chain(newer).collect()
    }
}

/// A step as one transaction, so that one that is cut off leaves nothing behind.
struct Whole(Box<dyn MigrationTrait>);

impl MigrationName for Whole {
    fn name(&self) -> &str {
        self.0.name()
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Whole {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        self.0.up(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        self.0.down(manager).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// A step that is only known by its name.
struct Newer(String);

impl MigrationName for Newer {
    fn name(&self) -> &str {
        &self.0
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Newer {
    async fn up(&self, _: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration(format!("{} is not known here", self.0)))
    }
}
