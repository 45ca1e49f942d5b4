//! Handing a rendered message over: the contract of a transport.

use futures::future::BoxFuture;

use super::Rendered;

/// A way to hand messages over. One call is one attempt; whoever calls decides about another one.
///
/// Handing the same message over twice is not an error: a receiver tells copies apart by the `Message-ID`, which is the
/// same on every attempt.
pub trait MailTransport: Send + Sync {
    /// Hands `message` over and returns once it has been accepted for delivery.
    ///
    /// Dropping the future abandons the attempt: whether the message was accepted is then unknown.
    ///
    /// # Errors
    ///
    /// [`SendError`], which says whether another attempt can help.
    fn send<'a>(&'a self, message: &'a Rendered) -> BoxFuture<'a, Result<(), SendError>>;
}

/// Whether another attempt can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The cause may pass by itself or be put right by an operator: no connection, a timeout, a 4xx reply, a full disk.
    Transient,
    /// This message will never be accepted: a 5xx reply to the sender, the recipient or the content.
    Permanent,
}

/// Why a message was not handed over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct SendError {
    /// Whether another attempt can help.
    pub kind: Failure,
    /// For operators, on one line. Never holds text of the message (so no link), text that a server chose (it may quote
    /// the message), or a password; safe to store and to log.
    pub reason: String,
}

impl SendError {
    /// An error after which another attempt can help.
    pub(super) fn transient(reason: impl Into<String>) -> Self {
        Self { kind: Failure::Transient, reason: reason.into() }
    }

    /// An error that ends the attempts.
    pub(super) fn permanent(reason: impl Into<String>) -> Self {
        Self { kind: Failure::Permanent, reason: reason.into() }
    }
}
