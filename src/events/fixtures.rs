//! What the tests of this module share: a database with events in it, and a broker in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::DateTime;
use futures::future::BoxFuture;
use tokio::sync::watch;
use uuid::Uuid;

use super::{PublishError, Publisher};
use crate::{
    domain::{
        Actor, Cause, Change, Email, Event, EventId, Subject, Team, TeamId, TeamPolicy, User, Version,
        label::Labels,
        profile::Notifications,
        text::{DisplayName, TeamName},
        user::Profile,
    },
    env::Env,
    repository::{
        Database, Tx, database,
        events::{self, StoredEvent},
        schema, teams,
    },
};

/// Longer than any test takes; so that one that would hang says where.
const LIMIT: Duration = Duration::from_secs(20);

/// An empty database in a folder of its own.
pub(super) struct TestDatabase {
    pub(super) database: Database,
    pub(super) env: Env,
    _folder: tempfile::TempDir,
}

impl TestDatabase {
    pub(super) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = database::Options {
            url: format!("sqlite://{}", folder.path().join("roster.db").display()),
            max_connections: 4,
            acquire_timeout: LIMIT,
            statement_timeout: LIMIT,
        };
        let database = Database::open(options).await.unwrap();
        schema::up(&database).await.unwrap();
        Self { database, env: Env::system(), _folder: folder }
    }

    /// Writes the first event of a new team.
    pub(super) async fn create_team(&self) -> TeamId {
        let team = self.team(TeamId(self.env.id()));
        let mut tx = self.database.begin().await.unwrap();
        teams::insert(&mut tx, &team).await.unwrap();
        self.commit(tx, team.id, Change::TeamCreated(team.clone())).await;
        team.id
    }

    /// Writes one more event of a team.
    pub(super) async fn change_team(&self, id: TeamId) {
        let mut tx = self.database.begin().await.unwrap();
        let team = teams::lock(&mut tx, id).await.unwrap().unwrap();
        self.commit(tx, id, Change::TeamDeleted(team)).await;
    }

    /// Writes the event of a new user.
    pub(super) async fn create_user(&self, id: &str) {
        let now = self.env.now();
        let user = User {
            id: id.parse().unwrap(),
            email: Email::parse("ada@example.com").unwrap(),
            email_verified: true,
            display_name: DisplayName::default(),
            version: Version(1),
            create_time: now,
            profile: Profile::default(),
            notifications: Notifications::default(),
            home: None,
            update_time: now,
        };
        let mut tx = self.database.begin().await.unwrap();
        let slot = tx.next_of_user(&user.id, Version(0));
        tx.record(slot, Cause::Direct, Change::UserCreated(user));
        self.finish(tx).await;
    }

    async fn commit(&self, mut tx: Tx, id: TeamId, change: Change) {
        let slot = tx.next(id);
        tx.record(slot, Cause::Direct, change);
        self.finish(tx).await;
    }

    async fn finish(&self, mut tx: Tx) {
        tx.finish(|recorded| Event {
            id: EventId(self.env.id()),
            subject: recorded.subject,
            version: recorded.version,
            occur_time: self.env.now(),
            actor: Actor::System { name: "test".to_owned() },
            cause: recorded.cause,
            request_id: String::new(),
            traceparent: None,
            change: recorded.change,
        })
        .await
        .unwrap();
        tx.commit().await.unwrap();
    }

    /// Waits until every event has its position and is marked as published.
    pub(super) async fn all_published(&self, count: usize) {
        let reader = self.database.reader();
        let done = async {
            while events::after(&reader, 0, None, 10_000).await.unwrap().len() < count
                || !events::unpublished(&reader, &[], 1).await.unwrap().is_empty()
            {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LIMIT, done).await.expect("all events are published");
    }

    fn team(&self, id: TeamId) -> Team {
        let now = self.env.now();
        Team {
            id,
            ancestors: Vec::new(),
            name: TeamName::parse("acme").unwrap(),
            slug: None,
            labels: Labels::default(),
            policy: TeamPolicy::default(),
            version: Version(0),
            changed: Version(0),
            create_time: now,
            update_time: now,
            disable_time: None,
            disabled_by: None,
        }
    }
}

/// An event that only exists here.
pub(super) fn event(subject: &Subject, position: i64) -> StoredEvent {
    StoredEvent {
        position,
        id: EventId(Uuid::from_u128(position.unsigned_abs().into())),
        subject: subject.clone(),
        kind: "team_updated".to_owned(),
        payload: Vec::new(),
        occur_time: DateTime::UNIX_EPOCH,
    }
}

/// A team for each number.
pub(super) fn subject(number: i64) -> Subject {
    let id = TeamId(Uuid::from_u128(number.unsigned_abs().into()));
    Subject::Team { id, root: id }
}

