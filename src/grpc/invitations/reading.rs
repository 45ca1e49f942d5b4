//! Reading a team's invitations.

use roster_proto::v1 as wire;

use crate::{
    application::Context,
    domain::UserId,
    grpc::{
        call::Api,
        convert::{self, Violations, invitation},
        page::Pages,
        status::Failure,
    },
    repository::invitations::{Filter, Page},
};

pub(super) async fn get_invitation(
    api: &Api,
    cx: &Context,
    request: wire::GetInvitationRequest,
) -> Result<wire::GetInvitationResponse, Failure> {
    let mut v = Violations::default();
    let fresh = api.consistency(&mut v, request.consistency.as_ref());
    let team = v.id("team_id", &request.team_id);
    let id = v.id("invitation_id", &request.invitation_id);
    let (team, id, fresh) = v.all((team, id, fresh))?;
    let found = api.queries.invitation(cx, team, id, &fresh).await?;
    Ok(wire::GetInvitationResponse { invitation: Some(invitation::message(&found, api.queries.now())) })
}

pub(super) async fn list_invitations(
    api: &Api,
    cx: &Context,
    mut request: wire::ListInvitationsRequest,
) -> Result<wire::ListInvitationsResponse, Failure> {
    let mut v = Violations::default();
    let fresh = api.consistency(&mut v, request.consistency.take().as_ref());
    let size = convert::page_size(&mut v, std::mem::take(&mut request.page_size));
    let team = v.id("team_id", &request.team_id);
    let states = invitation::states(&mut v, &request.states);
    let delivery_states = invitation::delivery_states(&mut v, &request.delivery_states);
    let inviter = v.optional_id::<UserId>("inviter_user_id", &request.inviter_user_id);
    let prefix = convert::prefix(&mut v, "email_prefix", &request.email_prefix);
    let since = match &request.min_last_sent_time {
        None => Some(None),
        Some(time) => v.field("min_last_sent_time", convert::time(time)).map(Some),
    };
    let order = invitation::order(&mut v, request.order_by);
    let (team, inviter, prefix, sent_since, order, fresh) = v.all((team, inviter, prefix, since, order, fresh))?;
    let pages = Pages::new(&api.keys, "ListInvitations");
    let token = std::mem::take(&mut request.page_token);
    let after = pages.open(&request, &token)?;
    let filter = Filter {
        states: &states,
        delivery_states: &delivery_states,
        email_prefix: prefix.as_deref(),
        inviter: inviter.as_ref(),
        sent_since,
        descendants: request.include_descendants,
    };
    let now = api.queries.now();
    let page = Page { filter, order, after, limit: size + 1, now };
    let found = api.queries.invitations(cx, team, &page, &fresh).await?;
    let (found, next_page_token) = pages.cut(&request, found, size, |found| order.place(found));
    let invitations = found.iter().map(|found| invitation::message(found, now)).collect();
    Ok(wire::ListInvitationsResponse { invitations, next_page_token })
}

pub(super) async fn get_invitation_link(
    api: &Api,
    cx: &Context,
    request: wire::GetInvitationLinkRequest,
) -> Result<wire::GetInvitationLinkResponse, Failure> {
    let mut v = Violations::default();
    let fresh = api.consistency(&mut v, request.consistency.as_ref());
    let team = v.id("team_id", &request.team_id);
    let id = v.id("invitation_id", &request.invitation_id);
    let (team, id, fresh) = v.all((team, id, fresh))?;
    let found = api.queries.invitation_link(cx, team, id, &fresh).await?;
    let expire_time = Some(convert::timestamp(found.expire_time));
    Ok(wire::GetInvitationLinkResponse { link: found.url, token: found.token, expire_time })
}
