//! Changing the schema from the command line.

use std::fmt::Write as _;

use super::{Error, options};
use crate::{
    config::Config,
    repository::{
        Database,
        schema::{self, Step},
    },
};

/// What to do with the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Migrate {
    /// Apply every step that has not been applied.
    Up,
    /// Take back the latest steps.
    Down {
        /// How many.
        steps: u32,
    },
    /// Change nothing.
    Status,
}

/// Does it, and tells for people how the schema stands afterwards.
pub async fn migrate(config: &Config, what: Migrate) -> Result<String, Error> {
    let database = Database::open(options(&config.database)).await?;
    match what {
        Migrate::Up => schema::up(&database).await?,
        Migrate::Down { steps } => schema::down(&database, steps).await?,
        Migrate::Status => {}
    }
    let mut report = String::new();
    for (step, state) in schema::status(&database).await? {
        let mark = match state {
            Step::Applied => "applied",
            Step::Pending => "pending",
            Step::Newer => "newer  ",
        };
        // Writing into a string cannot fail.
        let _ = writeln!(report, "{mark}  {step}");
    }
    database.close().await?;
    Ok(report)
}
