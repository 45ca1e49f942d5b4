//! Inviting, and what becomes of invitations by the team's will.

use roster_proto::v1::{self as wire, BatchInvitationOutcome};

use crate::{
    application::{
        Command, Context, Written,
        context::Etag,
        invitations::{
            BatchCreateInvitations, CancelInvitation, CreateInvitation, DeleteInvitation, Offering, Outcome, Refusal,
            ReportDelivery, ResendInvitation, Tried, UpdateInvitation,
        },
    },
    domain::{
        Email, Invitation, InvitationId, TeamId, address_list::AddressList, label::Labels, profile::Locale,
        text::Message,
    },
    grpc::{
        call::Api,
        convert::{self, Violations, invitation},
        server::MAX_ANSWER,
        status::Failure,
    },
};

/// The fields by which a request says what is offered.
struct Asked<'a> {
    team_id: &'a str,
    role_ids: &'a [String],
    permissions: &'a [String],
    other_grants: &'a [wire::Grant],
    message: &'a str,
    metadata: &'a std::collections::BTreeMap<String, String>,
    locale: &'a str,
    channel: i32,
}

impl Asked<'_> {
    fn offering(&self, v: &mut Violations) -> Option<Offering> {
        let team = v.id("team_id", self.team_id);
        let grants = invitation::offers(v, team, self.role_ids, self.permissions, self.other_grants);
        let message = v.field("message", Message::parse(self.message));
        let metadata = v.field("metadata", Labels::metadata(self.metadata.clone()));
        let locale = match self.locale {
            "" => Some(None),
            tag => v.field("locale", Locale::parse(tag)).map(Some),
        };
        let channel = invitation::channel(v, "delivery_channel", self.channel);
        Some(Offering {
            team: team?,
            grants: grants?,
            message: message?,
            metadata: metadata?,
            locale: locale?,
            channel: channel?,
        })
    }
}

/// The answer of a write that answers an invitation.
fn answer(api: &Api, written: &Written<Invitation>) -> (Option<wire::Invitation>, String) {
    (Some(invitation::message(&written.answer, api.queries.now())), api.revision(written))
}

fn named(v: &mut Violations, team: &str, id: &str) -> (Option<TeamId>, Option<InvitationId>) {
    (v.id("team_id", team), v.id("invitation_id", id))
}

pub(super) async fn create_invitation(
    api: &Api,
    cx: &Context,
    request: wire::CreateInvitationRequest,
) -> Result<wire::CreateInvitationResponse, Failure> {
    let mut v = Violations::default();
    let options = convert::write_options(&mut v, &request.request_id, request.validate_only);
    let asked = Asked {
        team_id: &request.team_id,
        role_ids: &request.role_ids,
        permissions: &request.permissions,
        other_grants: &request.other_grants,
        message: &request.message,
        metadata: &request.metadata,
        locale: &request.locale,
        channel: request.delivery_channel,
    };
    let offering = asked.offering(&mut v);
    let email = v.field("email", Email::parse(&request.email));
    let (email, offering) = v.all((email, offering))?;
    let written = api.store.write(cx, options, CreateInvitation { email, offering }).await?;
    let (invitation, revision) = answer(api, &written);
    Ok(wire::CreateInvitationResponse { invitation, revision })
}

