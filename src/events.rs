//! From recorded changes to those who want to know of them.
//!
//! A write leaves its events in the database without a place among all others. [`Relay`] does the rest, in four tasks:
//! the `sequencer` gives each committed event its position and tells this instance's streams how far positions reach;
//! the `dispatcher` hands events to a broker in that order, if one is configured; `housekeeping` deletes what is not
//! retained any more; the `lookout` looks how much waits. Of several instances on one database a single one does all this, the leader; the others only watch
//! how far positions reach. A leader that has not noticed yet that it is none does no harm: positions are given under a
//! row lock, and an event that is published twice is known by its id.
//!
//! Not here: writing events (see `repository::Tx`), their encoding (see `contract`), and `ListEvents` and `Watch`, which
//! read the database (see `grpc`).

mod dispatcher;
#[cfg(test)]
mod fixtures;
mod housekeeping;
mod lanes;
mod leadership;
mod lookout;
mod nats;
mod outage;
mod publisher;
mod retries;
mod sequencer;

use std::{fmt, sync::Arc, time::Duration};

use tokio::sync::{Notify, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{config, env::Env, lifecycle::spawn_essential, metrics::Metrics, repository::Database};
use dispatcher::Dispatcher;
use housekeeping::Housekeeping;
use leadership::Leadership;
use lookout::Lookout;
use sequencer::Sequencer;

pub use nats::{NatsPublisher, NatsReachError, NatsSetupError};
pub use publisher::{PublishError, Publisher};

/// What moves events on, from the database to streams and to the broker.
pub struct Relay {
    /// Where events are recorded.
    pub database: Database,
    /// The clock.
    pub env: Env,
    /// Signals that something was written; see `Store::written`.
    pub written: Arc<Notify>,
    /// The broker, if there is one.
    pub publisher: Option<Box<dyn Publisher>>,
    /// How often to look, how much to send at a time, how long to keep.
    pub settings: config::Events,
    /// How long to keep invitations that were taken off the list.
    pub deleted_invitations: Duration,
    /// Where it reports.
    pub metrics: Metrics,
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Relay {
    /// Starts the tasks, which run until `stop` is canceled. They never leave a transaction half-way, so wait for them
    /// to end.
    ///
    /// Answers the last position known to this instance, 0 until the database has been asked. It changes only when there
    /// is something new, and closes when the relay has stopped.
    pub fn start(self, tasks: &TaskTracker, stop: &CancellationToken) -> watch::Receiver<i64> {
        let Self { database, env, written, publisher, settings, deleted_invitations, metrics } = self;
        let leadership = Arc::new(Leadership::new(database.clone()));
        let (head, last_position) = watch::channel(0);
        let (lead, news) = watch::channel(None);

        let housekeeping = Housekeeping {
            database: database.clone(),
            env: env.clone(),
            leadership: leadership.clone(),
            retention: settings.retention,
            published: publisher.is_some(),
            deleted_invitations,
        };
        spawn_essential(tasks, stop, housekeeping.run(stop.clone()));
        let lookout = Lookout {
            database: database.clone(),
            env: env.clone(),
            leadership: leadership.clone(),
            published: publisher.is_some(),
            metrics: metrics.clone(),
        };
        spawn_essential(tasks, stop, lookout.run(stop.clone()));
        if let Some(publisher) = publisher {
            let window = settings.nats.window;
            let dispatcher = Dispatcher {
                database: database.clone(),
                env,
                leadership: leadership.clone(),
                publisher,
                window,
                metrics: metrics.clone(),
            };
            spawn_essential(tasks, stop, dispatcher.run(news, stop.clone()));
        }
        let poll_interval = settings.poll_interval;
        let sequencer = Sequencer { database, leadership, poll_interval, head, lead, metrics };
        spawn_essential(tasks, stop, sequencer.run(written, stop.clone()));
        last_position
    }
}
