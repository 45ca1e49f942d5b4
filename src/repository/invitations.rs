//! Invitations in the database.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, Condition, EntityTrait, ExprTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
};

use super::{
    Error, Result, Source, Tx,
    entity::{
        invitation::{ActiveModel, Column, Entity, Model},
        team,
    },
    path,
    row::{At, to_json, word_of},
};
use crate::domain::{
    Email, Invitation, InvitationId, RoleId, Team, TeamId, UserId, Version,
    invitation::{Channel, Delivery, DeliveryState, State},
    text::Message,
};

pub(super) const PENDING: &str = "PENDING";
const EXPIRED: &str = "EXPIRED";
const CHANNELS: [(&str, Channel); 2] = [("EMAIL", Channel::Email), ("LINK_ONLY", Channel::LinkOnly)];
const DELIVERY_STATES: [(&str, DeliveryState); 4] = [
    ("NONE", DeliveryState::None),
    ("QUEUED", DeliveryState::Queued),
    ("SENT", DeliveryState::Sent),
    ("FAILED", DeliveryState::Failed),
];

/// Where an invitation stands, to filter by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StateFilter {
    /// Open at the time of the call.
    Pending,
    /// Accepted.
    Accepted,
    /// Declined.
    Declined,
    /// Canceled.
    Canceled,
    /// Run out by the time of the call.
    Expired,
}

/// Which invitations of a team to list, the newest first.
#[derive(Debug, Clone)]
pub struct Page<'a> {
    /// Only those in one of these states; empty means all.
    pub states: &'a BTreeSet<StateFilter>,
    /// Older than this one.
    pub before: Option<InvitationId>,
    /// How many at the most.
    pub limit: u64,
    /// The time of the call.
    pub now: DateTime<Utc>,
}

/// The team's invitation with this id.
pub async fn get(source: &impl Source, team: TeamId, id: InvitationId) -> Result<Option<Invitation>> {
    let found = Entity::find_by_id(id.0).filter(Column::TeamId.eq(team.0)).one(source.connection()).await?;
    found.map(Invitation::try_from).transpose()
}

/// The invitation with this id, whatever its team: for who holds its token, and for Roster's own mail.
pub async fn get_any(source: &impl Source, id: InvitationId) -> Result<Option<Invitation>> {
    let found = Entity::find_by_id(id.0).one(source.connection()).await?;
    found.map(Invitation::try_from).transpose()
}

/// The team's invitation to this address that is recorded as pending, run out or not.
pub async fn pending_for(source: &impl Source, team: TeamId, email: &Email) -> Result<Option<Invitation>> {
    let found = pending(team).filter(Column::Email.eq(email.as_str())).one(source.connection()).await?;
    found.map(Invitation::try_from).transpose()
}

/// The invitations recorded as pending that this person sent, of a team and of those below it, oldest first.
pub async fn pending_sent_by(source: &impl Source, team: &Team, inviter: &UserId) -> Result<Vec<Invitation>> {
    let query = pending_below(team).filter(Column::Inviter.eq(inviter.as_str())).order_by_asc(Column::Id);
    query.all(source.connection()).await?.into_iter().map(Invitation::try_from).collect()
}

/// The open invitations of a tree that grant this role of its own, oldest first.
pub async fn pending_to_role(
    source: &impl Source,
    root: &Team,
    role: &RoleId,
    now: DateTime<Utc>,
) -> Result<Vec<Invitation>> {
    // The document holds ids alone, and that of a tree's own role is found nowhere else.
    let grants = Column::Grants.into_expr().cast_as("text").like(format!("%{role}%"));
    let query = pending_below(root).filter(Column::ExpireTime.gt(now)).filter(grants).order_by_asc(Column::Id);
    query.all(source.connection()).await?.into_iter().map(Invitation::try_from).collect()
}

/// All of the team's invitations recorded as pending, oldest first.
pub async fn all_pending(source: &impl Source, team: TeamId) -> Result<Vec<Invitation>> {
    let found = pending(team).order_by_asc(Column::Id).all(source.connection()).await?;
    found.into_iter().map(Invitation::try_from).collect()
}

/// How many of the team's invitations are open.
pub async fn count_open(source: &impl Source, team: TeamId, now: DateTime<Utc>) -> Result<u64> {
    Ok(pending(team).filter(Column::ExpireTime.gt(now)).count(source.connection()).await?)
}

/// A page of the team's invitations.
pub async fn list(source: &impl Source, team: TeamId, page: &Page<'_>) -> Result<Vec<Invitation>> {
    let mut query = Entity::find().filter(Column::TeamId.eq(team.0)).order_by_desc(Column::Id).limit(page.limit);
    if let Some(before) = page.before {
        query = query.filter(Column::Id.lt(before.0));
    }
    if !page.states.is_empty() {
        let any = page.states.iter().fold(Condition::any(), |any, state| any.add(in_state(*state, page.now)));
        query = query.filter(any);
    }
    let found = query.all(source.connection()).await?;
    found.into_iter().map(Invitation::try_from).collect()
}

