//! Copies of the database, and what has to be done when one takes its place.

use std::{fmt::Write as _, path::Path};

use super::{Error, options};
use crate::{
    config::Config,
    repository::{Database, database, schema, sequence},
};

/// Copies the SQLite database into a new file, also while it is in use. Tells for people what is in the copy.
pub async fn backup(config: &Config, into: &Path) -> Result<String, Error> {
    let url = &config.database.url;
    let Some(path) = url.sqlite_path() else { return Err(Error::BackupOfPostgres) };
    if !path.exists() {
        return Err(Error::NothingToBackUp(path.to_owned()));
    }
    database::copy(url.expose(), into).await?;
    let mut report = format!("{} holds what {} held at one moment.\n", into.display(), path.display());
    if config.links.keys.is_empty() {
        let key = config.data_dir.join("secret.key");
        // Writing into a string cannot fail.
        let _ = writeln!(report, "Not in it: {}, without which links that were sent do not work.", key.display());
    }
    Ok(report)
}

/// Tells the database that it was restored to an earlier state. Tells for people what comes of it.
pub async fn restored(config: &Config) -> Result<String, Error> {
    let database = Database::open(options(&config.database)).await?;
    if schema::status(&database).await?.iter().any(|(_, step)| *step == schema::Step::Pending) {
        return Err(Error::SchemaBehind);
    }
    sequence::leap(&database).await?;
    database.close().await?;
    Ok("Every cursor that was given before fails with CURSOR_EXPIRED from now on, and its holder reads anew.\n"
        .to_owned())
}
