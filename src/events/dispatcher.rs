//! Hands events to the broker, in the order of their positions for each subject, and records which it acknowledged.
//!
//! No transaction is open while the broker is waited for, and nothing else waits for the broker: it may be away for days.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{PublishError, Publisher, lanes::Lanes, leadership::Leadership, outage::Outage, retries::Retries};
use crate::{
    env::Env,
    metrics::Metrics,
    repository::{self, Database, events},
};

/// How many events are read at a time.
const BATCH: u64 = 1000;
/// More are read when so many are left, so that the broker has something to do meanwhile. Not more than that: their
/// subjects have to be left out of what is read.
const LOW: usize = 100;
/// The most events of one subject that are read ahead, so that a busy one leaves room for others.
const PER_SUBJECT: usize = 100;
/// The most subjects that are held back one by one; with more of them it is the broker that does not work.
const MOST_HELD_BACK: usize = 100;
/// The shortest time between two turns, unless there is a backlog: each one costs a commit.
const PACE: Duration = Duration::from_millis(10);
/// How soon to ask again who leads, when the answer was another than the sequencer's.
const RECHECK: Duration = Duration::from_millis(100);
/// How long to wait for acknowledgements when the service stops. What is not acknowledged is published again later.
const FINISH: Duration = Duration::from_secs(2);

/// The task that publishes while this instance leads.
pub(super) struct Dispatcher {
    pub(super) database: Database,
    pub(super) env: Env,
    pub(super) leadership: Arc<Leadership>,
    pub(super) publisher: Box<dyn Publisher>,
    /// The most events that are with the broker at a time.
    pub(super) window: usize,
    /// Where it reports who is held back.
    pub(super) metrics: Metrics,
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the database does not answer")]
    Database(#[from] repository::Error),
    #[error(transparent)]
    Broker(#[from] PublishError),
}

impl Dispatcher {
    /// `news` is the last position while this instance leads.
    pub(super) async fn run(self, mut news: watch::Receiver<Option<i64>>, stop: CancellationToken) {
        let mut outage = Outage::none_of("publishing events");
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => return,
                leads = news.wait_for(Option::is_some) => if leads.is_err() { return },
            }
            let mut lanes = Lanes::new(&*self.publisher, self.window);
            let result = self.publish(&mut lanes, &mut news, &stop, &mut outage).await;
            self.metrics.held_back(None);
            if stop.is_cancelled() {
                // Whether they are in time or not is all the same here.
                let _ = timeout(FINISH, lanes.finish()).await;
            }
            lanes.abandon();
            // If this fails too, what was acknowledged is published again, which is allowed.
            let marked = self.mark(&mut lanes).await;
            let pause = match result.and(marked.map_err(Failure::from)) {
                Ok(()) => RECHECK,
                Err(error) => outage.failed(&error),
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(pause) => {}
            }
        }
    }

    /// Publishes until told to stop, until another instance leads, or until something fails that concerns all events.
    async fn publish(
        &self,
        lanes: &mut Lanes<'_>,
        news: &mut watch::Receiver<Option<i64>>,
        stop: &CancellationToken,
        outage: &mut Outage,
    ) -> Result<(), Failure> {
        let mut retries = Retries::default();
        // That the news end means that the sequencer has.
        while !stop.is_cancelled() && news.has_changed().is_ok() && lanes.during(self.leadership.held()).await? {
            let turn = Instant::now();
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                prepared = lanes.during(self.publisher.prepare()) => prepared?,
            }
            for (subject, _) in &lanes.acknowledged {
                retries.succeeded(subject);
            }
            self.mark(lanes).await?;
            let backlog = lanes.unread && lanes.len() <= LOW && self.read(lanes, &retries).await?;
            hold_back(lanes, &mut retries)?;
            self.metrics.held_back(Some(retries.len()));
            if lanes.len() == 0 && retries.len() == 0 {
                outage.over();
            }
            wait(lanes, &retries, turn + PACE, backlog, news, stop).await;
        }
        Ok(())
    }

    /// Records what was acknowledged.
    async fn mark(&self, lanes: &mut Lanes<'_>) -> repository::Result<()> {
        let positions: Vec<i64> = lanes.acknowledged.iter().map(|(_, position)| *position).collect();
        if !positions.is_empty() {
            lanes.during(events::mark_published(&self.database, &positions, self.env.now())).await?;
            lanes.acknowledged.drain(..positions.len());
        }
        Ok(())
    }

    /// Reads ahead. Answers whether there was more than fits.
    async fn read(&self, lanes: &mut Lanes<'_>, retries: &Retries) -> repository::Result<bool> {
        let mut left_out = lanes.busy();
        left_out.extend(retries.held_back(Instant::now()).cloned());
        // A subject that is left out only until its acknowledgement is recorded may have more.
        let unsettled = !lanes.acknowledged.is_empty();
        let events = lanes.during(events::unpublished(&self.database.reader(), &left_out, BATCH)).await?;
        let full = events.len() as u64 == BATCH;
        lanes.unread = full || unsettled;
        for event in events {
            // Whether one that failed goes on is found out with a single event.
            let most = if retries.has(&event.subject) { 1 } else { PER_SUBJECT };
            lanes.push(event, most);
        }
        Ok(full)
    }
}

/// Notes which subjects failed, unless the failure concerns them all.
fn hold_back(lanes: &mut Lanes<'_>, retries: &mut Retries) -> Result<(), PublishError> {
    let now = Instant::now();
    for (subject, error) in lanes.failed.drain(..) {
        match error {
            PublishError::Unavailable(_) => return Err(error),
            PublishError::Refused(_) if retries.len() >= MOST_HELD_BACK => return Err(error),
            PublishError::Refused(_) => retries.failed(subject, &error, now),
        }
    }
    Ok(())
}

/// Publishes until there is something to do at the database, as a rule not before `next`.
async fn wait(
    lanes: &mut Lanes<'_>,
    retries: &Retries,
    next: Instant,
    backlog: bool,
    news: &mut watch::Receiver<Option<i64>>,
    stop: &CancellationToken,
) {
    loop {
        let retry = retries.next(Instant::now());
        let to_read = lanes.unread && lanes.len() <= LOW;
        let to_do = to_read || !lanes.acknowledged.is_empty();
        let urgent = (to_read && backlog) || lanes.acknowledged.len() as u64 >= BATCH / 2 || !lanes.failed.is_empty();
        if urgent {
            return;
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            changed = news.changed() => match changed {
                Ok(()) => lanes.unread = true,
                Err(_ended) => return,
            },
            () = sleep_until(retry.unwrap_or(next)), if retry.is_some() => lanes.unread = true,
            () = sleep_until(next), if to_do => return,
            () = lanes.progress(), if lanes.len() > 0 => {}
        }
    }
}

#[cfg(test)]
mod tests;
