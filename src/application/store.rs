//! The write path: the one way by which anything is written on behalf of a caller.
//!
//! `Store::write` runs a command in one transaction together with its events and the answer kept for retries. The
//! transaction runs in a task of its own, which a dropped call does not cancel: a caller that goes away leaves either
//! the whole effect or none, and the database session is never left half-way (see `repository::Database::begin`).

use std::{future::Future, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use rand::Rng as _;
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};
use tokio::{sync::Notify, time::Instant};
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;
use uuid::Uuid;

use super::{
    Allowed, Context, Error, InvitationLimits, Result, Revision, WriteOptions, authorize, expiry::EXPIRY,
    standing::Standing, statements::Statements,
};
use crate::{
    domain::{Actor, Cause, Event, EventId, Principal, Roles, Team, TeamId, permission::Permission},
    env::Env,
    metrics::Metrics,
    repository::{Database, Tx, idempotency, teams},
};

/// How often a transaction that came to nothing is run again.
const MAX_RETRIES: u32 = 5;
/// And for how long: whoever waits longer had better be told, and a write must not outlive its call by much.
const RETRY_FOR: Duration = Duration::from_secs(2);

/// A write: what is asked, and how it is done inside a transaction.
///
/// It may be run more than once, each time in a fresh transaction, so it has no effect but through `work`.
pub trait Command: Serialize + Send + Sync + 'static {
    /// The name by which a request id is bound to this kind of request.
    const NAME: &'static str;
    /// What the caller is told, and told again when they retry.
    type Answer: Serialize + DeserializeOwned + Send + 'static;

    /// Does it.
    fn execute(&self, work: &mut Work<'_>) -> impl Future<Output = Result<Self::Answer>> + Send;
}

/// What a command works with.
#[derive(Debug)]
pub struct Work<'a> {
    /// The transaction.
    pub tx: &'a mut Tx,
    /// The call.
    pub cx: &'a Context,
    /// The roles that can be held.
    pub roles: &'a Roles,
    /// How many invitations may be sent.
    pub limits: &'a InvitationLimits,
    /// The time of this transaction.
    pub now: DateTime<Utc>,
    env: &'a Env,
}

impl Work<'_> {
    /// A new id.
    pub fn id(&self) -> Uuid {
        self.env.id()
    }

    /// Whether invitations still stand, in this transaction.
    pub(super) fn standing(&self) -> Standing<'_, Tx> {
        Standing { source: &*self.tx, system: self.roles, now: self.now }
    }

    /// Takes the team's row and authorizes the caller: from here on the team's changes are serial.
    pub async fn team<P: Permission>(&mut self, id: TeamId) -> Result<(Team, Allowed<P>)> {
        let team = teams::lock(self.tx, id).await?;
        authorize::in_team(self.tx, self.cx, self.roles, self.now, id, team).await
    }

    /// Takes the row of a team of a tree whose root this transaction holds, for what follows from another change.
    pub async fn hold(&mut self, id: TeamId) -> Result<Team> {
        let team = teams::lock(self.tx, id).await?;
        team.ok_or_else(|| Error::Defect(format!("team {id} has members or invitations and is not there")))
    }

    /// As [`Work::hold`], where it may have been done before.
    pub async fn ensure_held(&mut self, id: TeamId) -> Result<()> {
        if self.tx.holds(id) { Ok(()) } else { self.hold(id).await.map(drop) }
    }
}

/// An answer and the versions that the write made.
#[derive(Debug, Clone, Serialize, serde::Deserialize)]
pub struct Written<T> {
    /// What the caller is told.
    pub answer: T,
    /// `None` when nothing was written.
    pub revision: Option<Revision>,
}

/// The way to write.
#[derive(Debug, Clone)]
pub struct Store {
    database: Database,
    env: Env,
    roles: Arc<Roles>,
    limits: Arc<InvitationLimits>,
    tasks: TaskTracker,
    written: Arc<Notify>,
    metrics: Metrics,
    statements: Statements,
}

impl Store {
    /// Writes to this database; `tasks` is what to wait for before the service stops.
    pub fn new(
        database: Database,
        env: Env,
        roles: Arc<Roles>,
        limits: Arc<InvitationLimits>,
        tasks: TaskTracker,
        metrics: Metrics,
    ) -> Self {
        let statements = Statements::new(&database, metrics.clone());
        Self { database, env, roles, limits, tasks, written: Arc::new(Notify::new()), metrics, statements }
    }

    /// Signals every commit that made events.
    pub fn written(&self) -> Arc<Notify> {
        self.written.clone()
    }

    /// Runs a command. Once begun it runs to its end, whether or not this future is polled on.
    pub async fn write<C: Command>(
        &self,
        cx: &Context,
        options: WriteOptions,
        command: C,
    ) -> Result<Written<C::Answer>> {
        let (store, cx) = (self.clone(), cx.clone());
        let task = async move { store.run(&cx, &options, &command).await };
        match self.tasks.spawn(task.in_current_span()).await {
            Ok(answer) => answer,
            Err(panic) => {
                self.metrics.panicked();
                Err(Error::Defect(format!("a command stopped: {panic}")))
            }
        }
    }

