//! Whether a call that failed is tried again, and when.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use roster_proto::v1::ErrorReason;
use tonic::{Code, Status};

use crate::details::Details as _;

/// How often and how soon a call is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retries {
    /// Attempts in all; 1 means that nothing is tried again. Default 5.
    pub attempts: u32,
    /// The longest pause before the second attempt; it doubles with every further one. The pause itself is random, between
    /// nothing and that, so that callers who failed together do not come back together. Default 50 ms.
    pub first_pause: Duration,
    /// What it doubles up to. Default 2 s.
    pub longest_pause: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self { attempts: 5, first_pause: Duration::from_millis(50), longest_pause: Duration::from_secs(2) }
    }
}

impl Retries {
    /// How long to wait before the next attempt, if there is to be one. `attempts` were made; `replayable` says whether
    /// doing the call again is safe although it may have been done.
    pub(crate) fn pause(&self, attempts: u32, status: &Status, replayable: bool) -> Option<Duration> {
        if attempts >= self.attempts || !can_help(status, replayable) {
            return None;
        }
        let doubled = self.first_pause.saturating_mul(2_u32.saturating_pow(attempts - 1));
        let random = doubled.min(self.longest_pause).mul_f64(rand::random());
        // Never sooner than asked for; the random part keeps those apart who were told the same.
        Some(status.retry_delay().unwrap_or_default() + random)
    }
}

/// Whether trying again can help, and does no harm.
fn can_help(status: &Status, replayable: bool) -> bool {
    match status.code() {
        // Nothing was done, and the server says when to come back. Without that it will be refused for ever.
        Code::ResourceExhausted => status.retry_delay().is_some(),
        // The transaction was rolled back. An etag that is out of date stays so.
        Code::Aborted => status.reason() == Some(ErrorReason::ConcurrentModification),
        // What became of it is unknown.
        Code::Unavailable | Code::DeadlineExceeded => replayable,
        _ => false,
    }
}

/// Keeps retries from making an outage worse: they stop when more than a few calls in a hundred fail, and come back with
/// calls that succeed. Shared by all that call through one connection; as in gRPC's own design (A6), a failure takes one
/// token, a success gives a part of one, and retries need more than half of all tokens.
#[derive(Debug)]
pub struct Budget {
    /// In thousandths of a token.
    tokens: AtomicU64,
}

impl Budget {
    const FULL: u64 = 20_000;
    const FAILURE: u64 = 1_000;
    const SUCCESS: u64 = 100;

    /// Takes a token for a failure. Whether it may be tried again.
    pub(crate) fn failed(&self) -> bool {
        let take = |tokens: u64| Some(tokens.saturating_sub(Self::FAILURE));
        let (Ok(before) | Err(before)) = self.tokens.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        before.saturating_sub(Self::FAILURE) > Self::FULL / 2
    }

    /// Gives a part of one back for a success.
    pub(crate) fn succeeded(&self) {
        let give = |tokens: u64| Some((tokens + Self::SUCCESS).min(Self::FULL));
        // It always gives.
        let _ = self.tokens.fetch_update(Ordering::Relaxed, Ordering::Relaxed, give);
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self { tokens: AtomicU64::new(Self::FULL) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::{ErrorDetails, StatusExt as _};

    fn status(code: Code, reason: &str, delay: Option<Duration>) -> Status {
        let mut details = ErrorDetails::with_error_info(reason, "roster", []);
        if delay.is_some() {
            details.set_retry_info(delay);
        }
        Status::with_error_details(code, "", details)
    }

    #[test]
    fn only_what_is_safe_is_tried_again() {
        let second = Some(Duration::from_secs(1));
        for (code, reason, delay, replayable, again) in [
            (Code::Unavailable, "SHUTTING_DOWN", None, true, true),
            (Code::Unavailable, "SHUTTING_DOWN", None, false, false),
            (Code::DeadlineExceeded, "DEADLINE_EXCEEDED", None, true, true),
            (Code::DeadlineExceeded, "DEADLINE_EXCEEDED", None, false, false),
            (Code::Aborted, "CONCURRENT_MODIFICATION", second, false, true),
            (Code::Aborted, "ETAG_MISMATCH", second, true, false),
            (Code::ResourceExhausted, "OVERLOADED", second, false, true),
            (Code::ResourceExhausted, "SEATS_EXHAUSTED", None, true, false),
            (Code::Internal, "INTERNAL", second, true, false),
            (Code::AlreadyExists, "SLUG_TAKEN", second, true, false),
        ] {
            let pause = Retries::default().pause(1, &status(code, reason, delay), replayable);
            assert_eq!(pause.is_some(), again, "{reason}, {replayable}");
        }
    }

    #[test]
    fn pauses_are_random_grow_and_respect_what_the_server_asks() {
        let retries = Retries { attempts: 100, ..Retries::default() };
        let down = Status::unavailable("");
        let longest = |attempts| (0..200).filter_map(|_| retries.pause(attempts, &down, true)).max().unwrap();
        assert!(longest(1) <= retries.first_pause && longest(1) > retries.first_pause / 2);
        assert!(longest(3) <= retries.first_pause * 4 && longest(3) > retries.first_pause * 2);
        assert!(longest(60) <= retries.longest_pause && longest(60) > retries.longest_pause / 2);
        let asked = Duration::from_secs(7);
        let pause = retries.pause(1, &status(Code::ResourceExhausted, "OVERLOADED", Some(asked)), true).unwrap();
        assert!(pause >= asked && pause <= asked + retries.first_pause);
        assert_eq!(retries.pause(100, &down, true), None);
    }

    #[test]
    fn an_outage_uses_the_budget_up_and_successes_fill_it() {
        let budget = Budget::default();
        assert_eq!((0..100).filter(|_| budget.failed()).count(), 9);
        (0..110).for_each(|_| budget.succeeded());
        assert!(!budget.failed(), "still about half of it");
        (0..1000).for_each(|_| budget.succeeded());
        assert_eq!((0..100).filter(|_| budget.failed()).count(), 9, "no more than full");
    }
}
