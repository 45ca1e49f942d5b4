//! Changing who is in a team, and what they hold.

use std::collections::{BTreeMap, BTreeSet};

use roster_proto::v1 as wire;

use crate::{
    application::{
        Context,
        access::SetUserAccess,
        context::Etag,
        members::{AddMember, LeaveTeam, RemoveMember, UpdateMember},
        ownership::TransferOwnership,
        suspension::{ReactivateMember, SuspendMember},
    },
    domain::{TeamId, member::Grant},
    grpc::{
        call::Api,
        convert::{self, Violations, member},
        status::Failure,
    },
};

/// The most teams that one request grants, and the most that it takes away.
const MAX_TEAMS: usize = 100;

pub(super) async fn add_member(
    api: &Api,
    cx: &Context,
    request: wire::AddMemberRequest,
) -> Result<wire::AddMemberResponse, Failure> {
    let mut v = Violations::default();
    let options = convert::write_options(&mut v, &request.request_id, request.validate_only);
    let team = v.id("team_id", &request.team_id);
    let user = v.id("user_id", &request.user_id);
    let given = member::Given {
        prefix: "",
        role_ids: &request.role_ids,
        permissions: &request.permissions,
        expire_time: request.expire_time.as_ref(),
        role_expire_times: &request.role_expire_times,
    };
    let grant = given.grant(&mut v);
    let (team, user, grant) = v.all((team, user, grant))?;
    let written = api.store.write(cx, options, AddMember { team, user, grant }).await?;
    Ok(wire::AddMemberResponse { member: Some(member::message(&written.answer)), revision: api.revision(&written) })
}

pub(super) async fn update_member(
    api: &Api,
    cx: &Context,
    request: wire::UpdateMemberRequest,
) -> Result<wire::UpdateMemberResponse, Failure> {
    let mut v = Violations::default();
    let options = convert::write_options(&mut v, &request.request_id, request.validate_only);
    let message = request.member.unwrap_or_default();
    let team = v.id("member.team_id", &message.team_id);
    let user = v.id("member.user.id", member::user_id(&message));
    let patch = member::patch(&mut v, request.update_mask.as_ref(), &message);
    let (team, user) = v.all((team, user))?;
    let command = UpdateMember { team, user, patch, etag: Etag::parse(&request.etag) };
    let written = api.store.write(cx, options, command).await?;
    Ok(wire::UpdateMemberResponse { member: Some(member::message(&written.answer)), revision: api.revision(&written) })
}

pub(super) async fn suspend_member(
    api: &Api,
    cx: &Context,
    request: wire::SuspendMemberRequest,
) -> Result<wire::SuspendMemberResponse, Failure> {
    let mut v = Violations::default();
    let options = convert::write_options(&mut v, &request.request_id, request.validate_only);
    let team = v.id("team_id", &request.team_id);
    let user = v.id("user_id", &request.user_id);
    let (team, user) = v.all((team, user))?;
    let command = SuspendMember { team, user, etag: Etag::parse(&request.etag) };
    let written = api.store.write(cx, options, command).await?;
    Ok(wire::SuspendMemberResponse { member: Some(member::message(&written.answer)), revision: api.revision(&written) })
}

pub(super) async fn reactivate_member(
    api: &Api,
    cx: &Context,
    request: wire::ReactivateMemberRequest,
) -> Result<wire::ReactivateMemberResponse, Failure> {
    let mut v = Violations::default();
    let options = convert::write_options(&mut v, &request.request_id, request.validate_only);
    let team = v.id("team_id", &request.team_id);
    let user = v.id("user_id", &request.user_id);
    let (team, user) = v.all((team, user))?;
    let command = ReactivateMember { team, user, etag: Etag::parse(&request.etag) };
    let written = api.store.write(cx, options, command).await?;
    let member = Some(member::message(&written.answer));
    Ok(wire::ReactivateMemberResponse { member, revision: api.revision(&written) })
}

pub(super) async fn remove_member(
    api: &Api,
    cx: &Context,
    request: wire::RemoveMemberRequest,
) -> Result<wire::RemoveMemberResponse, Failure> {
    let mut v = Violations::default();
    let options = convert::write_options(&mut v, &request.request_id, request.validate_only);
    let team = v.id("team_id", &request.team_id);
    let user = v.id("user_id", &request.user_id);
    let (team, user) = v.all((team, user))?;
    let (include_descendants, etag) = (request.include_descendants, Etag::parse(&request.etag));
    let command = RemoveMember { team, user, include_descendants, etag };
    let written = api.store.write(cx, options, command).await?;
    Ok(wire::RemoveMemberResponse { revision: api.revision(&written) })
}

