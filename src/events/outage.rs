//! Something that fails again and again, told twice: when it begins and when it is over.

use std::{error::Error, time::Duration};

use tokio::time::Instant;

use crate::causes::on_one_line;

/// The pause after the first failure; it doubles with every further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause: work goes on this soon after the cause has gone.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Whether a piece of work fails, and since when.
#[derive(Debug)]
pub(super) struct Outage {
    /// The work, as the subject of a sentence.
    work: &'static str,
    since: Option<Instant>,
    pause: Duration,
}

impl Outage {
    /// There is none.
    pub(super) fn none_of(work: &'static str) -> Self {
        Self { work, since: None, pause: FIRST_PAUSE }
    }

    /// The work failed. Answers how long to wait before the next try.
    pub(super) fn failed(&mut self, error: &dyn Error) -> Duration {
        let error = on_one_line(error);
        if self.since.is_none() {
            self.since = Some(Instant::now());
            tracing::warn!(%error, "{} fails; trying again until it works", self.work);
        } else {
            tracing::debug!(%error, "{} still fails", self.work);
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        pause
    }

    /// The work was done.
    pub(super) fn over(&mut self) {
        if let Some(since) = self.since.take() {
            tracing::info!(seconds = since.elapsed().as_secs_f32(), "{} works again", self.work);
            self.pause = FIRST_PAUSE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_begin_anew() {
        let mut outage = Outage::none_of("the work");
        let error = std::fmt::Error;
        let pauses = [(); 7].map(|()| outage.failed(&error).as_millis());
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 2000, 2000]);
        outage.over();
        assert_eq!(outage.failed(&error), FIRST_PAUSE);
    }
}
