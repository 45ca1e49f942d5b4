//! `InvitationService`.

use roster_proto::v1::{self as wire, invitation_service_server::InvitationService};
use tonic::{Request, Response, Status, async_trait};

use super::{
    call::{Api, serve},
    convert::{self, Violations, invitation, member},
    page::Pages,
};
use crate::{
    application::{
        Context,
        context::Etag,
        invitations::{CancelInvitation, CreateInvitation, ResendInvitation},
        respond::{AcceptInvitation, Accepter, DeclineInvitation},
    },
    domain::{
        Email, InvitationId,
        label::Labels,
        text::{DisplayName, Message},
    },
    repository::invitations::Page,
};

/// Serves invitations.
#[derive(Debug, Clone)]
pub struct Invitations(pub Api);

#[async_trait]
impl InvitationService for Invitations {
    async fn create_invitation(
        &self,
        request: Request<wire::CreateInvitationRequest>,
    ) -> Result<Response<wire::CreateInvitationResponse>, Status> {
        serve(request, async |cx, request| {
            let mut v = Violations::default();
            let options = convert::write_options(&mut v, &request.request_id, request.validate_only);
            let team = v.id("team_id", &request.team_id);
            let email = v.field("email", Email::parse(&request.email));
            let roles = v.roles("role_ids", &request.role_ids);
            let message = v.field("message", Message::parse(&request.message));
            let metadata = v.field("metadata", Labels::metadata(request.metadata));
            let channel = invitation::channel(&mut v, "delivery_channel", request.delivery_channel);
            let (team, email, roles, message, metadata, channel) =
                v.all((team, email, roles, message, metadata, channel))?;
            let command = CreateInvitation { team, email, roles, message, metadata, channel };
            let written = self.0.store.write(cx, options, command).await?;
            Ok(wire::CreateInvitationResponse {
                invitation: Some(invitation::message(&written.answer, self.0.queries.now())),
                revision: self.0.revision(&written),
            })
        })
        .await
    }

    async fn get_invitation(
        &self,
        request: Request<wire::GetInvitationRequest>,
    ) -> Result<Response<wire::GetInvitationResponse>, Status> {
        serve(request, async |cx, request| {
            let fresh = self.0.consistency(request.consistency.as_ref())?;
            let mut v = Violations::default();
            let team = v.id("team_id", &request.team_id);
            let id = v.id("invitation_id", &request.invitation_id);
            let (team, id) = v.all((team, id))?;
            let found = self.0.queries.invitation(cx, team, id, &fresh).await?;
            Ok(wire::GetInvitationResponse { invitation: Some(invitation::message(&found, self.0.queries.now())) })
        })
        .await
    }

    async fn list_invitations(
        &self,
        request: Request<wire::ListInvitationsRequest>,
    ) -> Result<Response<wire::ListInvitationsResponse>, Status> {
        serve(request, async |cx, mut request| {
            let fresh = self.0.consistency(request.consistency.take().as_ref())?;
            let mut v = Violations::default();
            let size = convert::page_size(&mut v, std::mem::take(&mut request.page_size));
            let team = v.id("team_id", &request.team_id);
            let states = invitation::states(&mut v, &request.states);
            let (team,) = v.all((team,))?;
            let pages = Pages::new(&self.0.keys, "ListInvitations");
            let token = std::mem::take(&mut request.page_token);
            let before: Option<InvitationId> = pages.open(&request, &token)?;
            let now = self.0.queries.now();
            let page = Page { states: &states, before, limit: size + 1, now };
            let found = self.0.queries.invitations(cx, team, &page, &fresh).await?;
            let (found, next_page_token) = pages.cut(&request, found, size, |found| found.id);
            let invitations = found.iter().map(|found| invitation::message(found, now)).collect();
            Ok(wire::ListInvitationsResponse { invitations, next_page_token })
        })
        .await
    }

    async fn resend_invitation(
        &self,
        request: Request<wire::ResendInvitationRequest>,
    ) -> Result<Response<wire::ResendInvitationResponse>, Status> {
        serve(request, async |cx, request| {
            let mut v = Violations::default();
            let options = convert::write_options(&mut v, &request.request_id, request.validate_only);
            let team = v.id("team_id", &request.team_id);
            let id = v.id("invitation_id", &request.invitation_id);
            let (team, id) = v.all((team, id))?;
            let command = ResendInvitation { team, invitation: id, etag: Etag::parse(&request.etag) };
            let written = self.0.store.write(cx, options, command).await?;
            Ok(wire::ResendInvitationResponse {
                invitation: Some(invitation::message(&written.answer, self.0.queries.now())),
                revision: self.0.revision(&written),
            })
        })
        .await
    }

