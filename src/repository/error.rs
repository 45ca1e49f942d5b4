//! What can go wrong in the database, sorted by what the caller can do about it.

use sea_orm::{DbErr, RuntimeErr, sqlx};

/// A result of this layer.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the database did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A row breaks a uniqueness that the schema guards.
    #[error("the row breaks {0:?}")]
    Duplicate(Constraint),
    /// The transaction got in the way of another and was undone; it can be run again.
    #[error("the transaction was undone to let another pass")]
    Conflict(#[source] DbErr),
    /// The database cannot be reached, refuses connections, or has none free.
    #[error("the database cannot be reached")]
    Unavailable(#[source] DbErr),
    /// A statement took longer than it may.
    #[error("a statement ran out of time")]
    Timeout(#[source] DbErr),
    /// A row holds what this program never writes.
    #[error("{table}.{column} of {row} is damaged: {why}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's key.
        row: String,
        /// What is wrong with it.
        why: String,
    },
    /// A record is larger than may be stored.
    #[error("an event of {size} bytes exceeds the {limit} that brokers take")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Another process uses this SQLite file.
    #[error("another process uses {0}")]
    Locked(String),
    /// Anything else: a defect.
    #[error("the database refused a statement")]
    Other(#[source] DbErr),
}

/// The uniqueness rules of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Constraint {
    /// One team for a slug.
    TeamSlug,
    /// One user for an id.
    UserId,
    /// One user for an address.
    UserEmail,
    /// One role of a tree for a key.
    RoleKey,
    /// One membership for a team and a user.
    Membership,
    /// One open invitation that grants something in a team, for an address.
    PendingInvitation,
    /// One event for a version of a team or user.
    EventVersion,
    /// One event for a position.
    EventPosition,
}

/// Each constraint's name in PostgreSQL, and the columns by which SQLite names it.
const CONSTRAINTS: [(Constraint, &str, &str); 9] = [
    (Constraint::TeamSlug, "teams_slug_key", "teams.slug"),
    (Constraint::UserId, "users_pkey", "users.id"),
    (Constraint::UserEmail, "users_email_key", "users.email"),
    (Constraint::RoleKey, "roles_key_key", "roles.root_id, roles.key"),
    (Constraint::Membership, "memberships_pkey", "memberships.team_id, memberships.user_id"),
    (
        Constraint::PendingInvitation,
        "invitation_grants_pending_key",
        "invitation_grants.team_id, invitation_grants.email",
    ),
    (Constraint::EventVersion, "events_team_version_key", "events.team_id, events.team_version"),
    (Constraint::EventVersion, "events_user_version_key", "events.user_id, events.user_version"),
    (Constraint::EventPosition, "events_position_key", "events.position"),
];

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        let Some(sqlx) = sqlx_error(&error) else {
            return match error {
                DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => Self::Unavailable(error),
                _ => Self::Other(error),
            };
        };
        match sqlx {
            sqlx::Error::Database(db) => match classify(db.as_ref()) {
                Class::Duplicate(constraint) => Self::Duplicate(constraint),
                Class::Conflict => Self::Conflict(error),
                Class::Unavailable => Self::Unavailable(error),
                Class::Timeout => Self::Timeout(error),
                Class::Other => Self::Other(error),
            },
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::Protocol(_)
            | sqlx::Error::BeginFailed => Self::Unavailable(error),
            _ => Self::Other(error),
        }
    }
}

fn sqlx_error(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(e))
        | DbErr::Exec(RuntimeErr::SqlxError(e))
        | DbErr::Query(RuntimeErr::SqlxError(e)) => Some(e),
        _ => None,
    }
}

enum Class {
    Duplicate(Constraint),
    Conflict,
    Unavailable,
    Timeout,
    Other,
}

/// By SQLSTATE for PostgreSQL, by extended result code for SQLite.
fn classify(error: &dyn sqlx::error::DatabaseError) -> Class {
    let code = error.code().unwrap_or_default();
    match code.as_ref() {
        // unique_violation; SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE
        "23505" | "1555" | "2067" => duplicate(error),
        // serialization_failure, deadlock_detected; SQLITE_BUSY and its kinds
        "40001" | "40P01" | "5" | "261" | "517" | "773" => Class::Conflict,
        // query_canceled, lock_not_available
        "57014" | "55P03" => Class::Timeout,
        // too_many_connections, admin_shutdown, crash_shutdown, cannot_connect_now, idle_in_transaction_session_timeout;
        // read_only_sql_transaction, as of a server that has become a standby
        "53300" | "57P01" | "57P02" | "57P03" | "25P03" | "25006" => Class::Unavailable,
        code if code.starts_with("08") => Class::Unavailable,
        _ => Class::Other,
    }
}

fn duplicate(error: &dyn sqlx::error::DatabaseError) -> Class {
    let found = match error.constraint() {
        Some(name) => CONSTRAINTS.iter().find(|(_, postgres, _)| *postgres == name),
        // SQLite's message ends with the columns: "UNIQUE constraint failed: teams.slug".
        None => CONSTRAINTS.iter().find(|(.., sqlite)| error.message().rsplit(": ").next() == Some(*sqlite)),
    };
    found.map_or(Class::Other, |(constraint, ..)| Class::Duplicate(*constraint))
}