/// A broker in memory, which does as it is told and fails the test when two events of a subject are with it at once.
#[derive(Clone)]
pub(super) struct MemoryBroker {
    state: Arc<Mutex<State>>,
    /// How many events were stored; tests wait on it.
    stored: watch::Sender<usize>,
}

#[derive(Default)]
struct State {
    stored: Vec<(Subject, i64)>,
    in_flight: BTreeMap<Subject, i64>,
    most_in_flight: usize,
    refused: BTreeSet<Subject>,
    silent: BTreeSet<Subject>,
    down: bool,
    losses: usize,
    attempts: usize,
}

impl MemoryBroker {
    pub(super) fn new() -> Self {
        Self { state: Arc::default(), stored: watch::channel(0).0 }
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes no event at all.
    pub(super) fn set_down(&self, down: bool) {
        self.with(|state| state.down = down);
    }

    /// Loses the connection in the middle of this many publishes, from now on.
    pub(super) fn lose_connection(&self, times: usize) {
        self.with(|state| state.losses += times);
    }

    /// Waits until the connection was lost as often as it was to be.
    pub(super) async fn has_lost_connection(&self) {
        let lost = async {
            while self.with(|state| state.losses > 0) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LIMIT, lost).await.expect("the broker is asked");
    }

    /// Refuses the events of a subject.
    pub(super) fn refuse(&self, subject: &Subject, refuse: bool) {
        self.with(|state| if refuse { state.refused.insert(subject.clone()) } else { state.refused.remove(subject) });
    }

    /// Does not answer for the events of a subject.
    pub(super) fn keep_silent(&self, subject: &Subject, silent: bool) {
        self.with(|state| if silent { state.silent.insert(subject.clone()) } else { state.silent.remove(subject) });
    }

    /// Waits until an event was handed over.
    pub(super) async fn has_been_asked(&self) {
        let asked = async {
            while self.attempts() == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LIMIT, asked).await.expect("the broker is asked");
    }

    /// What was stored, copies included, in that order.
    pub(super) fn stored(&self) -> Vec<(Subject, i64)> {
        self.with(|state| state.stored.clone())
    }

    /// The positions of a subject's events, in the order they were stored.
    pub(super) fn stored_of(&self, subject: &Subject) -> Vec<i64> {
        self.stored().into_iter().filter(|(of, _)| of == subject).map(|(_, position)| position).collect()
    }

    /// How often an event was handed over.
    pub(super) fn attempts(&self) -> usize {
        self.with(|state| state.attempts)
    }

    /// How many events were here at the same time at the most.
    pub(super) fn most_in_flight(&self) -> usize {
        self.with(|state| state.most_in_flight)
    }

    /// Waits until so many events were stored.
    pub(super) async fn has_stored(&self, count: usize) {
        let mut stored = self.stored.subscribe();
        let enough = tokio::time::timeout(LIMIT, stored.wait_for(|stored| *stored >= count)).await;
        enough.expect("the broker gets the events").unwrap();
    }
}

impl Publisher for MemoryBroker {
    fn prepare(&self) -> BoxFuture<'_, Result<(), PublishError>> {
        Box::pin(async { if self.with(|state| state.down) { Err(unavailable()) } else { Ok(()) } })
    }

    fn publish(&self, event: &StoredEvent) -> BoxFuture<'static, Result<(), PublishError>> {
        let (broker, subject, position) = (self.clone(), event.subject.clone(), event.position);
        Box::pin(async move {
            let _here = Here::enter(&broker, &subject, position);
            // Long enough for others to come meanwhile.
            for _ in 0..4 {
                tokio::task::yield_now().await;
            }
            while broker.with(|state| state.silent.contains(&subject)) {
                tokio::task::yield_now().await;
            }
            broker.with(|state| {
                if state.down || state.losses > 0 {
                    state.losses = state.losses.saturating_sub(1);
                    return Err(unavailable());
                }
                if state.refused.contains(&subject) {
                    return Err(PublishError::Refused("told to".to_owned()));
                }
                state.stored.push((subject.clone(), position));
                Ok(())
            })?;
            broker.stored.send_modify(|stored| *stored += 1);
            Ok(())
        })
    }
}

fn unavailable() -> PublishError {
    PublishError::Unavailable("told to".to_owned())
}

/// An event that is with the broker.
struct Here<'a>(&'a MemoryBroker, &'a Subject);

impl<'a> Here<'a> {
    fn enter(broker: &'a MemoryBroker, subject: &'a Subject, position: i64) -> Self {
        broker.with(|state| {
            state.attempts += 1;
            let before = state.in_flight.insert(subject.clone(), position);
            assert_eq!(before, None, "{position} was handed over before the answer to another of its subject");
            state.most_in_flight = state.most_in_flight.max(state.in_flight.len());
        });
        Self(broker, subject)
    }
}

impl Drop for Here<'_> {
    fn drop(&mut self) {
        self.0.with(|state| state.in_flight.remove(self.1));
    }
}
