//! Those who write while the schema changes, in the words of every version of it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rand::Rng as _;
use tokio::task::JoinSet;

use super::rows::Rows;
use crate::support::session::Session;

const WRITERS: usize = 4;

/// Writers at work.
pub struct Load {
    stop: Arc<AtomicBool>,
    writers: JoinSet<Seen>,
    observer: tokio::task::JoinHandle<f64>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Seen {
    /// How many transactions.
    pub written: usize,
    slowest: Duration,
    longest_wait: f64,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { written, slowest, longest_wait } = self;
        write!(
            f,
            "{written} transactions meanwhile, the slowest in {slowest:.2?}; longest wait for a lock {longest_wait:.2} s"
        )
    }
}

impl Load {
    /// Writes from now on. A statement that fails, as one does that waits for a lock for longer than the service lets it,
    /// fails the test.
    #[expect(clippy::disallowed_methods, reason = "the end of the test waits for it")]
    pub async fn start(url: &str, rows: Rows) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut writers = JoinSet::new();
        for _ in 0..WRITERS {
            let session = Session::open(url).await;
            session.run("SET lock_timeout = '3s'; SET statement_timeout = '5s'").await;
            writers.spawn(write(session, rows, stop.clone()));
        }
        let observer = tokio::spawn(observe(Session::open(url).await, stop.clone()));
        Self { stop, writers, observer }
    }

    /// Ends it.
    pub async fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Seen { longest_wait: self.observer.await.unwrap(), ..Seen::default() };
        for seen in self.writers.join_all().await {
            all.written += seen.written;
            all.slowest = all.slowest.max(seen.slowest);
        }
        all
    }
}

async fn write(session: Session, rows: Rows, stop: Arc<AtomicBool>) -> Seen {
    let mut seen = Seen::default();
    while !stop.load(Ordering::Relaxed) {
        let team = Rows::team_id(rand::rng().random_range(0..rows.teams));
        let begun = Instant::now();
        session
            .run(&format!(
                "BEGIN; \
                 UPDATE teams SET version = version + 1, changed = version + 1 WHERE id = '{team}'; \
                 UPDATE memberships SET changed = changed + 1 WHERE team_id = '{team}'; \
                 UPDATE invitations SET send_count = send_count + 1 WHERE team_id = '{team}'; \
                 UPDATE users SET version = version + 1 WHERE id IN \
                 (SELECT user_id FROM memberships WHERE team_id = '{team}' ORDER BY user_id LIMIT 1); \
                 SELECT count(*) FROM membership_roles WHERE team_id = '{team}'; \
                 COMMIT"
            ))
            .await;
        seen.written += 1;
        seen.slowest = seen.slowest.max(begun.elapsed());
    }
    session.close().await;
    seen
}

/// The longest that anybody but the migrators was seen to wait for a lock, in seconds.
async fn observe(session: Session, stop: Arc<AtomicBool>) -> f64 {
    let mut longest = 0.0;
    while !stop.load(Ordering::Relaxed) {
        let waited: f64 = session
            .value(
                "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - waitstart)), 0)::float8 \
                 FROM pg_locks JOIN pg_stat_activity USING (pid) \
                 WHERE NOT granted AND datname = current_database() AND application_name <> 'roster'",
            )
            .await;
        longest = f64::max(longest, waited);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    session.close().await;
    longest
}
