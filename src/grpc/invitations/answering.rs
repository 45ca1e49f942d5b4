//! The invited person's side: seeing what an invitation is, and answering it.

use roster_proto::v1 as wire;

use crate::{
    application::{
        Context,
        respond::{AcceptInvitation, Accepter, DeclineInvitation, Named, RequestNewInvitation},
    },
    domain::{Email, UserId, actor::Caller, text::DisplayName},
    grpc::{
        call::Api,
        convert::{self, Violations, invitation, member, preview},
        page::Pages,
        status::Failure,
    },
    repository::invitations::Order,
};

pub(super) async fn preview_invitation(
    api: &Api,
    cx: &Context,
    request: wire::PreviewInvitationRequest,
) -> Result<wire::PreviewInvitationResponse, Failure> {
    let found = api.queries.preview_invitation(cx, &request.token).await?;
    Ok(wire::PreviewInvitationResponse { preview: Some(preview::message(&found)) })
}

pub(super) async fn list_my_invitations(
    api: &Api,
    cx: &Context,
    mut request: wire::ListMyInvitationsRequest,
) -> Result<wire::ListMyInvitationsResponse, Failure> {
    let mut v = Violations::default();
    let fresh = api.consistency(&mut v, request.consistency.take().as_ref());
    let size = convert::page_size(&mut v, std::mem::take(&mut request.page_size));
    let user = answerer(&mut v, cx, &request.user_id);
    let (user, fresh) = v.all((user, fresh))?;
    let pages = Pages::new(&api.keys, "ListMyInvitations");
    let token = std::mem::take(&mut request.page_token);
    // A person who leaves out who they are asks another query than one who names themselves.
    request.user_id = user.to_string();
    let after = pages.open(&request, &token)?;
    let found = api.queries.invitations_of(cx, &user, after.as_ref(), size + 1, &fresh).await?;
    let place = |found: &crate::application::queries::Preview| Order::CreateTimeDescending.place(&found.invitation);
    let (found, next_page_token) = pages.cut(&request, found, size, place);
    let invitations = found.iter().map(|found| wire::MyInvitation {
        invitation_id: found.invitation.id.to_string(),
        team_id: found.invitation.team_id.to_string(),
        preview: Some(preview::message(found)),
        create_time: Some(convert::timestamp(found.invitation.create_time)),
    });
    Ok(wire::ListMyInvitationsResponse { invitations: invitations.collect(), next_page_token })
}

pub(super) async fn accept_invitation(
    api: &Api,
    cx: &Context,
    request: wire::AcceptInvitationRequest,
) -> Result<wire::AcceptInvitationResponse, Failure> {
    use wire::accept_invitation_request::Invitation;

    let mut v = Violations::default();
    let options = convert::write_options(&mut v, &request.request_id, request.validate_only);
    let by_id = match &request.invitation {
        Some(Invitation::InvitationId(id)) => Some(v.id("invitation_id", id)),
        Some(Invitation::Token(_)) | None => None,
    };
    let accepter = accepter(&mut v, cx, request.accepter);
    if by_id.is_some() && matches!(accepter, Some(Accepter::New { .. })) {
        v.add("new_user", "must not be given with an invitation_id, which is for known users");
    }
    let (accepter,) = v.all((accepter,))?;
    let invitation = match (by_id.flatten(), request.invitation) {
        (Some(id), _) => Named::Id(id),
        (None, Some(Invitation::Token(token))) => Named::Link(api.queries.claim(&token)?),
        (None, _) => Named::Link(api.queries.claim("")?),
    };
    let written = api.store.write(cx, options, AcceptInvitation { invitation, accepter }).await?;
    Ok(wire::AcceptInvitationResponse {
        invitation: Some(invitation::message(&written.answer.invitation, api.queries.now())),
        member: Some(member::message(&written.answer.member)),
        revision: api.revision(&written),
        other_members: written.answer.others.iter().map(member::message).collect(),
    })
}

pub(super) async fn decline_invitation(
    api: &Api,
    cx: &Context,
    request: wire::DeclineInvitationRequest,
) -> Result<wire::DeclineInvitationResponse, Failure> {
    use wire::decline_invitation_request::Invitation;

    let mut v = Violations::default();
    let options = convert::write_options(&mut v, &request.request_id, request.validate_only);
    let given = request.invitation.map(|given| match given {
        Invitation::Token(token) => Given::Token(token),
        Invitation::InvitationId(id) => Given::Id(id),
    });
    let (invitation, user) = answered(api, cx, v, given, &request.user_id)?;
    let written = api.store.write(cx, options, DeclineInvitation { invitation, user }).await?;
    Ok(wire::DeclineInvitationResponse {
        invitation: Some(invitation::message(&written.answer, api.queries.now())),
        revision: api.revision(&written),
    })
}

pub(super) async fn request_new_invitation(
    api: &Api,
    cx: &Context,
    request: wire::RequestNewInvitationRequest,
) -> Result<wire::RequestNewInvitationResponse, Failure> {
    use wire::request_new_invitation_request::Invitation;

    let mut v = Violations::default();
    let options = convert::write_options(&mut v, &request.request_id, request.validate_only);
    let given = request.invitation.map(|given| match given {
        Invitation::Token(token) => Given::Token(token),
        Invitation::InvitationId(id) => Given::Id(id),
    });
    let (invitation, user) = answered(api, cx, v, given, &request.user_id)?;
    let written = api.store.write(cx, options, RequestNewInvitation { invitation, user }).await?;
    let request_time = Some(convert::timestamp(written.answer));
    Ok(wire::RequestNewInvitationResponse { request_time, revision: api.revision(&written) })
}

/// How a request names the invitation that it answers.
enum Given {
    Token(String),
    Id(String),
}

/// The invitation that is answered, and by whom if it is named by its id. A link needs nobody else.
fn answered(
    api: &Api,
    cx: &Context,
    mut v: Violations,
    given: Option<Given>,
    user: &str,
) -> Result<(Named, Option<UserId>), Failure> {
    match given.unwrap_or(Given::Token(String::new())) {
        Given::Id(id) => {
            let id = v.id("invitation_id", &id);
            let user = answerer(&mut v, cx, user);
            let (id, user) = v.all((id, user))?;
            Ok((Named::Id(id), Some(user)))
        }
        Given::Token(token) => {
            v.all(())?;
            Ok((Named::Link(api.queries.claim(&token)?), None))
        }
    }
}

/// Who answers: whoever is named, or the person that the call acts for.
fn answerer(v: &mut Violations, cx: &Context, named: &str) -> Option<UserId> {
    match &cx.principal.person {
        Some(person) if named.is_empty() => Some(person.clone()),
        _ => v.id("user_id", named),
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
            if new.email_verified && matches!(cx.principal.caller, Caller::Client(_)) {
                v.add("new_user.email_verified", "is for services to say, and you call for yourself");
            }
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
