//! `TeamService`.

use roster_proto::v1::{self as wire, team_service_server::TeamService};
use tonic::{Request, Response, Status, async_trait};

use super::{
    call::{Api, serve},
    convert::{self, Violations, member, team},
    page::Pages,
};
use crate::{
    application::{
        context::Etag,
        members::{AddMember, LeaveTeam, RemoveMember, TeamMember, UpdateMember},
        ownership::TransferOwnership,
        teams::{CreateTeam, DeleteTeam, UpdateTeam},
    },
    domain::{RoleId, label::Labels, text::TeamName},
    repository::members::{Page, Place},
};

/// Serves teams and their members.
#[derive(Debug, Clone)]
pub struct Teams(pub Api);

#[async_trait]
impl TeamService for Teams {
    async fn create_team(
        &self,
        request: Request<wire::CreateTeamRequest>,
    ) -> Result<Response<wire::CreateTeamResponse>, Status> {
        serve(request, async |cx, request| {
            let mut v = Violations::default();
            let options = convert::write_options(&mut v, &request.request_id, request.validate_only);
            let name = v.field("name", TeamName::parse(&request.name));
            let slug = team::slug(&mut v, "slug", &request.slug);
            let labels = v.field("labels", Labels::team(request.labels));
            let policy = team::policy(&mut v, request.policy.as_ref());
            let owner = match &cx.principal.person {
                Some(person) if request.owner_user_id.is_empty() => Some(person.clone()),
                _ => v.id("owner_user_id", &request.owner_user_id),
            };
            let (name, slug, labels, policy, owner) = v.all((name, slug, labels, policy, owner))?;
            let written = self.0.store.write(cx, options, CreateTeam { name, slug, labels, policy, owner }).await?;
            Ok(wire::CreateTeamResponse {
                team: Some(team::message(&written.answer.team)),
                owner: Some(member::message(&written.answer.owner)),
                revision: self.0.revision(&written),
            })
        })
        .await
    }

    async fn get_team(
        &self,
        request: Request<wire::GetTeamRequest>,
    ) -> Result<Response<wire::GetTeamResponse>, Status> {
        use wire::get_team_request::Key;

        serve(request, async |cx, request| {
            let fresh = self.0.consistency(request.consistency.as_ref())?;
            let mut v = Violations::default();
            let found = match request.key {
                Some(Key::Slug(slug)) if !slug.is_empty() => {
                    let slug = team::slug(&mut v, "slug", &slug).flatten();
                    let (slug,) = v.all((slug,))?;
                    self.0.queries.team_by_slug(cx, &slug, &fresh).await?
                }
                key => {
                    let id = v.id("team_id", if let Some(Key::TeamId(id)) = &key { id } else { "" });
                    let (id,) = v.all((id,))?;
                    self.0.queries.team(cx, id, &fresh).await?
                }
            };
            Ok(wire::GetTeamResponse { team: Some(team::message(&found)) })
        })
        .await
    }

    async fn list_teams(
        &self,
        request: Request<wire::ListTeamsRequest>,
    ) -> Result<Response<wire::ListTeamsResponse>, Status> {
        serve(request, async |cx, mut request| {
            let fresh = self.0.consistency(request.consistency.take().as_ref())?;
            let mut v = Violations::default();
            let size = convert::page_size(&mut v, std::mem::take(&mut request.page_size));
            let user = v.id("user_id", &request.user_id);
            let (user,) = v.all((user,))?;
            let pages = Pages::new(&self.0.keys, "ListTeams");
            let token = std::mem::take(&mut request.page_token);
            let after: Option<Place<_>> = pages.open(&request, &token)?;
            let found = self.0.queries.teams_of(cx, &user, after.as_ref(), size + 1, &fresh).await?;
            let (found, next_page_token) = pages.cut(&request, found, size, |(joined, team)| (*joined, team.id));
            let teams = found.iter().map(|(_, found)| team::message(found)).collect();
            Ok(wire::ListTeamsResponse { teams, next_page_token })
        })
        .await
    }

    async fn update_team(
        &self,
        request: Request<wire::UpdateTeamRequest>,
    ) -> Result<Response<wire::UpdateTeamResponse>, Status> {
        serve(request, async |cx, request| {
            let mut v = Violations::default();
            let options = convert::write_options(&mut v, &request.request_id, request.validate_only);
            let message = request.team.unwrap_or_default();
            let id = v.id("team.id", &message.id);
            let patch = team::patch(&mut v, request.update_mask.as_ref(), &message);
            let (id,) = v.all((id,))?;
            let command = UpdateTeam { team: id, patch, etag: Etag::parse(&request.etag) };
            let written = self.0.store.write(cx, options, command).await?;
            Ok(wire::UpdateTeamResponse {
                team: Some(team::message(&written.answer)),
                revision: self.0.revision(&written),
            })
        })
        .await
    }

    async fn delete_team(
        &self,
        request: Request<wire::DeleteTeamRequest>,
    ) -> Result<Response<wire::DeleteTeamResponse>, Status> {
        serve(request, async |cx, request| {
            let mut v = Violations::default();
            let options = convert::write_options(&mut v, &request.request_id, request.validate_only);
            let id = v.id("team_id", &request.team_id);
            let (team,) = v.all((id,))?;
            let command = DeleteTeam { team, etag: Etag::parse(&request.etag) };
            let written = self.0.store.write(cx, options, command).await?;
            Ok(wire::DeleteTeamResponse { revision: self.0.revision(&written) })
        })
        .await
    }

