//! Pages of invitations.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, Condition, ExprTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Expr, Order as Direction},
};

use super::{Column, DELIVERY_STATES, Entity, StateFilter, in_state, listed, read, subtree};
use crate::{
    domain::{Email, Invitation, InvitationId, Team, UserId, invitation::DeliveryState},
    repository::{Result, Source, members::Key, row::word_of},
};

/// A place in a list of invitations: what it is sorted by, and the id that breaks ties.
pub type Place = (Key, InvitationId);

/// In which order to list invitations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The oldest first.
    CreateTime,
    /// The newest first.
    CreateTimeDescending,
    /// By e-mail address.
    Email,
    /// What stops being open first comes first.
    ExpireTime,
}

impl Order {
    fn column(self) -> (Column, Direction) {
        match self {
            Self::CreateTime => (Column::CreateTime, Direction::Asc),
            Self::CreateTimeDescending => (Column::CreateTime, Direction::Desc),
            Self::Email => (Column::Email, Direction::Asc),
            Self::ExpireTime => (Column::ExpireTime, Direction::Asc),
        }
    }

    /// The place of an invitation in this order.
    pub fn place(self, invitation: &Invitation) -> Place {
        let key = match self {
            Self::CreateTime | Self::CreateTimeDescending => Key::Time(invitation.create_time),
            Self::Email => Key::Text(invitation.email.to_string()),
            Self::ExpireTime => Key::Time(invitation.expire_time),
        };
        (key, invitation.id)
    }
}

/// Which invitations of a team to list.
#[derive(Debug, Clone)]
pub struct Filter<'a> {
    /// Only those in one of these states; empty means all.
    pub states: &'a BTreeSet<StateFilter>,
    /// Only those whose latest mail came so far; empty means all.
    pub delivery_states: &'a BTreeSet<DeliveryState>,
    /// Only those to addresses that begin so, whatever the case of ASCII letters.
    pub email_prefix: Option<&'a str>,
    /// Only those that this person answers for.
    pub inviter: Option<&'a UserId>,
    /// Only those whose mail was taken then or later.
    pub sent_since: Option<DateTime<Utc>>,
    /// Those of the teams below too.
    pub descendants: bool,
}

/// A page of a team's invitations.
#[derive(Debug, Clone)]
pub struct Page<'a> {
    /// Which.
    pub filter: Filter<'a>,
    /// In which order.
    pub order: Order,
    /// After this place.
    pub after: Option<Place>,
    /// How many at the most.
    pub limit: u64,
    /// The time of the call.
    pub now: DateTime<Utc>,
}

/// A page of the invitations that a team sent.
pub async fn list(source: &impl Source, team: &Team, page: &Page<'_>) -> Result<Vec<Invitation>> {
    let of =
        if page.filter.descendants { Column::TeamId.in_subquery(subtree(team)) } else { Column::TeamId.eq(team.id.0) };
    let query = listed().filter(of).filter(matching(&page.filter, page.now));
    read(source, paged(query, page.order, page.after.as_ref(), page.limit)).await
}

/// A page of the invitations to an address that are open or have run out, the newest first.
pub async fn of_address(
    source: &impl Source,
    email: &Email,
    after: Option<&Place>,
    limit: u64,
    now: DateTime<Utc>,
) -> Result<Vec<Invitation>> {
    let states = Condition::any().add(in_state(StateFilter::Pending, now)).add(in_state(StateFilter::Expired, now));
    let query = listed().filter(Column::Email.eq(email.as_str())).filter(states);
    read(source, paged(query, Order::CreateTimeDescending, after, limit)).await
}

fn paged(query: Select<Entity>, order: Order, after: Option<&Place>, limit: u64) -> Select<Entity> {
    let (column, direction) = order.column();
    let query = query.order_by(column, direction.clone()).order_by(Column::Id, direction.clone()).limit(limit);
    let Some((key, InvitationId(id))) = after else { return query };
    let key = match key {
        Key::Time(time) => Expr::value(*time),
        Key::Text(text) => Expr::value(text.as_str()),
    };
    // Compared as one row value, so that the index leads to the place however far down it is.
    let place = Expr::tuple([column.into_expr(), Column::Id.into_expr()]);
    let after = Expr::tuple([key, Expr::value(*id)]);
    query.filter(if direction == Direction::Desc { place.lt(after) } else { place.gt(after) })
}

fn matching(filter: &Filter<'_>, now: DateTime<Utc>) -> Condition {
    let mut all = Condition::all();
    if !filter.states.is_empty() {
        all = all.add(filter.states.iter().fold(Condition::any(), |any, state| any.add(in_state(*state, now))));
    }
    if !filter.delivery_states.is_empty() {
        let words = filter.delivery_states.iter().map(|state| word_of(&DELIVERY_STATES, state));
        all = all.add(Column::DeliveryState.is_in(words));
    }
    if let Some(prefix) = filter.email_prefix {
        let prefix = prefix.to_ascii_lowercase();
        // As a range, for indexes and both databases to agree on; nothing sorts behind the last character.
        let end = format!("{prefix}{}", char::MAX);
        all = all.add(Column::Email.gte(prefix)).add(Column::Email.lt(end));
    }
    let inviter = filter.inviter.map(|user| Column::Inviter.eq(user.as_str()));
    let since = filter.sent_since.map(|time| Column::LastSentTime.gte(time));
    inviter.into_iter().chain(since).fold(all, Condition::add)
}
