//! How often something may happen.
//!
//! The whole state of a limit is one number, the *arrival time*: until when what was taken so far would last if it were
//! taken evenly (the "generic cell rate algorithm"). Taking moves it on; how far ahead of now it may be is the limit.
//! Times are in microseconds since 1970. Where the number is kept, and that two do not take at once, is for the caller
//! to see to.

use std::time::Duration;

/// At most so many at once, and then one more each time a fixed interval has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    count: u32,
    /// In microseconds.
    interval: i64,
}

/// What stands against taking more. The longest wait is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wait {
    /// It passes after exactly this time, if nobody takes anything meanwhile.
    For(Duration),
    /// It is more than the limit ever lets pass at once.
    Forever,
}

impl Limit {
    /// The longest period that a limit can have.
    pub const MAX_PERIOD: Duration = Duration::from_hours(366 * 24);

    /// `count` per `period`. None where that is no limit: `count` is 0, or `period` is 0 or above [`Limit::MAX_PERIOD`].
    pub fn new(count: u32, period: Duration) -> Option<Self> {
        let period = i64::try_from(period.as_micros()).ok().filter(|_| period <= Self::MAX_PERIOD)?;
        // Rounded up, so that a period that cannot be divided never gives more than asked for.
        let interval = period.checked_add(i64::from(count) - 1)?.checked_div(count.into())?;
        (interval > 0).then_some(Self { count, interval })
    }

    /// How many may be taken at once.
    pub fn count(self) -> u32 {
        self.count
    }

    /// By how much taking `n` moves the arrival time on from the later of what it was and now, in microseconds.
    pub fn cost(self, n: u32) -> i64 {
        self.interval.saturating_mul(n.into())
    }

    /// Whether `n` may be taken at `now`, when `after` is the arrival time once they are. If not, nothing may be kept of
    /// it: the arrival time stays what it was.
    pub fn check(self, n: u32, after: i64, now: i64) -> Result<(), Wait> {
        if n > self.count {
            return Err(Wait::Forever);
        }
        match after.saturating_sub(now).saturating_sub(self.cost(self.count)) {
            ..=0 => Ok(()),
            early => Err(Wait::For(Duration::from_micros(early.unsigned_abs()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);
    const NOW: i64 = 1_700_000_000_000_000;

    /// What the repository does in the database.
    fn take(limit: Limit, state: i64, n: u32, now: i64) -> Result<i64, Wait> {
        let after = state.max(now) + limit.cost(n);
        limit.check(n, after, now).map(|()| after)
    }

    #[test]
    fn so_many_pass_at_once_and_then_one_by_one() {
        let limit = Limit::new(3, HOUR).unwrap();
        let twenty_minutes = Duration::from_mins(20);
        let mut state = 0;
        for _ in 0..3 {
            state = take(limit, state, 1, NOW).unwrap();
        }
        assert_eq!(take(limit, state, 1, NOW), Err(Wait::For(twenty_minutes)));
        assert_eq!(take(limit, state, 2, NOW), Err(Wait::For(twenty_minutes * 2)));
        assert_eq!(take(limit, state, 4, NOW), Err(Wait::Forever));
        assert_eq!(take(limit, 0, 4, NOW), Err(Wait::Forever));
        assert!(take(limit, state, 3, NOW + 3_600_000_000).is_ok());
    }

    #[test]
    fn what_is_no_limit_makes_none() {
        for (count, period) in [(0, HOUR), (1, Duration::ZERO), (1, Limit::MAX_PERIOD * 2), (1, Duration::MAX)] {
            assert_eq!(Limit::new(count, period), None, "{count} per {period:?}");
        }
        assert!(Limit::new(u32::MAX, Duration::from_micros(1)).is_some());
        assert!(Limit::new(u32::MAX, Limit::MAX_PERIOD).is_some());
    }

    fn limits() -> impl Strategy<Value = (u32, Duration)> {
        (1..50_u32, 1..10_000_u64).prop_map(|(count, micros)| (count, Duration::from_micros(micros)))
    }

    proptest! {
        #[test]
        fn nobody_gets_more_than_the_rate(
            (count, period) in limits(),
            calls in proptest::collection::vec((0..3_000_i64, 1..60_u32), 1..60),
        ) {
            let limit = Limit::new(count, period).unwrap();
            let (mut state, mut now) = (0, NOW);
            let mut taken: Vec<(i64, u128)> = Vec::new();
            for (pause, n) in calls {
                now += pause;
                match take(limit, state, n, now) {
                    Ok(after) => {
                        state = after;
                        taken.push((now, n.into()));
                    }
                    Err(Wait::Forever) => prop_assert!(n > count),
                    Err(Wait::For(wait)) => {
                        // At that moment, and not a microsecond before.
                        let then = now + i64::try_from(wait.as_micros()).unwrap();
                        prop_assert!(take(limit, state, n, then).is_ok());
                        prop_assert!(take(limit, state, n, then - 1).is_err());
                    }
                }
            }
            // From any call to any later one.
            for (first, (from, _)) in taken.iter().enumerate() {
                let mut sum = 0;
                for (until, n) in &taken[first..] {
                    sum += n;
                    let time = u128::from(until.abs_diff(*from));
                    prop_assert!(sum * period.as_micros() <= u128::from(count) * (period.as_micros() + time));
                }
            }
        }

        #[test]
        fn who_waits_for_the_whole_period_has_it_all_again((count, period) in limits(), state in 0..100_000_i64) {
            let limit = Limit::new(count, period).unwrap();
            let mut used = state;
            for _ in 0..count {
                used = take(limit, used, 1, NOW + state).unwrap();
            }
            prop_assert!(take(limit, used, 1, NOW + state).is_err());
            prop_assert!(take(limit, used, count, used).is_ok());
        }
    }
}
