//! Whether this instance is the one that moves events on.

use tokio::sync::OnceCell;

use crate::repository::{Database, Result, leader::Candidate};

/// The one candidacy of this instance, shared by its tasks.
pub(super) struct Leadership {
    database: Database,
    candidate: OnceCell<Candidate>,
}

impl Leadership {
    pub(super) fn new(database: Database) -> Self {
        Self { database, candidate: OnceCell::new() }
    }

    /// Whether this instance leads now, or has just come to. Ask before every batch of work.
    pub(super) async fn held(&self) -> Result<bool> {
        self.candidate.get_or_try_init(|| Candidate::new(&self.database)).await?.leads().await
    }
}
