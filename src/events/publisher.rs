//! The contract of a broker.

use futures::future::BoxFuture;

use crate::repository::events::StoredEvent;

/// A way to publish events.
///
/// Whoever publishes keeps the order: the next event of a team is handed over after the one before it was acknowledged.
/// The same event may be handed over again; consumers tell copies apart by the event's id.
pub trait Publisher: Send + Sync + 'static {
    /// Waits a moment for the broker to be there, and checks that it keeps what is published as consumers need it. Costs
    /// nothing when all is well. May be dropped at any time.
    ///
    /// # Errors
    ///
    /// [`PublishError::Unavailable`].
    fn prepare(&self) -> BoxFuture<'_, Result<(), PublishError>>;

    /// Publishes an event: ready once the broker has stored it, now or earlier. Nothing happens before the first poll;
    /// dropped later, it leaves open whether the event was stored.
    ///
    /// # Errors
    ///
    /// [`PublishError`], which says whether others have a better chance.
    fn publish(&self, event: &StoredEvent) -> BoxFuture<'static, Result<(), PublishError>>;
}

/// Why an event was not published. Both kinds can pass; the texts are for operators and hold no content of events.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The broker takes no event at all.
    #[error("the broker is not available: {0}")]
    Unavailable(String),
    /// The broker did not take this event.
    #[error("the broker did not take an event: {0}")]
    Refused(String),
}
