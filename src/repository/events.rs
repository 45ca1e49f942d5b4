//! The record of changes: written with them, read in the order of their positions.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, Condition, EntityTrait, ExprTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect,
    sea_query::Expr,
};
use uuid::Uuid;

use super::{
    Database, Error, Result, Source, Tx,
    entity::event::{ActiveModel, Column, Entity, Model},
};
use crate::{
    contract,
    domain::{Event, EventId, Subject, TeamId, UserId},
};

/// The largest event in bytes: with its headers it stays below the 1 MiB that NATS takes by default.
pub const MAX_SIZE: usize = 900 * 1024;
/// How many rows go into one statement: SQLite binds at most 32,766 values.
const ROWS_PER_STATEMENT: usize = 1000;

/// An event as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its place among all events.
    pub position: i64,
    /// Its id.
    pub id: EventId,
    /// Whose version it made.
    pub subject: Subject,
    /// What changed: the name of the payload field.
    pub kind: String,
    /// The encoded `roster.events.v1.Event` without its position.
    pub payload: Vec<u8>,
    /// When the change was made.
    pub occur_time: DateTime<Utc>,
}

/// Records events, in the order given.
pub(super) async fn append(tx: &Tx, events: &[Event]) -> Result<()> {
    let rows = events.iter().map(row).collect::<Result<Vec<_>>>()?;
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let batch: Vec<_> = rows.by_ref().take(ROWS_PER_STATEMENT).collect();
        Entity::insert_many(batch).exec_without_returning(tx.connection()).await?;
    }
    Ok(())
}

/// Events after a position, of one team or of all.
pub async fn after(source: &impl Source, position: i64, team: Option<TeamId>, limit: u64) -> Result<Vec<StoredEvent>> {
    let mut query = Entity::find().filter(Column::Position.gt(position)).order_by_asc(Column::Position).limit(limit);
    if let Some(team) = team {
        query = query.filter(Column::TeamId.eq(team.0));
    }
    read(query.all(source.connection()).await?)
}

/// Events that the broker has not acknowledged, in order, without those of the subjects that are held back.
pub async fn unpublished(source: &impl Source, held_back: &[Subject], limit: u64) -> Result<Vec<StoredEvent>> {
    let mut query = Entity::find()
        .filter(Column::PublishTime.is_null())
        .filter(Column::Position.is_not_null())
        .order_by_asc(Column::Position)
        .limit(limit);
    for subject in held_back {
        let theirs = match subject {
            Subject::Team { id, .. } => Column::TeamId.eq(id.0),
            Subject::User(id) => Column::UserId.eq(id.as_str()),
        };
        // NOT (NULL = x) is NULL, so the other kind of subject has to be let through by name.
        let other = match subject {
            Subject::Team { .. } => Column::TeamId.is_null(),
            Subject::User(_) => Column::UserId.is_null(),
        };
        query = query.filter(Condition::any().add(theirs.not()).add(other));
    }
    read(query.all(source.connection()).await?)
}

/// The events that have not been handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// How many there are.
    pub count: u64,
    /// When the oldest of them happened.
    pub oldest: Option<DateTime<Utc>>,
}

/// What the broker has not acknowledged; if there is none, what has no position yet.
pub async fn backlog(source: &impl Source, published: bool) -> Result<Backlog> {
    let missing = if published { Column::PublishTime } else { Column::Position };
    let backlog = Entity::find()
        .select_only()
        .column_as(Column::Id.count(), "count")
        .column_as(Column::OccurTime.min(), "oldest")
        .filter(missing.is_null())
        .into_tuple::<(i64, Option<DateTime<Utc>>)>();
    let (count, oldest) = backlog.one(source.connection()).await?.unwrap_or_default();
    Ok(Backlog { count: count.unsigned_abs(), oldest })
}

