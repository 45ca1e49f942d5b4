//! Tells of what has run out: memberships, roles that were held for a time, and invitations.
//!
//! What has run out gives nothing from that moment on, for every decision looks at the clock. The sweeper only has it
//! recorded, so that the event comes at the moment and not with the next change. Every instance sweeps; whoever comes
//! second finds nothing left to record.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    application::{
        Command, Context, Result, Store, WriteOptions,
        expiry::{EXPIRY, SettleMember},
        invitations::SettleInvitation,
    },
    domain::Principal,
    env::Env,
    lifecycle::spawn_essential,
    repository::{Database, invitations, members},
};

/// How often to look. Two look-ups in small indexes are nearly nothing, and an event comes at most this much late.
const INTERVAL: Duration = Duration::from_secs(1);
/// How many memberships, or invitations, are read at a time.
const BATCH: u64 = 100;

/// Sweeps until it is told to stop.
#[derive(Debug)]
pub struct Sweeper {
    /// Where they stand.
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

    /// Settles everything that is overdue. What cannot be settled holds up nothing else; answers a failure.
    async fn turn(&self, stop: &CancellationToken) -> Result<()> {
        let now = self.env.now();
        self.members(now, stop).await.and(self.invitations(now, stop).await)
    }

    async fn members(&self, now: DateTime<Utc>, stop: &CancellationToken) -> Result<()> {
        let (mut after, mut outcome) = (None, Ok(()));
        while !stop.is_cancelled() {
            let batch = members::overdue(&self.database.reader(), now, after.as_ref(), BATCH).await?;
            after = batch.last().cloned();
            let full = batch.len() as u64 == BATCH;
            for (team, user) in batch {
                outcome = outcome.and(self.settle(SettleMember { team, user }).await);
            }
            if !full {
                break;
            }
        }
        outcome
    }

    async fn invitations(&self, now: DateTime<Utc>, stop: &CancellationToken) -> Result<()> {
        let (mut after, mut outcome) = (None, Ok(()));
        while !stop.is_cancelled() {
            let batch = invitations::overdue(&self.database.reader(), now, after, BATCH).await?;
            after = batch.last().map(|(_, invitation)| *invitation);
            let full = batch.len() as u64 == BATCH;
            for (team, invitation) in batch {
                outcome = outcome.and(self.settle(SettleInvitation { team, invitation }).await);
            }
            if !full {
                break;
            }
        }
        outcome
    }

    async fn settle(&self, command: impl Command) -> Result<()> {
        let principal = Principal::system(EXPIRY);
        let cx = Context { principal, call_id: self.env.id().to_string(), traceparent: None, slot: None };
        self.store.write(&cx, WriteOptions::default(), command).await.map(drop)
    }
}
