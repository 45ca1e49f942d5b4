//! Teams, roles and people: every RPC of theirs, and the rules they keep.

use roster_proto::v1::{
    self as wire, CreateTeamRequest, CreateUserRequest, DeleteTeamRequest, GetMemberRequest, GetRoleRequest,
    GetTeamRequest, GetUserRequest, ListRolesRequest, ListTeamsRequest, TeamPolicy, UpdateTeamRequest,
    get_team_request::Key, get_user_request, list_teams_request::Scope,
};
use tonic::Code;

use crate::{
    both,
    support::{
        Db, Outcome as _, Scene, TestServer,
        scene::{create_team, create_user, user_of},
    },
};

fn team_of(id: &str) -> GetTeamRequest {
    GetTeamRequest { key: Some(Key::TeamId(id.to_owned())), consistency: None }
}

fn by_email(email: &str) -> GetUserRequest {
    GetUserRequest { key: Some(get_user_request::Key::Email(email.to_owned())), consistency: None }
}

fn by_id(id: &str) -> GetUserRequest {
    GetUserRequest { key: Some(get_user_request::Key::UserId(id.to_owned())), consistency: None }
}

impl Scene {
    pub async fn set_policy(&self, policy: TeamPolicy) {
        let team = wire::Team { id: self.team.clone(), policy: Some(policy), ..Default::default() };
        self.service().teams().update_team(UpdateTeamRequest { team: Some(team), ..Default::default() }).await.done();
    }
}

