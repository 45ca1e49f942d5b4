//! Deletes what is not retained any more: old events, the answers kept for retries, what is remembered of ends, and limits
//! that nothing is used of.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{leadership::Leadership, outage::Outage};
use crate::{
    env::Env,
    repository::{Database, Result, expirations, idempotency, rate_limits, sequence},
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
        let now = self.env.now();
        // Without a cutoff, because it would be before all time, events stay for ever.
        let cutoff = TimeDelta::from_std(self.retention).ok().and_then(|retention| now.checked_sub_signed(retention));
        let mut events = 0;
        while let Some(cutoff) = cutoff {
            let deleted = sequence::purge(&self.database, cutoff, self.published).await?;
            events += deleted;
            if deleted < sequence::PURGE_BATCH.unsigned_abs() {
                break;
            }
        }
        let answers = idempotency::purge(&self.database, now).await?;
        let lapsed = expirations::purge(&self.database, now).await?;
        let mut limits = 0;
        loop {
            let deleted = rate_limits::purge(&self.database, now).await?;
            limits += deleted;
            if deleted < rate_limits::PURGE_BATCH {
                break;
            }
        }
        tracing::debug!(events, answers, lapsed, limits, "deleted what is not retained any more");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

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