pub(super) async fn batch_create_invitations(
    api: &Api,
    cx: &Context,
    request: wire::BatchCreateInvitationsRequest,
) -> Result<wire::BatchCreateInvitationsResponse, Failure> {
    let mut v = Violations::default();
    let options = convert::write_options(&mut v, &request.request_id, request.validate_only);
    let given_in = if request.emails.is_empty() { "text" } else { "emails" };
    let list = v.field(given_in, AddressList::parse(&request.emails, &request.text));
    if list.as_ref().is_some_and(|list| list.entries().is_empty()) {
        v.add("emails", "must hold at least one address, or the text must");
    }
    let asked = Asked {
        team_id: &request.team_id,
        role_ids: &request.role_ids,
        permissions: &request.permissions,
        other_grants: &request.other_grants,
        message: &request.message,
        metadata: &request.metadata,
        locale: &request.locale,
        channel: request.delivery_channel,
    };
    let offering = asked.offering(&mut v);
    let (list, offering) = v.all((list, offering))?;
    let command = BatchCreateInvitations { entries: list.into_entries(), offering, atomic: request.atomic };
    let written = api.store.write(cx, options, command).await?;
    let mut results: Vec<_> = written.answer.iter().map(|tried| result(api, tried)).collect();
    fit(&mut results);
    let created = written.answer.iter().filter(|tried| matches!(tried.outcome, Outcome::Created(_))).count();
    Ok(wire::BatchCreateInvitationsResponse {
        results,
        created_count: i32::try_from(created).unwrap_or(i32::MAX),
        revision: api.revision(&written),
    })
}

/// How many bytes of an answer are for whole invitations; the rest of it takes less than what is left.
const ROOM: usize = MAX_ANSWER / 2;

/// Leaves out invitations that an answer has no room for: what was done is told in any case.
fn fit(results: &mut [wire::BatchInvitationResult]) {
    let mut length = 0;
    for result in results {
        length += result.invitation.as_ref().map_or(0, prost::Message::encoded_len);
        if length > ROOM {
            result.invitation = None;
        }
    }
}

fn result(api: &Api, tried: &Tried) -> wire::BatchInvitationResult {
    let of = |outcome: BatchInvitationOutcome, id: String, found: Option<&Invitation>, detail: &str| {
        wire::BatchInvitationResult {
            email: tried.text.clone(),
            outcome: outcome.into(),
            invitation: found.map(|found| invitation::message(found, api.queries.now())),
            invitation_id: id,
            detail: detail.to_owned(),
        }
    };
    match &tried.outcome {
        Outcome::Created(new) => of(BatchInvitationOutcome::Created, new.id.to_string(), Some(new), ""),
        Outcome::AlreadyInvited(id, found) => {
            let why = "this address has an open invitation";
            of(BatchInvitationOutcome::AlreadyInvited, id.to_string(), found.as_deref(), why)
        }
        Outcome::Refused(refusal, why) => of(refused(*refusal), String::new(), None, why),
    }
}

fn refused(refusal: Refusal) -> BatchInvitationOutcome {
    match refusal {
        Refusal::AlreadyMember => BatchInvitationOutcome::AlreadyMember,
        Refusal::InvalidEmail => BatchInvitationOutcome::InvalidEmail,
        Refusal::DomainNotAllowed => BatchInvitationOutcome::DomainNotAllowed,
        Refusal::MemberElsewhere => BatchInvitationOutcome::MemberElsewhere,
        Refusal::SeatsExhausted => BatchInvitationOutcome::SeatsExhausted,
        Refusal::OwnAddress => BatchInvitationOutcome::OwnAddress,
        Refusal::PendingInvitationsExhausted => BatchInvitationOutcome::PendingInvitationsExhausted,
    }
}

pub(super) async fn update_invitation(
    api: &Api,
    cx: &Context,
    request: wire::UpdateInvitationRequest,
) -> Result<wire::UpdateInvitationResponse, Failure> {
    let mut v = Violations::default();
    let options = convert::write_options(&mut v, &request.request_id, request.validate_only);
    let message = request.invitation.unwrap_or_default();
    let team = v.id("invitation.team_id", &message.team_id);
    let id = v.id("invitation.id", &message.id);
    let patch = invitation::patch(&mut v, request.update_mask.as_ref(), &message, team);
    let (team, id) = v.all((team, id))?;
    let command = UpdateInvitation { team, invitation: id, patch, etag: Etag::parse(&request.etag) };
    let written = api.store.write(cx, options, command).await?;
    let (invitation, revision) = answer(api, &written);
    Ok(wire::UpdateInvitationResponse { invitation, revision })
}

