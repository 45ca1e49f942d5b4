//! The only place that makes a `tonic::Status`: from what use cases say ([`application`]), and from what the edge itself
//! has to say ([`EdgeError`]).
//!
//! Every status carries exactly one `google.rpc.ErrorInfo`, whose reason is a value of `ErrorReason` and decides the
//! code; what the reasons mean stands beside them in `error_reason.proto`. A status tells nothing of the inside: what the
//! caller cannot mend is told to the log, once, under the call's id.

mod application;
mod detail;
mod domain;
mod reason;

use std::time::Duration;

use roster_proto::v1::ErrorReason as Reason;
use tonic::Status;

use self::detail::{Explained, later};
pub(super) use self::domain::reason_of;
use crate::application::Error;

/// What a service's configuration must say before it may name a person in `roster-actor`.
const ACT_FOR_USERS: &str = "act_for_users";

/// Why a call fails.
#[derive(Debug)]
pub(super) enum Failure {
    /// A use case says so.
    Application(Error),
    /// The edge says so.
    Edge(EdgeError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Application(error)
    }
}

impl From<EdgeError> for Failure {
    fn from(error: EdgeError) -> Self {
        Self::Edge(error)
    }
}

/// Why the edge refuses a call that no use case has seen, or cuts one short.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum EdgeError {
    /// Fields break their rules: each field's path and what is wrong with it.
    #[error("these fields break their rules: {}", fields(.0))]
    InvalidFields(Vec<(String, String)>),
    /// The page token is not one of ours, or belongs to another query.
    #[error("the page token is not valid for this query")]
    PageTokenInvalid,
    /// There are no credentials.
    #[error("this server requires credentials: authorization: Bearer …, or a client certificate")]
    CredentialsMissing,
    /// The credentials are malformed or unknown.
    #[error("the credentials are not valid")]
    CredentialsInvalid,
    /// The credentials were good, and are not any more.
    #[error("the credentials have expired")]
    CredentialsExpired,
    /// What the credentials have to be checked with is not at hand.
    #[error("the keys of the identity provider cannot be had")]
    KeysUnavailable,
    /// The caller calls more often than it may.
    #[error("you have made as many calls as you may for now")]
    RateLimited {
        /// When there is room for another one.
        wait: Duration,
    },
    /// There are credentials where none are taken.
    #[error("this server runs in development mode and takes no credentials")]
    CredentialsUnexpected,
    /// The service's scopes do not cover what this RPC needs.
    #[error("you need {permission}")]
    PermissionDenied {
        /// What it needs.
        permission: String,
    },
    /// The service may not act for people, yet names one.
    #[error("you need {}", ACT_FOR_USERS)]
    MayNotAct,
    /// More calls are in flight than the server takes.
    #[error("the server has more calls in flight than it takes")]
    Overloaded,
    /// The time for the call is up.
    #[error("the deadline passed before the call was done")]
    DeadlineExceeded,
    /// The server stops.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// There is no such RPC.
    #[error("this server has no RPC {method}")]
    UnknownMethod {
        /// The path that was called.
        method: String,
    },
    /// The request is no message.
    #[error("the request is no message of this RPC")]
    MessageMalformed,
    /// A message is too large.
    #[error("the message is larger than {limit} bytes")]
    MessageTooLarge {
        /// How large it may be, in bytes.
        limit: usize,
    },
    /// The request is compressed.
    #[error("this server takes no compressed messages")]
    CompressionUnsupported,
    /// Health or reflection has no such thing.
    #[error("this server has nothing of this name")]
    UnknownName,
    /// A defect: a panic, or a status that nobody can explain. Its text goes to the log only.
    #[error("{0}")]
    Defect(String),
}

/// The status that tells a caller of a failure. `call_id` is the id of the call in the log.
pub(super) fn status(failure: &Failure, call_id: &str) -> Status {
    let explained = match failure {
        Failure::Application(error) => application::explain(error, call_id),
        Failure::Edge(error) => explain(error, call_id),
    };
    explained.into_status()
}

fn explain(error: &EdgeError, call_id: &str) -> Explained {
    let because = |reason| Explained::new(reason, error);
    match error {
        EdgeError::InvalidFields(violations) => {
            because(Reason::InvalidField).with("fields", fields(violations)).bad_request(violations)
        }
        EdgeError::PageTokenInvalid => because(Reason::PageTokenInvalid),
        EdgeError::CredentialsMissing => because(Reason::CredentialsMissing),
        EdgeError::CredentialsInvalid | EdgeError::CredentialsUnexpected => because(Reason::CredentialsInvalid),
        EdgeError::CredentialsExpired => because(Reason::CredentialsExpired),
        EdgeError::KeysUnavailable => because(Reason::KeysUnavailable).retry_after(later::KEYS),
        EdgeError::RateLimited { wait } => because(Reason::RateLimited).retry_after(*wait),
        EdgeError::PermissionDenied { permission } => because(Reason::PermissionDenied).with("permission", permission),
        EdgeError::MayNotAct => because(Reason::PermissionDenied).with("permission", ACT_FOR_USERS),
        EdgeError::Overloaded => because(Reason::Overloaded).retry_after(later::OVERLOADED),
        EdgeError::DeadlineExceeded => because(Reason::DeadlineExceeded),
        EdgeError::ShuttingDown => because(Reason::ShuttingDown).retry_after(later::ELSEWHERE),
        EdgeError::UnknownMethod { method } => because(Reason::UnknownMethod).with("method", method),
        EdgeError::MessageMalformed => because(Reason::MessageMalformed),
        EdgeError::MessageTooLarge { limit } => because(Reason::MessageTooLarge).with("limit", limit),
        EdgeError::CompressionUnsupported => because(Reason::CompressionUnsupported),
        EdgeError::UnknownName => because(Reason::UnknownName),
        EdgeError::Defect(_) => Explained::internal(error, call_id),
    }
}

/// The paths of all fields, as far as a message may be long.
fn fields(violations: &[(String, String)]) -> String {
    violations.iter().map(|(field, _)| field.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
