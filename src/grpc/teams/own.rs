//! Teams themselves.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use roster_proto::v1 as wire;

use crate::{
    application::{
        Context, WriteOptions,
        context::Etag,
        queries::{Below, TeamOf},
        teams::{CreateTeam, DeleteTeam, InCharge, Place, SetTeamDisabled, UpdateTeam},
    },
    domain::{
        Email, RoleId, TeamId, UserId,
        label::Labels,
        text::{Message, TeamName},
    },
    grpc::{
        call::Api,
        convert::{self, Violations, invitation, member, team},
        page::Pages,
        status::Failure,
    },
};

pub(super) async fn create_team(
    api: &Api,
    cx: &Context,
    request: wire::CreateTeamRequest,
) -> Result<wire::CreateTeamResponse, Failure> {
    let mut v = Violations::default();
    let options = convert::write_options(&mut v, &request.request_id, request.validate_only);
    let name = v.field("name", TeamName::parse(&request.name));
    let slug = team::slug(&mut v, "slug", &request.slug);
    let labels = v.field("labels", Labels::team(request.labels.clone()));
    let place = if request.parent_team_id.is_empty() { root(&mut v, cx, &request) } else { below(&mut v, &request) };
    let (name, slug, labels, place) = v.all((name, slug, labels, place))?;
    let written = api.store.write(cx, options, CreateTeam { name, slug, labels, place }).await?;
    let created = &written.answer;
    Ok(wire::CreateTeamResponse {
        team: Some(team::message(&created.team)),
        owner: created.owner.as_ref().map(member::message),
        invitation: created.invitation.as_ref().map(|sent| invitation::message(sent, api.queries.now())),
        revision: api.revision(&written),
    })
}

fn root(v: &mut Violations, cx: &Context, request: &wire::CreateTeamRequest) -> Option<Place> {
    if request.person_in_charge.is_some() {
        v.add("person_in_charge", "is for a team below another; a root team has its owner");
    }
    let policy = team::policy(v, request.policy.as_ref());
    let owner = match &cx.principal.person {
        Some(person) if request.owner_user_id.is_empty() => Some(person.clone()),
        _ => v.id("owner_user_id", &request.owner_user_id),
    };
    Some(Place::Root { policy: Box::new(policy?), owner: owner? })
}

fn below(v: &mut Violations, request: &wire::CreateTeamRequest) -> Option<Place> {
    if request.policy.is_some() {
        v.add("policy", "is for a root team; those below it have its rules");
    }
    if !request.owner_user_id.is_empty() {
        v.add("owner_user_id", "is for a root team; those below it have no owner of their own");
    }
    let parent = v.id("parent_team_id", &request.parent_team_id);
    let in_charge = request.person_in_charge.as_ref().map(|person| in_charge(v, person));
    Some(Place::Below { parent: parent?, in_charge: in_charge.map_or(Some(None), |valid| valid.map(Some))? })
}

fn in_charge(v: &mut Violations, person: &wire::PersonInCharge) -> Option<InCharge> {
    let email = v.field("person_in_charge.email", Email::parse(&person.email));
    let roles = if person.role_ids.is_empty() {
        Some([RoleId::admin()].into())
    } else {
        v.roles("person_in_charge.role_ids", &person.role_ids)
    };
    let message = v.field("person_in_charge.message", Message::parse(&person.message));
    let channel = invitation::channel(v, "person_in_charge.delivery_channel", person.delivery_channel);
    Some(InCharge { email: email?, roles: roles?, message: message?, channel: channel? })
}

pub(super) async fn get_team(
    api: &Api,
    cx: &Context,
    request: wire::GetTeamRequest,
) -> Result<wire::GetTeamResponse, Failure> {
    use wire::get_team_request::Key;

    let mut v = Violations::default();
    let fresh = api.consistency(&mut v, request.consistency.as_ref());
    let found = match request.key {
        Some(Key::Slug(slug)) if !slug.is_empty() => {
            let slug = team::slug(&mut v, "slug", &slug).flatten();
            let (slug, fresh) = v.all((slug, fresh))?;
            api.queries.team_by_slug(cx, &slug, &fresh).await?
        }
        key => {
            let id = v.id("team_id", if let Some(Key::TeamId(id)) = &key { id } else { "" });
            let (id, fresh) = v.all((id, fresh))?;
            api.queries.team(cx, id, &fresh).await?
        }
    };
    Ok(wire::GetTeamResponse { team: Some(team::message(&found)) })
}

/// Which teams to list.
enum Scope {
    Of(UserId),
    Below { team: TeamId, all: bool },
}

