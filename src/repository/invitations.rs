//! Invitations in the database.
//!
//! An invitation is a row; beside it stands a row for each team that it grants something in (`invitation_grants`), by
//! which it is found from there. One that was taken off the list keeps its row alone, for whoever holds its link, and for a
//! while.

mod list;
mod pending;
mod write;

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect, QueryTrait, Select,
    sea_query::SelectStatement,
};

use super::{
    Error, Result, Source,
    entity::{
        invitation::{ActiveModel, Column, Entity, Model},
        invitation_grant, team,
    },
    path,
    row::{At, to_json, word_of},
};
use crate::domain::{
    Email, Invitation, InvitationId, Team, TeamId, UserId, Version,
    invitation::{Channel, Delivery, DeliveryState, State},
    profile::Locale,
    text::Message,
};

pub use list::{Filter, Order, Page, Place, list, of_address};
pub use pending::{all_granting, count_open, overdue, pending_for, pending_sent_by, pending_to_role};
pub use write::{PURGE_BATCH, delete, delete_all, insert, purge, update};

const PENDING: &str = "PENDING";
const EXPIRED: &str = "EXPIRED";
const CHANNELS: [(&str, Channel); 3] =
    [("EMAIL", Channel::Email), ("LINK_ONLY", Channel::LinkOnly), ("EXTERNAL", Channel::External)];
const DELIVERY_STATES: [(&str, DeliveryState); 5] = [
    ("NONE", DeliveryState::None),
    ("QUEUED", DeliveryState::Queued),
    ("SENT", DeliveryState::Sent),
    ("FAILED", DeliveryState::Failed),
    ("BOUNCED", DeliveryState::Bounced),
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

/// The team's invitation with this id.
pub async fn get(source: &impl Source, team: TeamId, id: InvitationId) -> Result<Option<Invitation>> {
    let found = listed().filter(Column::Id.eq(id.0)).filter(Column::TeamId.eq(team.0));
    Ok(read(source, found).await?.pop())
}

/// The invitation with this id, whatever its team, also when it is off the list: for who holds its token, and for Roster's
/// own mail.
pub async fn get_any(source: &impl Source, id: InvitationId) -> Result<Option<Invitation>> {
    Ok(read(source, Entity::find_by_id(id.0)).await?.pop())
}

/// Those of these invitations that are on the list, whatever their teams.
pub async fn get_many(source: &impl Source, ids: impl IntoIterator<Item = InvitationId>) -> Result<Vec<Invitation>> {
    let ids: Vec<_> = ids.into_iter().map(|id| id.0).collect();
    if ids.is_empty() { Ok(Vec::new()) } else { read(source, listed().filter(Column::Id.is_in(ids))).await }
}

async fn read(source: &impl Source, query: Select<Entity>) -> Result<Vec<Invitation>> {
    query.all(source.connection()).await?.into_iter().map(Invitation::try_from).collect()
}

/// Those that are on the list.
fn listed() -> Select<Entity> {
    Entity::find().filter(Column::DeleteTime.is_null())
}

/// The ids of a team and of those below it, without those that are deleted.
fn subtree(team: &Team) -> SelectStatement {
    let (begin, end) = path::range(&team.ancestors, team.id);
    let teams = team::Entity::find().select_only().column(team::Column::Id).filter(team::Column::DeleteTime.is_null());
    teams.filter(team::Column::Path.gte(begin)).filter(team::Column::Path.lt(end)).into_query()
}

/// The ids of the invitations that grant something, under this condition.
fn granting(which: Condition) -> SelectStatement {
    let rows = invitation_grant::Entity::find().select_only().column(invitation_grant::Column::InvitationId);
    rows.filter(which).into_query()
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
        inviter: Set(invitation.inviter.as_ref().map(UserId::to_string)),
        message: Set(invitation.message.to_string()),
        metadata: Set(to_json(&invitation.metadata)),
        channel: Set(word_of(&CHANNELS, &delivery.channel)),
        delivery_state: Set(word_of(&DELIVERY_STATES, &delivery.state)),
        delivery_attempts: Set(delivery.attempts.into()),
        delivery_error: Set(delivery.last_error.clone()),
        last_sent_time: Set(delivery.last_sent_time),
        send_count: Set(delivery.send_count.into()),
        delivery_id: Set(delivery.id),
        renewal_request_time: Set(invitation.renewal_request_time),
        changed: Set(invitation.changed.0),
        id: NotSet,
        team_id: NotSet,
        email: NotSet,
        locale: NotSet,
        create_time: NotSet,
        delete_time: NotSet,
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
            // Off the list, nobody can send it again: to whoever holds its link it was taken back.
            EXPIRED => row.delete_time.map_or(State::Expired, |at| State::Canceled { at }),
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
            locale: at.check("locale", row.locale.as_deref().map(Locale::parse).transpose())?,
            metadata: at.json("metadata", row.metadata)?,
            create_time: row.create_time,
            expire_time: row.expire_time,
            delivery: Delivery {
                id: row.delivery_id,
                channel: at.word("channel", &CHANNELS, &row.channel)?,
                state: at.word("delivery_state", &DELIVERY_STATES, &row.delivery_state)?,
                attempts: at.check("delivery_attempts", row.delivery_attempts.try_into())?,
                last_error: row.delivery_error,
                last_sent_time: row.last_sent_time,
                send_count: at.check("send_count", row.send_count.try_into())?,
            },
            renewal_request_time: row.renewal_request_time,
            changed: Version(row.changed),
        })
    }
}
