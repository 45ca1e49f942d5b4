//! What holds for every write, every read and every list alike.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use roster_proto::v1::{
    self as wire, Consistency, CreateTeamRequest, CreateUserRequest, GetTeamRequest, ListMembersRequest,
    UpdateTeamRequest, consistency::Requirement, get_team_request::Key,
};
use tonic::{Code, Status};

use crate::{
    both,
    contract::api::RPCS,
    support::{
        Caller, Db, Outcome as _, Scene, TestServer,
        outcome::{Refusal, assert_says, violations},
        rpc::{filled, rpc},
        scene::{create_user, user_of},
    },
};

fn get(team: &str, requirement: Option<Requirement>) -> GetTeamRequest {
    let consistency = Some(Consistency { requirement });
    GetTeamRequest { key: Some(Key::TeamId(team.to_owned())), consistency }
}

fn new_team(request_id: &str) -> CreateTeamRequest {
    CreateTeamRequest {
        name: "Second".to_owned(),
        owner_user_id: "ada".to_owned(),
        request_id: request_id.to_owned(),
        ..Default::default()
    }
}

fn fields(refusal: &Status) -> Vec<String> {
    violations(refusal).into_iter().map(|(field, _)| field).collect()
}

/// All members in pages of two.
async fn pages(caller: &Caller, mut request: ListMembersRequest) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    loop {
        let page = caller.teams().list_members(request.clone()).await.done();
        pages.push(page.members.iter().map(|member| user_of(member).to_owned()).collect());
        if page.next_page_token.is_empty() {
            return pages;
        }
        request.page_token = page.next_page_token;
    }
}

