//! The mails that are to be sent: a row each until the mail server took it or it was given up.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, ExprTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::{Expr, LockBehavior, LockType, OnConflict},
};
use uuid::Uuid;

use super::{
    Database, Result, Source, Tx,
    entity::mail::{ActiveModel, Column, Entity},
};
use crate::domain::InvitationId;

/// A mail that is to be sent. What it says is made of the invitation when it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The mail's own id, the same for every try.
    pub id: Uuid,
    /// What it is about.
    pub invitation: InvitationId,
    /// How often it was tried, this try included.
    pub attempts: u32,
    /// When it was asked for.
    pub create_time: DateTime<Utc>,
}

/// Asks for a mail about an invitation, in place of one that is still waiting.
pub async fn enqueue(tx: &Tx, id: Uuid, invitation: InvitationId, now: DateTime<Utc>) -> Result<()> {
    let row = ActiveModel {
        id: Set(id),
        invitation_id: Set(invitation.0),
        attempts: Set(0),
        create_time: Set(now),
        next_attempt_time: Set(now),
    };
    let mut replace = OnConflict::column(Column::InvitationId);
    replace.update_columns([Column::Id, Column::Attempts, Column::CreateTime, Column::NextAttemptTime]);
    Entity::insert(row).on_conflict(replace).exec_without_returning(tx.connection()).await?;
    Ok(())
}

/// Takes mails that are due, and puts off their next try until `lease_end`, so that nobody else takes them meanwhile and
/// somebody does if we stop.
pub async fn take_due(
    database: &Database,
    now: DateTime<Utc>,
    lease_end: DateTime<Utc>,
    limit: u64,
) -> Result<Vec<Mail>> {
    let tx = database.begin().await?;
    let due = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::NextAttemptTime.lte(now))
        .order_by_asc(Column::NextAttemptTime)
        .limit(limit)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    let taken = Entity::update_many()
        .col_expr(Column::NextAttemptTime, Expr::value(lease_end))
        .col_expr(Column::Attempts, Expr::col(Column::Attempts).add(1))
        .filter(Column::Id.in_subquery(due.into_query()))
        .exec_with_returning(tx.connection())
        .await?;
    tx.commit().await?;
    let mail = |row: super::entity::mail::Model| Mail {
        id: row.id,
        invitation: InvitationId(row.invitation_id),
        attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
        create_time: row.create_time,
    };
    Ok(taken.into_iter().map(mail).collect())
}

/// Puts off the next try of a mail.
pub async fn put_off(database: &Database, id: Uuid, until: DateTime<Utc>) -> Result<()> {
    let tx = database.begin().await?;
    Entity::update_many()
        .col_expr(Column::NextAttemptTime, Expr::value(until))
        .filter(Column::Id.eq(id))
        .exec(tx.connection())
        .await?;
    tx.commit().await
}

/// Takes a mail off the list. False if it was replaced or taken off before.
pub async fn remove(tx: &Tx, id: Uuid) -> Result<bool> {
    Ok(Entity::delete_by_id(id).exec(tx.connection()).await?.rows_affected > 0)
}

/// How many mails are waiting.
pub async fn count(source: &impl Source) -> Result<u64> {
    Ok(Entity::find().count(source.connection()).await?)
}
