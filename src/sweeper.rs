//! Tells of what has run out: memberships, roles that were held for a time, and invitations.
//!
//! What has run out gives nothing from that moment on, for every decision looks at the clock. The sweeper only has it
//! recorded, so that the event comes at the moment and not with the next change. Every instance sweeps; whoever comes
//! second finds nothing left to record.

use std::time::Duration;

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    application::{Command, Context, Store, WriteOptions, expiry::SettleMember, invitations::SettleInvitation},
    domain::Principal,
    env::Env,
    lifecycle::spawn_essential,
    repository::{Database, invitations, members},
};

/// How often to look. Two look-ups in small indexes are nearly nothing, and an event comes at most this much late.
const INTERVAL: Duration = Duration::from_secs(1);
/// How many memberships, and how many invitations, are settled before the next look.
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
            match self.turn().await {
                Ok(()) => failing = false,
                Err(error) if !failing => {
                    failing = true;
                    tracing::warn!(%error, "cannot record what has run out, and keeps trying");
                }
                Err(_) => {}
            }
        }
    }

    async fn turn(&self) -> crate::application::Result<()> {
        let reader = self.database.reader();
        for (team, user) in members::overdue(&reader, self.env.now(), BATCH).await? {
            self.settle(SettleMember { team, user }).await?;
        }
        for (team, invitation) in invitations::overdue(&reader, self.env.now(), BATCH).await? {
            self.settle(SettleInvitation { team, invitation }).await?;
        }
        Ok(())
    }

    async fn settle(&self, command: impl Command) -> crate::application::Result<()> {
        let call_id = self.env.id().to_string();
        let cx = Context { principal: Principal::system("expiry"), call_id, traceparent: None };
        self.store.write(&cx, WriteOptions::default(), command).await.map(drop)
    }
}