    async fn add_member(
        &self,
        request: Request<wire::AddMemberRequest>,
    ) -> Result<Response<wire::AddMemberResponse>, Status> {
        serve(request, async |cx, request| {
            let mut v = Violations::default();
            let options = convert::write_options(&mut v, &request.request_id, request.validate_only);
            let team = v.id("team_id", &request.team_id);
            let user = v.id("user_id", &request.user_id);
            let roles = v.roles("role_ids", &request.role_ids);
            let (team, user, roles) = v.all((team, user, roles))?;
            let written = self.0.store.write(cx, options, AddMember { team, user, roles }).await?;
            Ok(wire::AddMemberResponse {
                member: Some(member::message(&written.answer)),
                revision: self.0.revision(&written),
            })
        })
        .await
    }

    async fn get_member(
        &self,
        request: Request<wire::GetMemberRequest>,
    ) -> Result<Response<wire::GetMemberResponse>, Status> {
        serve(request, async |cx, request| {
            let fresh = self.0.consistency(request.consistency.as_ref())?;
            let mut v = Violations::default();
            let team = v.id("team_id", &request.team_id);
            let user = v.id("user_id", &request.user_id);
            let (team, user) = v.all((team, user))?;
            let found = self.0.queries.member(cx, team, &user, &fresh).await?;
            Ok(wire::GetMemberResponse { member: Some(member::message(&found)) })
        })
        .await
    }

    async fn list_members(
        &self,
        request: Request<wire::ListMembersRequest>,
    ) -> Result<Response<wire::ListMembersResponse>, Status> {
        serve(request, async |cx, mut request| {
            let fresh = self.0.consistency(request.consistency.take().as_ref())?;
            let mut v = Violations::default();
            let size = convert::page_size(&mut v, std::mem::take(&mut request.page_size));
            let team = v.id("team_id", &request.team_id);
            let role = v.optional_id::<RoleId>("role_id", &request.role_id);
            let descending = member::descending(&mut v, request.order_by);
            let (team, role) = v.all((team, role))?;
            let pages = Pages::new(&self.0.keys, "ListMembers");
            let token = std::mem::take(&mut request.page_token);
            let after = pages.open(&request, &token)?;
            let page = Page { role: role.as_ref(), descending, after, limit: size + 1 };
            let found = self.0.queries.members(cx, team, &page, &fresh).await?;
            let place = |found: &TeamMember| (found.member.join_time, found.member.user_id.clone());
            let (found, next_page_token) = pages.cut(&request, found, size, place);
            Ok(wire::ListMembersResponse { members: found.iter().map(member::message).collect(), next_page_token })
        })
        .await
    }

    async fn update_member(
        &self,
        request: Request<wire::UpdateMemberRequest>,
    ) -> Result<Response<wire::UpdateMemberResponse>, Status> {
        serve(request, async |cx, request| {
            let mut v = Violations::default();
            let options = convert::write_options(&mut v, &request.request_id, request.validate_only);
            let message = request.member.unwrap_or_default();
            let team = v.id("member.team_id", &message.team_id);
            let user = v.id("member.user.id", member::user_id(&message));
            let roles = v.roles("member.role_ids", &message.role_ids);
            member::check_mask(&mut v, request.update_mask.as_ref());
            let (team, user, roles) = v.all((team, user, roles))?;
            let command = UpdateMember { team, user, roles, etag: Etag::parse(&request.etag) };
            let written = self.0.store.write(cx, options, command).await?;
            Ok(wire::UpdateMemberResponse {
                member: Some(member::message(&written.answer)),
                revision: self.0.revision(&written),
            })
        })
        .await
    }

    async fn remove_member(
        &self,
        request: Request<wire::RemoveMemberRequest>,
    ) -> Result<Response<wire::RemoveMemberResponse>, Status> {
        serve(request, async |cx, request| {
            let mut v = Violations::default();
            let options = convert::write_options(&mut v, &request.request_id, request.validate_only);
            let team = v.id("team_id", &request.team_id);
            let user = v.id("user_id", &request.user_id);
            let (team, user) = v.all((team, user))?;
            let command = RemoveMember { team, user, etag: Etag::parse(&request.etag) };
            let written = self.0.store.write(cx, options, command).await?;
            Ok(wire::RemoveMemberResponse { revision: self.0.revision(&written) })
        })
        .await
    }

    async fn leave_team(
        &self,
        request: Request<wire::LeaveTeamRequest>,
    ) -> Result<Response<wire::LeaveTeamResponse>, Status> {
        serve(request, async |cx, request| {
            let mut v = Violations::default();
            let options = convert::write_options(&mut v, &request.request_id, request.validate_only);
            let team = v.id("team_id", &request.team_id);
            let (team,) = v.all((team,))?;
            let written = self.0.store.write(cx, options, LeaveTeam { team }).await?;
            Ok(wire::LeaveTeamResponse { revision: self.0.revision(&written) })
        })
        .await
    }

    async fn transfer_ownership(
        &self,
        request: Request<wire::TransferOwnershipRequest>,
    ) -> Result<Response<wire::TransferOwnershipResponse>, Status> {
        serve(request, async |cx, request| {
            let mut v = Violations::default();
            let options = convert::write_options(&mut v, &request.request_id, request.validate_only);
            let team = v.id("team_id", &request.team_id);
            let new_owner = v.id("new_owner_user_id", &request.new_owner_user_id);
            let (team, new_owner) = v.all((team, new_owner))?;
            let written = self.0.store.write(cx, options, TransferOwnership { team, new_owner }).await?;
            Ok(wire::TransferOwnershipResponse {
                owner: Some(member::message(&written.answer.owner)),
                former_owner: Some(member::message(&written.answer.former)),
                revision: self.0.revision(&written),
            })
        })
        .await
    }
}
