//! Deletes what is not retained any more: old events, and the answers kept for retries.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{leadership::Leadership, outage::Outage};
use crate::{
    env::Env,
    repository::{Database, Result, idempotency, sequence},
};

/// How often: often enough that each time there is little to delete.
const INTERVAL: Duration = Duration::from_secs(60);

/// The task that deletes.
pub(super) struct Housekeeping {
    pub(super) database: Database,
    pub(super) env: Env,
    pub(super) leadership: Arc<Leadership>,
    /// How long events stay.
    pub(super) retention: Duration,
    /// Whether events stay until they are published, however long that takes.
    pub(super) published: bool,
}

impl Housekeeping {
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut outage = Outage::none_of("deleting old events");
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(INTERVAL) => {}
            }
            match self.turn().await {
                Ok(()) => outage.over(),
                Err(error) => drop(outage.failed(&error)),
            }
        }
    }

    async fn turn(&self) -> Result<()> {
        if !self.leadership.held().await? {
            return Ok(());
        }
        let now = self.env.now();
        // Without a cutoff, because it would be before all time, events stay for ever.
        let cutoff = TimeDelta::from_std(self.retention).ok().and_then(|retention| now.checked_sub_signed(retention));
        let events = match cutoff {
            Some(cutoff) => sequence::purge(&self.database, cutoff, self.published).await?,
            None => 0,
        };
        let answers = idempotency::purge(&self.database, now).await?;
        tracing::debug!(events, answers, "deleted what is not retained any more");
        Ok(())
    }
}