/// Does one thing to an invitation that a request names: `command` makes it of which invitation, and of its etag.
async fn act_on<C: Command>(
    api: &Api,
    cx: &Context,
    (team, id, etag): (&str, &str, &str),
    (request_id, validate_only): (&str, bool),
    command: impl FnOnce(TeamId, InvitationId, Etag) -> C,
) -> Result<Written<C::Answer>, Failure> {
    let mut v = Violations::default();
    let options = convert::write_options(&mut v, request_id, validate_only);
    let (team, id) = named(&mut v, team, id);
    let (team, id) = v.all((team, id))?;
    Ok(api.store.write(cx, options, command(team, id, Etag::parse(etag))).await?)
}

pub(super) async fn resend_invitation(
    api: &Api,
    cx: &Context,
    request: wire::ResendInvitationRequest,
) -> Result<wire::ResendInvitationResponse, Failure> {
    let which = (request.team_id.as_str(), request.invitation_id.as_str(), request.etag.as_str());
    let how = (request.request_id.as_str(), request.validate_only);
    let resend = |team, invitation, etag| ResendInvitation { team, invitation, etag };
    let (invitation, revision) = answer(api, &act_on(api, cx, which, how, resend).await?);
    Ok(wire::ResendInvitationResponse { invitation, revision })
}

pub(super) async fn cancel_invitation(
    api: &Api,
    cx: &Context,
    request: wire::CancelInvitationRequest,
) -> Result<wire::CancelInvitationResponse, Failure> {
    let which = (request.team_id.as_str(), request.invitation_id.as_str(), request.etag.as_str());
    let how = (request.request_id.as_str(), request.validate_only);
    let cancel = |team, invitation, etag| CancelInvitation { team, invitation, etag };
    let (invitation, revision) = answer(api, &act_on(api, cx, which, how, cancel).await?);
    Ok(wire::CancelInvitationResponse { invitation, revision })
}

pub(super) async fn delete_invitation(
    api: &Api,
    cx: &Context,
    request: wire::DeleteInvitationRequest,
) -> Result<wire::DeleteInvitationResponse, Failure> {
    let which = (request.team_id.as_str(), request.invitation_id.as_str(), request.etag.as_str());
    let how = (request.request_id.as_str(), request.validate_only);
    let delete = |team, invitation, etag| DeleteInvitation { team, invitation, etag };
    let written = act_on(api, cx, which, how, delete).await?;
    Ok(wire::DeleteInvitationResponse { revision: api.revision(&written) })
}

pub(super) async fn report_delivery(
    api: &Api,
    cx: &Context,
    request: wire::ReportDeliveryRequest,
) -> Result<wire::ReportDeliveryResponse, Failure> {
    let mut v = Violations::default();
    let options = convert::write_options(&mut v, &request.request_id, request.validate_only);
    let (team, id) = named(&mut v, &request.team_id, &request.invitation_id);
    let mail = match request.delivery_id.as_str() {
        "" => Some(None),
        text => v.field("delivery_id", text.parse().map_err(|_| "must be a UUID")).map(Some),
    };
    let outcome = invitation::outcome(&mut v, request.state, &request.error);
    if api.queries.quotes_link(&request.error) {
        v.add("error", "must not quote the invitation's link, which would let in whoever reads it");
    }
    let attempts = u32::try_from(request.attempts).ok().filter(|attempts| *attempts <= 1000);
    if attempts.is_none() {
        v.add("attempts", "must be between 0 and 1,000");
    }
    let attempts = attempts.map(|attempts| attempts.max(1));
    let (team, invitation, mail, outcome, attempts) = v.all((team, id, mail, outcome, attempts))?;
    let written = api.store.write(cx, options, ReportDelivery { team, invitation, mail, attempts, outcome }).await?;
    let (invitation, revision) = answer(api, &written);
    Ok(wire::ReportDeliveryResponse { invitation, revision })
}
