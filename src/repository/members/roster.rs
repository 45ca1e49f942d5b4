//! The people of a team in one list: members, and who was invited and is not one.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::{Alias, Expr, Query, SelectStatement},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{STATES, not_over, read};
use crate::{
    domain::{Invitation, InvitationId, Member, TeamId, UserId, member::State},
    repository::{
        Result, Source,
        entity::{invitation, invitation_grant, membership},
        invitations::{StateFilter, in_state},
        row::word_of,
    },
};

/// Where somebody stands with a team.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// A member.
    Active,
    /// A suspended member.
    Suspended,
    /// Invited.
    Pending,
    /// Invited, and it ran out.
    Expired,
    /// Invited, and declined.
    Declined,
}

/// Somebody in the list.
#[derive(Debug, Clone)]
pub enum Entry {
    /// A member.
    Member(Member),
    /// The newest invitation to an address that is no member's.
    Invitation(Invitation),
}

/// A place in the list: at one time members come first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EntryPlace {
    /// At a member.
    Member(DateTime<Utc>, UserId),
    /// At an invitation.
    Invitation(DateTime<Utc>, InvitationId),
}

impl Entry {
    /// Where it stands in the list.
    pub fn place(&self) -> EntryPlace {
        match self {
            Self::Member(member) => EntryPlace::Member(member.join_time, member.user_id.clone()),
            Self::Invitation(invitation) => EntryPlace::Invitation(invitation.create_time, invitation.id),
        }
    }

    /// In the order of the list.
    fn key(&self) -> (DateTime<Utc>, EntryPlace) {
        let place = self.place();
        match &place {
            EntryPlace::Member(time, _) | EntryPlace::Invitation(time, _) => (*time, place),
        }
    }
}

/// A page of the list, those added first at the top.
#[derive(Debug, Clone)]
pub struct RosterPage<'a> {
    /// Only those who stand so; empty means all.
    pub statuses: &'a BTreeSet<Status>,
    /// After this place.
    pub after: Option<EntryPlace>,
    /// How many at the most.
    pub limit: u64,
    /// The time of the call.
    pub now: DateTime<Utc>,
}

/// A page of the people of a team.
pub async fn roster(source: &impl Source, team: TeamId, page: &RosterPage<'_>) -> Result<Vec<Entry>> {
    let asked = |status: Status| page.statuses.is_empty() || page.statuses.contains(&status);
    let mut entries = Vec::new();
    let states: Vec<State> = [(Status::Active, State::Active), (Status::Suspended, State::Suspended)]
        .into_iter()
        .filter_map(|(status, state)| asked(status).then_some(state))
        .collect();
    if !states.is_empty() {
        entries.extend(members(source, team, &states, page).await?.into_iter().map(Entry::Member));
    }
    let states: Vec<StateFilter> = [
        (Status::Pending, StateFilter::Pending),
        (Status::Expired, StateFilter::Expired),
        (Status::Declined, StateFilter::Declined),
    ]
    .into_iter()
    .filter_map(|(status, state)| asked(status).then_some(state))
    .collect();
    if !states.is_empty() {
        entries.extend(invitees(source, team, &states, page).await?.into_iter().map(Entry::Invitation));
    }
    entries.sort_by_cached_key(Entry::key);
    entries.truncate(usize::try_from(page.limit).unwrap_or(usize::MAX));
    Ok(entries)
}

async fn members(source: &impl Source, team: TeamId, states: &[State], page: &RosterPage<'_>) -> Result<Vec<Member>> {
    use membership::Column;

    let mut query = membership::Entity::find()
        .filter(Column::TeamId.eq(team.0))
        .filter(not_over(page.now))
        .filter(Column::State.is_in(states.iter().map(|state| word_of(&STATES, state))))
        .order_by_asc(Column::JoinTime)
        .order_by_asc(Column::UserId)
        .limit(page.limit);
    query = match &page.after {
        None => query,
        Some(EntryPlace::Invitation(time, _)) => query.filter(Column::JoinTime.gt(*time)),
        Some(EntryPlace::Member(time, user)) => {
            let place = Expr::tuple([Column::JoinTime.into_expr(), Column::UserId.into_expr()]);
            query.filter(place.gt(Expr::tuple([Expr::value(*time), Expr::value(user.as_str())])))
        }
    };
    read(source, query).await
}

async fn invitees(
    source: &impl Source,
    team: TeamId,
    states: &[StateFilter],
    page: &RosterPage<'_>,
) -> Result<Vec<Invitation>> {
    use invitation::Column;

    let any = states.iter().fold(Condition::any(), |any, state| any.add(in_state(*state, page.now)));
    let mut query = invitation::Entity::find()
        .filter(Column::Id.in_subquery(newest(team)))
        .filter(any)
        .filter(is_no_members(team, page.now))
        .order_by_asc(Column::CreateTime)
        .order_by_asc(Column::Id)
        .limit(page.limit);
    query = match &page.after {
        None => query,
        Some(EntryPlace::Member(time, _)) => query.filter(Column::CreateTime.gte(*time)),
        Some(EntryPlace::Invitation(time, InvitationId(id))) => {
            let place = Expr::tuple([Column::CreateTime.into_expr(), Column::Id.into_expr()]);
            query.filter(place.gt(Expr::tuple([Expr::value(*time), Expr::value(*id as Uuid)])))
        }
    };
    query.all(source.connection()).await?.into_iter().map(Invitation::try_from).collect()
}

/// The invitations that grant something in a team, without those whose address was invited again. One that is open is
/// always listed: an older one can be sent again.
fn newest(team: TeamId) -> SelectStatement {
    use invitation_grant::{Column, Entity};

    let newer = Alias::new("newer");
    let own = |column: Column| Expr::col((newer.clone(), column));
    let again = Query::select()
        .expr(Expr::value(1))
        .from_as(Entity, newer.clone())
        .and_where(own(Column::TeamId).eq(Column::TeamId.into_expr()))
        .and_where(own(Column::Email).eq(Column::Email.into_expr()))
        .cond_where(own(Column::InvitationId).gt(Column::InvitationId.into_expr()).or(own(Column::Pending).eq(true)))
        .and_where(own(Column::InvitationId).ne(Column::InvitationId.into_expr()))
        .take();
    Entity::find()
        .select_only()
        .column(Column::InvitationId)
        .filter(Column::TeamId.eq(team.0))
        .filter(Condition::any().add(Column::Pending.eq(true)).add(Expr::not_exists(again)))
        .into_query()
}

/// No member has this address.
fn is_no_members(team: TeamId, now: DateTime<Utc>) -> Expr {
    use membership::{Column, Entity};

    let member = Query::select()
        .expr(Expr::value(1))
        .from(Entity)
        .and_where(Column::TeamId.into_expr().eq(team.0))
        .and_where(Column::Email.into_expr().eq(invitation::Column::Email.into_expr()))
        .cond_where(not_over(now))
        .take();
    Expr::not_exists(member)
}
