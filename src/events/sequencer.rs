//! Gives positions to committed events, and tells how far positions reach.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{leadership::Leadership, outage::Outage};
use crate::{
    metrics::Metrics,
    repository::{Database, Result, sequence},
};

/// How many events get their positions in one transaction.
const BATCH: u64 = 1000;
/// The shortest time from one turn to the next: under load a turn serves all that was written meanwhile, since each one
/// costs a commit. A single write after a quiet moment does not wait.
const PACE: Duration = Duration::from_millis(10);

/// The task that gives positions while this instance leads, and else looks how far others came.
pub(super) struct Sequencer {
    pub(super) database: Database,
    pub(super) leadership: Arc<Leadership>,
    /// How often to look when nothing wakes it.
    pub(super) poll_interval: Duration,
    /// The last position.
    pub(super) head: watch::Sender<i64>,
    /// The last position, while this instance leads.
    pub(super) lead: watch::Sender<Option<i64>>,
    /// Where it reports who leads, and what was given.
    pub(super) metrics: Metrics,
}

impl Sequencer {
    pub(super) async fn run(self, written: Arc<Notify>, stop: CancellationToken) {
        let mut outage = Outage::none_of("giving positions to events");
        while !stop.is_cancelled() {
            let next = Instant::now() + PACE;
            let (works, pause) = match self.turn(&stop).await {
                Ok(()) => {
                    outage.over();
                    (true, self.poll_interval)
                }
                Err(error) => {
                    // Whoever holds the lock, nobody can work by it now.
                    self.metrics.leads(false);
                    (false, outage.failed(&error))
                }
            };
            let woken = async {
                written.notified().await;
                sleep_until(next).await;
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = woken, if works => {}
                () = sleep(pause) => {}
            }
        }
    }

    /// Gives positions until every committed event has one.
    async fn turn(&self, stop: &CancellationToken) -> Result<()> {
        if !self.leadership.held().await? {
            self.note_lead(None);
            self.note_head(sequence::bounds(&self.database.reader()).await?.last);
            return Ok(());
        }
        loop {
            let (given, last) = sequence::advance(&self.database, BATCH).await?;
            self.metrics.sequenced(given);
            self.note_head(last);
            self.note_lead(Some(last));
            if given < BATCH || stop.is_cancelled() {
                return Ok(());
            }
        }
    }

    fn note_head(&self, last: i64) {
        self.head.send_if_modified(|head| std::mem::replace(head, last) != last);
    }

    fn note_lead(&self, last: Option<i64>) {
        self.metrics.leads(last.is_some());
        self.lead.send_if_modified(|lead| {
            match (lead.is_some(), last.is_some()) {
                (false, true) => tracing::info!("this instance leads: it orders events and publishes them"),
                (true, false) => tracing::info!("another instance leads"),
                (true, true) | (false, false) => {}
            }
            std::mem::replace(lead, last) != last
        });
    }
}
