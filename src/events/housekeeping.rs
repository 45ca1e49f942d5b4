//! Deletes what is not retained any more: old events, the answers kept for retries, what is remembered of ends, invitations
//! that were taken off the list, and limits that nothing is used of.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{leadership::Leadership, outage::Outage};
use crate::{
    env::Env,
    repository::{Database, Result, expirations, idempotency, invitations, purge, rate_limits, sequence},
};

/// How often: often enough that each time there is little to delete.
const INTERVAL: Duration = Duration::from_mins(1);

/// The task that deletes.
pub(super) struct Housekeeping {
    pub(super) database: Database,
    pub(super) env: Env,
    pub(super) leadership: Arc<Leadership>,
    /// How long events stay.
    pub(super) retention: Duration,
    /// Whether events stay until they are published, however long that takes.
    pub(super) published: bool,
    /// How long invitations stay that were taken off the list.
    pub(super) deleted_invitations: Duration,
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
                // The next turn is the next try.
                Err(error) => _ = outage.failed(&error),
            }
        }
    }

    async fn turn(&self) -> Result<()> {
        if !self.leadership.held().await? {
            return Ok(());
        }
        let (now, db) = (self.env.now(), &self.database);
        let events = match before(now, self.retention) {
            Some(cutoff) => {
                let batch = sequence::PURGE_BATCH.unsigned_abs();
                in_batches(batch, || sequence::purge(db, cutoff, self.published)).await?
            }
            None => 0,
        };
        let answers = in_batches(purge::BATCH, || idempotency::purge(db, now)).await?;
        let lapsed = in_batches(purge::BATCH, || expirations::purge(db, now)).await?;
        let invitations = match before(now, self.deleted_invitations) {
            Some(cutoff) => in_batches(invitations::PURGE_BATCH, || invitations::purge(db, cutoff)).await?,
            None => 0,
        };
        let limits = in_batches(purge::BATCH, || rate_limits::purge(db, now)).await?;
        tracing::debug!(events, answers, lapsed, invitations, limits, "deleted what is not retained any more");
        Ok(())
    }
}

/// So long ago; `None` where that would be before all time, so that what is kept as long stays for ever.
fn before(now: DateTime<Utc>, retention: Duration) -> Option<DateTime<Utc>> {
    TimeDelta::from_std(retention).ok().and_then(|retention| now.checked_sub_signed(retention))
}

/// Purges until there is not a whole batch left. Answers how much there was.
async fn in_batches<F: Future<Output = Result<u64>>>(batch: u64, purge: impl Fn() -> F) -> Result<u64> {
    let mut all = 0;
    loop {
        let deleted = purge().await?;
        all += deleted;
        if deleted < batch {
            return Ok(all);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        env::{Clock, UuidV7},
        events::fixtures::TestDatabase,
        repository::{events, rate_limits::Key, sequence::Bounds},
    };

    struct Later(DateTime<Utc>);

    impl Clock for Later {
        fn now(&self) -> DateTime<Utc> {
            self.0
        }
    }

    const SIX_DAYS: Duration = Duration::from_hours(6 * 24);
    const WEEK: Duration = Duration::from_hours(7 * 24);
    const EIGHT_DAYS: Duration = Duration::from_hours(8 * 24);

    async fn clean(db: &TestDatabase, after: Duration, published: bool) -> Bounds {
        let housekeeping = Housekeeping {
            database: db.database.clone(),
            env: Env::new(Later(db.env.now() + after), UuidV7::default()),
            leadership: Arc::new(Leadership::new(db.database.clone())),
            retention: WEEK,
            published,
            deleted_invitations: WEEK,
        };
        housekeeping.turn().await.unwrap();
        sequence::bounds(&db.database.reader()).await.unwrap()
    }

    /// The arrival time of a limit after it was used that much.
    async fn arrival(db: &TestDatabase, key: &'static str, cost: TimeDelta) -> DateTime<Utc> {
        let tx = db.database.begin().await.unwrap();
        let key = Key { scope: "test", key: key.to_owned() };
        let costs = [(key.clone(), cost.num_microseconds().unwrap())].into();
        // As somebody sees it whose clock stands still.
        let after = rate_limits::charge(&tx, &costs, DateTime::UNIX_EPOCH).await.unwrap();
        tx.commit().await.unwrap();
        DateTime::from_timestamp_micros(after[&key]).unwrap()
    }

    #[tokio::test]
    async fn limits_stay_until_all_of_them_can_be_used() {
        let db = TestDatabase::new().await;
        let (week, two) = (db.env.now() + WEEK, db.env.now() + 2 * WEEK);
        arrival(&db, "a week", week - DateTime::UNIX_EPOCH).await;
        arrival(&db, "two", two - DateTime::UNIX_EPOCH).await;
        clean(&db, SIX_DAYS, false).await;
        assert!(arrival(&db, "a week", TimeDelta::zero()).await > DateTime::UNIX_EPOCH);
        clean(&db, EIGHT_DAYS, false).await;
        assert_eq!(arrival(&db, "a week", TimeDelta::zero()).await, DateTime::UNIX_EPOCH);
        assert!(arrival(&db, "two", TimeDelta::zero()).await > week);
    }

    #[tokio::test]
    async fn events_stay_for_the_retention_and_until_they_are_published() {
        let db = TestDatabase::new().await;
        for id in ["ada", "bob", "carol"] {
            db.create_user(id).await;
        }
        sequence::advance(&db.database, 10).await.unwrap();
        assert_eq!(clean(&db, SIX_DAYS, false).await, Bounds { last: 3, purged: 0 });
        assert_eq!(clean(&db, EIGHT_DAYS, true).await, Bounds { last: 3, purged: 0 });
        events::mark_published(&db.database, &[1, 3], db.env.now()).await.unwrap();
        assert_eq!(clean(&db, EIGHT_DAYS, true).await, Bounds { last: 3, purged: 1 });
        assert_eq!(clean(&db, EIGHT_DAYS, false).await, Bounds { last: 3, purged: 3 });
        assert!(events::after(&db.database.reader(), 0, None, 10).await.unwrap().is_empty());
    }
}
