//! Looks how much waits to be done outside of the database: events for the broker, and mails for the mail server.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::leadership::Leadership;
use crate::{
    env::Env,
    metrics::{Metrics, Waiting},
    repository::{Database, Result, events, mails},
};

/// How often. Two look-ups in small indexes, by one instance of all; what is told is this much old at the most.
const INTERVAL: Duration = Duration::from_secs(5);

/// The task that looks while this instance leads.
pub(super) struct Lookout {
    pub(super) database: Database,
    pub(super) env: Env,
    pub(super) leadership: Arc<Leadership>,
    /// Whether events wait for a broker, or only for their positions.
    pub(super) published: bool,
    pub(super) metrics: Metrics,
}

impl Lookout {
    pub(super) async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            // Nothing is known while the database does not answer, and the sequencer says that it does not.
            self.metrics.waiting(self.look().await.unwrap_or_default());
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(INTERVAL) => {}
            }
        }
    }

    /// What waits, if it is for this instance to tell.
    async fn look(&self) -> Result<Option<Waiting>> {
        if !self.leadership.held().await? {
            return Ok(None);
        }
        let (reader, now) = (self.database.reader(), self.env.now());
        let events = events::backlog(&reader, self.published).await?;
        let mails = mails::queue(&reader, now).await?;
        let since = |time: Option<DateTime<Utc>>| time.and_then(|time| (now - time).to_std().ok()).unwrap_or_default();
        Ok(Some(Waiting {
            events: events.count,
            oldest_event: since(events.oldest),
            mails_due: mails.due,
            mails_put_off: mails.put_off,
            oldest_mail: since(mails.oldest),
        }))
    }
}
