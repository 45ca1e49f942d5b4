//! A clock that tests set.

use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use roster::env::{Clock, Env, UuidV7};

/// Starts at a fixed time and goes on by a microsecond with every look, so that no two things happen at once.
#[derive(Clone)]
pub struct TestClock(Arc<Mutex<DateTime<Utc>>>);

impl TestClock {
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new("2026-01-01T12:00:00Z".parse().unwrap())))
    }

    /// Lets time pass.
    pub fn advance(&self, by: TimeDelta) {
        *self.0.lock().unwrap() += by;
    }

    /// The environment of a service that lives by this clock.
    pub fn env(&self) -> Env {
        Env::new(self.clone(), UuidV7::default())
    }
}

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        let mut now = self.0.lock().unwrap();
        *now += TimeDelta::microseconds(1);
        *now
    }
}
