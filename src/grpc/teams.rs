//! `TeamService`: what each call is stands in the files of this folder.

mod members;
mod own;
mod people;

use roster_proto::v1::{self as wire, team_service_server::TeamService};
use tonic::{Request, Response, Status, async_trait};

use super::call::{Api, serve};

/// Serves teams and their members.
#[derive(Debug, Clone)]
pub struct Teams(pub Api);

#[async_trait]
impl TeamService for Teams {
    async fn create_team(
        &self,
        request: Request<wire::CreateTeamRequest>,
    ) -> Result<Response<wire::CreateTeamResponse>, Status> {
        serve(request, async |cx, request| own::create_team(&self.0, cx, request).await).await
    }

    async fn get_team(
        &self,
        request: Request<wire::GetTeamRequest>,
    ) -> Result<Response<wire::GetTeamResponse>, Status> {
        serve(request, async |cx, request| own::get_team(&self.0, cx, request).await).await
    }

    async fn list_teams(
        &self,
        request: Request<wire::ListTeamsRequest>,
    ) -> Result<Response<wire::ListTeamsResponse>, Status> {
        serve(request, async |cx, request| own::list_teams(&self.0, cx, request).await).await
    }

    async fn update_team(
        &self,
        request: Request<wire::UpdateTeamRequest>,
    ) -> Result<Response<wire::UpdateTeamResponse>, Status> {
        serve(request, async |cx, request| own::update_team(&self.0, cx, request).await).await
    }

    async fn disable_team(
        &self,
        request: Request<wire::DisableTeamRequest>,
    ) -> Result<Response<wire::DisableTeamResponse>, Status> {
        serve(request, async |cx, request| own::disable_team(&self.0, cx, request).await).await
    }

    async fn enable_team(
        &self,
        request: Request<wire::EnableTeamRequest>,
    ) -> Result<Response<wire::EnableTeamResponse>, Status> {
        serve(request, async |cx, request| own::enable_team(&self.0, cx, request).await).await
    }

    async fn delete_team(
        &self,
        request: Request<wire::DeleteTeamRequest>,
    ) -> Result<Response<wire::DeleteTeamResponse>, Status> {
        serve(request, async |cx, request| own::delete_team(&self.0, cx, request).await).await
    }

    async fn add_member(
        &self,
        request: Request<wire::AddMemberRequest>,
    ) -> Result<Response<wire::AddMemberResponse>, Status> {
        serve(request, async |cx, request| members::add_member(&self.0, cx, request).await).await
    }

    async fn get_member(
        &self,
        request: Request<wire::GetMemberRequest>,
    ) -> Result<Response<wire::GetMemberResponse>, Status> {
        serve(request, async |cx, request| people::get_member(&self.0, cx, request).await).await
    }

    async fn batch_get_members(
        &self,
        request: Request<wire::BatchGetMembersRequest>,
    ) -> Result<Response<wire::BatchGetMembersResponse>, Status> {
        serve(request, async |cx, request| people::batch_get_members(&self.0, cx, request).await).await
    }

    async fn list_members(
        &self,
        request: Request<wire::ListMembersRequest>,
    ) -> Result<Response<wire::ListMembersResponse>, Status> {
        serve(request, async |cx, request| people::list_members(&self.0, cx, request).await).await
    }

    async fn update_member(
        &self,
        request: Request<wire::UpdateMemberRequest>,
    ) -> Result<Response<wire::UpdateMemberResponse>, Status> {
        serve(request, async |cx, request| members::update_member(&self.0, cx, request).await).await
    }

    async fn suspend_member(
        &self,
        request: Request<wire::SuspendMemberRequest>,
    ) -> Result<Response<wire::SuspendMemberResponse>, Status> {
        serve(request, async |cx, request| members::suspend_member(&self.0, cx, request).await).await
    }

    async fn reactivate_member(
        &self,
        request: Request<wire::ReactivateMemberRequest>,
    ) -> Result<Response<wire::ReactivateMemberResponse>, Status> {
        serve(request, async |cx, request| members::reactivate_member(&self.0, cx, request).await).await
    }

    async fn remove_member(
        &self,
        request: Request<wire::RemoveMemberRequest>,
    ) -> Result<Response<wire::RemoveMemberResponse>, Status> {
        serve(request, async |cx, request| members::remove_member(&self.0, cx, request).await).await
    }

    async fn leave_team(
        &self,
        request: Request<wire::LeaveTeamRequest>,
    ) -> Result<Response<wire::LeaveTeamResponse>, Status> {
        serve(request, async |cx, request| members::leave_team(&self.0, cx, request).await).await
    }

    async fn transfer_ownership(
        &self,
        request: Request<wire::TransferOwnershipRequest>,
    ) -> Result<Response<wire::TransferOwnershipResponse>, Status> {
        serve(request, async |cx, request| members::transfer_ownership(&self.0, cx, request).await).await
    }

    async fn set_user_access(
        &self,
        request: Request<wire::SetUserAccessRequest>,
    ) -> Result<Response<wire::SetUserAccessResponse>, Status> {
        serve(request, async |cx, request| members::set_user_access(&self.0, cx, request).await).await
    }

    async fn list_roster(
        &self,
        request: Request<wire::ListRosterRequest>,
    ) -> Result<Response<wire::ListRosterResponse>, Status> {
        serve(request, async |cx, request| people::list_roster(&self.0, cx, request).await).await
    }
}
