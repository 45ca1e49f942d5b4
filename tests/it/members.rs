//! Members: what they hold one by one, suspension, and what somebody has in several teams at once.

mod expiry;
mod lists;
mod roster;

use chrono::TimeDelta;
use roster_proto::v1::{
    self as wire, AddMemberRequest, BatchGetMembersRequest, InvitationState, MemberState, SetUserAccessRequest,
    SuspendMemberRequest, TeamPolicy,
};
use tonic::Code;

use crate::{
    both,
    support::{
        Db, Outcome as _, Scene,
        acts::{member, stamp, texts},
        log::Log,
        outcome::{Refusal, violations},
        scene::{create_user, user_of},
    },
};

const DENIED: (Code, &str) = (Code::PermissionDenied, "PERMISSION_DENIED");
const EXCEEDS: (Code, &str) = (Code::PermissionDenied, "GRANT_EXCEEDS_OWN");
const INVALID: (Code, &str) = (Code::InvalidArgument, "INVALID_FIELD");

both! {
    async fn permissions_are_held_one_by_one(db: Db) {
        let s = Scene::new(db).await;
        let bob = s.person("bob");
        let single = |permissions: &[&str]| wire::Member { permissions: texts(permissions), ..member(&s.team, "eve") };
        let with = AddMemberRequest { permissions: texts(&["catalog.read"]), ..Default::default() };
        let eve = bob.add_with(&s.team, "eve", with).await.done().member.unwrap();
        assert_eq!((eve.role_ids, eve.permissions), (vec![], texts(&["catalog.read"])));
        assert!(s.service().may("eve", &s.team, "catalog.read").await);
        s.person("eve").list(&s.team).await.refused(DENIED.0, DENIED.1);
        bob.change(single(&["orders.*", "roster.members.read"]), &["permissions"]).await.done();
        assert!(!s.service().may("eve", &s.team, "catalog.read").await);
        assert!(s.service().may("eve", &s.team, "orders.write").await);
        s.person("eve").list(&s.team).await.done();
        bob.change(single(&["Orders"]), &["permissions"]).await.refused(INVALID.0, INVALID.1);
        bob.change(single(&[]), &["permissions"]).await.refused(Code::FailedPrecondition, "NOTHING_GRANTED");
        bob.add_with(&s.team, "carol", AddMemberRequest::default()).await.refused(INVALID.0, INVALID.1);
        let told = s.told(&["member_updated"]).await;
        assert_eq!(told, ["member_updated DEMOTION"], "something was taken away");
    }

    async fn a_single_permission_is_given_by_who_holds_it(db: Db) {
        let s = Scene::new(db).await;
        let manager = s.own_role("manager", &["roster.members.*", "catalog.*"], false).await;
        s.service().set_roles(&s.team, "carol", &[&manager]).await.done();
        let beyond = AddMemberRequest { permissions: texts(&["catalog.read", "orders.read"]), ..Default::default() };
        let refusal = s.person("carol").add_with(&s.team, "eve", beyond.clone()).await.refused(EXCEEDS.0, EXCEEDS.1);
        assert_eq!(refusal.metadata["permission"], "orders.read");
        s.service().add_with(&s.team, "eve", beyond).await.done();
        // What eve has already may stay, and be taken away.
        let more = |permissions: &[&str]| wire::Member { permissions: texts(permissions), ..member(&s.team, "eve") };
        s.person("carol").change(more(&["catalog.*", "orders.read"]), &["permissions"]).await.done();
        s.person("carol").change(more(&["orders.*"]), &["permissions"]).await.refused(EXCEEDS.0, EXCEEDS.1);
        s.person("carol").change(more(&["catalog.*"]), &["permissions"]).await.done();
        let own = wire::Member { permissions: texts(&["catalog.read"]), ..member(&s.team, "carol") };
        s.person("carol").change(own, &["permissions"]).await.refused(Code::FailedPrecondition, "OWN_ROLE");
    }

    async fn a_suspended_member_has_nothing_until_they_are_active_again(db: Db) {
        let s = Scene::new(db).await;
        let branch = s.team_below("Branch").await;
        s.service().add(&s.team, "eve", &["admin", "member"]).await.done();
        s.person("eve").invite(&s.team, "dan@example.com", &["member"]).await.done();
        s.person("carol").suspend(&s.team, "eve").await.refused(DENIED.0, DENIED.1);
        let suspended = s.person("bob").suspend(&s.team, "eve").await.done().member.unwrap();
        assert_eq!((suspended.state(), suspended.role_ids.clone()), (MemberState::Suspended, texts(&["admin", "member"])));
        for team in [&s.team, &branch] {
            s.person("eve").list(team).await.refused(DENIED.0, DENIED.1);
            assert!(!s.service().may("eve", team, "roster.members.read").await);
        }
        s.person("eve").reactivate(&s.team, "eve").await.refused(DENIED.0, DENIED.1);
        assert_eq!(s.service().invited(&s.team, InvitationState::Pending).await, [] as [&str; 0]);
        assert_eq!(s.person("bob").suspend(&s.team, "eve").await.done().member.unwrap(), suspended);

        let active = s.person("bob").reactivate(&s.team, "eve").await.done().member.unwrap();
        assert_eq!((active.state(), &active.role_ids), (MemberState::Active, &suspended.role_ids));
        assert_eq!(s.person("bob").reactivate(&s.team, "eve").await.done().member.unwrap(), active);
        s.person("eve").list(&branch).await.done();
        let stale = SuspendMemberRequest { team_id: s.team.clone(), user_id: "eve".to_owned(), etag: suspended.etag, ..Default::default() };
        s.person("bob").teams().suspend_member(stale).await.refused(Code::Aborted, "ETAG_MISMATCH");
        let told = s.told(&["member_suspended", "member_reactivated", "invitation_canceled"]).await;
        assert_eq!(told, ["member_suspended DIRECT", "invitation_canceled SUSPENSION", "member_reactivated DIRECT"]);
        Log::read(&s.service()).await.assert_tables_agree(&s.service()).await;
    }

    async fn not_everybody_is_suspended(db: Db) {
        let s = Scene::new(db).await;
        s.person("bob").suspend(&s.team, "bob").await.refused(Code::FailedPrecondition, "OWN_MEMBERSHIP");
        s.person("ada").suspend(&s.team, "ada").await.refused(Code::FailedPrecondition, "OWN_MEMBERSHIP");
        s.person("bob").suspend(&s.team, "ada").await.refused(Code::FailedPrecondition, "LAST_OWNER");
        s.service().suspend(&s.team, "ada").await.refused(Code::FailedPrecondition, "LAST_OWNER");
        s.person("bob").suspend(&s.team, "eve").await.refused(Code::NotFound, "MEMBER_NOT_FOUND");
        s.person("bob").suspend(&s.team, "carol").await.done();
        s.person("ada").transfer(&s.team, "carol").await.refused(Code::FailedPrecondition, "MEMBER_SUSPENDED");
        s.person("bob").reactivate(&s.team, "carol").await.done();
        s.person("ada").transfer(&s.team, "carol").await.done();
        s.person("bob").suspend(&s.team, "ada").await.done();
    }

    async fn several_members_are_got_at_once(db: Db) {
        let s = Scene::new(db).await;
        let ask = |ids: &[&str]| BatchGetMembersRequest { team_id: s.team.clone(), user_ids: texts(ids), ..Default::default() };
        let carol = s.person("carol");
        let found = carol.teams().batch_get_members(ask(&["carol", "eve", "ada", "ghost"])).await.done();
        assert_eq!(found.members.iter().map(user_of).collect::<Vec<_>>(), ["carol", "ada"]);
        assert_eq!(found.missing_user_ids, ["eve", "ghost"]);
        let many: Vec<String> = (0..101).map(|n| format!("user-{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(carol.teams().batch_get_members(ask(&many[..100])).await.done().missing_user_ids.len(), 100);
        for bad in [&many[..], &[], &["no id"]] {
            carol.teams().batch_get_members(ask(bad)).await.refused(INVALID.0, INVALID.1);
        }
        s.person("eve").teams().batch_get_members(ask(&["ada"])).await.refused(DENIED.0, DENIED.1);
    }

    async fn access_to_several_teams_is_set_at_once(db: Db) {
        let s = Scene::new(db).await;
        let (a, b) = (s.team_below("A").await, s.team_below("B").await);
        let c = s.foreign_team().await;
        for team in [&a, &b] {
            s.service().add(team, "carol", &["member"]).await.done();
        }
        let answer = s.service().set_access("carol", &[(&c, "admin"), (&a, "admin")], &[&b]).await.done();
        let teams: Vec<&str> = answer.members.iter().map(|member| member.team_id.as_str()).collect();
        assert_eq!(teams, [&a, &c], "in the order of their ids");
        assert_eq!(s.service().members(&a).await, ["carol admin"]);
        assert_eq!(s.service().members(&b).await, [] as [&str; 0]);
        assert_eq!(s.service().members(&c).await, ["eve owner", "carol admin"]);
        assert_eq!(s.members().await[2], "carol member", "a team that is not named stays as it is");
        let told = s.told(&["member_updated", "member_removed"]).await;
        assert_eq!(told, ["member_removed REMOVAL", "member_updated DEMOTION"]);
        s.service().set_access("carol", &[(&c, "admin"), (&a, "admin")], &[]).await.done();
        assert_eq!(s.told(&["member_updated", "member_removed"]).await, told, "nothing changed");
        Log::read(&s.service()).await.assert_tables_agree(&s.service()).await;
    }

    async fn access_is_set_as_a_whole_or_not_at_all(db: Db) {
        let s = Scene::new(db).await;
        let (a, b) = (s.team_below("A").await, s.team_below("B").await);
        let foreign = s.foreign_team().await;
        s.service().add(&b, "carol", &["admin"]).await.done();
        s.service().add(&a, "dan-less", &["member"]).await.refused(Code::NotFound, "USER_NOT_FOUND");
        let bob = s.person("bob");
        bob.set_access("eve", &[(&a, "member"), (&b, "ghost")], &[]).await.refused(Code::NotFound, "ROLE_NOT_FOUND");
        bob.set_access("eve", &[(&a, "member"), (&foreign, "member")], &[]).await.refused(DENIED.0, DENIED.1);
        bob.set_access("eve", &[(&a, "member")], &[&b]).await.refused(Code::NotFound, "MEMBER_NOT_FOUND");
        bob.set_access("ghost", &[(&a, "member")], &[]).await.refused(Code::NotFound, "USER_NOT_FOUND");
        bob.set_access("ada", &[(&a, "member")], &[&s.team]).await.refused(Code::FailedPrecondition, "LAST_OWNER");
        bob.set_access("bob", &[(&s.team, "member")], &[]).await.refused(Code::FailedPrecondition, "OWN_ROLE");
        bob.set_access("bob", &[], &[&s.team]).await.refused(Code::FailedPrecondition, "OWN_MEMBERSHIP");
        // Who may not do all of it is told so before anything else is looked at.
        bob.set_access("eve", &[(&foreign, "member")], &[&b]).await.refused(DENIED.0, DENIED.1);
        let nowhere = "00000000-0000-7000-8000-000000000000";
        bob.set_access("eve", &[(&a, "member"), (nowhere, "member")], &[]).await.refused(DENIED.0, DENIED.1);
        s.service().set_access("eve", &[(&a, "member")], &[nowhere]).await.refused(Code::NotFound, "TEAM_NOT_FOUND");
        // Who may change members but not add any can change them, and no more.
        let changes = s.own_role("changes", &["roster.members.update", "roster.members.read", "roster.teams.read", "roster.roles.read"], true).await;
        create_user(&s.service(), "dan").await;
        s.service().add(&s.team, "dan", &[&changes]).await.done();
        s.person("dan").set_access("eve", &[(&a, "member")], &[]).await.refused(DENIED.0, DENIED.1);
        s.person("dan").set_access("carol", &[(&b, "member")], &[&s.team]).await.refused(DENIED.0, DENIED.1);
        assert_eq!(s.service().members(&a).await, [] as [&str; 0]);
        assert_eq!(s.service().members(&b).await, ["carol admin"]);
        s.person("dan").set_access("carol", &[(&b, "member")], &[]).await.done();
    }

    async fn a_refusal_of_many_teams_names_the_one_that_it_is_about(db: Db) {
        let s = Scene::new(db).await;
        let mut ids = [s.team_below("A").await, s.team_below("B").await, s.team_below("C").await];
        ids.sort();
        let (a, b, c) = (ids[0].as_str(), ids[1].as_str(), ids[2].as_str());
        let manager = s.own_role("manager", &["roster.members.*", "roster.teams.read"], true).await;
        create_user(&s.service(), "dan").await;
        s.service().add(&s.team, "dan", &[&manager]).await.done();
        let hour = TimeDelta::hours(1);
        let past = wire::AccessGrant { team_id: b.to_owned(), role_ids: texts(&["member"]), expire_time: Some(stamp(s.after(-hour))), ..Default::default() };
        let grants = vec![wire::AccessGrant { team_id: a.to_owned(), role_ids: texts(&["member"]), ..Default::default() }, past];
        let ended = SetUserAccessRequest { user_id: "eve".to_owned(), grants, ..Default::default() };
        let about = |refusal: Refusal, team: &str| assert_eq!(refusal.metadata["team"], team, "{refusal:?}");
        about(s.service().teams().set_user_access(ended).await.refused(Code::FailedPrecondition, "EXPIRE_TIME_PASSED"), b);
        let refused = async |by: &str, user: &str, grants: &[(&str, &str)], removals: &[&str], code: Code, reason: &str, team: &str| {
            about(s.person(by).set_access(user, grants, removals).await.refused(code, reason), team);
        };
        let member = [(a, "member"), (b, "member"), (c, "member")];
        refused("bob", "eve", &[(a, "member"), (b, "ghost"), (c, "member")], &[], Code::NotFound, "ROLE_NOT_FOUND", b).await;
        refused("bob", "eve", &[(a, "member")], &[c], Code::NotFound, "MEMBER_NOT_FOUND", c).await;
        refused("bob", "ada", &[(a, "member")], &[&s.team], Code::FailedPrecondition, "LAST_OWNER", &s.team).await;
        refused("bob", "bob", &[(&s.team, "member")], &[], Code::FailedPrecondition, "OWN_ROLE", &s.team).await;
        refused("dan", "eve", &[(a, &manager), (b, "admin")], &[], EXCEEDS.0, EXCEEDS.1, b).await;
        s.foreign_team().await;
        s.rule(TeamPolicy { allow_external_members: Some(false), ..Default::default() }, "allow_external_members").await.done();
        refused("bob", "eve", &member, &[], Code::FailedPrecondition, "EXTERNAL_NOT_ALLOWED", a).await;
        s.rule(TeamPolicy { max_members: 1, ..Default::default() }, "max_members").await.done();
        create_user(&s.service(), "fay").await;
        s.service().add(b, "fay", &["member"]).await.done();
        refused("bob", "carol", &member, &[], Code::ResourceExhausted, "SEATS_EXHAUSTED", b).await;
        s.rule(TeamPolicy { exclusive_membership: true, ..Default::default() }, "exclusive_membership").await.done();
        refused("bob", "fay", &[(c, "member")], &[], Code::FailedPrecondition, "MEMBER_ELSEWHERE", c).await;
        s.rule(TeamPolicy { allowed_email_domains: texts(&["other.example"]), ..Default::default() }, "allowed_email_domains").await.done();
        refused("bob", "carol", &[(c, "member")], &[], Code::FailedPrecondition, "DOMAIN_NOT_ALLOWED", c).await;
    }

    async fn a_person_can_move_in_an_exclusive_tree(db: Db) {
        let s = Scene::new(db).await;
        let (a, b) = (s.team_below("A").await, s.team_below("B").await);
        s.rule(TeamPolicy { exclusive_membership: true, ..Default::default() }, "exclusive_membership").await.done();
        s.person("bob").add(&a, "eve", &["member"]).await.done();
        let elsewhere = (Code::FailedPrecondition, "MEMBER_ELSEWHERE");
        s.person("bob").set_access("eve", &[(&b, "admin")], &[]).await.refused(elsewhere.0, elsewhere.1);
        s.person("bob").set_access("eve", &[(&b, "admin")], &[&a]).await.done();
        assert_eq!((s.service().members(&a).await.len(), s.service().members(&b).await), (0, texts(&["eve admin"])));
    }

    async fn what_is_set_names_every_team_once(db: Db) {
        let s = Scene::new(db).await;
        let fields = async |grants: &[(&str, &str)], removals: &[&str]| {
            let refusal = s.service().set_access("eve", grants, removals).await.refused(INVALID.0, INVALID.1);
            violations(&refusal.status).into_iter().map(|(field, _)| field).collect::<Vec<_>>()
        };
        assert_eq!(fields(&[(&s.team, "member"), (&s.team, "admin")], &[]).await, ["grants[1].team_id"]);
        assert_eq!(fields(&[(&s.team, "member")], &[&s.team]).await, ["remove_team_ids[0]"]);
        assert_eq!(fields(&[("nonsense", "member")], &[]).await, ["grants[0].team_id"]);
        let nothing = wire::AccessGrant { team_id: s.team.clone(), ..Default::default() };
        let request = SetUserAccessRequest { user_id: "eve".to_owned(), grants: vec![nothing], ..Default::default() };
        let refusal = s.service().teams().set_user_access(request).await.refused(INVALID.0, INVALID.1);
        assert_eq!(violations(&refusal.status)[0].0, "grants[0].role_ids");
    }
}