    async fn get_invitation_link(
        &self,
        request: Request<wire::GetInvitationLinkRequest>,
    ) -> Result<Response<wire::GetInvitationLinkResponse>, Status> {
        serve(request, async |cx, request| {
            let fresh = self.0.consistency(request.consistency.as_ref())?;
            let mut v = Violations::default();
            let team = v.id("team_id", &request.team_id);
            let id = v.id("invitation_id", &request.invitation_id);
            let (team, id) = v.all((team, id))?;
            let found = self.0.queries.invitation_link(cx, team, id, &fresh).await?;
            Ok(wire::GetInvitationLinkResponse {
                link: found.url,
                token: found.token,
                expire_time: Some(convert::timestamp(found.expire_time)),
            })
        })
        .await
    }

    async fn cancel_invitation(
        &self,
        request: Request<wire::CancelInvitationRequest>,
    ) -> Result<Response<wire::CancelInvitationResponse>, Status> {
        serve(request, async |cx, request| {
            let mut v = Violations::default();
            let options = convert::write_options(&mut v, &request.request_id, request.validate_only);
            let team = v.id("team_id", &request.team_id);
            let id = v.id("invitation_id", &request.invitation_id);
            let (team, id) = v.all((team, id))?;
            let command = CancelInvitation { team, invitation: id, etag: Etag::parse(&request.etag) };
            let written = self.0.store.write(cx, options, command).await?;
            Ok(wire::CancelInvitationResponse {
                invitation: Some(invitation::message(&written.answer, self.0.queries.now())),
                revision: self.0.revision(&written),
            })
        })
        .await
    }

    async fn preview_invitation(
        &self,
        request: Request<wire::PreviewInvitationRequest>,
    ) -> Result<Response<wire::PreviewInvitationResponse>, Status> {
        serve(request, async |cx, request| {
            let found = self.0.queries.preview_invitation(cx, &request.token).await?;
            Ok(wire::PreviewInvitationResponse {
                state: invitation::state(&found.state).into(),
                team_name: found.team_name,
                inviter_display_name: found.inviter_name.unwrap_or_default(),
                masked_email: found.masked_email,
                role_names: found.role_names,
                expire_time: Some(convert::timestamp(found.expire_time)),
            })
        })
        .await
    }

    async fn accept_invitation(
        &self,
        request: Request<wire::AcceptInvitationRequest>,
    ) -> Result<Response<wire::AcceptInvitationResponse>, Status> {
        serve(request, async |cx, request| {
            let mut v = Violations::default();
            let options = convert::write_options(&mut v, &request.request_id, request.validate_only);
            let accepter = accepter(&mut v, cx, request.accepter);
            let (accepter,) = v.all((accepter,))?;
            let claim = self.0.queries.claim(&request.token)?;
            let written = self.0.store.write(cx, options, AcceptInvitation { claim, accepter }).await?;
            Ok(wire::AcceptInvitationResponse {
                invitation: Some(invitation::message(&written.answer.invitation, self.0.queries.now())),
                member: Some(member::message(&written.answer.member)),
                revision: self.0.revision(&written),
            })
        })
        .await
    }

    async fn decline_invitation(
        &self,
        request: Request<wire::DeclineInvitationRequest>,
    ) -> Result<Response<wire::DeclineInvitationResponse>, Status> {
        serve(request, async |cx, request| {
            let mut v = Violations::default();
            let options = convert::write_options(&mut v, &request.request_id, request.validate_only);
            v.all((Some(()),))?;
            let claim = self.0.queries.claim(&request.token)?;
            let written = self.0.store.write(cx, options, DeclineInvitation { claim }).await?;
            Ok(wire::DeclineInvitationResponse {
                invitation: Some(invitation::message(&written.answer, self.0.queries.now())),
                revision: self.0.revision(&written),
            })
        })
        .await
    }
}

/// Who accepts: whoever is named, or the person that the call acts for.
fn accepter(
    v: &mut Violations,
    cx: &Context,
    message: Option<wire::accept_invitation_request::Accepter>,
) -> Option<Accepter> {
    use wire::accept_invitation_request::Accepter as Message;

    match (message, &cx.principal.person) {
        (None, Some(person)) => Some(Accepter::Known(person.clone())),
        (None, None) => {
            v.add("accepter", "must name the user who accepts");
            None
        }
        (Some(Message::UserId(id)), _) => v.id("user_id", &id).map(Accepter::Known),
        (Some(Message::NewUser(new)), person) => {
            let id = match person {
                Some(person) if new.user_id.is_empty() => Some(Some(person.clone())),
                _ => v.optional_id("new_user.user_id", &new.user_id),
            };
            let email = match new.email.as_str() {
                "" => Some(None),
                email => v.field("new_user.email", Email::parse(email)).map(Some),
            };
            let display_name = v.field("new_user.display_name", DisplayName::parse(&new.display_name));
            Some(Accepter::New {
                id: id?,
                email: email?,
                email_verified: new.email_verified,
                display_name: display_name?,
            })
        }
    }
}