pub(super) async fn leave_team(
    api: &Api,
    cx: &Context,
    request: wire::LeaveTeamRequest,
) -> Result<wire::LeaveTeamResponse, Failure> {
    let mut v = Violations::default();
    let options = convert::write_options(&mut v, &request.request_id, request.validate_only);
    let team = v.id("team_id", &request.team_id);
    let (team,) = v.all((team,))?;
    let written = api.store.write(cx, options, LeaveTeam { team }).await?;
    Ok(wire::LeaveTeamResponse { revision: api.revision(&written) })
}

pub(super) async fn transfer_ownership(
    api: &Api,
    cx: &Context,
    request: wire::TransferOwnershipRequest,
) -> Result<wire::TransferOwnershipResponse, Failure> {
    let mut v = Violations::default();
    let options = convert::write_options(&mut v, &request.request_id, request.validate_only);
    let team = v.id("team_id", &request.team_id);
    let new_owner = v.id("new_owner_user_id", &request.new_owner_user_id);
    let (team, new_owner) = v.all((team, new_owner))?;
    let written = api.store.write(cx, options, TransferOwnership { team, new_owner }).await?;
    Ok(wire::TransferOwnershipResponse {
        owner: Some(member::message(&written.answer.owner)),
        former_owner: Some(member::message(&written.answer.former)),
        revision: api.revision(&written),
    })
}

pub(super) async fn set_user_access(
    api: &Api,
    cx: &Context,
    request: wire::SetUserAccessRequest,
) -> Result<wire::SetUserAccessResponse, Failure> {
    let mut v = Violations::default();
    let options = convert::write_options(&mut v, &request.request_id, request.validate_only);
    let user = v.id("user_id", &request.user_id);
    let grants = grants(&mut v, &request.grants);
    let removals = removals(&mut v, &request.remove_team_ids, &request.grants);
    if request.grants.is_empty() && request.remove_team_ids.is_empty() {
        v.add("grants", "must name a team, or remove_team_ids must");
    }
    let (user, grants, removals) = v.all((user, grants, removals))?;
    let written = api.store.write(cx, options, SetUserAccess { user, grants, removals }).await?;
    let members = written.answer.members.iter().map(member::message).collect();
    Ok(wire::SetUserAccessResponse { members, revision: api.revision(&written) })
}

fn grants(v: &mut Violations, asked: &[wire::AccessGrant]) -> Option<BTreeMap<TeamId, Grant>> {
    if asked.len() > MAX_TEAMS {
        v.add("grants", format_args!("must name at most {MAX_TEAMS} teams"));
        return None;
    }
    let mut named = BTreeSet::new();
    let mut grant = |(i, asked): (usize, &wire::AccessGrant)| {
        let prefix = format!("grants[{i}].");
        let path = format!("{prefix}team_id");
        let team: Option<TeamId> = v.id(&path, &asked.team_id);
        if team.is_some_and(|team| !named.insert(team)) {
            v.add(&path, "is named twice");
        }
        let given = member::Given {
            prefix: &prefix,
            role_ids: &asked.role_ids,
            permissions: &asked.permissions,
            expire_time: asked.expire_time.as_ref(),
            role_expire_times: &asked.role_expire_times,
        };
        let grant = given.grant(v);
        team.zip(grant)
    };
    let grants: Vec<_> = asked.iter().enumerate().map(&mut grant).collect();
    grants.into_iter().collect()
}

fn removals(v: &mut Violations, asked: &[String], grants: &[wire::AccessGrant]) -> Option<BTreeSet<TeamId>> {
    if asked.len() > MAX_TEAMS {
        v.add("remove_team_ids", format_args!("must name at most {MAX_TEAMS} teams"));
        return None;
    }
    let granted: BTreeSet<TeamId> = grants.iter().filter_map(|grant| grant.team_id.parse().ok()).collect();
    let mut removal = |(i, id): (usize, &String)| {
        let path = format!("remove_team_ids[{i}]");
        let team = v.id(&path, id)?;
        if granted.contains(&team) {
            v.add(&path, "is granted too");
        }
        Some(team)
    };
    let removals: Vec<_> = asked.iter().enumerate().map(&mut removal).collect();
    removals.into_iter().collect()
}
