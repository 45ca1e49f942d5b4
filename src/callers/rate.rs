//! How often a caller may call. The count is this instance's own: it protects an instance, and costs no round trip.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};

use crate::domain::{
    UserId,
    rate::{Limit, Wait},
};

/// The most accounts that are kept.
const ACCOUNTS: usize = 1 << 16;

/// Whom calls count for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Account {
    /// A service, whomever it acts for.
    Service(String),
    /// A person who calls with a token of their own, whatever service they use.
    Person(UserId),
}

/// What was taken so far, by account.
#[derive(Debug)]
pub struct Rates {
    limit: Limit,
    /// Until when what an account has taken would last (see [`Limit`]). One that is over is as good as none.
    taken: Mutex<HashMap<Account, i64>>,
}

impl Rates {
    /// With this limit for each account.
    pub fn new(limit: Limit) -> Self {
        Self { limit, taken: Mutex::default() }
    }

    /// Takes one call, or says after what time one can be taken.
    pub fn take(&self, account: Account, now: DateTime<Utc>) -> Result<(), Duration> {
        let now = now.timestamp_micros();
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let before = taken.get(&account).copied().unwrap_or(now).max(now);
        let after = before.saturating_add(self.limit.cost(1));
        match self.limit.check(1, after, now) {
            Ok(()) => {
                if taken.len() >= ACCOUNTS && !taken.contains_key(&account) {
                    make_room(&mut taken, now);
                }
                taken.insert(account, after);
                Ok(())
            }
            Err(Wait::For(wait)) => Err(wait),
            // A limit lets at least one pass.
            Err(Wait::Forever) => Err(Duration::MAX),
        }
    }
}

/// Forgets the accounts that have everything back. If that are not enough, also that half of the others that has the most
/// of it back: they gain what they had taken, and only where more call at once than an instance can serve.
fn make_room(taken: &mut HashMap<Account, i64>, now: i64) {
    taken.retain(|_, until| *until > now);
    if taken.len() > ACCOUNTS / 2 {
        let mut untils: Vec<i64> = taken.values().copied().collect();
        let (_, median, _) = untils.select_nth_unstable(ACCOUNTS / 2);
        let median = *median;
        taken.retain(|_, until| *until > median);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000 + second, 0).unwrap()
    }

    fn person(n: usize) -> Account {
        Account::Person(format!("user-{n}").parse().unwrap())
    }

    #[test]
    fn each_has_an_account_of_their_own() {
        let rates = Rates::new(Limit::new(2, Duration::from_secs(10)).unwrap());
        let (shop, billing) = (Account::Service("ada".to_owned()), Account::Service("billing".to_owned()));
        for account in [&shop, &billing, &Account::Person("ada".parse().unwrap())] {
            assert_eq!(rates.take(account.clone(), at(0)), Ok(()));
            assert_eq!(rates.take(account.clone(), at(0)), Ok(()));
            assert_eq!(rates.take(account.clone(), at(1)), Err(Duration::from_secs(4)));
            // What is refused costs nothing.
            assert_eq!(rates.take(account.clone(), at(4)), Err(Duration::from_secs(1)));
            assert_eq!(rates.take(account.clone(), at(5)), Ok(()));
        }
    }

    #[test]
    fn memory_is_bounded_and_who_is_at_the_limit_stays_there() {
        let rates = Rates::new(Limit::new(2, Duration::from_secs(1000)).unwrap());
        let greedy = person(0);
        for _ in 0..2 {
            rates.take(greedy.clone(), at(0)).unwrap();
        }
        for n in 1..=2 * ACCOUNTS {
            rates.take(person(n), at(0)).unwrap();
            assert!(rates.taken.lock().unwrap().len() <= ACCOUNTS);
        }
        assert!(rates.take(greedy, at(1)).is_err());
        // Once all have everything back, nobody is remembered.
        rates.take(person(0), at(5000)).unwrap();
        let mut taken = rates.taken.lock().unwrap();
        make_room(&mut taken, at(5000).timestamp_micros());
        assert_eq!(taken.len(), 1);
    }
}
