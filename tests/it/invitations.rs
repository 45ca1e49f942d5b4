//! Invitations: every RPC of theirs, each refusal with its reason, and what becomes of them when other things change.

mod answers;
pub mod batch;
mod changes;
mod outside;
pub mod several;

use chrono::TimeDelta;
use roster::repository::invitations;
use roster_proto::v1::{
    self as wire, AcceptInvitationRequest, CreateInvitationRequest, GetInvitationLinkRequest, GetInvitationRequest,
    InvitationState, ListInvitationsRequest, PreviewInvitationRequest, TeamPolicy,
    accept_invitation_request::{Accepter, Invitation as Named},
};
use tonic::Code;

use crate::{
    both,
    support::{
        Db, Outcome as _, Scene,
        database::open,
        log::Log,
        scene::{create_team, create_user},
        session::Session,
    },
};

impl Scene {
    pub async fn invitation(&self, id: &str) -> wire::Invitation {
        let request =
            GetInvitationRequest { team_id: self.team.clone(), invitation_id: id.to_owned(), ..Default::default() };
        self.service().invitations().get_invitation(request).await.done().invitation.unwrap()
    }

    async fn listed(&self, states: &[InvitationState]) -> Vec<String> {
        let request = ListInvitationsRequest {
            team_id: self.team.clone(),
            states: states.iter().map(|state| (*state).into()).collect(),
            ..Default::default()
        };
        let found = self.person("bob").invitations().list_invitations(request).await.done().invitations;
        found.into_iter().map(|invitation| invitation.email).collect()
    }

    async fn accept_as(
        &self,
        token: &str,
        new_user: wire::NewUser,
    ) -> Result<tonic::Response<wire::AcceptInvitationResponse>, tonic::Status> {
        let request = AcceptInvitationRequest {
            invitation: Some(Named::Token(token.to_owned())),
            accepter: Some(Accepter::NewUser(new_user)),
            ..Default::default()
        };
        self.service().invitations().accept_invitation(request).await
    }
}

