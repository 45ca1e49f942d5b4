//! Nobody becomes somebody else: whose record may be changed by whom, who decides where somebody is at home, and who
//! brings back whom.

use roster_proto::v1::{self as wire, CreateTeamRequest, ProfileEditing, TeamPolicy, User};
use tonic::Code;

use crate::{
    both,
    support::{
        Caller, Db, Outcome as _, Scene,
        acts::{below, member, texts},
        outcome::violations,
        scene::create_user,
    },
};

const DENIED: (Code, &str) = (Code::PermissionDenied, "PERMISSION_DENIED");
const BEYOND: (Code, &str) = (Code::PermissionDenied, "GRANT_EXCEEDS_OWN");
const NOT_EDITABLE: (Code, &str) = (Code::FailedPrecondition, "PROFILE_NOT_EDITABLE");
const EXTERNAL: (Code, &str) = (Code::FailedPrecondition, "EXTERNAL_NOT_ALLOWED");

fn renamed(user: &str) -> User {
    User { id: user.to_owned(), email: format!("{user}@elsewhere.example"), ..Default::default() }
}

fn at_home(user: &str, home: &str) -> User {
    User { id: user.to_owned(), home_team_id: home.to_owned(), ..Default::default() }
}

impl Scene {
    async fn administrators_edit(&self) {
        let policy = TeamPolicy { profile_editing: ProfileEditing::Admins.into(), ..Default::default() };
        self.rule(policy, "profile_editing").await.done();
    }
}

impl Caller {
    async fn external(&self, team: &str, user: &str) -> bool {
        self.member(team, user).await.done().member.unwrap().external
    }

    async fn home(&self, user: &str) -> String {
        self.edit(User { id: user.to_owned(), ..Default::default() }, &["phone"], "")
            .await
            .done()
            .user
            .unwrap()
            .home_team_id
    }

    /// Creates a tree of the caller's own that admits nobody external, or whoever.
    async fn own_tree(&self, allow_external_members: bool) -> wire::CreateTeamResponse {
        let policy = TeamPolicy { allow_external_members: Some(allow_external_members), ..Default::default() };
        let request = CreateTeamRequest { name: "Own".to_owned(), policy: Some(policy), ..Default::default() };
        self.teams().create_team(request).await.done()
    }
}

