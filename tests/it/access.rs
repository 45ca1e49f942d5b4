//! Questions about access: one, many at once, and why.

use chrono::TimeDelta;
use roster::config::{AuthMode, Config};
use roster_proto::v1::{
    self as wire, AccessCheck, AccessError, AccessReason, AddMemberRequest, BatchCheckAccessRequest,
    CheckAccessRequest, Consistency, ErrorReason, access_result::Result as Answer, consistency::Requirement,
};
use tonic::Code;

use crate::{
    both,
    support::{
        Caller, Db, Outcome as _, Scene, TestServer,
        acts::{member, stamp, texts},
        caller::service_token,
        scene::create_user,
    },
};

const DENIED: (Code, &str) = (Code::PermissionDenied, "PERMISSION_DENIED");
const INVALID: (Code, &str) = (Code::InvalidArgument, "INVALID_FIELD");
const NOWHERE: &str = "00000000-0000-7000-8000-000000000000";

fn check(user: &str, team: &str, permission: &str) -> AccessCheck {
    AccessCheck { user_id: user.to_owned(), team_id: team.to_owned(), permission: permission.to_owned() }
}

fn ask(user: &str, team: &str, permission: &str) -> CheckAccessRequest {
    let AccessCheck { user_id, team_id, permission } = check(user, team, permission);
    CheckAccessRequest { user_id, team_id, permission, consistency: None }
}

impl Caller {
    /// The answers in their order: whether they may, or why there is no answer.
    async fn answers(&self, checks: Vec<AccessCheck>) -> Vec<Result<bool, ErrorReason>> {
        let answer =
            self.access().batch_check_access(BatchCheckAccessRequest { checks, consistency: None }).await.done();
        let one = |result: wire::AccessResult| match result.result.unwrap() {
            Answer::Allowed(allowed) => Ok(allowed),
            Answer::Error(AccessError { reason, message }) => {
                assert!(!message.is_empty());
                Err(ErrorReason::try_from(reason).unwrap())
            }
        };
        answer.results.into_iter().map(one).collect()
    }

    /// Why, by which role, and where that is held.
    async fn why(&self, user: &str, team: &str, permission: &str) -> (AccessReason, String, String) {
        let why = self.explain(user, team, permission).await.done();
        assert_eq!(why.allowed, why.reason() == AccessReason::Granted);
        assert_eq!(!why.disabled_team_id.is_empty(), why.reason() == AccessReason::TeamDisabled);
        (why.reason(), why.role_id, why.held_in_team_id)
    }
}

