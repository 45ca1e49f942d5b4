//! Tells of what has run out: memberships, and roles that were held for a time.
//!
//! What has run out gives nothing from that moment on, for every decision looks at the clock. The sweeper only has it
//! recorded, so that the event comes at the moment and not with the next change. Every instance sweeps; whoever comes
//! second finds nothing left to record.

use std::time::Duration;

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    application::{
        Context, Result, Store, WriteOptions,
        expiry::{EXPIRY, SettleMember},
    },
    domain::{Principal, TeamId, UserId},
    env::Env,
    lifecycle::spawn_essential,
    repository::{Database, members},
};

/// How often to look. Two look-ups in small indexes are nearly nothing, and an event comes at most this much late.
const INTERVAL: Duration = Duration::from_secs(1);
/// How many memberships are read at a time.
const BATCH: u64 = 100;

/// Sweeps until it is told to stop.
#[derive(Debug)]
pub struct Sweeper {
    /// Where memberships stand.
    pub database: Database,
    /// Records their end.
    pub store: Store,
    /// The clock.
    pub env: Env,
}

impl Sweeper {
    /// Starts sweeping.
    pub fn start(self, tasks: &TaskTracker, stop: &CancellationToken) {
        spawn_essential(tasks, stop, self.run(stop.clone()));
    }

    async fn run(self, stop: CancellationToken) {
        let mut failing = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(INTERVAL) => {}
            }
            // The next turn is the next try; a failure is told of once.
            match self.turn(&stop).await {
                Ok(()) => failing = false,
                Err(error) if !failing => {
                    failing = true;
                    tracing::warn!(%error, "cannot record what has run out, and keeps trying");
                }
                Err(_) => {}
            }
        }
    }

    /// Settles everything that is overdue, batch after batch. A membership that cannot be settled holds up no other one;
    /// answers the first failure.
    async fn turn(&self, stop: &CancellationToken) -> Result<()> {
        let (now, mut after, mut outcome) = (self.env.now(), None, Ok(()));
        while !stop.is_cancelled() {
            let batch = members::overdue(&self.database.reader(), now, after.as_ref(), BATCH).await?;
            after = batch.last().cloned();
            let full = batch.len() as u64 == BATCH;
            for (team, user) in batch {
                outcome = outcome.and(self.settle(team, user).await);
            }
            if !full {
                break;
            }
        }
        outcome
    }

    async fn settle(&self, team: TeamId, user: UserId) -> Result<()> {
        let principal = Principal::system(EXPIRY);
        let cx = Context { principal, call_id: self.env.id().to_string(), traceparent: None };
        self.store.write(&cx, WriteOptions::default(), SettleMember { team, user }).await.map(drop)
    }
}