pub(super) async fn list_teams(
    api: &Api,
    cx: &Context,
    mut request: wire::ListTeamsRequest,
) -> Result<wire::ListTeamsResponse, Failure> {
    let mut v = Violations::default();
    let fresh = api.consistency(&mut v, request.consistency.take().as_ref());
    let size = convert::page_size(&mut v, std::mem::take(&mut request.page_size));
    let scope = scope(&mut v, &request);
    let (scope, fresh) = v.all((scope, fresh))?;
    let pages = Pages::new(&api.keys, "ListTeams");
    let token = std::mem::take(&mut request.page_token);
    match scope {
        Scope::Of(user) => {
            let after: Option<(DateTime<Utc>, TeamId)> = pages.open(&request, &token)?;
            let (found, next) = api.queries.teams_of(cx, &user, after.as_ref(), size, &fresh).await?;
            Ok(wire::ListTeamsResponse {
                teams: found.iter().map(|of| team::message(&of.team)).collect(),
                next_page_token: pages.next(&request, next.as_ref()),
                effective_roles: found.iter().map(effective_roles).collect(),
            })
        }
        Scope::Below { team: id, all } => {
            let after = pages.open(&request, &token)?;
            let page = Below { all, after, limit: size };
            let (found, next) = api.queries.teams_below(cx, id, &page, &fresh).await?;
            Ok(wire::ListTeamsResponse {
                teams: found.iter().map(team::message).collect(),
                next_page_token: pages.next(&request, next.as_ref()),
                effective_roles: BTreeMap::new(),
            })
        }
    }
}

fn scope(v: &mut Violations, request: &wire::ListTeamsRequest) -> Option<Scope> {
    use wire::list_teams_request::Scope as Asked;

    match &request.scope {
        Some(Asked::ParentTeamId(id)) => Some(Scope::Below { team: v.id("parent_team_id", id)?, all: false }),
        Some(Asked::AncestorTeamId(id)) => Some(Scope::Below { team: v.id("ancestor_team_id", id)?, all: true }),
        Some(Asked::UserId(id)) => Some(Scope::Of(v.id("user_id", id)?)),
        None => Some(Scope::Of(v.id("user_id", "")?)),
    }
}

fn effective_roles(of: &TeamOf) -> (String, wire::EffectiveRoles) {
    let role = |origin: &crate::domain::access::Origin| wire::EffectiveRole {
        role_id: origin.role.as_ref().map(ToString::to_string).unwrap_or_default(),
        team_id: origin.team.to_string(),
    };
    (of.team.id.to_string(), wire::EffectiveRoles { roles: of.roles.iter().map(role).collect() })
}

pub(super) async fn update_team(
    api: &Api,
    cx: &Context,
    request: wire::UpdateTeamRequest,
) -> Result<wire::UpdateTeamResponse, Failure> {
    let mut v = Violations::default();
    let options = convert::write_options(&mut v, &request.request_id, request.validate_only);
    let message = request.team.unwrap_or_default();
    let id = v.id("team.id", &message.id);
    let patch = team::patch(&mut v, request.update_mask.as_ref(), &message);
    let (team,) = v.all((id,))?;
    let command = UpdateTeam { team, patch, etag: Etag::parse(&request.etag) };
    let written = api.store.write(cx, options, command).await?;
    let updated = &written.answer;
    Ok(wire::UpdateTeamResponse {
        team: Some(team::message(&updated.team)),
        grandfathered: updated.grandfathered.iter().copied().map(team::grandfathered).collect(),
        revision: api.revision(&written),
    })
}

pub(super) async fn disable_team(
    api: &Api,
    cx: &Context,
    request: wire::DisableTeamRequest,
) -> Result<wire::DisableTeamResponse, Failure> {
    let mut v = Violations::default();
    let options = convert::write_options(&mut v, &request.request_id, request.validate_only);
    let (team, revision) = set_disabled(api, cx, v, options, &request.team_id, &request.etag, true).await?;
    Ok(wire::DisableTeamResponse { team, revision })
}

pub(super) async fn enable_team(
    api: &Api,
    cx: &Context,
    request: wire::EnableTeamRequest,
) -> Result<wire::EnableTeamResponse, Failure> {
    let mut v = Violations::default();
    let options = convert::write_options(&mut v, &request.request_id, request.validate_only);
    let (team, revision) = set_disabled(api, cx, v, options, &request.team_id, &request.etag, false).await?;
    Ok(wire::EnableTeamResponse { team, revision })
}

async fn set_disabled(
    api: &Api,
    cx: &Context,
    mut v: Violations,
    options: WriteOptions,
    id: &str,
    etag: &str,
    disabled: bool,
) -> Result<(Option<wire::Team>, String), Failure> {
    let id = v.id("team_id", id);
    let (team,) = v.all((id,))?;
    let command = SetTeamDisabled { team, disabled, etag: Etag::parse(etag) };
    let written = api.store.write(cx, options, command).await?;
    Ok((Some(team::message(&written.answer)), api.revision(&written)))
}

pub(super) async fn delete_team(
    api: &Api,
    cx: &Context,
    request: wire::DeleteTeamRequest,
) -> Result<wire::DeleteTeamResponse, Failure> {
    let mut v = Violations::default();
    let options = convert::write_options(&mut v, &request.request_id, request.validate_only);
    let id = v.id("team_id", &request.team_id);
    let (team,) = v.all((id,))?;
    let command = DeleteTeam { team, cascade: request.cascade, etag: Etag::parse(&request.etag) };
    let written = api.store.write(cx, options, command).await?;
    Ok(wire::DeleteTeamResponse { revision: api.revision(&written) })
}