both! {
    async fn an_invitation_says_what_was_asked(db: Db) {
        let s = Scene::new(db).await;
        let request = CreateInvitationRequest {
            team_id: s.team.clone(),
            email: "Dan@Example.com".to_owned(),
            role_ids: vec!["member".to_owned(), "admin".to_owned()],
            message: "Join us,\nplease".to_owned(),
            metadata: [("campaign".to_owned(), "spring".to_owned())].into(),
            ..Default::default()
        };
        let made = s.person("bob").invitations().create_invitation(request).await.done().invitation.unwrap();
        assert_eq!((made.state(), made.inviter_user_id.as_str()), (InvitationState::Pending, "bob"));
        assert_eq!(made.grants, [wire::Grant { team_id: s.team.clone(), role_ids: vec!["admin".to_owned(), "member".to_owned()], permissions: Vec::new() }]);
        let found = s.invitation(&made.id).await;
        assert_eq!((&found.message, &found.metadata, &found.expire_time), (&made.message, &made.metadata, &made.expire_time));
        let days = found.expire_time.unwrap().seconds - found.create_time.unwrap().seconds;
        assert_eq!(days, 14 * 86_400);
    }

    async fn an_address_has_one_open_invitation(db: Db) {
        let s = Scene::new(db).await;
        let ada = s.person("ada");
        let (id, _) = s.invited("dan@example.com", &["member"]).await;
        let refusal = ada.invite(&s.team, "DAN@example.com", &["admin"]).await.refused(Code::AlreadyExists, "INVITATION_PENDING");
        assert_eq!(refusal.metadata["invitation"], id);
        ada.invite(&s.team, "carol@example.com", &["member"]).await.refused(Code::AlreadyExists, "ALREADY_MEMBER");
        // One that ran out does not stand in the way, and is recorded as expired when it is replaced.
        s.server.clock.advance(TimeDelta::days(14));
        let (second, _) = s.invited("dan@example.com", &["member"]).await;
        assert_eq!(s.invitation(&id).await.state(), InvitationState::Expired);
        let events = s.service().events_of(&s.team, 7).await;
        let kinds: Vec<_> = events.iter().map(crate::support::outcome::kind).filter(|kind| kind.starts_with("invitation")).collect();
        assert!(kinds.windows(2).any(|pair| pair == ["invitation_expired", "invitation_created"]), "{kinds:?}");
        // The old one cannot come back beside the new one.
        ada.resend(&s.team, &id).await.refused(Code::AlreadyExists, "INVITATION_PENDING");
        ada.cancel(&s.team, &second).await.done();
        ada.resend(&s.team, &id).await.done();
    }

    async fn nobody_invites_to_more_than_they_hold(db: Db) {
        let s = Scene::new(db).await;
        for roles in [["owner"].as_slice(), &["member", "owner"]] {
            s.person("bob").invite(&s.team, "dan@example.com", roles).await.refused(Code::FailedPrecondition, "OWNER_ROLE_NOT_GRANTABLE");
        }
        s.person("bob").invite(&s.team, "dan@example.com", &["ghost"]).await.refused(Code::NotFound, "ROLE_NOT_FOUND");
    }

    async fn lists_go_by_state_at_the_time_of_the_call(db: Db) {
        let s = Scene::new(db).await;
        s.invited("old@example.com", &["member"]).await;
        s.server.clock.advance(TimeDelta::days(10));
        let (canceled, _) = s.invited("canceled@example.com", &["member"]).await;
        s.person("ada").cancel(&s.team, &canceled).await.done();
        let (_, token) = s.invited("dan@example.com", &["member"]).await;
        s.service().accept_new(&token, "dan").await.done();
        s.invited("open@example.com", &["member"]).await;
        s.server.clock.advance(TimeDelta::days(4));
        assert_eq!(s.listed(&[]).await, ["open@example.com", "dan@example.com", "canceled@example.com", "old@example.com"]);
        assert_eq!(s.listed(&[InvitationState::Pending]).await, ["open@example.com"]);
        assert_eq!(s.listed(&[InvitationState::Expired]).await, ["old@example.com"]);
        assert_eq!(s.listed(&[InvitationState::Accepted, InvitationState::Canceled]).await, ["dan@example.com", "canceled@example.com"]);
    }

    async fn a_link_is_given_while_the_invitation_is_open(db: Db) {
        let s = Scene::new(db).await;
        let (id, token) = s.invited("dan@example.com", &["member"]).await;
        let request = GetInvitationLinkRequest { team_id: s.team.clone(), invitation_id: id.clone(), ..Default::default() };
        let link = s.person("bob").invitations().get_invitation_link(request.clone()).await.done();
        assert_eq!(link.link, format!("http://localhost:8080/invitations/accept?token={token}"));
        s.person("carol").invitations().get_invitation_link(request.clone()).await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
        s.person("ada").cancel(&s.team, &id).await.done();
        s.person("bob").invitations().get_invitation_link(request.clone()).await.refused(Code::FailedPrecondition, "INVITATION_CANCELED");
        let other = GetInvitationLinkRequest { invitation_id: s.team.clone(), ..request };
        s.person("bob").invitations().get_invitation_link(other).await.refused(Code::NotFound, "INVITATION_NOT_FOUND");
    }

    async fn a_link_is_shown_to_who_could_give_what_it_gives(db: Db) {
        let s = Scene::new(db).await;
        let north = s.team_below("North").await;
        let held = ["roster.invitations.link", "roster.teams.read", "roster.members.read", "roster.roles.read"];
        let linker = s.own_role("linker", &held, false).await;
        s.service().set_roles(&s.team, "carol", &[&linker]).await.done();
        let link = async |by: &str, id: &str| {
            let request = GetInvitationLinkRequest { team_id: s.team.clone(), invitation_id: id.to_owned(), ..Default::default() };
            s.person(by).invitations().get_invitation_link(request).await
        };
        let (plain, _) = s.invited("dan@example.com", &["member"]).await;
        link("carol", &plain).await.done();
        // With this one she could make herself an admin, be it by a second account.
        let (admin, _) = s.invited("fay@example.com", &["admin"]).await;
        link("carol", &admin).await.refused(Code::PermissionDenied, "GRANT_EXCEEDS_OWN");
        let (below, _) = s.invited_to("gus@example.com", vec![several::grant(&north, &["member"])]).await;
        link("carol", &below.id).await.refused(Code::PermissionDenied, "GRANT_EXCEEDS_OWN");
        for id in [&plain, &admin, &below.id] {
            link("bob", id).await.done();
        }
    }

    async fn known_and_unknown_addresses_answer_alike(db: Db) {
        let s = Scene::new(db).await;
        s.foreign_team().await;
        // Of an invitation what may differ: who is invited, when, and which one it is.
        let plain = |mut invitation: wire::Invitation| {
            let delivery = invitation.delivery.as_mut().unwrap();
            (delivery.id, delivery.attempts) = (String::new(), 0);
            wire::Invitation { id: String::new(), email: String::new(), etag: String::new(), create_time: None, expire_time: None, ..invitation }
        };
        let mut told = Vec::new();
        // The owner of another tree, and nobody.
        for email in ["eve@example.com", "fay@example.com"] {
            let bob = s.person("bob");
            let rehearsed = wire::BatchCreateInvitationsRequest { validate_only: true, ..batch::batch(&s.team, email) };
            let rehearsed = bob.invite_many(rehearsed).await.done().results.remove(0);
            let made = bob.invite(&s.team, email, &["member"]).await.done().invitation.unwrap();
            let again = bob.invite_many(batch::batch(&s.team, email)).await.done().results.remove(0);
            let refused = bob.invite(&s.team, email, &["member"]).await.unwrap_err();
            assert_eq!(again.invitation_id, made.id);
            let message = refused.message().replace(&made.id, "");
            let log = Log::read(&s.service()).await;
            let kinds = log.events.iter().filter(|event| event.team_id == s.team).map(crate::support::outcome::kind);
            let kinds: Vec<_> = kinds.filter(|kind| kind.starts_with("invitation") && *kind != "invitation_sent").collect();
            let sent = again.invitation.as_ref().map(wire::Invitation::state);
            told.push((rehearsed.outcome(), rehearsed.detail, rehearsed.invitation.map(plain), plain(made.clone()), again.outcome(), again.detail, sent, refused.code(), message, kinds.len()));
            s.person("ada").cancel(&s.team, &made.id).await.done();
        }
        let (known, mut unknown) = (told.remove(0), told.remove(0));
        assert_eq!((known.9, unknown.9), (1, 3), "one event each, and a cancellation between them");
        unknown.9 = known.9;
        assert_eq!(known, unknown);
    }

    async fn what_was_taken_off_the_list_is_forgotten_after_a_while(db: Db) {
        let mut s = Scene::new(db).await;
        let gone = create_team(&s.service(), "Gone", "ada").await;
        s.person("ada").invite(&gone, "one@example.com", &["member"]).await.done();
        s.person("ada").delete_team(&gone, false).await.done();
        let (deleted, _) = s.invited("two@example.com", &["member"]).await;
        s.person("ada").delete_invitation(&s.team, &deleted).await.done();
        let (canceled, _) = s.invited("three@example.com", &["member"]).await;
        s.person("ada").cancel(&s.team, &canceled).await.done();
        let when = s.after(TimeDelta::seconds(1));
        s.server.clock.advance(TimeDelta::days(1));
        let (later, _) = s.invited("four@example.com", &["member"]).await;
        s.person("ada").delete_invitation(&s.team, &later).await.done();
        s.server.stop().await;

        let url = s.server.database.url.clone();
        let db = open(&url).await;
        assert_eq!(invitations::purge(&db, when).await.unwrap(), 2);
        assert_eq!(invitations::purge(&db, when).await.unwrap(), 0);
        db.close().await.unwrap();
        let sql = Session::open(&url).await;
        assert_eq!(sql.value::<i64>("SELECT count(*) FROM invitations").await, 2, "the canceled one is on the list, the other not off it for long");
        assert_eq!(sql.value::<i64>("SELECT count(*) FROM invitations WHERE email IN ('one@example.com', 'two@example.com')").await, 0);
        assert_eq!(sql.value::<i64>("SELECT count(*) FROM mails WHERE invitation_id NOT IN (SELECT id FROM invitations)").await, 0);
        sql.close().await;
    }

    async fn a_preview_tells_and_changes_nothing(db: Db) {
        let s = Scene::new(db).await;
        let (_, token) = s.invited("dan@example.com", &["admin"]).await;
        s.server.wait_for_mails("dan@example.com", 1).await;
        let events = s.service().events_of(&s.team, 5).await.len();
        for _ in 0..20 {
            let request = PreviewInvitationRequest { token: token.clone() };
            let preview = s.service().invitations().preview_invitation(request).await.done().preview.unwrap();
            assert_eq!((preview.team_name.as_str(), preview.inviter_display_name.as_str()), ("Acme", "ada"));
            assert_eq!((preview.masked_email.as_str(), preview.grants.len()), ("d***@example.com", 1));
            assert_eq!(preview.state(), InvitationState::Pending);
        }
        s.service().accept_new(&token, "dan").await.done();
        let after = s.service().events_of(&s.team, events + 2).await.len();
        assert!(after <= events + 3, "accepted, added and perhaps sent: {after}");
        for nonsense in ["", "nonsense", &token[1..]] {
            let request = PreviewInvitationRequest { token: nonsense.to_owned() };
            s.service().invitations().preview_invitation(request).await.refused(Code::InvalidArgument, "TOKEN_INVALID");
        }
    }

    async fn accepting_again_answers_as_the_first_time_did(db: Db) {
        let s = Scene::new(db).await;
        let (_, token) = s.invited("eve@example.com", &["member"]).await;
        let first = s.service().accept(&token, "eve").await.done();
        let again = s.person("eve").accept(&token, "eve").await.done();
        let told = |answer: wire::AcceptInvitationResponse| {
            let invitation = answer.invitation.unwrap();
            (invitation.state, invitation.accepted_user_id, invitation.close_time, answer.member)
        };
        assert_eq!(told(first), told(again));
        s.person("ada").remove(&s.team, "eve").await.done();
        s.service().accept(&token, "eve").await.refused(Code::FailedPrecondition, "INVITATION_ACCEPTED");
        s.person("eve").list(&s.team).await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
    }

    async fn only_the_invited_address_accepts(db: Db) {
        let s = Scene::new(db).await;
        let (_, token) = s.invited("dan@example.com", &["member"]).await;
        let refusal = s.service().accept(&token, "eve").await.refused(Code::FailedPrecondition, "EMAIL_MISMATCH");
        assert_eq!(refusal.metadata["masked_email"], "d***@example.com");
        let other = wire::NewUser { email: "other@example.com".to_owned(), ..Default::default() };
        s.accept_as(&token, other.clone()).await.refused(Code::FailedPrecondition, "EMAIL_MISMATCH");
        s.service().accept(&token, "ghost").await.refused(Code::NotFound, "USER_NOT_FOUND");
        s.person("eve").accept(&token, "ada").await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
        s.set_policy(TeamPolicy { require_email_match: Some(false), ..Default::default() }).await;
        assert_eq!(s.accept_as(&token, other).await.done().invitation.unwrap().state(), InvitationState::Accepted);
    }

    async fn a_new_user_is_recorded_while_accepting(db: Db) {
        let s = Scene::new(db).await;
        let (_, token) = s.invited("eve@example.com", &["member"]).await;
        s.accept_as(&token, wire::NewUser { user_id: "new".to_owned(), ..Default::default() }).await.refused(Code::AlreadyExists, "EMAIL_TAKEN");
        let (_, token) = s.invited("dan@example.com", &["member"]).await;
        s.accept_as(&token, wire::NewUser { user_id: "eve".to_owned(), ..Default::default() }).await.refused(Code::AlreadyExists, "USER_ID_TAKEN");
        let dan = wire::NewUser { user_id: "dan".to_owned(), display_name: "Dan".to_owned(), email_verified: true, ..Default::default() };
        let member = s.accept_as(&token, dan).await.done().member.unwrap();
        let wire::member::Subject::User(user) = member.subject.unwrap();
        assert_eq!((user.id.as_str(), user.email.as_str(), user.display_name.as_str(), user.email_verified), ("dan", "dan@example.com", "Dan", true));
    }

    async fn accepting_looks_again_at_every_rule(db: Db) {
        let s = Scene::new(db).await;
        create_user(&s.service(), "dan").await;
        let invitation = s.person("bob").invite(&s.team, "dan@example.com", &["admin"]).await.done().invitation.unwrap();
        let token = s.token(&invitation.id).await;
        let precondition = Code::FailedPrecondition;

        s.set_policy(TeamPolicy { max_members: 3, ..Default::default() }).await;
        s.service().accept(&token, "dan").await.refused(Code::ResourceExhausted, "SEATS_EXHAUSTED");
        let domains = vec!["other.example".to_owned()];
        s.set_policy(TeamPolicy { max_members: 9, allowed_email_domains: domains, ..Default::default() }).await;
        s.service().accept(&token, "dan").await.refused(precondition, "DOMAIN_NOT_ALLOWED");
        assert_eq!(s.members().await.len(), 3);
        assert_eq!(s.invitation(&invitation.id).await.state(), InvitationState::Pending);
    }

    async fn accepting_asks_whether_the_inviter_still_may(db: Db) {
        let mut s = Scene::new(db).await;
        let (_, by_ada) = s.invited("dan@example.com", &["admin"]).await;
        let by_bob = s.person("bob").invite(&s.team, "eve@example.com", &["member"]).await.done().invitation.unwrap();
        let by_bob = s.token(&by_bob.id).await;
        // An operator takes what admins may, and the role that was granted, out of the configuration.
        s.server.restart_with(|config| {
            let nothing = config.roles.iter().find(|role| role.id.as_str() == "member").unwrap().permissions.clone();
            config.roles.iter_mut().find(|role| role.id.as_str() == "admin").unwrap().permissions = nothing;
        })
        .await;
        s.service().accept(&by_bob, "eve").await.refused(Code::FailedPrecondition, "INVITER_NO_LONGER_ALLOWED");
        s.server.restart_with(|config| config.roles.retain(|role| role.id.as_str() != "admin")).await;
        s.service().accept_new(&by_ada, "dan").await.refused(Code::FailedPrecondition, "ROLE_GONE");
    }

    async fn removal_and_demotion_cancel_what_was_sent(db: Db) {
        let s = Scene::new(db).await;
        s.service().add(&s.team, "eve", &["admin"]).await.done();
        s.person("bob").invite(&s.team, "one@example.com", &["member"]).await.done();
        s.person("eve").invite(&s.team, "two@example.com", &["admin"]).await.done();
        s.person("ada").invite(&s.team, "three@example.com", &["member"]).await.done();
        s.person("ada").remove(&s.team, "bob").await.done();
        assert_eq!(s.listed_by_ada(InvitationState::Pending).await, ["three@example.com", "two@example.com"]);
        s.person("ada").set_roles(&s.team, "eve", &["member"]).await.done();
        assert_eq!(s.listed_by_ada(InvitationState::Pending).await, ["three@example.com"]);
        assert_eq!(s.listed_by_ada(InvitationState::Canceled).await, ["two@example.com", "one@example.com"]);
        // The former owner is an admin and could still send what they sent.
        s.person("ada").transfer(&s.team, "carol").await.done();
        assert_eq!(s.listed_by_ada(InvitationState::Pending).await, ["three@example.com"]);
    }

    async fn removal_cancels_what_is_addressed_to_the_person(db: Db) {
        let s = Scene::new(db).await;
        let north = s.team_below("North").await;
        let (_, token) = s.invited_to("eve@example.com", vec![several::grant(&north, &["admin"])]).await;
        s.service().add(&s.team, "eve", &["member"]).await.done();
        s.person("ada").remove(&s.team, "eve").await.done();
        s.service().accept(&token, "eve").await.refused(Code::FailedPrecondition, "INVITATION_CANCELED");
    }

    async fn demotion_and_suspension_cancel_what_would_give_back_what_they_take(db: Db) {
        let s = Scene::new(db).await;
        let north = s.team_below("North").await;
        let grants = || vec![several::grant(&north, &["member"])];
        s.service().add(&s.team, "eve", &["admin", "member"]).await.done();
        let (demoted, token) = s.invited_to("eve@example.com", grants()).await;
        s.person("ada").set_roles(&s.team, "eve", &["member"]).await.done();
        s.service().accept(&token, "eve").await.refused(Code::FailedPrecondition, "INVITATION_CANCELED");

        let (suspended, token) = s.invited_to("eve@example.com", grants()).await;
        s.person("ada").suspend(&s.team, "eve").await.done();
        s.service().accept(&token, "eve").await.refused(Code::FailedPrecondition, "INVITATION_CANCELED");
        assert_eq!(s.listed_by_ada(InvitationState::Canceled).await.len(), 2);
        assert_ne!(demoted, suspended);

        // Who only gets more keeps theirs.
        let (_, token) = s.invited_to("bob@example.com", grants()).await;
        s.person("ada").set_roles(&s.team, "bob", &["admin", "member"]).await.done();
        s.service().accept(&token, "bob").await.done();
    }

    async fn open_invitations_have_a_limit(db: Db) {
        let s = Scene::new(db).await;
        s.set_policy(TeamPolicy { max_pending_invitations: 2, ..Default::default() }).await;
        s.invited("one@example.com", &["member"]).await;
        let (two, _) = s.invited("two@example.com", &["member"]).await;
        let full = s.person("ada").invite(&s.team, "three@example.com", &["member"]).await;
        full.refused(Code::ResourceExhausted, "PENDING_INVITATIONS_EXHAUSTED");
        s.person("ada").cancel(&s.team, &two).await.done();
        s.invited("three@example.com", &["member"]).await;
        s.server.clock.advance(TimeDelta::days(14));
        s.invited("four@example.com", &["member"]).await;
    }
}

impl Scene {
    async fn listed_by_ada(&self, state: InvitationState) -> Vec<String> {
        let request =
            ListInvitationsRequest { team_id: self.team.clone(), states: vec![state.into()], ..Default::default() };
        let found = self.person("ada").invitations().list_invitations(request).await.done().invitations;
        found.into_iter().map(|invitation| invitation.email).collect()
    }
}
