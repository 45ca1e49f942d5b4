//! The answers kept for retries: a request id has one effect, however often it comes.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ActiveValue::Set, ColumnTrait, DbErr, EntityTrait, QueryFilter, TryInsertResult, sea_query::Expr};

use super::{
    Database, Error, Result, Source, Tx,
    entity::idempotency_key::{ActiveModel, Column, Entity},
    purge,
};

/// For how long an answer is kept.
pub const KEPT: TimeDelta = TimeDelta::hours(24);

/// A request that can be told apart from every other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Who asks.
    pub principal: String,
    /// The id that they chose.
    pub request_id: String,
    /// A digest of what they ask.
    pub fingerprint: [u8; 32],
}

/// What is known of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Claim {
    /// Nothing: this transaction is the one that answers it.
    New,
    /// It was answered with this.
    Answered(String),
    /// The id was used for something else.
    Reused,
}

/// Takes the request id for this transaction, waiting for another that is taking it.
pub async fn claim(tx: &Tx, key: &Key, now: DateTime<Utc>) -> Result<Claim> {
    let row = ActiveModel {
        principal: Set(key.principal.clone()),
        request_id: Set(key.request_id.clone()),
        fingerprint: Set(key.fingerprint.to_vec()),
        answer: Set(None),
        create_time: Set(now),
    };
    let inserted = Entity::insert(row).on_conflict_do_nothing().exec_without_returning(tx.connection()).await?;
    if matches!(inserted, TryInsertResult::Inserted(1..)) {
        return Ok(Claim::New);
    }
    let id = (key.principal.clone(), key.request_id.clone());
    let found = Entity::find_by_id(id).one(tx.connection()).await?;
    let Some(row) = found else { return Err(raced()) };
    if row.create_time < now - KEPT {
        return renew(tx, key, now).await;
    }
    if row.fingerprint != key.fingerprint {
        return Ok(Claim::Reused);
    }
    let at = super::row::At::new("idempotency_keys", &key.request_id);
    Ok(Claim::Answered(row.answer.ok_or_else(|| at.corrupt("answer", &"missing"))?))
}

/// Takes over a record that is not kept any more, unless another transaction was faster.
async fn renew(tx: &Tx, key: &Key, now: DateTime<Utc>) -> Result<Claim> {
    let fresh = ActiveModel {
        fingerprint: Set(key.fingerprint.to_vec()),
        answer: Set(None),
        create_time: Set(now),
        ..ActiveModel::default()
    };
    let renewed = Entity::update_many()
        .set(fresh)
        .filter(Column::Principal.eq(&key.principal))
        .filter(Column::RequestId.eq(&key.request_id))
        .filter(Column::CreateTime.lt(now - KEPT))
        .exec(tx.connection())
        .await?;
    if renewed.rows_affected > 0 { Ok(Claim::New) } else { Err(raced()) }
}

/// Another transaction took or deleted the record in between; the next look sees what it made of it.
fn raced() -> Error {
    Error::Conflict(DbErr::Custom("a kept answer changed while it was looked at".to_owned()))
}

/// Keeps the answer.
pub async fn answer(tx: &Tx, key: &Key, answer: String) -> Result<()> {
    Entity::update_many()
        .col_expr(Column::Answer, Expr::value(answer))
        .filter(Column::Principal.eq(&key.principal))
        .filter(Column::RequestId.eq(&key.request_id))
        .exec(tx.connection())
        .await?;
    Ok(())
}

/// Deletes at most [`purge::BATCH`] answers that are not kept any more. Answers how many there were.
pub async fn purge(database: &Database, now: DateTime<Utc>) -> Result<u64> {
    purge::some::<Entity>(database, Column::CreateTime.lt(now - KEPT), &[Column::Principal, Column::RequestId]).await
}