both! {
    async fn a_check_says_what_somebody_may_do(db: Db) {
        let s = Scene::new(db).await;
        for (user, permission, may) in [
            ("ada", "roster.teams.delete", true), ("bob", "roster.teams.delete", false), ("bob", "catalog.products.write", true),
            ("bob", "catalog.*", true), ("bob", "roster.teams.*", false), ("bob", "roster.*", false), ("bob", "*", false),
            ("ada", "roster.teams.*", true), ("ada", "*", true), ("carol", "roster.members.read", true), ("carol", "roster.members.*", false),
            ("carol", "catalog.read", false), ("eve", "roster.members.read", false), ("ghost", "roster.members.read", false),
        ] {
            assert_eq!(s.service().may(user, &s.team, permission).await, may, "{user} {permission}");
        }
        assert!(!s.service().may("ada", NOWHERE, "catalog.read").await);
        assert!(s.person("carol").may("carol", &s.team, "roster.members.read").await);
        s.person("carol").access().check_access(ask("bob", &s.team, "catalog.read")).await.refused(DENIED.0, DENIED.1);
        s.person("ada").access().check_access(ask("bob", &s.team, "catalog.read")).await.refused(DENIED.0, DENIED.1);
        for bad in [ask("", &s.team, "a.b"), ask("bob", "no-team", "a.b"), ask("bob", &s.team, "A.b"), ask("bob", &s.team, "")] {
            s.service().access().check_access(bad).await.refused(INVALID.0, INVALID.1);
        }
    }

    async fn many_questions_are_answered_in_their_order(db: Db) {
        let s = Scene::new(db).await;
        let branch = s.team_below("Branch").await;
        let questions = vec![
            check("bob", &branch, "catalog.read"), check("carol", &branch, "roster.members.read"), check("bob", "no-team", "catalog.read"),
            check("bob", &s.team, "Not a permission"), check("carol", &s.team, "roster.members.read"), check("ghost", NOWHERE, "a.b"),
            check("ada", &branch, "roster.teams.delete"),
        ];
        let invalid = Err(ErrorReason::InvalidField);
        let expected = [Ok(true), Ok(false), invalid, invalid, Ok(true), Ok(false), Ok(true)];
        assert_eq!(s.service().answers(questions).await, expected);
        let of_others = vec![check("bob", &s.team, "catalog.read"), check("carol", &s.team, "roster.members.read")];
        assert_eq!(s.person("carol").answers(of_others).await, [Err(ErrorReason::PermissionDenied), Ok(true)]);
    }

    async fn who_may_not_ask_is_told_so_whatever_they_ask(db: Db) {
        let tokens = |config: &mut Config| {
            config.auth.mode = AuthMode::Credentials;
            config.auth.tokens = vec![service_token("shop", &["roster.teams.*"], false)];
        };
        let server = TestServer::with(db, tokens).await;
        let shop = server.service().with_token("shop");
        for asked in ["no-team", NOWHERE] {
            let request = BatchCheckAccessRequest { checks: vec![check("bob", asked, "a.b")], consistency: None };
            let refusal = shop.access().batch_check_access(request).await.refused(DENIED.0, DENIED.1);
            assert_eq!(refusal.metadata["permission"], "roster.access.check");
        }
    }

    async fn a_batch_holds_a_thousand_questions(db: Db) {
        let s = Scene::new(db).await;
        let many = |count: usize| (0..count).map(|n| {
            if n % 3 == 0 { check("bob", &s.team, "catalog.read") } else { check(&format!("user-{n}"), &s.team, "catalog.read") }
        });
        let answers = s.service().answers(many(1000).collect()).await;
        assert!(answers.iter().enumerate().all(|(n, answer)| *answer == Ok(n % 3 == 0)));
        assert_eq!(answers.len(), 1000);
        for count in [0, 1001] {
            let request = BatchCheckAccessRequest { checks: many(count).collect(), consistency: None };
            s.service().access().batch_check_access(request).await.refused(INVALID.0, INVALID.1);
        }
    }

    async fn every_answer_has_its_reason(db: Db) {
        let s = Scene::new(db).await;
        let branch = s.team_below("Branch").await;
        let service = s.service();
        let of = |role: &str, team: &str| (role.to_owned(), team.to_owned());
        let is = |(reason, role, team): (AccessReason, String, String), expected: AccessReason, by: (String, String)| {
            assert_eq!((reason, (role, team)), (expected, by));
        };
        is(service.why("bob", &branch, "a.b").await, AccessReason::Granted, of("admin", &s.team));
        is(service.why("carol", &branch, "a.b").await, AccessReason::NotAMember, of("", ""));
        is(service.why("carol", &s.team, "a.b").await, AccessReason::MissingPermission, of("", ""));
        is(service.why("bob", &branch, "roster.teams.delete").await, AccessReason::MissingPermission, of("", ""));
        is(service.why("ghost", &s.team, "a.b").await, AccessReason::NotAMember, of("", ""));
        let single = wire::Member { permissions: texts(&["a.b"]), ..member(&s.team, "carol") };
        service.change(single, &["permissions"]).await.done();
        is(service.why("carol", &s.team, "a.b").await, AccessReason::Granted, of("", &s.team));

        let hour = TimeDelta::hours(1);
        let ends = AddMemberRequest { role_ids: texts(&["admin"]), expire_time: Some(stamp(s.after(hour))), ..Default::default() };
        service.add_with(&s.team, "eve", ends).await.done();
        is(service.why("eve", &branch, "a.b").await, AccessReason::Granted, of("admin", &s.team));
        service.suspend(&s.team, "bob").await.done();
        is(service.why("bob", &branch, "a.b").await, AccessReason::Suspended, of("admin", &s.team));
        service.reactivate(&s.team, "bob").await.done();

        service.disable(&s.team).await.done();
        is(service.why("bob", &branch, "a.b").await, AccessReason::TeamDisabled, of("admin", &s.team));
        assert_eq!(service.explain("bob", &branch, "a.b").await.done().disabled_team_id, s.team);
        is(service.why("ada", &branch, "a.b").await, AccessReason::Granted, of("owner", &s.team));
        is(service.why("carol", &s.team, "c.d").await, AccessReason::MissingPermission, of("", ""));
    }

    async fn who_may_know_why(db: Db) {
        let s = Scene::new(db).await;
        s.service().explain("ada", NOWHERE, "a.b").await.refused(Code::NotFound, "TEAM_NOT_FOUND");
        for user in ["carol", "eve"] {
            s.person(user).explain("bob", &s.team, "a.b").await.refused(DENIED.0, DENIED.1);
            s.person(user).explain("bob", NOWHERE, "a.b").await.refused(DENIED.0, DENIED.1);
        }
        assert_eq!(s.person("bob").why("carol", &s.team, "a.b").await.0, AccessReason::MissingPermission);
        assert_eq!(s.person("carol").why("carol", &s.team, "a.b").await.0, AccessReason::MissingPermission);
        assert_eq!(s.person("eve").why("eve", &s.team, "a.b").await.0, AccessReason::NotAMember);
        assert_eq!(s.person("eve").why("eve", NOWHERE, "a.b").await.0, AccessReason::NotAMember);
        s.person("ada").disable(&s.team).await.done();
        s.person("bob").explain("carol", &s.team, "a.b").await.refused(Code::FailedPrecondition, "TEAM_DISABLED");
        assert_eq!(s.person("bob").why("bob", &s.team, "a.b").await.0, AccessReason::TeamDisabled);
    }

    async fn an_answer_is_as_fresh_as_asked(db: Db) {
        let s = Scene::new(db).await;
        let removed = s.person("bob").remove(&s.team, "carol").await.done().revision;
        let fresh = |revision: &str| {
            let requirement = Some(Requirement::AtLeastAsFresh(revision.to_owned()));
            CheckAccessRequest { consistency: Some(Consistency { requirement }), ..ask("carol", &s.team, "roster.members.read") }
        };
        assert!(!s.service().access().check_access(fresh(&removed)).await.done().allowed);
        let added = s.person("bob").add(&s.team, "carol", &["member"]).await.done().revision;
        assert!(s.service().access().check_access(fresh(&added)).await.done().allowed);
        s.service().access().check_access(fresh("nonsense")).await.refused(Code::InvalidArgument, "REVISION_INVALID");
        let explain = wire::ExplainAccessRequest {
            user_id: "carol".to_owned(), team_id: s.team.clone(), permission: "a.b".to_owned(), consistency: fresh("nonsense").consistency,
        };
        s.person("carol").access().explain_access(explain).await.refused(Code::InvalidArgument, "REVISION_INVALID");
    }

    async fn what_ran_out_is_said_to_have(db: Db) {
        let s = Scene::new(db).await;
        let branch = s.team_below("Branch").await;
        let hour = TimeDelta::hours(1);
        let expired = |role: &str| (AccessReason::Expired, role.to_owned(), s.team.clone());
        let not = |reason| (reason, String::new(), String::new());
        let end = stamp(s.after(hour));
        let ends = AddMemberRequest { role_ids: texts(&["admin"]), permissions: texts(&["a.b"]), expire_time: Some(end), ..Default::default() };
        s.service().add_with(&s.team, "eve", ends).await.done();
        let roles = AddMemberRequest {
            role_ids: texts(&["admin", "member"]), role_expire_times: [("admin".to_owned(), end)].into(), ..Default::default()
        };
        create_user(&s.service(), "dan").await;
        s.service().add_with(&s.team, "dan", roles).await.done();
        s.server.clock.advance(hour);
        // Whether or not it is recorded: once by what is asked at once, and again when the sweeper has told.
        for told in [0, 8] {
            s.service().events_of(&s.team, told).await;
            for user in ["eve", "dan"] {
                assert_eq!(s.service().why(user, &s.team, "c.d").await, expired("admin"), "{user}");
                assert_eq!(s.service().why(user, &branch, "c.d").await, expired("admin"), "{user}");
            }
            assert_eq!(s.service().why("eve", &s.team, "roster.teams.delete").await, not(AccessReason::NotAMember));
            assert_eq!(s.service().why("dan", &s.team, "roster.teams.delete").await, not(AccessReason::MissingPermission));
            assert_eq!(s.service().why("dan", &branch, "roster.teams.delete").await, not(AccessReason::NotAMember));
        }
        // What is given again and taken away has not run out, nor has what was ended.
        s.service().set_roles(&s.team, "dan", &["admin"]).await.done();
        s.service().set_roles(&s.team, "dan", &["member"]).await.done();
        assert_eq!(s.service().why("dan", &s.team, "c.d").await, not(AccessReason::MissingPermission));
        s.service().add(&s.team, "eve", &["member"]).await.done();
        assert_eq!(s.service().why("eve", &s.team, "c.d").await, not(AccessReason::MissingPermission));
        s.service().remove(&s.team, "eve").await.done();
        assert_eq!(s.service().why("eve", &s.team, "c.d").await, not(AccessReason::NotAMember));
    }

    async fn an_answer_is_of_one_moment(db: Db) {
        let s = Scene::new(db).await;
        let gives = ["a.b"];
        let mut held = s.own_role("role-0", &gives, false).await;
        s.service().set_roles(&s.team, "carol", &[&held]).await.done();
        // Carol holds it all the time, by one role after another.
        let replacing = async {
            for n in 1..=80 {
                let next = s.own_role(&format!("role-{n}"), &gives, false).await;
                s.service().delete_role(&s.team, &held, &next).await.done();
                held = next;
            }
        };
        let asking = async {
            loop {
                assert!(s.service().may("carol", &s.team, "a.b").await);
                assert_eq!(s.service().why("carol", &s.team, "a.b").await.0, AccessReason::Granted);
                assert_eq!(s.service().answers(vec![check("carol", &s.team, "a.b"); 3]).await, [Ok(true); 3]);
            }
        };
        tokio::select! {
            () = replacing => {}
            never = asking => never,
        }
    }
}