/// Requests about members that break several rules, each with the fields that are told.
const VIOLATIONS: [(&str, &str, &[&str]); 9] = [
    (
        "AddMember",
        r#"{"requestId": "a b", "teamId": "x", "roleIds": ["?"], "permissions": ["A"], "roleExpireTimes": {"?": "2026-01-01T00:00:00Z"}}"#,
        &["request_id", "team_id", "user_id", "role_ids[0]", "permissions[0]", r#"role_expire_times["?"]"#],
    ),
    (
        "UpdateMember",
        r#"{"requestId": "a b", "member": {"teamId": "x", "roleIds": ["?"], "permissions": ["A"]}, "updateMask": "ghost,roleIds,permissions"}"#,
        &[
            "request_id",
            "member.team_id",
            "member.user.id",
            "update_mask",
            "member.role_ids[0]",
            "member.permissions[0]",
        ],
    ),
    ("UpdateMember", "{}", &["member.team_id", "member.user.id", "member.role_ids"]),
    ("SuspendMember", r#"{"requestId": "a b", "teamId": "x", "userId": "a b"}"#, &["request_id", "team_id", "user_id"]),
    ("ReactivateMember", r#"{"requestId": "a b", "teamId": "x"}"#, &["request_id", "team_id", "user_id"]),
    ("RemoveMember", r#"{"requestId": "a b", "teamId": "x"}"#, &["request_id", "team_id", "user_id"]),
    (
        "ListRoster",
        r#"{"consistency": {"atLeastAsFresh": "x"}, "pageSize": -1, "teamId": "x", "statuses": [1, 99, 0]}"#,
        &["consistency.at_least_as_fresh", "page_size", "team_id", "statuses[1]", "statuses[2]"],
    ),
    (
        "BatchGetMembers",
        r#"{"consistency": {"atLeastAsFresh": "x"}, "teamId": "x", "userIds": ["a b", "ada", ""]}"#,
        &["consistency.at_least_as_fresh", "team_id", "user_ids[0]", "user_ids[2]"],
    ),
    (
        "SetUserAccess",
        r#"{"requestId": "a b", "grants": [{"teamId": "x", "roleIds": ["?"]}, {"teamId": "{team}"}, {"teamId": "{team}", "roleIds": ["member"]}], "removeTeamIds": ["x", "{team}"]}"#,
        &[
            "request_id",
            "user_id",
            "grants[0].team_id",
            "grants[0].role_ids[0]",
            "grants[1].role_ids",
            "grants[2].team_id",
            "remove_team_ids[0]",
            "remove_team_ids[1]",
        ],
    ),
];

both! {
    async fn a_request_id_has_one_effect(db: Db) {
        let s = Scene::new(db).await;
        let first = s.service().teams().create_team(new_team("r-1")).await.done();
        s.server.clock.advance(TimeDelta::hours(23));
        let again = s.service().teams().create_team(new_team("r-1")).await.done();
        assert_eq!(first, again);
        let other = CreateTeamRequest { name: "Third".to_owned(), ..new_team("r-1") };
        s.service().teams().create_team(other.clone()).await.refused(Code::InvalidArgument, "REQUEST_ID_REUSED");
        // Another caller's id is another id.
        let theirs = s.person("ada").teams().create_team(new_team("r-1")).await.done();
        assert_ne!(theirs.team.unwrap().id, first.team.unwrap().id);
        s.server.clock.advance(TimeDelta::hours(2));
        s.service().teams().create_team(other).await.done();
    }

    async fn a_refused_request_can_be_sent_again_with_its_id(db: Db) {
        let s = Scene::new(db).await;
        let request = CreateTeamRequest { owner_user_id: "zoe".to_owned(), ..new_team("r-2") };
        s.service().teams().create_team(request.clone()).await.refused(Code::NotFound, "USER_NOT_FOUND");
        create_user(&s.service(), "zoe").await;
        s.service().teams().create_team(request).await.done();
    }

    async fn validate_only_answers_and_changes_nothing(db: Db) {
        let s = Scene::new(db).await;
        let before = s.service().events_of(&s.team, 4).await;
        let request = CreateTeamRequest { validate_only: true, slug: "second".to_owned(), ..new_team("r-3") };
        let answer = s.service().teams().create_team(request).await.done();
        assert_eq!(answer.revision, "");
        let would_be = answer.team.unwrap();
        assert_eq!(would_be.slug, "second");
        s.service().teams().get_team(get(&would_be.id, None)).await.refused(Code::NotFound, "TEAM_NOT_FOUND");
        let remove = wire::RemoveMemberRequest {
            team_id: s.team.clone(), user_id: "bob".to_owned(), validate_only: true, ..Default::default()
        };
        s.person("ada").teams().remove_member(remove.clone()).await.done();
        assert_eq!(s.members().await.len(), 3);
        let owner = wire::RemoveMemberRequest { user_id: "ada".to_owned(), ..remove };
        s.person("bob").teams().remove_member(owner).await.refused(Code::FailedPrecondition, "LAST_OWNER");
        // The id was not used up, and the versions have no gap.
        s.service().teams().create_team(new_team("r-3")).await.done();
        s.person("bob").remove(&s.team, "carol").await.done();
        let after = s.service().events_of(&s.team, before.len() + 1).await;
        let versions: Vec<i64> = after.iter().map(|event| event.team_version).collect();
        assert_eq!(versions, (1..=i64::try_from(before.len() + 1).unwrap()).collect::<Vec<_>>());
    }

    async fn an_etag_refuses_a_lost_update(db: Db) {
        let s = Scene::new(db).await;
        let ada = s.person("ada");
        let seen = ada.teams().get_team(get(&s.team, None)).await.done().team.unwrap();
        let rename = |name: &str, etag: &str| UpdateTeamRequest {
            team: Some(wire::Team { id: s.team.clone(), name: name.to_owned(), ..Default::default() }),
            etag: etag.to_owned(),
            ..Default::default()
        };
        // A change of the members is none of the team's own fields.
        ada.remove(&s.team, "carol").await.done();
        let renamed = ada.teams().update_team(rename("New", &seen.etag)).await.done().team.unwrap();
        assert_ne!(renamed.etag, seen.etag);
        ada.teams().update_team(rename("Lost", &seen.etag)).await.refused(Code::Aborted, "ETAG_MISMATCH");
        ada.teams().update_team(rename("Lost", "nonsense")).await.refused(Code::Aborted, "ETAG_MISMATCH");
        assert_eq!(ada.teams().get_team(get(&s.team, None)).await.done().team.unwrap().name, "New");
        ada.teams().update_team(rename("Won", "")).await.done();

        let bob = ada.list(&s.team).await.done().members.remove(1);
        s.service().set_roles(&s.team, "bob", &["member"]).await.done();
        let remove = wire::RemoveMemberRequest {
            team_id: s.team.clone(), user_id: "bob".to_owned(), etag: bob.etag, ..Default::default()
        };
        ada.teams().remove_member(remove).await.refused(Code::Aborted, "ETAG_MISMATCH");
        let delete = wire::DeleteTeamRequest { team_id: s.team.clone(), etag: seen.etag, ..Default::default() };
        ada.teams().delete_team(delete).await.refused(Code::Aborted, "ETAG_MISMATCH");
    }

    async fn a_read_is_as_fresh_as_the_revision(db: Db) {
        let shared_key = |config: &mut roster::config::Config| {
            let secret = "5a".repeat(32).parse().unwrap();
            config.links.keys = vec![roster::config::LinkKey { id: 7, secret, secret_file: None }];
        };
        let s = Scene::on(TestServer::with(db, shared_key).await).await;
        let revision = s.person("ada").remove(&s.team, "carol").await.done().revision;
        let ada = s.person("ada");
        ada.teams().get_team(get(&s.team, Some(Requirement::AtLeastAsFresh(revision)))).await.done();
        ada.teams().get_team(get(&s.team, Some(Requirement::FullyConsistent(true)))).await.done();
        let nonsense = Requirement::AtLeastAsFresh("nonsense!".to_owned());
        ada.teams().get_team(get(&s.team, Some(nonsense))).await.refused(Code::InvalidArgument, "REVISION_INVALID");
        // A revision of a database that went further than this one, as after a restore.
        let ahead = Scene::on(TestServer::with(db, shared_key).await).await;
        let ahead = ahead.person("ada").remove(&ahead.team, "carol").await.done().revision;
        let ahead = Requirement::AtLeastAsFresh(ahead);
        ada.teams().get_team(get(&s.team, Some(ahead))).await.refused(Code::Unavailable, "REVISION_NOT_REACHED");
    }

    async fn a_change_that_changes_nothing_makes_no_event(db: Db) {
        let s = Scene::new(db).await;
        let ada = s.person("ada");
        let before = ada.teams().get_team(get(&s.team, None)).await.done().team.unwrap();
        let same = UpdateTeamRequest { team: Some(before.clone()), ..Default::default() };
        let after = ada.teams().update_team(same).await.done().team.unwrap();
        assert_eq!(after, before);
        ada.set_roles(&s.team, "bob", &["admin"]).await.done();
        ada.remove(&s.team, "bob").await.done();
        let events = s.service().events_of(&s.team, 5).await;
        let versions: Vec<i64> = events.iter().map(|event| event.team_version).collect();
        assert_eq!(versions, [1, 2, 3, 4, 5]);
    }

    async fn pages_hold_every_member_once(db: Db) {
        let s = Scene::new(db).await;
        for i in 0..4 {
            let user = format!("user-{i}");
            create_user(&s.service(), &user).await;
            s.service().add(&s.team, &user, &["member"]).await.done();
        }
        let request = ListMembersRequest { team_id: s.team.clone(), page_size: 2, ..Default::default() };
        let all = [["ada", "bob"].as_slice(), &["carol", "user-0"], &["user-1", "user-2"], &["user-3"]];
        assert_eq!(pages(&s.person("carol"), request.clone()).await, all);
        let newest = ListMembersRequest { order_by: wire::MemberOrder::JoinTimeDesc.into(), ..request.clone() };
        assert_eq!(pages(&s.person("carol"), newest).await.concat(), ["user-3", "user-2", "user-1", "user-0", "carol", "bob", "ada"]);
        let plain = ListMembersRequest { role_id: "member".to_owned(), ..request.clone() };
        assert_eq!(pages(&s.person("carol"), plain).await.concat(), ["carol", "user-0", "user-1", "user-2", "user-3"]);

        // A member who goes while somebody pages is neither skipped over nor makes another appear twice.
        let first = s.person("ada").teams().list_members(request.clone()).await.done();
        s.person("ada").remove(&s.team, "bob").await.done();
        let second = ListMembersRequest { page_token: first.next_page_token, ..request };
        assert_eq!(pages(&s.person("ada"), second).await.concat(), ["carol", "user-0", "user-1", "user-2", "user-3"]);
    }

    async fn a_page_token_belongs_to_its_query(db: Db) {
        let s = Scene::new(db).await;
        let ada = s.person("ada");
        let request = ListMembersRequest { team_id: s.team.clone(), page_size: 1, ..Default::default() };
        let token = ada.teams().list_members(request.clone()).await.done().next_page_token;
        let invalid = (Code::InvalidArgument, "PAGE_TOKEN_INVALID");
        for request in [
            ListMembersRequest { role_id: "member".to_owned(), page_token: token.clone(), ..request.clone() },
            ListMembersRequest { page_token: token[1..].to_owned(), ..request.clone() },
            ListMembersRequest { page_token: "nonsense".to_owned(), ..request.clone() },
        ] {
            ada.teams().list_members(request).await.refused(invalid.0, invalid.1);
        }
        // The size of a page may change on the way.
        let wider = ListMembersRequest { page_size: 400, page_token: token, ..request };
        assert_eq!(ada.teams().list_members(wider).await.done().members.len(), 2);
    }

    async fn every_violation_is_told_at_once(db: Db) {
        let s = Scene::new(db).await;
        let request = CreateTeamRequest {
            name: " ".to_owned(),
            slug: "Not A Slug".to_owned(),
            owner_user_id: "a b".to_owned(),
            policy: Some(wire::TeamPolicy { max_members: -1, ..Default::default() }),
            request_id: "x".repeat(129),
            ..Default::default()
        };
        let refusal = s.service().teams().create_team(request).await.refused(Code::InvalidArgument, "INVALID_FIELD");
        assert_eq!(fields(&refusal.status), ["request_id", "name", "slug", "policy.max_members", "owner_user_id"]);

        let request = CreateUserRequest { email: "nobody".to_owned(), display_name: "a\nb".to_owned(), ..Default::default() };
        let refusal = s.service().users().create_user(request).await.refused(Code::InvalidArgument, "INVALID_FIELD");
        assert_eq!(fields(&refusal.status), ["email", "display_name"]);

        let request = ListMembersRequest { page_size: -1, order_by: 99, role_id: "!".to_owned(), ..Default::default() };
        let refusal = s.service().teams().list_members(request).await.refused(Code::InvalidArgument, "INVALID_FIELD");
        assert_eq!(fields(&refusal.status), ["page_size", "team_id", "role_id", "order_by"]);

        let request = wire::CreateInvitationRequest {
            team_id: "x".to_owned(),
            email: "x".to_owned(),
            role_ids: vec!["?".to_owned()],
            message: "x".repeat(2001),
            delivery_channel: 99,
            ..Default::default()
        };
        let refusal = s.service().invitations().create_invitation(request).await.refused(Code::InvalidArgument, "INVALID_FIELD");
        assert_eq!(fields(&refusal.status), ["team_id", "role_ids[0]", "message", "delivery_channel", "email"]);
    }

    async fn every_violation_of_a_call_about_members_is_told_at_once(db: Db) {
        let s = Scene::new(db).await;
        let ids = BTreeMap::from([("team", s.team.clone())]);
        for (name, request, expected) in VIOLATIONS {
            let refusal = s.service().call(rpc(name), &filled(request, &ids)).await.unwrap_err();
            assert_says(&refusal, Code::InvalidArgument, "INVALID_FIELD");
            let told = fields(&refusal);
            assert_eq!(told, expected, "{name} {request}");
        }
    }

    async fn a_revision_that_is_none_is_told_beside_other_violations(db: Db) {
        let s = Scene::new(db).await;
        let reads = RPCS.iter().filter(|rpc| rpc.input.get_field_by_name("consistency").is_some());
        let mut seen = 0;
        for rpc in reads {
            let request = r#"{"consistency": {"atLeastAsFresh": "nonsense"}}"#;
            let refusal = s.service().call(rpc, request).await.unwrap_err();
            assert_says(&refusal, Code::InvalidArgument, "INVALID_FIELD");
            let told = fields(&refusal);
            assert_eq!(told[0], "consistency.at_least_as_fresh", "{}", rpc.name);
            assert!(told.len() > 1, "{}: {told:?}", rpc.name);
            seen += 1;
        }
        assert!(seen > 10, "{seen}");
    }

    async fn a_field_mask_names_what_to_set(db: Db) {
        let s = Scene::new(db).await;
        let ada = s.person("ada");
        let update = |team: wire::Team, paths: &[&str]| UpdateTeamRequest {
            team: Some(wire::Team { id: s.team.clone(), ..team }),
            update_mask: Some(prost_types::FieldMask { paths: paths.iter().map(|p| (*p).to_owned()).collect() }),
            ..Default::default()
        };
        let policy = |max_members| Some(wire::TeamPolicy { max_members, ..Default::default() });
        let named = wire::Team { name: "Ignored".to_owned(), slug: "acme".to_owned(), policy: policy(9), ..Default::default() };
        let team = ada.teams().update_team(update(named, &["slug", "policy.max_members"])).await.done().team.unwrap();
        assert_eq!((team.name.as_str(), team.slug.as_str()), ("Acme", "acme"));
        assert_eq!(team.policy.as_ref().unwrap().max_members, 9);
        let cleared = ada.teams().update_team(update(wire::Team::default(), &["slug", "policy"])).await.done().team.unwrap();
        assert_eq!((cleared.slug.as_str(), cleared.policy.unwrap().max_members), ("", 0));

        let refusal = ada.teams().update_team(update(wire::Team::default(), &["version", "colour", "slug"])).await;
        let refusal = refusal.refused(Code::InvalidArgument, "INVALID_FIELD");
        let told = violations(&refusal.status);
        assert_eq!(told.iter().map(|(_, why)| why.as_str()).collect::<Vec<_>>(), ["version cannot be changed", "colour is no field of a team"]);
        let refusal = ada.teams().update_team(update(wire::Team::default(), &["*"])).await;
        assert_eq!(fields(&refusal.refused(Code::InvalidArgument, "INVALID_FIELD").status), ["team.name"]);
    }

    async fn what_may_not_be_seen_answers_like_what_is_not_there(db: Db) {
        let s = Scene::new(db).await;
        let nowhere = "0198f0c2-9d3b-7c41-8f00-0123456789ab";
        let eve = s.person("eve");
        let there = eve.teams().get_team(get(&s.team, None)).await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
        let not = eve.teams().get_team(get(nowhere, None)).await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
        let bytes = |refusal: &Refusal, team: &str| {
            let details = String::from_utf8_lossy(refusal.status.details()).replace(team, "TEAM");
            (refusal.status.message().replace(team, "TEAM"), details)
        };
        assert_eq!(bytes(&there, &s.team), bytes(&not, nowhere));

        let there = eve.leave(&s.team).await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
        let not = eve.leave(nowhere).await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
        assert_eq!(bytes(&there, &s.team), bytes(&not, nowhere));

        let update = UpdateTeamRequest {
            team: Some(wire::Team { id: s.team.clone(), slug: "acme".to_owned(), ..Default::default() }),
            ..Default::default()
        };
        s.person("ada").teams().update_team(update).await.done();
        let by_slug = |slug: &str| GetTeamRequest { key: Some(Key::Slug(slug.to_owned())), consistency: None };
        let there = eve.teams().get_team(by_slug("acme")).await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
        let not = eve.teams().get_team(by_slug("none")).await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
        assert_eq!(bytes(&there, "-"), bytes(&not, "-"));
        s.person("carol").teams().get_team(by_slug("acme")).await.done();
        s.service().teams().get_team(by_slug("none")).await.refused(Code::NotFound, "TEAM_NOT_FOUND");
    }
}
