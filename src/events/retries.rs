//! Subjects whose next event the broker did not take: each is held back for a while, and the others go on.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::PublishError;
use crate::domain::Subject;

/// The pause after the first failure; it doubles with every further one.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Who failed, how often in a row, and when to try again.
#[derive(Debug, Default)]
pub(super) struct Retries(BTreeMap<Subject, Retry>);

#[derive(Debug)]
struct Retry {
    failures: u32,
    at: Instant,
}

impl Retries {
    /// The broker did not take the subject's next event.
    pub(super) fn failed(&mut self, subject: Subject, error: &PublishError, now: Instant) {
        let failures = self.0.get(&subject).map_or(1, |retry| retry.failures + 1);
        if failures == 1 {
            tracing::warn!(?subject, %error, "holding back the events of one subject; trying again until they are taken");
        } else {
            tracing::debug!(?subject, %error, failures, "still holding back the events of one subject");
        }
        let pause = (FIRST_PAUSE * (1 << (failures - 1).min(16))).min(LONGEST_PAUSE);
        self.0.insert(subject, Retry { failures, at: now + pause });
    }

    /// The broker took the subject's next event.
    pub(super) fn succeeded(&mut self, subject: &Subject) {
        if let Some(retry) = self.0.remove(subject) {
            tracing::info!(?subject, failures = retry.failures, "the events of one subject go on");
        }
    }

    /// Whether the subject has failed and not succeeded since.
    pub(super) fn has(&self, subject: &Subject) -> bool {
        self.0.contains_key(subject)
    }

    /// How many subjects there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The subjects that are held back at this time.
    pub(super) fn held_back(&self, now: Instant) -> impl Iterator<Item = &Subject> {
        self.0.iter().filter(move |(_, retry)| retry.at > now).map(|(subject, _)| subject)
    }

    /// When the next subject is to be tried again.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        self.0.values().map(|retry| retry.at).filter(|at| *at > now).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::UserId;

    #[test]
    fn a_subject_is_held_back_ever_longer_until_it_succeeds() {
        let [ada, bob] = ["ada", "bob"].map(|id| Subject::User(id.parse::<UserId>().unwrap()));
        let error = PublishError::Refused("too large".to_owned());
        let start = Instant::now();
        let mut retries = Retries::default();
        let pause = |retries: &mut Retries| {
            retries.failed(ada.clone(), &error, start);
            (retries.next(start).unwrap() - start).as_millis()
        };
        assert_eq!([(); 9].map(|()| pause(&mut retries)), [200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000]);

        retries.failed(bob.clone(), &error, start);
        assert_eq!(retries.held_back(start).collect::<Vec<_>>(), [&ada, &bob]);
        let later = start + Duration::from_millis(200);
        assert_eq!(retries.held_back(later).collect::<Vec<_>>(), [&ada]);
        assert!(retries.has(&bob), "it has not succeeded");
        retries.succeeded(&ada);
        assert_eq!(retries.next(later), None);
    }
}
