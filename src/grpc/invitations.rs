//! `InvitationService`: what each call is stands in the files of this folder.

mod answering;
mod reading;
mod sending;

use roster_proto::v1::{self as wire, invitation_service_server::InvitationService};
use tonic::{Request, Response, Status, async_trait};

use super::call::{Api, serve};

/// Serves invitations.
#[derive(Debug, Clone)]
pub struct Invitations(pub Api);

#[async_trait]
impl InvitationService for Invitations {
    async fn create_invitation(
        &self,
        request: Request<wire::CreateInvitationRequest>,
    ) -> Result<Response<wire::CreateInvitationResponse>, Status> {
        serve(request, async |cx, request| sending::create_invitation(&self.0, cx, request).await).await
    }

    async fn batch_create_invitations(
        &self,
        request: Request<wire::BatchCreateInvitationsRequest>,
    ) -> Result<Response<wire::BatchCreateInvitationsResponse>, Status> {
        serve(request, async |cx, request| sending::batch_create_invitations(&self.0, cx, request).await).await
    }

    async fn get_invitation(
        &self,
        request: Request<wire::GetInvitationRequest>,
    ) -> Result<Response<wire::GetInvitationResponse>, Status> {
        serve(request, async |cx, request| reading::get_invitation(&self.0, cx, request).await).await
    }

    async fn list_invitations(
        &self,
        request: Request<wire::ListInvitationsRequest>,
    ) -> Result<Response<wire::ListInvitationsResponse>, Status> {
        serve(request, async |cx, request| reading::list_invitations(&self.0, cx, request).await).await
    }

    async fn list_my_invitations(
        &self,
        request: Request<wire::ListMyInvitationsRequest>,
    ) -> Result<Response<wire::ListMyInvitationsResponse>, Status> {
        serve(request, async |cx, request| answering::list_my_invitations(&self.0, cx, request).await).await
    }

    async fn update_invitation(
        &self,
        request: Request<wire::UpdateInvitationRequest>,
    ) -> Result<Response<wire::UpdateInvitationResponse>, Status> {
        serve(request, async |cx, request| sending::update_invitation(&self.0, cx, request).await).await
    }

    async fn resend_invitation(
        &self,
        request: Request<wire::ResendInvitationRequest>,
    ) -> Result<Response<wire::ResendInvitationResponse>, Status> {
        serve(request, async |cx, request| sending::resend_invitation(&self.0, cx, request).await).await
    }

    async fn get_invitation_link(
        &self,
        request: Request<wire::GetInvitationLinkRequest>,
    ) -> Result<Response<wire::GetInvitationLinkResponse>, Status> {
        serve(request, async |cx, request| reading::get_invitation_link(&self.0, cx, request).await).await
    }

    async fn cancel_invitation(
        &self,
        request: Request<wire::CancelInvitationRequest>,
    ) -> Result<Response<wire::CancelInvitationResponse>, Status> {
        serve(request, async |cx, request| sending::cancel_invitation(&self.0, cx, request).await).await
    }

    async fn delete_invitation(
        &self,
        request: Request<wire::DeleteInvitationRequest>,
    ) -> Result<Response<wire::DeleteInvitationResponse>, Status> {
        serve(request, async |cx, request| sending::delete_invitation(&self.0, cx, request).await).await
    }

    async fn report_delivery(
        &self,
        request: Request<wire::ReportDeliveryRequest>,
    ) -> Result<Response<wire::ReportDeliveryResponse>, Status> {
        serve(request, async |cx, request| sending::report_delivery(&self.0, cx, request).await).await
    }

    async fn preview_invitation(
        &self,
        request: Request<wire::PreviewInvitationRequest>,
    ) -> Result<Response<wire::PreviewInvitationResponse>, Status> {
        serve(request, async |cx, request| answering::preview_invitation(&self.0, cx, request).await).await
    }

    async fn accept_invitation(
        &self,
        request: Request<wire::AcceptInvitationRequest>,
    ) -> Result<Response<wire::AcceptInvitationResponse>, Status> {
        serve(request, async |cx, request| answering::accept_invitation(&self.0, cx, request).await).await
    }

    async fn decline_invitation(
        &self,
        request: Request<wire::DeclineInvitationRequest>,
    ) -> Result<Response<wire::DeclineInvitationResponse>, Status> {
        serve(request, async |cx, request| answering::decline_invitation(&self.0, cx, request).await).await
    }

    async fn request_new_invitation(
        &self,
        request: Request<wire::RequestNewInvitationRequest>,
    ) -> Result<Response<wire::RequestNewInvitationResponse>, Status> {
        serve(request, async |cx, request| answering::request_new_invitation(&self.0, cx, request).await).await
    }
}