both! {
    async fn an_administrator_of_a_part_does_not_edit_whom_they_bring_there(db: Db) {
        let s = Scene::new(db).await;
        let branch = s.team_below("Branch").await;
        s.administrators_edit().await;
        s.service().edit(at_home("eve", &s.team), &["home_team_id"], "").await.done();
        s.service().add(&branch, "eve", &["admin"]).await.done();
        let eve = s.person("eve");
        for user in ["ada", "bob"] {
            eve.add(&branch, user, &["member"]).await.done();
            eve.edit(renamed(user), &["email"], &branch).await.refused(Code::FailedPrecondition, "NOT_A_ROOT_TEAM");
            eve.edit(renamed(user), &["email"], &s.team).await.refused(DENIED.0, DENIED.1);
            eve.delete_user(user, &branch).await.refused(Code::FailedPrecondition, "NOT_A_ROOT_TEAM");
            eve.delete_user(user, &s.team).await.refused(DENIED.0, DENIED.1);
        }
        // A person of the tree is edited by the root, whichever of its teams they are in.
        s.person("bob").edit(renamed("eve"), &["email"], &s.team).await.done();
    }

    async fn a_record_is_edited_by_who_holds_what_the_person_holds(db: Db) {
        let s = Scene::new(db).await;
        let branch = s.team_below("Branch").await;
        s.administrators_edit().await;
        let clerk = s.own_role("clerk", &["roster.users.*", "roster.members.*", "catalog.read"], true).await;
        let writer = s.own_role("writer", &["catalog.write"], false).await;
        for (user, team, role) in [("eve", &s.team, clerk.as_str()), ("dan", &s.team, "member"), ("fay", &branch, writer.as_str())] {
            if user != "eve" {
                create_user(&s.service(), user).await;
            }
            s.service().add(team, user, &[role]).await.done();
        }
        let (bob, eve) = (s.person("bob"), s.person("eve"));
        bob.edit(renamed("ada"), &["email"], &s.team).await.refused(BEYOND.0, BEYOND.1);
        bob.delete_user("ada", &s.team).await.refused(BEYOND.0, BEYOND.1);
        eve.edit(renamed("bob"), &["email"], &s.team).await.refused(BEYOND.0, BEYOND.1);
        eve.edit(renamed("dan"), &["email"], &s.team).await.refused(BEYOND.0, BEYOND.1);
        // What somebody holds below counts, and what is suspended there too.
        eve.edit(renamed("fay"), &["email"], &s.team).await.refused(BEYOND.0, BEYOND.1);
        s.service().suspend(&branch, "fay").await.done();
        eve.delete_user("fay", &s.team).await.refused(BEYOND.0, BEYOND.1);
        let by_name = wire::Member { permissions: texts(&["roster.teams.delete"]), ..member(&s.team, "dan") };
        s.person("ada").change(by_name, &["permissions"]).await.done();
        bob.edit(renamed("dan"), &["email"], &s.team).await.refused(BEYOND.0, BEYOND.1);
        s.person("ada").edit(renamed("dan"), &["email"], &s.team).await.done();
        bob.edit(renamed("fay"), &["email"], &s.team).await.done();
        s.person("ada").edit(renamed("bob"), &["email"], &s.team).await.done();
        bob.delete_user("fay", &s.team).await.done();
        // Who is in no team of the tree any more is nobody's there.
        s.service().remove(&s.team, "dan").await.done();
        s.person("ada").edit(renamed("dan"), &["email"], &s.team).await.refused(Code::NotFound, "MEMBER_NOT_FOUND");
    }

    async fn nobody_makes_a_person_theirs_by_adding_them(db: Db) {
        let s = Scene::new(db).await;
        for user in ["dan", "fay"] {
            create_user(&s.service(), user).await;
        }
        let trap = s.person("eve").own_tree(true).await.team.unwrap().id;
        let policy = TeamPolicy { profile_editing: ProfileEditing::Admins.into(), ..Default::default() };
        let rules = wire::Team { id: trap.clone(), policy: Some(policy), ..Default::default() };
        s.person("eve").teams().update_team(wire::UpdateTeamRequest { team: Some(rules), ..Default::default() }).await.done();
        // Whose home was deleted has none.
        let gone = s.person("fay").own_tree(true).await.team.unwrap().id;
        s.service().delete_team(&gone, false).await.done();
        s.person("eve").add(&trap, "dan", &["member"]).await.done();
        s.person("eve").set_access("fay", &[(&trap, "member")], &[]).await.done();
        for user in ["dan", "fay"] {
            s.person("eve").edit(renamed(user), &["email"], &trap).await.refused(NOT_EDITABLE.0, NOT_EDITABLE.1);
            s.person("eve").delete_user(user, &trap).await.refused(NOT_EDITABLE.0, NOT_EDITABLE.1);
            assert!(!s.service().external(&trap, user).await, "they are at home nowhere");
        }
        assert_eq!(s.service().home("dan").await, "");
        // They decide themselves, and a service does.
        let (_, token) = s.invited("dan@example.com", &["member"]).await;
        s.service().accept(&token, "dan").await.done();
        assert_eq!(s.service().home("dan").await, s.team);
        assert!(s.service().external(&trap, "dan").await && !s.service().external(&s.team, "dan").await);
        s.service().add(&s.team, "fay", &["member"]).await.done();
        assert_eq!(s.service().home("fay").await, s.team);
        assert!(s.service().external(&trap, "fay").await);
    }

    async fn who_is_suspended_is_brought_back_by_who_could_give_it(db: Db) {
        let s = Scene::new(db).await;
        let policy = TeamPolicy { ownership: wire::Ownership::Shared.into(), ..Default::default() };
        s.rule(policy, "ownership").await.done();
        s.service().add(&s.team, "eve", &["owner"]).await.done();
        let keeper = s.own_role("keeper", &["roster.members.suspend"], false).await;
        for (user, role) in [("dan", keeper.as_str()), ("fay", "member")] {
            create_user(&s.service(), user).await;
            s.service().add(&s.team, user, &[role]).await.done();
        }
        let branch = s.team_below("Branch").await;
        s.service().add(&branch, "bob", &["member"]).await.done();
        for user in ["eve", "carol", "bob"] {
            s.service().suspend(&s.team, user).await.done();
        }
        s.service().suspend(&branch, "bob").await.done();
        s.person("dan").reactivate(&s.team, "carol").await.refused(BEYOND.0, BEYOND.1);
        s.person("dan").reactivate(&s.team, "bob").await.refused(BEYOND.0, BEYOND.1);
        s.person("dan").reactivate(&s.team, "eve").await.refused(BEYOND.0, BEYOND.1);
        s.person("dan").reactivate(&s.team, "dan").await.refused(Code::FailedPrecondition, "OWN_MEMBERSHIP");
        s.person("dan").reactivate(&s.team, "fay").await.done();
        s.person("ada").reactivate(&s.team, "bob").await.done();
        // Authority from above does not bring oneself back below.
        s.person("bob").reactivate(&branch, "bob").await.refused(Code::FailedPrecondition, "OWN_MEMBERSHIP");
        s.person("bob").reactivate(&s.team, "eve").await.refused(BEYOND.0, BEYOND.1);
        s.person("bob").reactivate(&s.team, "carol").await.done();
        s.person("ada").reactivate(&s.team, "eve").await.done();
        assert!(s.service().may("eve", &s.team, "roster.teams.delete").await);
    }

    async fn who_is_external_stays_true(db: Db) {
        let s = Scene::new(db).await;
        let foreign = s.foreign_team().await;
        let branch = s.team_below("Branch").await;
        for team in [&s.team, &branch] {
            s.service().add(team, "eve", &["member"]).await.done();
        }
        assert!(s.service().external(&s.team, "eve").await && s.service().external(&branch, "eve").await);
        s.person("eve").delete_team(&foreign, false).await.done();
        assert!(!s.service().external(&s.team, "eve").await && !s.service().external(&branch, "eve").await);
        // And a change of the record does not bring it back.
        s.person("eve").edit(renamed("eve"), &["email"], "").await.done();
        assert!(!s.service().external(&branch, "eve").await);
        let external = wire::ListMembersRequest { team_id: s.team.clone(), external: Some(true), ..Default::default() };
        assert!(s.service().teams().list_members(external).await.done().members.is_empty());
    }

    async fn rules_about_externals_hold_for_a_change_of_home(db: Db) {
        let s = Scene::new(db).await;
        let foreign = s.foreign_team().await;
        let policy = TeamPolicy { allow_external_members: Some(false), ..Default::default() };
        s.rule(policy, "allow_external_members").await.done();
        s.service().edit(at_home("carol", &foreign), &["home_team_id"], "").await.refused(EXTERNAL.0, EXTERNAL.1);
        assert_eq!((s.service().home("carol").await, s.service().external(&s.team, "carol").await), (s.team.clone(), false));
        s.service().remove(&s.team, "carol").await.done();
        s.service().edit(at_home("carol", &foreign), &["home_team_id"], "").await.done();
        s.service().add(&s.team, "carol", &["member"]).await.refused(EXTERNAL.0, EXTERNAL.1);
        // Whoever creates a tree is in it, and their home stays what it is.
        let own = s.person("eve").own_tree(false).await;
        let owner = own.owner.unwrap();
        assert_eq!((owner.external, s.service().home("eve").await), (true, foreign));
        let own = own.team.unwrap().id;
        let branch = s.person("eve").teams().create_team(below(&own, "Part")).await.done().team.unwrap().id;
        s.person("eve").add(&branch, "carol", &["member"]).await.refused(EXTERNAL.0, EXTERNAL.1);
    }

    async fn access_is_given_or_taken_somewhere(db: Db) {
        let s = Scene::new(db).await;
        let refusal = s.person("ada").set_access("carol", &[], &[]).await.refused(Code::InvalidArgument, "INVALID_FIELD");
        assert_eq!(violations(&refusal.status)[0].0, "grants");
    }
}
