//! `database`: where the data lies, and how it is reached.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use super::error::Problems;
use super::text::{HumanTime, InvalidText, MASK, Text};

/// The database.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// `sqlite://PATH`, or `postgres://USER:PASSWORD@HOST/NAME` with the parameters that PostgreSQL takes. If not set,
    /// it is the SQLite file `roster.db` in `data_dir`.
    #[serde(with = "Text")]
    pub url: DatabaseUrl,
    /// A file that holds the URL.
    pub url_file: Option<PathBuf>,
    /// Connections held at most, at least 1. SQLite has one more to write, and reads over no more than two for each core.
    pub max_connections: u32,
    /// How long a call waits for a free connection before it ends with `UNAVAILABLE`.
    #[serde(with = "HumanTime")]
    pub acquire_timeout: Duration,
    /// How long PostgreSQL may work on one statement, at least 1 ms.
    #[serde(with = "HumanTime")]
    pub statement_timeout: Duration,
    /// Whether `serve` applies missing migrations before it listens. If false, run `roster migrate up` before an
    /// upgrade.
    pub migrate_on_start: bool,
}

impl Default for Database {
    fn default() -> Self {
        Self {
            url: DatabaseUrl::sqlite(Path::new("./data/roster.db")),
            url_file: None,
            max_connections: 10,
            acquire_timeout: Duration::from_secs(3),
            statement_timeout: Duration::from_secs(5),
            migrate_on_start: true,
        }
    }
}

impl Database {
    pub(super) fn check(&self, problems: &mut Problems) {
        problems.require(self.max_connections > 0, "database.max_connections", "must be at least 1");
        problems.positive(self.acquire_timeout, "database.acquire_timeout");
        // PostgreSQL counts milliseconds, and takes 0 for "no limit".
        problems.require(
            self.statement_timeout >= Duration::from_millis(1),
            "database.statement_timeout",
            "must be at least 1ms",
        );
    }
}

/// A checked database URL: `sqlite://PATH`, or `postgres://…` as `PostgreSQL`'s own tools take it.
/// Printing it masks the password.
#[derive(Clone)]
pub struct DatabaseUrl(SecretString);

impl DatabaseUrl {
    const SQLITE: &str = "sqlite://";

    /// The URL of a `SQLite` file.
    #[must_use]
    pub fn sqlite(path: &Path) -> Self {
        Self(format!("{}{}", Self::SQLITE, path.display()).into())
    }

    /// The whole URL with its password; for opening the database, not for printing.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The file, if this is `SQLite`; else this is `PostgreSQL`.
    #[must_use]
    pub fn sqlite_path(&self) -> Option<&Path> {
        self.expose().strip_prefix(Self::SQLITE).map(Path::new)
    }

    /// Whether this is `PostgreSQL`.
    #[must_use]
    pub fn is_postgres(&self) -> bool {
        self.sqlite_path().is_none()
    }
}

impl FromStr for DatabaseUrl {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix(Self::SQLITE) {
            return match path {
                "" | ":memory:" => Err(InvalidText("sqlite:// must be followed by a file's path")),
                _ if path.contains(['?', '#']) => Err(InvalidText("a sqlite:// URL is a path and takes no options")),
                _ => Ok(Self(text.into())),
            };
        }
        match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "postgres" | "postgresql") => Ok(Self(text.into())),
            _ => Err(InvalidText("expected sqlite://PATH or postgres://USER:PASSWORD@HOST/NAME")),
        }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.sqlite_path().is_some() {
            return f.write_str(self.expose());
        }
        let Ok(mut url) = Url::parse(self.expose()) else {
            return f.write_str(MASK);
        };
        if url.password().is_some() && url.set_password(Some(MASK)).is_err() {
            return f.write_str(MASK);
        }
        mask_parameters(&mut url);
        f.write_str(url.as_str())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Masks `?password=…`, the other place where `PostgreSQL` takes one.
fn mask_parameters(url: &mut Url) {
    if !url.query_pairs().any(|(name, _)| name.contains("password")) {
        return;
    }
    let pairs: Vec<_> = url.query_pairs().into_owned().collect();
    let mut query = url.query_pairs_mut();
    query.clear();
    for (name, value) in &pairs {
        query.append_pair(name, if name.contains("password") { MASK } else { value });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(url: &str) -> String {
        url.parse::<DatabaseUrl>().unwrap().to_string()
    }

    #[test]
    fn only_the_password_is_masked() {
        assert_eq!(printed("sqlite://./data/roster.db"), "sqlite://./data/roster.db");
        assert_eq!(
            printed("postgres://roster:hunter2@db:5432/roster?sslmode=require"),
            "postgres://roster:***@db:5432/roster?sslmode=require"
        );
        assert_eq!(printed("postgres://roster@db/roster"), "postgres://roster@db/roster");
        assert_eq!(
            printed("postgres:///roster?host=/run/pg&password=hunter2"),
            "postgres:///roster?host=%2Frun%2Fpg&password=***"
        );
    }

    #[test]
    fn refuses_what_is_no_database() {
        for url in ["", "roster.db", "mysql://h/x", "sqlite://", "sqlite://:memory:"] {
            assert!(url.parse::<DatabaseUrl>().is_err(), "{url}");
        }
        assert!("sqlite://a.db?mode=ro".parse::<DatabaseUrl>().is_err());
    }

    #[test]
    fn knows_its_backend() {
        let sqlite: DatabaseUrl = "sqlite:///var/lib/roster/r.db".parse().unwrap();
        assert_eq!(sqlite.sqlite_path(), Some(Path::new("/var/lib/roster/r.db")));
        assert!("postgres://db/roster".parse::<DatabaseUrl>().unwrap().is_postgres());
    }
}