/// Whether a committed event has no position yet.
pub(super) async fn any_without_position(source: &impl Source) -> Result<bool> {
    let query = Entity::find().select_only().column(Column::Id).filter(Column::Position.is_null()).limit(1);
    Ok(query.into_tuple::<i64>().one(source.connection()).await?.is_some())
}

/// Marks events as acknowledged by the broker.
pub async fn mark_published(database: &Database, positions: &[i64], now: DateTime<Utc>) -> Result<()> {
    let tx = database.begin().await?;
    for batch in positions.chunks(ROWS_PER_STATEMENT) {
        Entity::update_many()
            .col_expr(Column::PublishTime, Expr::value(now))
            .filter(Column::Position.is_in(batch.iter().copied()))
            .exec(tx.connection())
            .await?;
    }
    tx.commit().await
}

/// The position up to which all events are older than `cutoff` and, if asked, acknowledged by the broker.
pub(super) async fn outdated(source: &impl Source, cutoff: DateTime<Utc>, published: bool) -> Result<Option<i64>> {
    #[derive(FromQueryResult)]
    struct Edge {
        position: Option<i64>,
    }
    let mut kept = Condition::any().add(Column::OccurTime.gte(cutoff));
    if published {
        kept = kept.add(Column::PublishTime.is_null());
    }
    let edge = |order| {
        Entity::find()
            .select_only()
            .column(Column::Position)
            .filter(Column::Position.is_not_null())
            .order_by(Column::Position, order)
            .limit(1)
    };
    let first_kept = edge(sea_orm::Order::Asc).filter(kept).into_model::<Edge>().one(source.connection()).await?;
    if let Some(position) = first_kept.and_then(|edge| edge.position) {
        return Ok(Some(position - 1));
    }
    let last = edge(sea_orm::Order::Desc).into_model::<Edge>().one(source.connection()).await?;
    Ok(last.and_then(|edge| edge.position))
}

/// Deletes events up to a position.
pub(super) async fn delete_until(tx: &Tx, position: i64) -> Result<u64> {
    Ok(Entity::delete_many().filter(Column::Position.lte(position)).exec(tx.connection()).await?.rows_affected)
}

fn row(event: &Event) -> Result<ActiveModel> {
    let payload = contract::encode(event);
    if payload.len() > MAX_SIZE {
        return Err(Error::TooLarge { size: payload.len(), limit: MAX_SIZE });
    }
    let (team, user) = match &event.subject {
        Subject::Team { id, root } => (Some((id.0, root.0)), None),
        Subject::User(id) => (None, Some(id.to_string())),
    };
    Ok(ActiveModel {
        id: NotSet,
        event_id: Set(event.id.0),
        team_id: Set(team.map(|(id, _)| id)),
        root_team_id: Set(team.map(|(_, root)| root)),
        team_version: Set(team.map(|_| event.version.0)),
        user_version: Set(user.as_ref().map(|_| event.version.0)),
        user_id: Set(user),
        kind: Set(event.change.kind().to_owned()),
        payload: Set(payload),
        occur_time: Set(event.occur_time),
        position: NotSet,
        publish_time: NotSet,
    })
}

fn read(rows: Vec<Model>) -> Result<Vec<StoredEvent>> {
    rows.into_iter().map(StoredEvent::try_from).collect()
}

impl TryFrom<Model> for StoredEvent {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self> {
        let at = super::row::At::new("events", &row.id);
        let subject = match (row.team_id, row.root_team_id, row.user_id) {
            (Some(id), Some(root), None) => Subject::Team { id: TeamId(id), root: TeamId(root) },
            (None, None, Some(id)) => Subject::User(at.check("user_id", id.parse::<UserId>())?),
            _ => return Err(at.corrupt("team_id", &"names neither a team nor a user, or both")),
        };
        let position = row.position.ok_or_else(|| at.corrupt("position", &"missing"))?;
        Ok(Self {
            position,
            id: EventId(row.event_id as Uuid),
            subject,
            kind: row.kind,
            payload: row.payload,
            occur_time: row.occur_time,
        })
    }
}
