//! The clock and the source of new ids: passed in wherever they are needed, so that a test decides what time it is.

use std::sync::Arc;

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use uuid::{ContextV7, Timestamp, Uuid};

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// The time in whole microseconds, which is what both databases keep.
    fn now(&self) -> DateTime<Utc>;
}

/// Makes ids.
pub trait Ids: Send + Sync + 'static {
    /// A new id that sorts after those made before it.
    fn next(&self, now: DateTime<Utc>) -> Uuid;
}

/// The clock and the ids of a running service.
#[derive(Clone)]
pub struct Env {
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

impl std::fmt::Debug for Env {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Env").finish_non_exhaustive()
    }
}

impl Env {
    /// With this clock and these ids.
    pub fn new(clock: impl Clock, ids: impl Ids) -> Self {
        Self { clock: Arc::new(clock), ids: Arc::new(ids) }
    }

    /// With the system's clock and UUIDv7.
    pub fn system() -> Self {
        Self::new(SystemClock, UuidV7::default())
    }

    /// The time.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// A new id.
    pub fn id(&self) -> Uuid {
        self.ids.next(self.now())
    }
}

/// The system's clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    fn now(&self) -> DateTime<Utc> {
        let now = Utc::now();
        now.duration_trunc(TimeDelta::microseconds(1)).unwrap_or(now)
    }
}

/// UUIDv7 of the time given and a counter, as RFC 9562 describes.
#[derive(Default)]
pub struct UuidV7(std::sync::Mutex<ContextV7>);

impl std::fmt::Debug for UuidV7 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UuidV7")
    }
}

impl Ids for UuidV7 {
    fn next(&self, now: DateTime<Utc>) -> Uuid {
        let context = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let seconds = u64::try_from(now.timestamp()).unwrap_or(0);
        Uuid::new_v7(Timestamp::from_unix(&*context, seconds, now.timestamp_subsec_nanos()))
    }
}