    async fn run<C: Command>(&self, cx: &Context, options: &WriteOptions, command: &C) -> Result<Written<C::Answer>> {
        let key = options.request_id.as_ref().filter(|_| !options.validate_only).map(|id| key(cx, id, command));
        let (begun, mut retries) = (Instant::now(), 0);
        loop {
            let attempt = self.attempt(cx, options, key.as_ref(), command);
            match self.statements.group(C::NAME, attempt).await {
                Err(Attempt::Before(error))
                    if error.is_transient() && retries < MAX_RETRIES && begun.elapsed() < RETRY_FOR =>
                {
                    retries += 1;
                    self.metrics.retried();
                    tracing::debug!(retries, %error, "running the transaction again");
                    let most = Duration::from_millis(10 << retries);
                    let pause = rand::rng().random_range(Duration::ZERO..most);
                    tokio::time::sleep(pause).await;
                }
                Err(Attempt::Before(error) | Attempt::Commit(error)) => return Err(error),
                Ok(written) => return Ok(written),
            }
        }
    }

    async fn attempt<C: Command>(
        &self,
        cx: &Context,
        options: &WriteOptions,
        key: Option<&idempotency::Key>,
        command: &C,
    ) -> Result<Written<C::Answer>, Attempt> {
        let mut tx = self.database.begin().await.map_err(|error| Attempt::Before(error.into()))?;
        match self.within(&mut tx, cx, key, command).await {
            Ok(Outcome::Replayed(written)) => {
                self.metrics.replayed();
                tx.rollback().await.map_err(|error| Attempt::Before(error.into()))?;
                Ok(written)
            }
            Ok(Outcome::Done(written, _)) if options.validate_only => {
                tx.rollback().await.map_err(|error| Attempt::Before(error.into()))?;
                Ok(Written { revision: None, ..written })
            }
            Ok(Outcome::Done(written, events)) => {
                // Whether a failed commit took effect is unknown, so it is not run again here: the caller may retry
                // with the same request id.
                tx.commit().await.map_err(|error| Attempt::Commit(error.into()))?;
                if events > 0 {
                    self.written.notify_one();
                }
                Ok(written)
            }
            Err(error) => {
                // The rollback's own failure says nothing more: the session is discarded or rolled back by the pool.
                let _ = tx.rollback().await;
                Err(Attempt::Before(error))
            }
        }
    }

    async fn within<C: Command>(
        &self,
        tx: &mut Tx,
        cx: &Context,
        key: Option<&idempotency::Key>,
        command: &C,
    ) -> Result<Outcome<C::Answer>> {
        let now = self.env.now();
        if let Some(key) = key {
            match idempotency::claim(tx, key, now).await? {
                idempotency::Claim::New => {}
                idempotency::Claim::Reused => return Err(Error::RequestIdReused),
                idempotency::Claim::Answered(answer) => {
                    tracing::debug!("answering a retry");
                    let written = serde_json::from_str(&answer);
                    return written
                        .map(Outcome::Replayed)
                        .map_err(|why| Error::Defect(format!("a kept answer: {why}")));
                }
            }
        }
        let mut work = Work { tx, cx, roles: &self.roles, limits: &self.limits, now, env: &self.env };
        let answer = command.execute(&mut work).await?;
        let revision = Some(Revision::new(tx.versions()));
        let written = Written { answer, revision };
        let events = tx.finish(|recorded| self.event(cx, key, now, recorded)).await?;
        if let Some(key) = key {
            let answer = serde_json::to_string(&written).map_err(|why| Error::Defect(format!("an answer: {why}")))?;
            idempotency::answer(tx, key, answer).await?;
        }
        Ok(Outcome::Done(written, events))
    }

    fn event(
        &self,
        cx: &Context,
        key: Option<&idempotency::Key>,
        now: DateTime<Utc>,
        recorded: crate::repository::tx::Recorded,
    ) -> Event {
        Event {
            id: EventId(self.env.id()),
            subject: recorded.subject,
            version: recorded.version,
            occur_time: now,
            actor: actor(cx, recorded.cause),
            cause: recorded.cause,
            request_id: key.map_or_else(|| cx.call_id.clone(), |key| key.request_id.clone()),
            traceparent: cx.traceparent.clone(),
            change: recorded.change,
        }
    }
}

/// On whose behalf a change is made. What has run out did so by itself, whoever's call it is that found it.
fn actor(cx: &Context, cause: Cause) -> Actor {
    if cause == Cause::Expiry { Principal::system(EXPIRY).actor() } else { cx.principal.actor() }
}

enum Outcome<T> {
    Done(Written<T>, usize),
    Replayed(Written<T>),
}

/// Where an attempt failed: only before the commit is it certain that nothing happened.
enum Attempt {
    Before(Error),
    Commit(Error),
}

impl AsRef<Error> for Attempt {
    fn as_ref(&self) -> &Error {
        match self {
            Self::Before(error) | Self::Commit(error) => error,
        }
    }
}

/// A request id belongs to whoever chose it, and to what they asked with it.
fn key<C: Command>(cx: &Context, request_id: &str, command: &C) -> idempotency::Key {
    let payload = serde_json::to_vec(command).unwrap_or_default();
    let fingerprint = Sha256::new().chain_update(C::NAME).chain_update([0]).chain_update(payload).finalize();
    let principal = match &cx.principal.person {
        Some(person) => format!("{}/{person}", cx.principal.caller.name()),
        None => cx.principal.caller.name().to_owned(),
    };
    idempotency::Key { principal, request_id: request_id.to_owned(), fingerprint: fingerprint.into() }
}
