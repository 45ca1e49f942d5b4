//! The one order of all events.
//!
//! A writer cannot know an event's place: a transaction that began earlier may commit later. So positions are given
//! afterwards, to what is committed, under the lock of one row: they are dense, and a reader that has seen a position has
//! seen every one below it.

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, Statement, sea_query::Expr};

use super::{
    Database, Result, Source, Tx,
    entity::event_sequence::{Column, Entity, Model},
    events,
};

/// How many events are deleted in one transaction: few enough for a statement's time, however many there are.
pub const PURGE_BATCH: i64 = 10_000;
/// The only row of its table.
const ROW: i64 = 1;

/// How far the order reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The last position given.
    pub last: i64,
    /// Events up to here are not retained any more.
    pub purged: i64,
}

/// How far the order reaches now.
pub async fn bounds(source: &impl Source) -> Result<Bounds> {
    let row = Entity::find_by_id(ROW).one(source.connection()).await?;
    Ok(row.map_or(Bounds { last: 0, purged: 0 }, |row| Bounds { last: row.last_position, purged: row.purged_position }))
}

/// Gives positions to at most `limit` committed events that have none. Answers how many, and the last position given.
pub async fn advance(database: &Database, limit: u64) -> Result<(u64, i64)> {
    // Most looks find nothing, and a look costs no lock.
    if !events::any_without_position(&database.reader()).await? {
        return Ok((0, bounds(&database.reader()).await?.last));
    }
    let tx = database.begin().await?;
    let last = lock(&tx).await?.last_position;
    // Written once for both dialects; SeaORM has no UPDATE … FROM. All values are numbers of ours.
    let sql = format!(
        "UPDATE events SET position = next.position FROM (\
           SELECT id, {last} + row_number() OVER (ORDER BY id) AS position FROM events \
           WHERE position IS NULL ORDER BY id LIMIT {limit}\
         ) AS next WHERE events.id = next.id"
    );
    let backend = tx.connection().get_database_backend();
    let given = tx.connection().execute_raw(Statement::from_string(backend, sql)).await?.rows_affected();
    let last = last + i64::try_from(given).unwrap_or(i64::MAX);
    if given == 0 {
        tx.rollback().await?;
        return Ok((0, last));
    }
    set(&tx, Column::LastPosition, last).await?;
    tx.commit().await?;
    Ok((given, last))
}

/// How many events get their positions at a time before that.
const LEAP_BATCH: u64 = 1000;
/// How far positions leap. As many times as it takes, there is room for it.
const LEAP: i64 = 1 << 32;

/// Leaps over all positions that could have been given in a future that was lost, since the database was restored to an
/// earlier state: what a reader kept of that future, or of the time before, is not taken for a place in the new order.
/// Answers the position that the order goes on from.
pub async fn leap(database: &Database) -> Result<i64> {
    while advance(database, LEAP_BATCH).await?.0 > 0 {}
    let tx = database.begin().await?;
    let from = lock(&tx).await?.last_position + LEAP;
    set(&tx, Column::LastPosition, from).await?;
    set(&tx, Column::PurgedPosition, from).await?;
    tx.commit().await?;
    Ok(from)
}

/// Deletes at most [`PURGE_BATCH`] of the oldest events, as long as they are older than `cutoff` and, if asked,
/// acknowledged by the broker. Answers how many there were.
pub async fn purge(database: &Database, cutoff: DateTime<Utc>, published: bool) -> Result<u64> {
    let reader = database.reader();
    let purged = bounds(&reader).await?.purged;
    let Some(outdated) = events::outdated(&reader, cutoff, published).await?.filter(|edge| *edge > purged) else {
        return Ok(0);
    };
    let outdated = outdated.min(purged + PURGE_BATCH);
    let tx = database.begin().await?;
    lock(&tx).await?;
    let deleted = events::delete_until(&tx, outdated).await?;
    set(&tx, Column::PurgedPosition, outdated).await?;
    tx.commit().await?;
    Ok(deleted)
}

/// Holds the row until the transaction ends, so that two sequencers follow one another.
async fn lock(tx: &Tx) -> Result<Model> {
    let query = Entity::find_by_id(ROW).lock_exclusive();
    let row = query.one(tx.connection()).await?;
    row.ok_or_else(|| super::row::At::new("event_sequence", &ROW).corrupt("id", &"the row is missing"))
}

async fn set(tx: &Tx, column: Column, value: i64) -> Result<()> {
    Entity::update_many().col_expr(column, Expr::value(value)).filter(Column::Id.eq(ROW)).exec(tx.connection()).await?;
    Ok(())
}