/// Adds an invitation.
pub async fn insert(tx: &Tx, invitation: &Invitation) -> Result<()> {
    let row = ActiveModel {
        id: Set(invitation.id.0),
        team_id: Set(invitation.team_id.0),
        email: Set(invitation.email.to_string()),
        inviter: Set(invitation.inviter.as_ref().map(UserId::to_string)),
        message: Set(invitation.message.to_string()),
        metadata: Set(to_json(&invitation.metadata)),
        create_time: Set(invitation.create_time),
        ..changing_fields(invitation)
    };
    Entity::insert(row).exec_without_returning(tx.connection()).await?;
    Ok(())
}

/// Writes what can change of an invitation.
pub async fn update(tx: &Tx, invitation: &Invitation) -> Result<()> {
    let update = Entity::update_many().set(changing_fields(invitation));
    update
        .filter(Column::Id.eq(invitation.id.0))
        .filter(Column::TeamId.eq(invitation.team_id.0))
        .exec(tx.connection())
        .await?;
    Ok(())
}

fn pending(team: TeamId) -> sea_orm::Select<Entity> {
    Entity::find().filter(Column::TeamId.eq(team.0)).filter(Column::State.eq(PENDING))
}

/// Those of a team and of the teams below it.
fn pending_below(team: &Team) -> sea_orm::Select<Entity> {
    let (begin, end) = path::range(&team.ancestors, team.id);
    let teams = team::Entity::find()
        .select_only()
        .column(team::Column::Id)
        .filter(team::Column::Path.gte(begin))
        .filter(team::Column::Path.lt(end));
    Entity::find().filter(Column::TeamId.in_subquery(teams.into_query())).filter(Column::State.eq(PENDING))
}

/// The clock decides about expiry, not the record: a pending invitation that ran out is an expired one.
pub(super) fn in_state(state: StateFilter, now: DateTime<Utc>) -> Condition {
    let recorded = |word: &str| Condition::all().add(Column::State.eq(word));
    match state {
        StateFilter::Pending => recorded(PENDING).add(Column::ExpireTime.gt(now)),
        StateFilter::Accepted => recorded("ACCEPTED"),
        StateFilter::Declined => recorded("DECLINED"),
        StateFilter::Canceled => recorded("CANCELED"),
        StateFilter::Expired => {
            Condition::any().add(recorded(EXPIRED)).add(recorded(PENDING).add(Column::ExpireTime.lte(now)))
        }
    }
}

fn changing_fields(invitation: &Invitation) -> ActiveModel {
    let (state, close_time) = match &invitation.state {
        State::Pending => (PENDING, None),
        State::Accepted { at, .. } => ("ACCEPTED", Some(*at)),
        State::Declined { at } => ("DECLINED", Some(*at)),
        State::Canceled { at } => ("CANCELED", Some(*at)),
        State::Expired => (EXPIRED, None),
    };
    let delivery = &invitation.delivery;
    ActiveModel {
        grants: Set(to_json(&invitation.grants)),
        state: Set(state.to_owned()),
        link_version: Set(invitation.link_version.into()),
        expire_time: Set(invitation.expire_time),
        close_time: Set(close_time),
        accepted_by: Set(invitation.accepted_by().map(UserId::to_string)),
        channel: Set(word_of(&CHANNELS, &delivery.channel)),
        delivery_state: Set(word_of(&DELIVERY_STATES, &delivery.state)),
        delivery_attempts: Set(delivery.attempts.into()),
        delivery_error: Set(delivery.last_error.clone()),
        last_sent_time: Set(delivery.last_sent_time),
        send_count: Set(delivery.send_count.into()),
        changed: Set(invitation.changed.0),
        id: NotSet,
        team_id: NotSet,
        email: NotSet,
        inviter: NotSet,
        message: NotSet,
        metadata: NotSet,
        create_time: NotSet,
    }
}

impl TryFrom<Model> for Invitation {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self> {
        let id = InvitationId(row.id);
        let at = At::new("invitations", &id);
        let closed = || row.close_time.ok_or_else(|| at.corrupt("close_time", &"missing"));
        let state = match row.state.as_str() {
            PENDING => State::Pending,
            "ACCEPTED" => {
                let by = row.accepted_by.as_deref().unwrap_or_default().parse();
                State::Accepted { by: at.check("accepted_by", by)?, at: closed()? }
            }
            "DECLINED" => State::Declined { at: closed()? },
            "CANCELED" => State::Canceled { at: closed()? },
            EXPIRED => State::Expired,
            word => return Err(at.corrupt("state", &format_args!("unknown word {word:?}"))),
        };
        Ok(Self {
            id,
            team_id: TeamId(row.team_id),
            email: at.check("email", Email::parse(&row.email))?,
            grants: at.json("grants", row.grants)?,
            state,
            link_version: at.check("link_version", row.link_version.try_into())?,
            inviter: at.check("inviter", row.inviter.map(|id| id.parse()).transpose())?,
            message: at.check("message", Message::parse(&row.message))?,
            metadata: at.json("metadata", row.metadata)?,
            create_time: row.create_time,
            expire_time: row.expire_time,
            delivery: Delivery {
                channel: at.word("channel", &CHANNELS, &row.channel)?,
                state: at.word("delivery_state", &DELIVERY_STATES, &row.delivery_state)?,
                attempts: at.check("delivery_attempts", row.delivery_attempts.try_into())?,
                last_error: row.delivery_error,
                last_sent_time: row.last_sent_time,
                send_count: at.check("send_count", row.send_count.try_into())?,
            },
            changed: Version(row.changed),
        })
    }
}
