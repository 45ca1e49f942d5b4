//! The tables as SeaORM sees them. Rows become domain values, and back, in the files beside this folder.

pub(super) mod event;
pub(super) mod event_sequence;
pub(super) mod expiration;
pub(super) mod idempotency_key;
pub(super) mod invitation;
pub(super) mod invitation_grant;
pub(super) mod mail;
pub(super) mod membership;
pub(super) mod membership_role;
pub(super) mod rate_limit;
pub(super) mod role;
pub(super) mod team;
pub(super) mod user;
