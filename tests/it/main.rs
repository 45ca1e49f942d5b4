//! The integration tests: a real server and real clients, on SQLite and on PostgreSQL.
//!
//! One binary, so that it links once. `support` holds what tests share; every other file is one capability.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]
#![expect(unreachable_pub, reason = "nobody is outside")]
#![expect(
    clippy::assigning_clones,
    clippy::case_sensitive_file_extension_comparisons,
    clippy::format_collect,
    clippy::format_push_string,
    clippy::match_same_arms,
    clippy::needless_for_each,
    clippy::needless_pass_by_value,
    reason = "in a test the plain form is the better one"
)]

mod support;

mod access;
mod architecture;
mod backup;
mod call_rates;
mod callers;
mod cli;
mod configuration;
mod consumer;
mod container;
mod contract;
mod conventions;
mod e01_accept_storm;
mod e02_invitation_races;
mod e03_seats;
mod e04_last_owner;
mod e05_kill;
mod e08_event_order;
mod e10_cancelled_calls;
mod e11_request_ids;
mod e12_model;
mod e16_matrix;
mod e17_foreign_ids;
mod e18_grants;
mod e19_tokens;
mod e20_hostile_jwts;
mod e22_hostile_text;
mod e23_mail_storm;
mod e25_addresses;
mod e26_abuse;
mod e27_overload;
mod e28_drain;
mod e33_migrations;
mod gateway;
mod generated_clients;
mod grpc_web;
mod grpcurl;
mod helm;
mod invitation_limits;
mod invitations;
mod jwks;
mod limits;
mod mail_queue;
mod members;
mod nats;
mod nats_cluster;
mod outage;
mod ownership;
mod people;
mod readme;
mod relay;
mod restart;
mod roles;
mod rust_client;
mod schema;
mod seeds;
mod smtp;
mod story;
mod takeover;
mod teams;
mod telemetry;
mod tls;
mod trees;
mod upgrades;
mod watch;
