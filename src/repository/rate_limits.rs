//! How far each limited thing has been used: a row for each that was used lately (see `domain::rate`).

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait,
    sea_query::{Expr, ExprTrait as _, OnConflict},
};

use super::{
    Database, Result, Source, Tx,
    entity::rate_limit::{ActiveModel, Column, Entity},
    purge,
};

/// How many rows one statement writes: SQLite takes 32,766 values, and a row has three.
const CHUNK: usize = 5_000;
/// How long a row stays that says no more than none: an instance whose clock is behind may still read something in it.
const GRACE: TimeDelta = TimeDelta::minutes(1);

/// Something whose use is limited.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Which limit.
    pub scope: &'static str,
    /// Of whom.
    pub key: String,
}

/// Moves arrival times on, each from the later of what it was and `now` by so many microseconds, and answers what they are
/// then. Whoever finds one of them too far ahead rolls back, and nothing was used.
///
/// Another transaction that uses one of the keys waits from here on until this one ends, so this comes after all other
/// locks. The order of the keys is the same for everybody, so that no two wait for one another.
pub async fn charge(tx: &Tx, costs: &BTreeMap<Key, i64>, now: DateTime<Utc>) -> Result<BTreeMap<Key, i64>> {
    let now = now.timestamp_micros();
    let mut after = BTreeMap::new();
    let costs: Vec<(&Key, &i64)> = costs.iter().collect();
    for chunk in costs.chunks(CHUNK) {
        let rows = chunk.iter().map(|(key, cost)| ActiveModel {
            scope: Set(key.scope.to_owned()),
            key: Set(key.key.clone()),
            arrival_micros: Set(now.saturating_add(**cost)),
        });
        // What the row would be without one before it is now and the cost.
        let was = || Expr::col((Entity, Column::ArrivalMicros));
        let fresh = || Expr::cust("excluded.arrival_micros");
        let moved = Expr::case(was().gt(now), was().add(fresh()).sub(now)).finally(fresh());
        let mut use_more = OnConflict::columns([Column::Scope, Column::Key]);
        use_more.value(Column::ArrivalMicros, moved);
        let insert = Entity::insert_many(rows).on_conflict(use_more);
        let found: BTreeMap<_, _> = insert
            .exec_with_returning(tx.connection())
            .await?
            .into_iter()
            .map(|row| ((row.scope, row.key), row.arrival_micros))
            .collect();
        for (key, _) in chunk {
            let id = (key.scope.to_owned(), key.key.clone());
            let at = super::row::At::new("rate_limits", &key.key);
            let arrival = found.get(&id).ok_or_else(|| at.corrupt("key", &"not returned"))?;
            after.insert((*key).clone(), *arrival);
        }
    }
    Ok(after)
}

/// Deletes at most [`purge::BATCH`] rows that say no more than none would. Answers how many there were.
pub async fn purge(database: &Database, now: DateTime<Utc>) -> Result<u64> {
    let unused = Column::ArrivalMicros.lt((now - GRACE).timestamp_micros());
    purge::some::<Entity>(database, unused, &[Column::Scope, Column::Key]).await
}
