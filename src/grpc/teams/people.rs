//! Reading who is in a team.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use roster_proto::v1 as wire;

use crate::{
    application::{Context, members::TeamMember},
    domain::{Invitation, RoleId, User, UserId, invitation::State, member},
    grpc::{
        call::Api,
        convert::{self, Violations, invitation, member as convert_member},
        page::Pages,
        status::Failure,
    },
    repository::members::{Entry, EntryPlace, Filter, Page, RosterPage, Status},
};

/// The most members that are got at once.
const MAX_BATCH: usize = 100;

pub(super) async fn get_member(
    api: &Api,
    cx: &Context,
    request: wire::GetMemberRequest,
) -> Result<wire::GetMemberResponse, Failure> {
    let mut v = Violations::default();
    let fresh = api.consistency(&mut v, request.consistency.as_ref());
    let team = v.id("team_id", &request.team_id);
    let user = v.id("user_id", &request.user_id);
    let (team, user, fresh) = v.all((team, user, fresh))?;
    let found = api.queries.member(cx, team, &user, &fresh).await?;
    Ok(wire::GetMemberResponse { member: Some(convert_member::message(&found)) })
}

pub(super) async fn batch_get_members(
    api: &Api,
    cx: &Context,
    request: wire::BatchGetMembersRequest,
) -> Result<wire::BatchGetMembersResponse, Failure> {
    let mut v = Violations::default();
    let fresh = api.consistency(&mut v, request.consistency.as_ref());
    let team = v.id("team_id", &request.team_id);
    if request.user_ids.is_empty() || request.user_ids.len() > MAX_BATCH {
        v.add("user_ids", format_args!("must name 1 to {MAX_BATCH} users"));
    }
    let ids = request.user_ids.iter().enumerate().map(|(i, id)| v.id(&format!("user_ids[{i}]"), id));
    let users: Option<Vec<UserId>> = ids.collect::<Vec<_>>().into_iter().collect();
    let (team, users, fresh) = v.all((team, users, fresh))?;
    let (found, missing) = api.queries.members_by_id(cx, team, &users, &fresh).await?;
    Ok(wire::BatchGetMembersResponse {
        members: found.iter().map(convert_member::message).collect(),
        missing_user_ids: convert::texts(&missing),
    })
}

pub(super) async fn list_members(
    api: &Api,
    cx: &Context,
    mut request: wire::ListMembersRequest,
) -> Result<wire::ListMembersResponse, Failure> {
    let mut v = Violations::default();
    let fresh = api.consistency(&mut v, request.consistency.take().as_ref());
    let size = convert::page_size(&mut v, std::mem::take(&mut request.page_size));
    let team = v.id("team_id", &request.team_id);
    let role = v.optional_id::<RoleId>("role_id", &request.role_id);
    let order = convert_member::order(&mut v, request.order_by);
    let state = convert_member::state(&mut v, request.state);
    let search = convert::prefix(&mut v, "search", &request.search);
    let since = match &request.min_join_time {
        None => Some(None),
        Some(time) => v.field("min_join_time", convert::time(time)).map(Some),
    };
    let (team, role, order, state, search, joined_since, fresh) =
        v.all((team, role, order, state, search, since, fresh))?;
    let pages = Pages::new(&api.keys, "ListMembers");
    let token = std::mem::take(&mut request.page_token);
    let after = pages.open(&request, &token)?;
    let (role, search, external) = (role.as_ref(), search.as_deref(), request.external);
    let filter = Filter { role, state, external, joined_since, search };
    let page = Page { filter, order, after, limit: size, now: api.queries.now() };
    let (found, next) = api.queries.members(cx, team, &page, &fresh).await?;
    let members = found.iter().map(convert_member::message).collect();
    Ok(wire::ListMembersResponse { members, next_page_token: pages.next(&request, next.as_ref()) })
}

pub(super) async fn list_roster(
    api: &Api,
    cx: &Context,
    mut request: wire::ListRosterRequest,
) -> Result<wire::ListRosterResponse, Failure> {
    let mut v = Violations::default();
    let fresh = api.consistency(&mut v, request.consistency.take().as_ref());
    let size = convert::page_size(&mut v, std::mem::take(&mut request.page_size));
    let team = v.id("team_id", &request.team_id);
    let statuses = statuses(&mut v, &request.statuses);
    let (team, statuses, fresh) = v.all((team, statuses, fresh))?;
    let pages = Pages::new(&api.keys, "ListRoster");
    let token = std::mem::take(&mut request.page_token);
    let after: Option<EntryPlace> = pages.open(&request, &token)?;
    let now = api.queries.now();
    let page = RosterPage { statuses: &statuses, after, limit: size, now };
    let (found, next) = api.queries.roster(cx, team, &page, &fresh).await?;
    let entries = found.into_iter().filter_map(|(entry, user)| roster_entry(entry, user, now)).collect();
    Ok(wire::ListRosterResponse { entries, next_page_token: pages.next(&request, next.as_ref()) })
}

fn statuses(v: &mut Violations, asked: &[i32]) -> Option<BTreeSet<Status>> {
    let mut status = |(i, status): (usize, &i32)| match wire::RosterStatus::try_from(*status) {
        Ok(wire::RosterStatus::Active) => Some(Status::Active),
        Ok(wire::RosterStatus::Suspended) => Some(Status::Suspended),
        Ok(wire::RosterStatus::Pending) => Some(Status::Pending),
        Ok(wire::RosterStatus::Expired) => Some(Status::Expired),
        Ok(wire::RosterStatus::Declined) => Some(Status::Declined),
        Ok(wire::RosterStatus::Unspecified) | Err(_) => {
            v.add(&format!("statuses[{i}]"), "is no known status");
            None
        }
    };
    let statuses: Vec<_> = asked.iter().enumerate().map(&mut status).collect();
    statuses.into_iter().collect()
}

/// A member's entry needs their record, which every member has.
fn roster_entry(entry: Entry, user: Option<User>, now: DateTime<Utc>) -> Option<wire::RosterEntry> {
    use wire::roster_entry::Source;

    Some(match entry {
        Entry::Member(member) => {
            let user = user?;
            let status = match member.state {
                member::State::Active => wire::RosterStatus::Active,
                member::State::Suspended => wire::RosterStatus::Suspended,
            };
            wire::RosterEntry {
                status: status.into(),
                email: user.email.to_string(),
                display_name: user.display_name.to_string(),
                add_time: Some(convert::timestamp(member.join_time)),
                source: Some(Source::Member(convert_member::message(&TeamMember { member, user }))),
            }
        }
        Entry::Invitation(invited) => wire::RosterEntry {
            status: status_of(&invited, now)?.into(),
            email: invited.email.to_string(),
            display_name: String::new(),
            add_time: Some(convert::timestamp(invited.create_time)),
            source: Some(Source::Invitation(invitation::message(&invited, now))),
        },
    })
}

/// Where somebody stands who was invited; `None` for an invitation that is not listed.
fn status_of(invitation: &Invitation, now: DateTime<Utc>) -> Option<wire::RosterStatus> {
    match invitation.state_at(now) {
        State::Pending => Some(wire::RosterStatus::Pending),
        State::Expired => Some(wire::RosterStatus::Expired),
        State::Declined { .. } => Some(wire::RosterStatus::Declined),
        State::Accepted { .. } | State::Canceled { .. } => None,
    }
}
