//! The integration tests: a real server and real clients, on SQLite and on PostgreSQL.
//!
//! One binary, so that it links once. `support` holds what tests share; every other file is one capability.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod support;

mod architecture;
mod contract;
mod conventions;
mod invitations;
mod schema;
mod seeds;
mod story;
mod teams;
