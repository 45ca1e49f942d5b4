//! Roster.
pub mod config;
pub mod contract;
pub mod domain;
pub mod mail;
pub mod repository;
pub mod telemetry;

pub mod application;
pub mod env;
