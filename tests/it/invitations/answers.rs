//! The invited person's side: what the link tells, and every way to answer.

use chrono::TimeDelta;
use roster_proto::v1::{
    self as wire, ErrorReason, InvitationAction as Action, InvitationPreview, InvitationState,
    ListMyInvitationsRequest, PreviewInvitationRequest, RequestNewInvitationRequest, TeamPolicy,
    accept_invitation_request::{Accepter, Invitation as Named},
    decline_invitation_request::Invitation as Declined,
};
use tonic::{Code, Response, Status};

use super::several::grant;
use crate::{
    both,
    support::{Caller, Db, Outcome as _, Scene, outcome::error_info, scene::create_user, server::eventually},
};

impl Caller {
    async fn preview(&self, token: &str) -> InvitationPreview {
        let request = PreviewInvitationRequest { token: token.to_owned() };
        self.invitations().preview_invitation(request).await.done().preview.unwrap()
    }

    async fn accept_by_id(&self, id: &str, user: &str) -> Result<Response<wire::AcceptInvitationResponse>, Status> {
        let request = wire::AcceptInvitationRequest {
            invitation: Some(Named::InvitationId(id.to_owned())),
            accepter: (!user.is_empty()).then(|| Accepter::UserId(user.to_owned())),
            ..Default::default()
        };
        self.invitations().accept_invitation(request).await
    }

    async fn decline_by_id(&self, id: &str, user: &str) -> Result<Response<wire::DeclineInvitationResponse>, Status> {
        let request = wire::DeclineInvitationRequest {
            invitation: Some(Declined::InvitationId(id.to_owned())),
            user_id: user.to_owned(),
            ..Default::default()
        };
        self.invitations().decline_invitation(request).await
    }

    async fn my_invitations(&self, user: &str) -> Result<Response<wire::ListMyInvitationsResponse>, Status> {
        let request = ListMyInvitationsRequest { user_id: user.to_owned(), ..Default::default() };
        self.invitations().list_my_invitations(request).await
    }

    pub(super) async fn request_new(
        &self,
        token: &str,
    ) -> Result<Response<wire::RequestNewInvitationResponse>, Status> {
        let invitation = Some(wire::request_new_invitation_request::Invitation::Token(token.to_owned()));
        let request = RequestNewInvitationRequest { invitation, ..Default::default() };
        self.invitations().request_new_invitation(request).await
    }
}

impl Caller {
    async fn request_new_by_id(
        &self,
        id: &str,
        user: &str,
    ) -> Result<Response<wire::RequestNewInvitationResponse>, Status> {
        let invitation = Some(wire::request_new_invitation_request::Invitation::InvitationId(id.to_owned()));
        let request = RequestNewInvitationRequest { invitation, user_id: user.to_owned(), ..Default::default() };
        self.invitations().request_new_invitation(request).await
    }
}

fn actions(preview: &InvitationPreview) -> Vec<Action> {
    preview.next_actions().collect()
}

