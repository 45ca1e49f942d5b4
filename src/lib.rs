//! Roster: who is in which team, with which role, and who has been invited.
//!
//! A gRPC service for multi-tenant products, and the library that its binary and its tests are made of. Dependencies run
//! one way; `docs/ARCHITECTURE.md` tells the rules, and a test holds the code to them:
//!
//! - [`domain`]: the rules, as pure functions.
//! - [`contract`]: the published form of events.
//! - [`repository`]: the database.
//! - [`application`]: the use cases, and who may.
//! - [`callers`]: who calls, by which credentials.
//! - [`grpc`]: the edge.
//! - [`gateway`]: the API as HTTP gateways see it.
//! - [`events`] and [`mail`]: what happens after a write; [`sweeper`]: what happens when time runs out.
//! - [`app`]: how it is all put together; [`config`], [`env`](mod@env) and [`lifecycle`] serve it.
//! - [`causes`]: why something failed, in words.
//! - [`metrics`] and [`trace`]: what is told of all this; [`telemetry`] and [`admin`]: to whom.

pub mod admin;
pub mod app;
pub mod application;
pub mod callers;
pub mod causes;
pub mod config;
pub mod contract;
pub mod domain;
pub mod env;
pub mod events;
pub mod gateway;
pub mod grpc;
pub mod lifecycle;
pub mod mail;
pub mod metrics;
pub mod repository;
pub mod sweeper;
pub mod telemetry;
pub mod trace;
