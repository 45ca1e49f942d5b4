//! A transaction that writes: it holds the versions it made and records every change it was told of when it ends.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction};

use super::{Reader, Result, Snapshot, events, teams};
use crate::domain::{Cause, Change, Event, Subject, Team, TeamId, UserId, Version};

/// Something to read from: a transaction, or the pool.
pub trait Source: Sync {
    /// What statements run on.
    type Connection: ConnectionTrait;

    /// What statements run on.
    fn connection(&self) -> &Self::Connection;
}

impl Source for Reader {
    type Connection = DatabaseConnection;

    fn connection(&self) -> &DatabaseConnection {
        &self.0
    }
}

impl Source for Snapshot {
    type Connection = DatabaseTransaction;

    fn connection(&self) -> &DatabaseTransaction {
        &self.0
    }
}

impl Source for Tx {
    type Connection = DatabaseTransaction;

    fn connection(&self) -> &DatabaseTransaction {
        &self.transaction
    }
}

/// An open transaction. Dropped without [`Tx::commit`], it leaves nothing behind.
pub struct Tx {
    transaction: DatabaseTransaction,
    teams: BTreeMap<TeamId, Locked>,
    changes: Vec<Recorded>,
}

/// A team whose row this transaction holds.
struct Locked {
    root: TeamId,
    /// The version before this transaction.
    before: Version,
    /// The version that the row holds now.
    row: Version,
    /// The version of the latest change.
    latest: Version,
}

/// A change that was made, before it becomes an event.
#[derive(Debug)]
pub struct Recorded {
    /// Whose version it made.
    pub subject: Subject,
    /// The version.
    pub version: Version,
    /// Why.
    pub cause: Cause,
    /// What changed.
    pub change: Change,
}

/// A version that a change is about to make. Every slot taken is recorded, so that versions stay dense.
#[derive(Debug)]
#[must_use = "a version that no change records leaves a gap"]
pub struct Slot {
    subject: Subject,
    /// The version.
    pub version: Version,
}

impl std::fmt::Debug for Tx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tx").field("changes", &self.changes).finish_non_exhaustive()
    }
}

impl Tx {
    pub(super) fn new(transaction: DatabaseTransaction) -> Self {
        Self { transaction, teams: BTreeMap::new(), changes: Vec::new() }
    }

    /// Notes that this transaction holds the team's row, which it found at `before` and left at `row`. Answers the version
    /// of the team's latest change, which is this transaction's own if it took the row before.
    pub(super) fn note_lock(&mut self, team: &Team, before: Version, row: Version) -> Version {
        let held = Locked { root: team.root(), before, row, latest: before };
        let held = self.teams.entry(team.id).and_modify(|held| held.row = row).or_insert(held);
        held.latest
    }

    /// The version of the latest change of a team that this transaction holds.
    pub fn version(&self, team: TeamId) -> Option<Version> {
        self.teams.get(&team).map(|held| held.latest)
    }

    /// Whether this transaction holds the team's row.
    pub fn holds(&self, team: TeamId) -> bool {
        self.teams.contains_key(&team)
    }

    /// The next version of a team that this transaction holds.
    ///
    /// # Panics
    ///
    /// When the team was not locked first, which is a defect of the caller.
    #[expect(clippy::expect_used, reason = "writing without the lock would be a defect worth a stopped request")]
    pub fn next(&mut self, team: TeamId) -> Slot {
        let locked = self.teams.get_mut(&team).expect("the team is locked before it is changed");
        locked.latest = locked.latest.next();
        Slot { subject: Subject::Team { id: team, root: locked.root }, version: locked.latest }
    }

    /// The next version of a user's record: of one that this transaction holds, or is about to make.
    pub fn next_of_user(&mut self, user: &UserId, before: Version) -> Slot {
        Slot { subject: Subject::User(user.clone()), version: before.next() }
    }

    /// Records the change that made this version.
    pub fn record(&mut self, slot: Slot, cause: Cause, change: Change) {
        let Slot { subject, version } = slot;
        self.changes.push(Recorded { subject, version, cause, change });
    }

    /// The version that each subject has when this transaction commits.
    pub fn versions(&self) -> Vec<(Subject, Version)> {
        let teams = self.teams.iter().map(|(id, team)| (Subject::Team { id: *id, root: team.root }, team.latest));
        let users = self.changes.iter().filter(|c| matches!(c.subject, Subject::User(_)));
        teams.chain(users.map(|c| (c.subject.clone(), c.version))).collect()
    }

    /// Writes the events of the recorded changes, each made complete by `envelope`, and settles the versions of the
    /// teams held: a team that did not change gets its old version back. Answers how many events there are.
    pub async fn finish(&mut self, envelope: impl Fn(Recorded) -> Event) -> Result<usize> {
        for (id, team) in &self.teams {
            debug_assert!(team.latest >= team.before, "versions only grow");
            if team.row != team.latest {
                teams::set_version(self, *id, team.latest).await?;
            }
        }
        let events: Vec<Event> = std::mem::take(&mut self.changes).into_iter().map(envelope).collect();
        events::append(self, &events).await?;
        Ok(events.len())
    }

    /// Makes everything durable.
    pub async fn commit(self) -> Result<()> {
        Ok(self.transaction.commit().await?)
    }

    /// Undoes everything, and waits until it is undone.
    pub async fn rollback(self) -> Result<()> {
        Ok(self.transaction.rollback().await?)
    }
}
