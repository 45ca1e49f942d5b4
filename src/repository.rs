//! The database: the only layer that knows SeaORM.
//!
//! PostgreSQL and SQLite are two dialects of one repository. Functions that read take a [`Source`], which is a
//! transaction or the pool; functions that write take a [`Tx`], so that nothing is written outside one. Every query about
//! a team's things takes the team, so that one tenant's id never finds another's row. Not here: who may do what (see
//! `application`).

pub mod census;
pub mod database;
mod entity;
pub mod error;
pub mod events;
pub mod expirations;
pub mod idempotency;
pub mod invitations;
pub mod leader;
pub mod mails;
pub mod members;
mod path;
pub mod purge;
pub mod rate_limits;
pub mod roles;
mod row;
pub mod schema;
pub mod sequence;
pub mod teams;
pub mod tx;
pub mod users;

pub use database::{Database, Reader, Snapshot};
pub use error::{Constraint, Error, Result};
pub use tx::{Slot, Source, Tx};
