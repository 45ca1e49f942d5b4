//! Events on their way to the broker: one lane for each subject, in which one event follows the other's acknowledgement,
//! and all lanes side by side.

use std::collections::{BTreeMap, VecDeque};

use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};

use super::{PublishError, Publisher};
use crate::{domain::Subject, repository::events::StoredEvent};

/// What was read from the database and is not recorded there as published.
pub(super) struct Lanes<'a> {
    publisher: &'a dyn Publisher,
    /// The most events that are with the broker at a time.
    window: usize,
    by_subject: BTreeMap<Subject, Lane>,
    /// Subjects whose first event waits for room in the window.
    waiting: VecDeque<Subject>,
    in_flight: FuturesUnordered<BoxFuture<'static, (Subject, Result<(), PublishError>)>>,
    /// How many events the lanes hold.
    len: usize,
    /// What the broker acknowledged and the database does not know of.
    pub(super) acknowledged: Vec<(Subject, i64)>,
    /// What the broker did not take; the lanes are gone.
    pub(super) failed: Vec<(Subject, PublishError)>,
    /// Whether the database may hold events that could be in a lane and are in none.
    pub(super) unread: bool,
}

#[derive(Default)]
struct Lane {
    /// The first one is with the broker, or waits for room in the window.
    events: VecDeque<StoredEvent>,
    /// Whether the database may hold more of the subject's events.
    unread: bool,
}

impl<'a> Lanes<'a> {
    pub(super) fn new(publisher: &'a dyn Publisher, window: usize) -> Self {
        Self {
            publisher,
            window,
            by_subject: BTreeMap::new(),
            waiting: VecDeque::new(),
            in_flight: FuturesUnordered::new(),
            len: 0,
            acknowledged: Vec::new(),
            failed: Vec::new(),
            unread: true,
        }
    }

    /// How many events wait or are with the broker.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The subjects whose events must not be read now, since some are here that the database calls unpublished.
    pub(super) fn busy(&mut self) -> Vec<Subject> {
        let lanes = self.by_subject.iter_mut().map(|(subject, lane)| {
            lane.unread = true;
            subject.clone()
        });
        let acknowledged = self.acknowledged.iter().map(|(subject, _)| subject.clone());
        lanes.chain(acknowledged).collect()
    }

    /// Adds an event, in the order of positions, unless its subject has `most` in its lane.
    pub(super) fn push(&mut self, event: StoredEvent, most: usize) {
        let lane = self.by_subject.entry(event.subject.clone()).or_default();
        if lane.events.len() >= most {
            lane.unread = true;
            return;
        }
        if lane.events.is_empty() {
            self.waiting.push_back(event.subject.clone());
        }
        lane.events.push_back(event);
        self.len += 1;
    }

    /// Publishes until the broker has answered once; at once if there is nothing to publish. May be dropped at any time.
    pub(super) async fn progress(&mut self) {
        while self.in_flight.len() < self.window
            && let Some(subject) = self.waiting.pop_front()
        {
            if let Some(event) = self.by_subject.get(&subject).and_then(|lane| lane.events.front()) {
                let answer = self.publisher.publish(event);
                self.in_flight.push(answer.map(|result| (subject, result)).boxed());
            }
        }
        if let Some((subject, result)) = self.in_flight.next().await {
            self.settle(subject, result);
        }
    }

    /// Waits for `step`, and publishes meanwhile.
    pub(super) async fn during<T>(&mut self, step: impl Future<Output = T>) -> T {
        tokio::pin!(step);
        loop {
            tokio::select! {
                output = &mut step => return output,
                () = self.progress(), if self.len > 0 => {}
            }
        }
    }

    /// Waits for the answers to what is with the broker. May be dropped at any time.
    pub(super) async fn finish(&mut self) {
        while let Some((subject, result)) = self.in_flight.next().await {
            self.settle(subject, result);
        }
    }

    /// Forgets what is not acknowledged, so that nothing is published any more.
    pub(super) fn abandon(&mut self) {
        self.in_flight.clear();
        self.waiting.clear();
        self.by_subject.clear();
        self.len = 0;
    }

    fn settle(&mut self, subject: Subject, result: Result<(), PublishError>) {
        let Some(lane) = self.by_subject.get_mut(&subject) else { return };
        if let Err(error) = result {
            self.len -= lane.events.len();
            self.by_subject.remove(&subject);
            self.failed.push((subject, error));
            return;
        }
        if let Some(event) = lane.events.pop_front() {
            self.len -= 1;
            self.acknowledged.push((subject.clone(), event.position));
        }
        if !lane.events.is_empty() {
            self.waiting.push_back(subject);
        } else if let Some(lane) = self.by_subject.remove(&subject) {
            self.unread |= lane.unread;
        }
    }
}

#[cfg(test)]
mod tests;
