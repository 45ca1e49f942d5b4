//! The use cases: what callers can have done, and who may.
//!
//! A write is a [`Command`]: a value that says what is asked and how it is done inside one transaction, run by
//! [`Store::write`], which is the only way to write. A read is a method of [`Queries`]. Both begin with [`authorize`]:
//! what it answers is a proof, and the steps that need a permission take that proof. Not here: the rules themselves (see
//! `domain`), SQL (see `repository`), and messages (see `grpc`).

pub mod access;
mod admission;
pub mod authorize;
mod consequence;
pub mod context;
pub mod error;
pub mod expiry;
pub mod invitations;
pub mod limits;
pub mod members;
pub mod ownership;
pub mod queries;
pub mod respond;
pub mod revision;
pub mod roles;
mod standing;
mod statements;
pub mod store;
pub mod suspension;
pub mod teams;
pub mod users;

pub use authorize::Allowed;
pub use context::{Context, Slot, WriteOptions};
pub use error::{Error, Missing, Result, Taken};
pub use limits::InvitationLimits;
pub use queries::Queries;
pub use revision::Revision;
pub use store::{Command, Store, Work, Written};
