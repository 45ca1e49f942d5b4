//! Bringing the schema up to date.

use std::time::Duration;

use roster_migrations::Migrator;
use sea_orm::{ConnectionTrait, DatabaseConnection};
use sea_orm_migration::{MigrationStatus, MigratorTrait};

use super::{
    Database, Result,
    leader::{MIGRATION, try_lock},
};

/// How long to wait before asking for the lock again.
const LOCK_POLL: Duration = Duration::from_millis(100);

/// Applies every step that has not been applied.
pub async fn up(database: &Database) -> Result<()> {
    let session = locked_session(database).await?;
    Ok(Migrator::up(&session, None).await?)
}

/// Takes back the latest steps.
pub async fn down(database: &Database, steps: u32) -> Result<()> {
    let session = locked_session(database).await?;
    Ok(Migrator::down(&session, Some(steps)).await?)
}

/// Every step, and whether it has been applied.
pub async fn status(database: &Database) -> Result<Vec<(String, bool)>> {
    let steps = Migrator::get_migration_with_status(database.writer()).await?;
    let applied = |status: MigrationStatus| status == MigrationStatus::Applied;
    Ok(steps.into_iter().map(|step| (step.name().to_owned(), applied(step.status()))).collect())
}

/// A session that nobody else migrates beside: the lock goes with the session.
async fn locked_session(database: &Database) -> Result<DatabaseConnection> {
    if !database.is_postgres() {
        return Ok(database.writer().clone());
    }
    let session = database.lone_session().await?;
    // A step may take its time, but it does not make others wait for a table for long.
    session.execute_unprepared("SET statement_timeout = 0; SET lock_timeout = '2s'").await?;
    while !try_lock(&session, MIGRATION).await? {
        tokio::time::sleep(LOCK_POLL).await;
    }
    Ok(session)
}
