//! The mails that are to be sent: a row each until the mail server took it or it was given up.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, ExprTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, LockBehavior, LockType, OnConflict},
};
use uuid::Uuid;

use super::{
    Database, Error, Result, Source, Tx,
    entity::mail::{ActiveModel, Column, Entity, Model},
    row::At,
};
use crate::domain::{InvitationId, UserId};

/// How many rows go into one statement: SQLite binds at most 32,766 values.
const ROWS_PER_STATEMENT: usize = 1000;

const INVITATION: &str = "INVITATION";
const RENEWAL: &str = "RENEWAL";

/// Whom a mail is for, and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The invited person, the invitation.
    Invitation,
    /// A person who can send the invitation again, that its holder asks for it.
    Renewal {
        /// Who.
        to: UserId,
    },
}

/// A mail that is to be sent. What it says is made of the invitation when it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The mail's own id, the same for every try.
    pub id: Uuid,
    /// What it is about.
    pub invitation: InvitationId,
    /// Whom it is for.
    pub kind: Kind,
    /// How often it was tried, this try included.
    pub attempts: u32,
    /// When it was asked for.
    pub create_time: DateTime<Utc>,
    /// The W3C trace context of the call that asked for it.
    pub traceparent: Option<String>,
}

/// A mail that is asked for.
pub type Wanted = (Uuid, InvitationId, Kind);

/// Asks for mails, each in place of one of its kind about the same invitation that is still waiting. `traceparent` is the
/// W3C trace context of the call that does so.
pub async fn enqueue(tx: &Tx, mails: &[Wanted], now: DateTime<Utc>, traceparent: Option<&str>) -> Result<()> {
    for batch in mails.chunks(ROWS_PER_STATEMENT) {
        let rows = batch.iter().map(|(id, invitation, kind)| {
            let (word, recipient) = match kind {
                Kind::Invitation => (INVITATION, None),
                Kind::Renewal { to } => (RENEWAL, Some(to.to_string())),
            };
            ActiveModel {
                id: Set(*id),
                invitation_id: Set(invitation.0),
                attempts: Set(0),
                create_time: Set(now),
                next_attempt_time: Set(now),
                kind: Set(word.to_owned()),
                recipient: Set(recipient),
                last_error: Set(None),
                traceparent: Set(traceparent.map(str::to_owned)),
            }
        });
        let mut replace = OnConflict::columns([Column::InvitationId, Column::Kind]);
        replace.update_columns([
            Column::Id,
            Column::Attempts,
            Column::CreateTime,
            Column::NextAttemptTime,
            Column::Recipient,
            Column::LastError,
            Column::Traceparent,
        ]);
        Entity::insert_many(rows).on_conflict(replace).exec_without_returning(tx.connection()).await?;
    }
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
    // In a statement of its own: as a part of the update, PostgreSQL may run it several times, and each time it passes over
    // what is updated already and finds others, so that there would be more than so many.
    let due: Vec<Uuid> = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::NextAttemptTime.lte(now))
        .order_by_asc(Column::NextAttemptTime)
        .limit(limit)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_tuple()
        .all(tx.connection())
        .await?;
    if due.is_empty() {
        tx.rollback().await?;
        return Ok(Vec::new());
    }
    let taken = Entity::update_many()
        .col_expr(Column::NextAttemptTime, Expr::value(lease_end))
        .col_expr(Column::Attempts, Expr::col(Column::Attempts).add(1))
        .filter(Column::Id.is_in(due))
        .exec_with_returning(tx.connection())
        .await?;
    tx.commit().await?;
    taken.into_iter().map(Mail::try_from).collect()
}

impl TryFrom<Model> for Mail {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self> {
        let at = At::new("mails", &row.id);
        let kind = match row.kind.as_str() {
            INVITATION => Kind::Invitation,
            RENEWAL => Kind::Renewal { to: at.check("recipient", row.recipient.unwrap_or_default().parse())? },
            word => return Err(at.corrupt("kind", &format_args!("unknown word {word:?}"))),
        };
        Ok(Self {
            id: row.id,
            invitation: InvitationId(row.invitation_id),
            kind,
            attempts: at.check("attempts", row.attempts.try_into())?,
            create_time: row.create_time,
            traceparent: row.traceparent,
        })
    }
}

/// Puts off the next try of a mail, which was not taken for this reason.
pub async fn put_off(database: &Database, id: Uuid, until: DateTime<Utc>, reason: &str) -> Result<()> {
    let tx = database.begin().await?;
    Entity::update_many()
        .col_expr(Column::NextAttemptTime, Expr::value(until))
        .col_expr(Column::LastError, Expr::value(reason))
        .filter(Column::Id.eq(id))
        .exec(tx.connection())
        .await?;
    tx.commit().await
}

/// Takes a mail off the list. False if it was replaced or taken off before.
pub async fn remove(tx: &Tx, id: Uuid) -> Result<bool> {
    Ok(Entity::delete_by_id(id).exec(tx.connection()).await?.rows_affected > 0)
}

/// Takes the mails about these invitations off the list.
pub(super) async fn forget(tx: &Tx, invitations: &[Uuid]) -> Result<()> {
    let theirs = Entity::delete_many().filter(Column::InvitationId.is_in(invitations.iter().copied()));
    theirs.exec(tx.connection()).await?;
    Ok(())
}

/// How far the waiting mails of these invitations came: how often each was tried, and why it was not taken.
pub async fn progress(
    source: &impl Source,
    invitations: impl IntoIterator<Item = InvitationId>,
) -> Result<BTreeMap<InvitationId, (u32, Option<String>)>> {
    let waiting = Entity::find()
        .filter(Column::InvitationId.is_in(invitations.into_iter().map(|id| id.0)))
        .filter(Column::Kind.eq(INVITATION));
    let rows = waiting.all(source.connection()).await?;
    let progress = |row: Model| {
        let attempts = u32::try_from(row.attempts).unwrap_or(u32::MAX);
        (InvitationId(row.invitation_id), (attempts, row.last_error))
    };
    Ok(rows.into_iter().map(progress).collect())
}

/// How many mails are waiting.
pub async fn count(source: &impl Source) -> Result<u64> {
    Ok(Entity::find().count(source.connection()).await?)
}

/// The mails that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queue {
    /// How many could be sent now.
    pub due: u64,
    /// How many are being sent, or wait for their next try.
    pub put_off: u64,
    /// When the oldest of all was asked for.
    pub oldest: Option<DateTime<Utc>>,
}

/// What waits at this time.
pub async fn queue(source: &impl Source, now: DateTime<Utc>) -> Result<Queue> {
    let all = count(source).await?;
    let due = Entity::find().filter(Column::NextAttemptTime.lte(now)).count(source.connection()).await?;
    let oldest = Entity::find().select_only().column_as(Column::CreateTime.min(), "oldest");
    let oldest = oldest.into_tuple::<Option<DateTime<Utc>>>().one(source.connection()).await?.flatten();
    // Rows come and go between the two looks.
    Ok(Queue { due, put_off: all.saturating_sub(due), oldest })
}