both! {
    async fn a_team_is_created_with_its_owner(db: Db) {
        let s = Scene::new(db).await;
        let request = CreateTeamRequest {
            name: "  Second ".to_owned(),
            slug: "second".to_owned(),
            labels: [("plan".to_owned(), "pro".to_owned())].into(),
            owner_user_id: "eve".to_owned(),
            ..Default::default()
        };
        let answer = s.service().teams().create_team(request.clone()).await.done();
        let (team, owner) = (answer.team.unwrap(), answer.owner.unwrap());
        assert_eq!((team.name.as_str(), team.slug.as_str(), team.version), ("Second", "second", 2));
        assert_eq!((user_of(&owner), owner.role_ids.as_slice(), owner.source()), ("eve", &["owner".to_owned()][..], wire::MemberSource::TeamCreation));
        let policy = team.policy.clone().unwrap();
        assert_eq!((policy.invitation_ttl.unwrap().seconds, policy.require_email_match), (14 * 86_400, Some(true)));
        assert_eq!(s.service().teams().get_team(team_of(&team.id)).await.done().team.unwrap(), team);

        let again = CreateTeamRequest { name: "Third".to_owned(), ..request.clone() };
        s.service().teams().create_team(again).await.refused(Code::AlreadyExists, "SLUG_TAKEN");
        let ghost = CreateTeamRequest { slug: String::new(), owner_user_id: "ghost".to_owned(), ..request };
        s.service().teams().create_team(ghost).await.refused(Code::NotFound, "USER_NOT_FOUND");
    }

    async fn a_person_creates_a_team_for_themselves(db: Db) {
        let s = Scene::new(db).await;
        let mine = CreateTeamRequest { name: "Mine".to_owned(), ..Default::default() };
        let team = s.person("eve").teams().create_team(mine.clone()).await.done();
        assert_eq!(user_of(team.owner.as_ref().unwrap()), "eve");
        let theirs = CreateTeamRequest { owner_user_id: "ada".to_owned(), ..mine };
        s.person("eve").teams().create_team(theirs).await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
    }

    async fn a_deleted_team_is_gone_with_all_in_it(db: Db) {
        let s = Scene::new(db).await;
        let slug = wire::Team { id: s.team.clone(), slug: "acme".to_owned(), ..Default::default() };
        s.person("bob").teams().update_team(UpdateTeamRequest { team: Some(slug), ..Default::default() }).await.done();
        let (_, token) = s.invited("dan@example.com", &["member"]).await;
        let delete = DeleteTeamRequest { team_id: s.team.clone(), ..Default::default() };
        s.person("bob").teams().delete_team(delete.clone()).await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
        s.person("ada").teams().delete_team(delete.clone()).await.done();

        s.service().teams().get_team(team_of(&s.team)).await.refused(Code::NotFound, "TEAM_NOT_FOUND");
        s.person("ada").teams().get_team(team_of(&s.team)).await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
        s.service().accept_new(&token, "dan").await.refused(Code::FailedPrecondition, "INVITATION_CANCELED");
        s.service().teams().delete_team(delete).await.refused(Code::NotFound, "TEAM_NOT_FOUND");
        // The slug is free again.
        let heir = CreateTeamRequest {
            name: "Heir".to_owned(), slug: "acme".to_owned(), owner_user_id: "ada".to_owned(), ..Default::default()
        };
        s.service().teams().create_team(heir).await.done();
    }

    async fn a_users_teams_are_listed_in_pages(db: Db) {
        let s = Scene::new(db).await;
        for name in ["One", "Two", "Three"] {
            create_team(&s.service(), name, "bob").await;
        }
        let mut request = ListTeamsRequest { scope: Some(Scope::UserId("bob".to_owned())), page_size: 3, ..Default::default() };
        let first = s.person("bob").teams().list_teams(request.clone()).await.done();
        request.page_token = first.next_page_token;
        let second = s.person("bob").teams().list_teams(request.clone()).await.done();
        assert_eq!(second.next_page_token, "");
        let names: Vec<_> = first.teams.iter().chain(&second.teams).map(|team| team.name.as_str()).collect();
        assert_eq!(names, ["Acme", "One", "Two", "Three"]);
        s.person("eve").teams().list_teams(request).await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
        let nobody = ListTeamsRequest { scope: Some(Scope::UserId("nobody".to_owned())), ..Default::default() };
        assert_eq!(s.service().teams().list_teams(nobody).await.done().teams, []);
    }

    async fn members_are_added_within_what_the_granter_holds(db: Db) {
        let s = Scene::new(db).await;
        let bob = s.person("bob");
        bob.add(&s.team, "eve", &["ghost"]).await.refused(Code::NotFound, "ROLE_NOT_FOUND");
        bob.add(&s.team, "eve", &["owner"]).await.refused(Code::FailedPrecondition, "OWNER_ROLE_NOT_GRANTABLE");
        s.service().add(&s.team, "eve", &["owner"]).await.refused(Code::FailedPrecondition, "OWNER_ROLE_NOT_GRANTABLE");
        bob.add(&s.team, "ghost", &["member"]).await.refused(Code::NotFound, "USER_NOT_FOUND");
        bob.add(&s.team, "carol", &["member"]).await.refused(Code::AlreadyExists, "ALREADY_MEMBER");
        let eve = bob.add(&s.team, "eve", &["member", "admin"]).await.done().member.unwrap();
        assert_eq!((eve.role_ids, eve.invited_by_user_id.as_str()), (vec!["admin".to_owned(), "member".to_owned()], "bob"));
        let get = GetMemberRequest { team_id: s.team.clone(), user_id: "eve".to_owned(), ..Default::default() };
        let found = s.person("carol").teams().get_member(get.clone()).await.done().member.unwrap();
        assert_eq!(found.source(), wire::MemberSource::Direct);
        let ghost = GetMemberRequest { user_id: "ghost".to_owned(), ..get };
        s.person("carol").teams().get_member(ghost).await.refused(Code::NotFound, "MEMBER_NOT_FOUND");
    }

    async fn roles_go_up_and_down_but_not_past_the_granter(db: Db) {
        let s = Scene::new(db).await;
        let bob = s.person("bob");
        bob.set_roles(&s.team, "carol", &["admin"]).await.done();
        bob.set_roles(&s.team, "carol", &["member"]).await.done();
        bob.set_roles(&s.team, "carol", &["owner"]).await.refused(Code::FailedPrecondition, "OWNER_ROLE_NOT_GRANTABLE");
        bob.set_roles(&s.team, "ada", &["member"]).await.refused(Code::FailedPrecondition, "LAST_OWNER");
        s.service().set_roles(&s.team, "ada", &["member"]).await.refused(Code::FailedPrecondition, "LAST_OWNER");
        bob.set_roles(&s.team, "eve", &["member"]).await.refused(Code::NotFound, "MEMBER_NOT_FOUND");
        bob.set_roles(&s.team, "carol", &["ghost"]).await.refused(Code::NotFound, "ROLE_NOT_FOUND");
        assert_eq!(s.members().await, ["ada owner", "bob admin", "carol member"]);
    }

    async fn nobody_gives_by_any_path_what_they_do_not_hold(db: Db) {
        let with_managers = |config: &mut roster::config::Config| {
            let mut manager = config.roles[2].clone();
            manager.id = "manager".parse().unwrap();
            for permission in ["roster.members.*", "roster.invitations.*", "catalog.*"] {
                manager.permissions.push(roster::domain::PermissionPattern::parse(permission).unwrap());
            }
            config.roles.push(manager);
        };
        let s = Scene::on(TestServer::with(db, with_managers).await).await;
        s.service().add(&s.team, "eve", &["manager"]).await.done();
        create_user(&s.service(), "dan").await;
        let eve = s.person("eve");
        let exceeds = (Code::PermissionDenied, "GRANT_EXCEEDS_OWN");
        let refusal = eve.add(&s.team, "dan", &["member", "admin"]).await.refused(exceeds.0, exceeds.1);
        assert_eq!(refusal.metadata["permission"], "*");
        eve.set_roles(&s.team, "carol", &["admin"]).await.refused(exceeds.0, exceeds.1);
        eve.invite(&s.team, "fay@example.com", &["admin"]).await.refused(exceeds.0, exceeds.1);
        let (by_ada, _) = s.invited("gus@example.com", &["admin"]).await;
        eve.resend(&s.team, &by_ada).await.refused(exceeds.0, exceeds.1);
        // What somebody has already may stay, and what the granter holds may be given.
        eve.set_roles(&s.team, "bob", &["admin", "manager"]).await.done();
        eve.set_roles(&s.team, "carol", &["manager"]).await.done();
        eve.add(&s.team, "dan", &["member"]).await.done();
        eve.invite(&s.team, "fay@example.com", &["manager"]).await.done();
    }

    async fn a_member_leaves_by_themselves(db: Db) {
        let s = Scene::new(db).await;
        s.service().leave(&s.team).await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
        s.person("carol").leave(&s.team).await.done();
        s.person("carol").leave(&s.team).await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
        s.person("ada").remove(&s.team, "carol").await.refused(Code::NotFound, "MEMBER_NOT_FOUND");
        assert_eq!(s.members().await, ["ada owner", "bob admin"]);
    }

    async fn the_rules_of_a_team_bind_who_is_added(db: Db) {
        let s = Scene::new(db).await;
        s.set_policy(TeamPolicy { max_members: 4, allowed_email_domains: vec!["Example.com".to_owned()], ..Default::default() }).await;
        let stranger = CreateUserRequest { user_id: "sue".to_owned(), email: "sue@elsewhere.example".to_owned(), ..Default::default() };
        s.service().users().create_user(stranger).await.done();
        s.service().add(&s.team, "sue", &["member"]).await.refused(Code::FailedPrecondition, "DOMAIN_NOT_ALLOWED");
        s.service().add(&s.team, "eve", &["member"]).await.done();
        create_user(&s.service(), "fay").await;
        s.service().add(&s.team, "fay", &["member"]).await.refused(Code::ResourceExhausted, "SEATS_EXHAUSTED");
        // Who is in stays in, whatever the rules become.
        s.set_policy(TeamPolicy { max_members: 1, ..Default::default() }).await;
        assert_eq!(s.members().await.len(), 4);
    }

    async fn roles_are_those_of_the_configuration(db: Db) {
        let s = Scene::new(db).await;
        let list = ListRolesRequest { team_id: s.team.clone(), page_size: 2, ..Default::default() };
        let first = s.person("carol").roles().list_roles(list.clone()).await.done();
        let second = s.person("carol").roles().list_roles(ListRolesRequest { page_token: first.next_page_token, ..list }).await.done();
        let ids: Vec<_> = first.roles.iter().chain(&second.roles).map(|role| role.id.as_str()).collect();
        assert_eq!((ids.as_slice(), second.next_page_token.as_str()), (&["owner", "admin", "member"][..], ""));
        let get = GetRoleRequest { team_id: s.team.clone(), role_id: "owner".to_owned(), ..Default::default() };
        let owner = s.person("carol").roles().get_role(get.clone()).await.done().role.unwrap();
        assert!(owner.system && owner.permissions.contains(&"roster.teams.delete".to_owned()));
        let ghost = GetRoleRequest { role_id: "ghost".to_owned(), ..get.clone() };
        s.person("carol").roles().get_role(ghost).await.refused(Code::NotFound, "ROLE_NOT_FOUND");
        s.person("eve").roles().get_role(get).await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
    }

    async fn an_address_belongs_to_one_user(db: Db) {
        let s = Scene::new(db).await;
        let new = |id: &str, email: &str| CreateUserRequest { user_id: id.to_owned(), email: email.to_owned(), ..Default::default() };
        s.service().users().create_user(new("ada", "other@example.com")).await.refused(Code::AlreadyExists, "USER_ID_TAKEN");
        s.service().users().create_user(new("", "ADA@example.com")).await.refused(Code::AlreadyExists, "EMAIL_TAKEN");
        s.person("eve").users().create_user(new("", "new@example.com")).await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
        let made = s.service().users().create_user(new("", "NEW@Bücher.example")).await.done().user.unwrap();
        assert_eq!((made.email.as_str(), made.id.len(), made.email_verified), ("new@xn--bcher-kva.example", 36, false));
        assert_eq!(s.service().users().get_user(by_email("new@bücher.example")).await.done().user.unwrap(), made);
        assert_eq!(s.service().users().get_user(by_id(&made.id)).await.done().user.unwrap(), made);
    }

    async fn a_person_sees_their_own_record_only(db: Db) {
        let s = Scene::new(db).await;
        s.person("eve").users().get_user(by_id("eve")).await.done();
        s.person("eve").users().get_user(by_email("eve@example.com")).await.done();
        for request in [by_id("ada"), by_email("ada@example.com"), by_id("ghost"), by_email("ghost@example.com")] {
            s.person("eve").users().get_user(request).await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
        }
        s.service().users().get_user(by_id("ghost")).await.refused(Code::NotFound, "USER_NOT_FOUND");
    }
}