both! {
    async fn a_preview_tells_what_can_be_done_next(db: Db) {
        let s = Scene::new(db).await;
        let north = s.team_below("North").await;
        let (made, token) = s.invited_to("dan@example.com", vec![grant(&north, &["admin"])]).await;
        let preview = s.service().preview(&token).await;
        let named: Vec<_> = preview.grants.iter().map(|g| (g.team_name.as_str(), g.role_names.join("+"))).collect();
        assert_eq!(named, [("Acme", "Member".to_owned()), ("North", "Admin".to_owned())]);
        assert_eq!((preview.team_name.as_str(), preview.inviter_display_name.as_str(), preview.masked_email.as_str()), ("Acme", "ada", "d***@example.com"));
        assert_eq!(actions(&preview), [Action::Accept, Action::Decline]);
        assert_eq!(preview.blocked_by(), ErrorReason::Unspecified);

        s.person("ada").disable(&north).await.done();
        let blocked = s.service().preview(&token).await;
        assert_eq!((blocked.state(), blocked.blocked_by()), (InvitationState::Pending, ErrorReason::TeamDisabled));
        assert_eq!(actions(&blocked), [Action::AskInviter, Action::Decline]);
        s.person("ada").enable(&north).await.done();
        s.rule(TeamPolicy { max_members: 3, ..Default::default() }, "max_members").await.done();
        assert_eq!(s.service().preview(&token).await.blocked_by(), ErrorReason::SeatsExhausted);
        s.rule(TeamPolicy::default(), "max_members").await.done();

        s.server.clock.advance(TimeDelta::days(14));
        let expired = s.service().preview(&token).await;
        assert_eq!((expired.state(), actions(&expired)), (InvitationState::Expired, vec![Action::RequestNew]));
        s.person("ada").resend(&s.team, &made.id).await.done();
        assert_eq!(actions(&s.service().preview(&token).await), [Action::UseLatestLink]);
        let renewed = s.token(&made.id).await;
        s.service().accept_new(&renewed, "dan").await.done();
        assert_eq!(actions(&s.service().preview(&renewed).await), [Action::LogIn]);
        let (_, token) = s.invited("fay@example.com", &["member"]).await;
        s.service().decline(&token).await.done();
        assert_eq!(actions(&s.service().preview(&token).await), [Action::AskInviter]);
        assert_eq!(s.told(&["invitation_accepted", "invitation_declined"]).await.len(), 2);
    }

    async fn a_person_finds_and_answers_their_own_invitations(db: Db) {
        let s = Scene::new(db).await;
        let (first, _) = s.invited("eve@example.com", &["member"]).await;
        s.invited("dan@example.com", &["member"]).await;
        let north = s.team_below("North").await;
        s.server.clock.advance(TimeDelta::minutes(1));
        let second = s.person("ada").invite(&north, "eve@example.com", &["admin"]).await.done().invitation.unwrap().id;
        let mine = s.person("eve").my_invitations("").await.done().invitations;
        assert_eq!(mine.iter().map(|mine| mine.invitation_id.as_str()).collect::<Vec<_>>(), [&second, &first]);
        let preview = mine[0].preview.clone().unwrap();
        assert_eq!((preview.team_name.as_str(), actions(&preview)), ("North", vec![Action::Accept, Action::Decline]));
        assert_eq!(s.service().my_invitations("eve").await.done().invitations.len(), 2);
        s.person("carol").my_invitations("eve").await.refused(Code::PermissionDenied, "PERMISSION_DENIED");

        // To everybody else they are not there.
        s.person("carol").accept_by_id(&first, "").await.refused(Code::NotFound, "INVITATION_NOT_FOUND");
        s.person("carol").decline_by_id(&first, "").await.refused(Code::NotFound, "INVITATION_NOT_FOUND");
        s.person("carol").accept_by_id(&first, "eve").await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
        s.person("eve").accept_by_id("01988e1c-0000-7000-8000-000000000000", "").await.refused(Code::NotFound, "INVITATION_NOT_FOUND");
        s.person("eve").accept_by_id(&first, "").await.done();
        s.person("eve").decline_by_id(&second, "").await.done();
        assert_eq!(s.members().await[3], "eve member");
        assert_eq!(s.person("eve").my_invitations("").await.done().invitations, []);
        let mut pages = ListMyInvitationsRequest { page_size: 1, ..Default::default() };
        for (n, team) in [&north, &s.team_below("South").await, &s.team_below("West").await].into_iter().enumerate() {
            s.server.clock.advance(TimeDelta::minutes(i64::try_from(n).unwrap()));
            s.person("ada").invite(team, "eve@example.com", &["member"]).await.done();
        }
        let mut found = 0;
        loop {
            let page = s.person("eve").invitations().list_my_invitations(pages.clone()).await.done();
            found += page.invitations.len();
            pages.page_token = page.next_page_token;
            if pages.page_token.is_empty() { break }
        }
        assert_eq!(found, 3);
    }

    async fn a_person_is_told_what_stands_against_them(db: Db) {
        let s = Scene::new(db).await;
        let (north, south) = (s.team_below("North").await, s.team_below("South").await);
        s.person("ada").invite(&north, "eve@example.com", &["member"]).await.done();
        let token = s.service().token(&north, &s.person("eve").my_invitations("").await.done().invitations[0].invitation_id).await;
        s.service().add(&south, "eve", &["member"]).await.done();
        s.rule(TeamPolicy { exclusive_membership: true, ..Default::default() }, "exclusive_membership").await.done();
        let mine = s.person("eve").my_invitations("").await.done().invitations.remove(0).preview.unwrap();
        assert_eq!((mine.blocked_by(), actions(&mine)), (ErrorReason::MemberElsewhere, vec![Action::AskInviter, Action::Decline]));
        // Whoever else may hold the link is not told where the person is a member.
        assert_eq!(s.service().preview(&token).await.blocked_by(), ErrorReason::Unspecified);
        s.service().accept(&token, "eve").await.refused(Code::FailedPrecondition, "MEMBER_ELSEWHERE");
    }

    async fn an_address_that_is_not_verified_shows_nothing(db: Db) {
        let s = Scene::new(db).await;
        let (id, token) = s.invited("eve@example.com", &["member"]).await;
        let unverified = wire::User { id: "eve".to_owned(), email_verified: false, ..Default::default() };
        let request = wire::UpdateUserRequest {
            user: Some(unverified),
            update_mask: crate::support::acts::mask(&["email_verified"]),
            ..Default::default()
        };
        s.service().users().update_user(request).await.done();
        s.person("eve").my_invitations("").await.refused(Code::FailedPrecondition, "EMAIL_NOT_VERIFIED");
        s.person("eve").accept_by_id(&id, "").await.refused(Code::NotFound, "INVITATION_NOT_FOUND");
        s.service().accept(&token, "eve").await.done();
    }

    async fn who_holds_an_expired_link_asks_for_a_new_one(db: Db) {
        let s = Scene::new(db).await;
        let invited = s.person("bob").invite(&s.team, "dan@example.com", &["member"]).await.done().invitation.unwrap();
        let token = s.token(&invited.id).await;
        s.service().request_new(&token).await.refused(Code::FailedPrecondition, "INVITATION_OPEN");
        s.server.clock.advance(TimeDelta::days(14));
        let first = s.service().request_new(&token).await.done();
        s.server.clock.advance(TimeDelta::hours(23));
        for _ in 0..5 {
            assert_eq!(s.service().request_new(&token).await.done().request_time, first.request_time);
        }
        let mail = s.server.wait_for_mails("bob@example.com", 1).await.remove(0);
        assert!(mail.contains("dan@example.com") && mail.contains("Acme") && !mail.contains(&token), "{mail}");
        assert_eq!(s.told(&["invitation_expired", "invitation_renewal_requested"]).await, ["invitation_expired EXPIRY", "invitation_renewal_requested DIRECT"]);
        assert_eq!(s.invitation(&invited.id).await.renewal_request_time, first.request_time);
        s.server.clock.advance(TimeDelta::hours(1));
        s.service().request_new(&token).await.done();
        assert_eq!(s.told(&["invitation_renewal_requested"]).await.len(), 2);
        s.server.wait_for_mails("bob@example.com", 2).await;

        s.person("bob").resend(&s.team, &invited.id).await.done();
        s.service().request_new(&token).await.refused(Code::FailedPrecondition, "LINK_REPLACED");
        s.service().accept_new(&token, "dan").await.refused(Code::FailedPrecondition, "LINK_REPLACED");
        s.service().accept_new(&s.token(&invited.id).await, "dan").await.done();
        s.service().request_new("nonsense").await.refused(Code::InvalidArgument, "TOKEN_INVALID");
    }

    async fn a_person_asks_for_a_new_one_without_a_link(db: Db) {
        let s = Scene::new(db).await;
        let (id, _) = s.invited("eve@example.com", &["member"]).await;
        s.person("eve").request_new_by_id(&id, "").await.refused(Code::FailedPrecondition, "INVITATION_OPEN");
        s.server.clock.advance(TimeDelta::days(14));
        let mine = s.person("eve").my_invitations("").await.done().invitations.remove(0);
        assert_eq!((&mine.invitation_id, actions(&mine.preview.unwrap())), (&id, vec![Action::RequestNew]));
        s.person("carol").request_new_by_id(&id, "").await.refused(Code::NotFound, "INVITATION_NOT_FOUND");
        s.person("carol").request_new_by_id(&id, "eve").await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
        s.service().request_new_by_id(&id, "nobody").await.refused(Code::NotFound, "USER_NOT_FOUND");
        s.service().request_new_by_id(&id, "").await.refused(Code::InvalidArgument, "INVALID_FIELD");
        s.person("eve").request_new_by_id(&id, "").await.done();
        assert_eq!(s.told(&["invitation_renewal_requested"]).await, ["invitation_renewal_requested DIRECT"]);
        s.server.wait_for_mails("ada@example.com", 1).await;
    }

    async fn the_owner_is_asked_where_the_inviter_cannot_help(db: Db) {
        let s = Scene::new(db).await;
        let by_bob = s.person("bob").invite(&s.team, "dan@example.com", &["member"]).await.done().invitation.unwrap();
        let by_service = s.service().invite(&s.team, "fay@example.com", &["member"]).await.done().invitation.unwrap();
        let tokens = [s.token(&by_bob.id).await, s.token(&by_service.id).await];
        s.server.clock.advance(TimeDelta::days(14));
        s.person("ada").remove(&s.team, "bob").await.done();
        for token in &tokens {
            s.service().request_new(token).await.done();
        }
        s.server.wait_for_mails("ada@example.com", 2).await;
        assert!(s.server.mails_to("bob@example.com").is_empty());
    }

    async fn each_refusal_says_what_can_be_done(db: Db) {
        let s = Scene::new(db).await;
        let (id, token) = s.invited("dan@example.com", &["member"]).await;
        let mismatch = s.service().accept(&token, "eve").await.unwrap_err();
        let info = error_info(&mismatch);
        assert_eq!((info.reason.as_str(), info.metadata["masked_email"].as_str()), ("EMAIL_MISMATCH", "d***@example.com"));
        assert!(info.metadata["hint"].contains("invited address"), "{info:?}");
        s.server.clock.advance(TimeDelta::days(14));
        let expired = error_info(&s.service().accept_new(&token, "dan").await.unwrap_err());
        assert!(expired.metadata["hint"].contains("RequestNewInvitation"), "{expired:?}");
        s.person("ada").resend(&s.team, &id).await.done();
        let replaced = error_info(&s.service().accept_new(&token, "dan").await.unwrap_err());
        assert!(replaced.metadata["hint"].contains("latest mail"), "{replaced:?}");
    }

    async fn nobody_accepts_what_they_offered(db: Db) {
        let s = Scene::new(db).await;
        s.rule(TeamPolicy { require_email_match: Some(false), ..Default::default() }, "require_email_match").await.done();
        let made = s.person("bob").invite(&s.team, "bob2@example.com", &["admin"]).await.done().invitation.unwrap();
        s.service().accept(&s.token(&made.id).await, "bob").await.refused(Code::FailedPrecondition, "OWN_ROLE");
    }

    async fn joining_another_way_completes_what_was_open(db: Db) {
        let s = Scene::new(db).await;
        let (id, token) = s.invited("eve@example.com", &["admin"]).await;
        s.service().add(&s.team, "eve", &["member"]).await.done();
        let done = s.invitation(&id).await;
        assert_eq!((done.state(), done.accepted_user_id.as_str()), (InvitationState::Accepted, "eve"));
        assert_eq!(s.told(&["invitation_accepted"]).await, ["invitation_accepted DIRECT"]);
        assert_eq!(s.members().await[3], "eve member", "it gives nothing beside what they were given");
        let again = s.service().accept(&token, "eve").await.done();
        assert_eq!(again.member.unwrap().role_ids, ["member"]);
        // One that has more to give stays open.
        create_user(&s.service(), "dan").await;
        let north = s.team_below("North").await;
        let (two, _) = s.invited_to("dan@example.com", vec![grant(&north, &["member"])]).await;
        s.service().add(&north, "dan", &["member"]).await.done();
        assert_eq!(s.invitation(&two.id).await.state(), InvitationState::Pending);
        s.service().add(&s.team, "dan", &["member"]).await.done();
        assert_eq!(s.invitation(&two.id).await.state(), InvitationState::Accepted);
    }

    async fn an_address_of_another_tree_looks_like_any_other(db: Db) {
        let s = Scene::new(db).await;
        crate::support::scene::create_team(&s.service(), "Elsewhere", "eve").await;
        let policy = TeamPolicy { allow_external_members: Some(false), ..Default::default() };
        s.rule(policy, "allow_external_members").await.done();
        let (_, token) = s.invited("eve@example.com", &["member"]).await;
        s.invited("nobody@example.com", &["member"]).await;
        s.service().accept(&token, "eve").await.refused(Code::FailedPrecondition, "EXTERNAL_NOT_ALLOWED");
    }

    async fn an_end_is_told_of_once(db: Db) {
        let s = Scene::new(db).await;
        let (id, _) = s.invited("dan@example.com", &["member"]).await;
        s.server.clock.advance(TimeDelta::days(14));
        assert_eq!(s.invitation(&id).await.state(), InvitationState::Expired, "whatever is recorded");
        eventually("the sweeper", async || (s.told(&["invitation_expired"]).await.len() == 1).then_some(())).await;
        s.person("ada").resend(&s.team, &id).await.done();
        s.server.clock.advance(TimeDelta::days(14));
        eventually("the sweeper", async || (s.told(&["invitation_expired"]).await.len() == 2).then_some(())).await;
        let told = s.told(&["invitation_expired", "invitation_updated"]).await;
        assert_eq!(told, ["invitation_expired EXPIRY", "invitation_updated DIRECT", "invitation_expired EXPIRY"]);
    }

    async fn nobody_comes_to_hold_more_roles_than_a_member_may(db: Db) {
        let s = Scene::new(db).await;
        let north = s.team_below("North").await;
        let (made, token) = s.invited_to("eve@example.com", vec![grant(&north, &["admin"])]).await;
        let mut roles = Vec::new();
        for n in 0..20 {
            roles.push(s.own_role(&format!("r{n}"), &["catalog.read"], false).await);
        }
        let all: Vec<&str> = roles.iter().map(String::as_str).collect();
        s.service().add(&s.team, "eve", &all).await.done();
        let refusal = s.service().accept(&token, "eve").await.refused(Code::FailedPrecondition, "TOO_MUCH_HELD");
        assert_eq!((refusal.metadata["limit"].as_str(), refusal.metadata["what"].as_str()), ("20", "roles"));
        assert!(refusal.metadata["hint"].contains("admin"), "{refusal:?}");
        assert_eq!(s.service().members(&north).await, [""; 0], "all or nothing");
        assert_eq!(s.invitation(&made.id).await.state(), InvitationState::Pending);
        // Taking some away takes back what is addressed to them, too.
        s.person("ada").set_roles(&s.team, "eve", &all[1..]).await.done();
        s.service().accept(&token, "eve").await.refused(Code::FailedPrecondition, "INVITATION_CANCELED");
        let (_, token) = s.invited_to("eve@example.com", vec![grant(&north, &["admin"])]).await;
        s.service().accept(&token, "eve").await.done();
        let member = s.service().member(&s.team, "eve").await.done().member.unwrap();
        assert_eq!(member.role_ids.len(), 20);
        // What is read can be written back.
        s.person("ada").change(member, &["role_ids"]).await.done();
        s.service().add(&s.team, "eve", &["member"]).await.refused(Code::AlreadyExists, "ALREADY_MEMBER");
        s.person("ada").transfer(&s.team, "eve").await.refused(Code::FailedPrecondition, "TOO_MUCH_HELD");
    }

    async fn who_is_in_a_full_team_needs_no_seat_there(db: Db) {
        let s = Scene::new(db).await;
        let north = s.team_below("North").await;
        let (_, token) = s.invited_to("eve@example.com", vec![grant(&north, &["member"])]).await;
        s.rule(TeamPolicy { max_members: 4, ..Default::default() }, "max_members").await.done();
        assert_eq!(s.service().preview(&token).await.blocked_by(), ErrorReason::Unspecified);
        s.service().add(&s.team, "eve", &["member"]).await.done();
        // The team is full, but she is in already; only the other one has to have a seat for her.
        let preview = s.service().preview(&token).await;
        assert_eq!((preview.blocked_by(), actions(&preview)), (ErrorReason::Unspecified, vec![Action::Accept, Action::Decline]));
        s.service().accept(&token, "eve").await.done();
        assert_eq!(s.service().members(&north).await, ["eve member"]);
    }

    async fn of_a_closed_invitation_no_mail_waits(db: Db) {
        let s = Scene::new(db).await;
        let queued = async || {
            let request = wire::ListInvitationsRequest {
                team_id: s.team.clone(),
                delivery_states: vec![wire::DeliveryState::Queued.into()],
                ..Default::default()
            };
            s.service().invitations().list_invitations(request).await.done().invitations.len()
        };
        // Nobody takes the mails of an outside mailer away.
        let id = s.service().invite_outside(&s.team, "dan@example.com").await;
        let late = s.service().invite_outside(&s.team, "fay@example.com").await;
        assert_eq!(queued().await, 2);
        s.person("ada").cancel(&s.team, &id).await.done();
        assert_eq!(s.invitation(&id).await.delivery.unwrap().state(), wire::DeliveryState::Unspecified);
        assert_eq!(queued().await, 1);
        s.server.clock.advance(TimeDelta::days(14));
        eventually("the sweeper", async || (queued().await == 0).then_some(())).await;
        s.person("ada").resend(&s.team, &late).await.done();
        assert_eq!(queued().await, 1);
    }
}
