//! Many addresses in one call.

use roster_proto::v1::{self as wire, BatchCreateInvitationsRequest, BatchInvitationOutcome as Outcome, TeamPolicy};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::{
    both,
    support::{Caller, Db, Outcome as _, Scene, acts::texts, log::Log, outcome::kind},
};

/// Members are invited to `team`, by a pasted text.
pub fn batch(team: &str, text: &str) -> BatchCreateInvitationsRequest {
    BatchCreateInvitationsRequest {
        team_id: team.to_owned(),
        text: text.to_owned(),
        role_ids: texts(&["member"]),
        ..Default::default()
    }
}

impl Caller {
    pub async fn invite_many(
        &self,
        request: BatchCreateInvitationsRequest,
    ) -> Result<tonic::Response<wire::BatchCreateInvitationsResponse>, tonic::Status> {
        self.invitations().batch_create_invitations(request).await
    }
}

fn told(answer: &wire::BatchCreateInvitationsResponse) -> Vec<(&str, Outcome)> {
    answer.results.iter().map(|result| (result.email.as_str(), result.outcome())).collect()
}

both! {
    async fn every_address_gets_an_outcome(db: Db) {
        let s = Scene::new(db).await;
        let policy = TeamPolicy { allowed_email_domains: texts(&["example.com"]), ..Default::default() };
        s.rule(policy, "allowed_email_domains").await.done();
        let (open, _) = s.invited("open@example.com", &["member"]).await;
        let text = "New <New@Example.com>; carol@example.com, open@example.com\nx@other.example nobody new@example.com";
        let mut request = batch(&s.team, text);
        request.emails = texts(&["first@example.com"]);
        let answer = s.person("bob").invite_many(request).await.done();
        let expected = [
            ("first@example.com", Outcome::Created),
            ("new@example.com", Outcome::Created),
            ("carol@example.com", Outcome::AlreadyMember),
            ("open@example.com", Outcome::AlreadyInvited),
            ("x@other.example", Outcome::DomainNotAllowed),
            ("nobody", Outcome::InvalidEmail),
        ];
        assert_eq!(told(&answer), expected);
        assert_eq!(answer.created_count, 2);
        let created = answer.results[1].invitation.clone().unwrap();
        assert_eq!((created.email.as_str(), created.inviter_user_id.as_str()), ("new@example.com", "bob"));
        assert_eq!((&answer.results[3].invitation_id, &answer.results[3].invitation.as_ref().unwrap().id), (&open, &open));
        assert!(answer.results[4].detail.contains("other.example"), "{:?}", answer.results[4]);
        s.server.wait_for_mails("first@example.com", 1).await;
        s.server.wait_for_mails("new@example.com", 1).await;
        s.service().accept_new(&s.token(&created.id).await, "new").await.done();
        assert_eq!(s.told(&["invitation_created"]).await.len(), 3);
    }

    async fn an_open_invitation_is_shown_to_who_may_read_it(db: Db) {
        let s = Scene::new(db).await;
        let inviter = s.own_role("inviter", &["roster.invitations.create", "roster.teams.read", "roster.members.read", "roster.roles.read"], false).await;
        s.service().set_roles(&s.team, "carol", &[&inviter]).await.done();
        let (open, _) = s.invited("open@example.com", &["member"]).await;
        let result = s.person("carol").invite_many(batch(&s.team, "open@example.com")).await.done().results.remove(0);
        assert_eq!((result.invitation_id, result.invitation), (open, None));
        // One that another team of the tree sent, too.
        let north = s.team_below("North").await;
        s.service().add(&north, "eve", &["admin"]).await.done();
        let (both, _) = s.invited_to("both@example.com", vec![crate::invitations::several::grant(&north, &["member"])]).await;
        let by = |person: &str| { let (caller, north) = (s.person(person), north.clone()); async move { caller.invite_many(batch(&north, "both@example.com")).await.done().results.remove(0) } };
        let result = by("eve").await;
        assert_eq!((&result.invitation_id, result.invitation), (&both.id, None));
        assert_eq!(by("ada").await.invitation.unwrap().team_id, s.team);
    }

    async fn ones_own_address_cannot_be_invited(db: Db) {
        let s = Scene::new(db).await;
        let north = s.team_below("North").await;
        let answer = s.person("bob").invite_many(batch(&north, "bob@example.com dan@example.com")).await.done();
        assert_eq!(told(&answer), [("bob@example.com", Outcome::OwnAddress), ("dan@example.com", Outcome::Created)]);
    }

    async fn an_atomic_batch_invites_all_or_nobody(db: Db) {
        let s = Scene::new(db).await;
        let mixed = BatchCreateInvitationsRequest { atomic: true, ..batch(&s.team, "dan@example.com carol@example.com x@y") };
        let refused = s.person("bob").invite_many(mixed).await;
        let status = refused.as_ref().unwrap_err().clone();
        refused.refused(Code::FailedPrecondition, "BATCH_REFUSED");
        let info = crate::support::outcome::error_info(&status);
        assert_eq!(info.metadata["refused"], "2");
        let why = status.get_details_precondition_failure().unwrap().violations;
        let why: Vec<_> = why.iter().map(|why| (why.subject.as_str(), why.description.as_str())).collect();
        assert_eq!((why[0].0, why[1].0), ("carol@example.com", "x@y"));
        assert!(why[0].1.contains("member") && !why[1].1.is_empty(), "{why:?}");
        assert_eq!(s.told(&["invitation_created"]).await.len(), 0);
        let good = BatchCreateInvitationsRequest { atomic: true, ..batch(&s.team, "dan@example.com, fay@example.com") };
        assert_eq!(s.person("bob").invite_many(good).await.done().created_count, 2);
    }

    async fn a_preview_of_a_batch_changes_nothing(db: Db) {
        let s = Scene::new(db).await;
        let preview = || BatchCreateInvitationsRequest { validate_only: true, ..batch(&s.team, "dan@example.com bob@example.com") };
        for _ in 0..2 {
            let answer = s.person("bob").invite_many(preview()).await.done();
            assert_eq!(told(&answer), [("dan@example.com", Outcome::Created), ("bob@example.com", Outcome::AlreadyMember)]);
            assert_eq!(answer.revision, "");
        }
        assert_eq!(s.told(&["invitation_created"]).await.len(), 0);
        assert!(s.server.mails_to("dan@example.com").is_empty());
    }

    async fn a_batch_that_is_tried_again_answers_as_the_first_time(db: Db) {
        let s = Scene::new(db).await;
        let request = || BatchCreateInvitationsRequest { request_id: "once".to_owned(), ..batch(&s.team, "dan@example.com x") };
        let (first, again) = (s.person("bob").invite_many(request()).await.done(), s.person("bob").invite_many(request()).await.done());
        assert_eq!(first, again);
        let other = BatchCreateInvitationsRequest { text: "fay@example.com".to_owned(), ..request() };
        s.person("bob").invite_many(other).await.refused(Code::InvalidArgument, "REQUEST_ID_REUSED");
    }

    async fn room_is_given_in_order_until_there_is_none(db: Db) {
        let s = Scene::new(db).await;
        s.rule(TeamPolicy { max_pending_invitations: 2, ..Default::default() }, "max_pending_invitations").await.done();
        let answer = s.person("bob").invite_many(batch(&s.team, "a@example.com carol@example.com b@example.com c@example.com")).await.done();
        let full = Outcome::PendingInvitationsExhausted;
        let expected = [Outcome::Created, Outcome::AlreadyMember, Outcome::Created, full];
        assert_eq!(answer.results.iter().map(wire::BatchInvitationResult::outcome).collect::<Vec<_>>(), expected);
        s.rule(TeamPolicy::default(), "max_pending_invitations").await.done();
        // Three members and two open invitations leave one seat.
        s.rule(TeamPolicy { max_members: 6, ..Default::default() }, "max_members").await.done();
        let answer = s.person("bob").invite_many(batch(&s.team, "d@example.com e@example.com")).await.done();
        assert_eq!(told(&answer), [("d@example.com", Outcome::Created), ("e@example.com", Outcome::SeatsExhausted)]);
    }

    async fn a_thousand_addresses_are_one_transaction(db: Db) {
        let s = Scene::new(db).await;
        let text: Vec<String> = (0..1000).map(|n| format!("p{n}@example.com")).collect();
        let request = BatchCreateInvitationsRequest {
            delivery_channel: wire::DeliveryChannel::LinkOnly.into(),
            request_id: "many".to_owned(),
            ..batch(&s.team, &text.join(";\n"))
        };
        let answer = s.person("bob").invite_many(request.clone()).await.done();
        assert_eq!(answer.created_count, 1000);
        assert_eq!(s.person("bob").invite_many(request).await.done(), answer);
        let log = Log::read(&s.service()).await;
        let created: Vec<_> = log.events.iter().filter(|event| kind(event) == "invitation_created").collect();
        assert_eq!(created.len(), 1000);
        assert!(created.iter().all(|event| event.occur_time == created[0].occur_time), "of one moment");
        let emails: Vec<_> = answer.results.iter().map(|result| result.email.clone()).collect();
        assert_eq!(emails, text, "in the order in which they were given");
        // All of them have run out when they are invited again.
        s.server.clock.advance(chrono::TimeDelta::days(15));
        let again = BatchCreateInvitationsRequest {
            delivery_channel: wire::DeliveryChannel::LinkOnly.into(),
            ..batch(&s.team, &text.join(" "))
        };
        assert_eq!(s.person("bob").invite_many(again).await.done().created_count, 1000);
        Log::read(&s.service()).await.assert_tables_agree(&s.service()).await;
    }

    async fn a_batch_that_makes_no_sense_is_refused(db: Db) {
        let s = Scene::new(db).await;
        let bob = s.person("bob");
        bob.invite_many(batch(&s.team, " ,; \n")).await.refused(Code::InvalidArgument, "INVALID_FIELD");
        let many: Vec<String> = (0..1001).map(|n| format!("p{n}@example.com")).collect();
        bob.invite_many(batch(&s.team, &many.join(" "))).await.refused(Code::InvalidArgument, "INVALID_FIELD");
        let nothing = BatchCreateInvitationsRequest { role_ids: Vec::new(), ..batch(&s.team, "dan@example.com") };
        bob.invite_many(nothing).await.refused(Code::InvalidArgument, "INVALID_FIELD");
        let owner = BatchCreateInvitationsRequest { role_ids: texts(&["owner"]), ..batch(&s.team, "dan@example.com") };
        bob.invite_many(owner).await.refused(Code::FailedPrecondition, "OWNER_ROLE_NOT_GRANTABLE");
        s.person("carol").invite_many(batch(&s.team, "dan@example.com")).await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
        assert_eq!(s.told(&["invitation_created"]).await.len(), 0);
    }

    async fn an_answer_fits_whatever_the_invitations_say(db: Db) {
        let s = Scene::new(db).await;
        let text: Vec<String> = (0..1000).map(|n| format!("p{n}@example.com")).collect();
        let request = BatchCreateInvitationsRequest {
            delivery_channel: wire::DeliveryChannel::LinkOnly.into(),
            message: "語".repeat(2000),
            request_id: "long".to_owned(),
            ..batch(&s.team, &text.join(" "))
        };
        let answer = s.person("bob").invite_many(request.clone()).await.done();
        assert_eq!((answer.created_count, answer.results.len()), (1000, 1000));
        assert!(answer.results[0].invitation.is_some() && answer.results[999].invitation.is_none());
        assert!(answer.results.iter().all(|result| result.outcome() == Outcome::Created && !result.invitation_id.is_empty()));
        assert_eq!(s.invitation(&answer.results[999].invitation_id).await.email, "p999@example.com");
        assert_eq!(s.person("bob").invite_many(request).await.done(), answer);
    }
}
