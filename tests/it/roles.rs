//! The roles of a tree's own: who may make, change and delete them, and what becomes of those who hold them.

use roster_proto::v1::{
    self as wire, GetRoleRequest, InvitationState, ListInvitationsRequest, ListPermissionsRequest, ListRolesRequest,
    Ownership, TeamPolicy, UpdateRoleRequest,
};
use tonic::{Code, Response, Status};

use crate::{
    both,
    support::{
        Caller, Db, Outcome as _, Scene,
        acts::{member, role, texts},
        log::Log,
        outcome::violations,
        scene::create_user,
    },
};

const DENIED: (Code, &str) = (Code::PermissionDenied, "PERMISSION_DENIED");
const EXCEEDS: (Code, &str) = (Code::PermissionDenied, "GRANT_EXCEEDS_OWN");
const TAKEN: (Code, &str) = (Code::AlreadyExists, "ROLE_KEY_TAKEN");

impl Caller {
    async fn role(&self, team: &str, id: &str) -> Result<Response<wire::GetRoleResponse>, Status> {
        let request = GetRoleRequest { team_id: team.to_owned(), role_id: id.to_owned(), ..Default::default() };
        self.roles().get_role(request).await
    }

    async fn keys(&self, team: &str) -> Vec<String> {
        let request = ListRolesRequest { team_id: team.to_owned(), ..Default::default() };
        self.roles().list_roles(request).await.done().roles.into_iter().map(|role| role.key).collect()
    }
}

/// A role to be changed.
fn of(team: &str, id: &str) -> wire::Role {
    wire::Role { team_id: team.to_owned(), id: id.to_owned(), ..Default::default() }
}

both! {
    async fn a_list_of_roles_goes_on_behind_one_that_is_gone(db: Db) {
        let s = Scene::new(db).await;
        let mut ids = Vec::new();
        for key in ["a", "b", "c", "d"] {
            ids.push(s.own_role(key, &["catalog.read"], false).await);
        }
        let mut request = wire::ListRolesRequest { team_id: s.team.clone(), page_size: 5, ..Default::default() };
        let page = s.service().roles().list_roles(request.clone()).await.done();
        assert_eq!(page.roles.last().unwrap().key, "b");
        s.service().delete_role(&s.team, &ids[1], "").await.done();
        request.page_token = page.next_page_token;
        let page = s.service().roles().list_roles(request).await.done();
        assert_eq!(page.roles.iter().map(|role| role.key.as_str()).collect::<Vec<_>>(), ["c", "d"]);
    }

    async fn a_role_is_made_changed_and_deleted(db: Db) {
        let s = Scene::new(db).await;
        let bob = s.person("bob");
        let asked = wire::Role { description: "Sees".to_owned(), reaches_descendants: true, ..role(&s.team, "reads", &["catalog.read", "catalog.read"]) };
        let made = bob.make_role(asked).await.done().role.unwrap();
        assert_eq!((made.key.as_str(), made.description.as_str(), made.system), ("reads", "Sees", false));
        assert_eq!((&made.team_id, &made.permissions, made.id.len()), (&s.team, &texts(&["catalog.read"]), 36));
        let branch = s.team_below("Branch").await;
        assert_eq!(bob.role(&branch, &made.id).await.done().role.unwrap(), made, "it is usable in the whole tree");
        assert_eq!(s.person("carol").keys(&s.team).await, ["owner", "admin", "member", "reads"]);

        let patch = wire::Role { key: "looks".to_owned(), permissions: texts(&["catalog.*"]), ..of(&s.team, &made.id) };
        let request = UpdateRoleRequest { role: Some(patch), etag: made.etag.clone(), ..Default::default() };
        let changed = bob.roles().update_role(request.clone()).await.done().role.unwrap();
        assert_eq!((changed.key.as_str(), &changed.permissions), ("looks", &texts(&["catalog.*"])));
        assert_eq!((changed.name.as_str(), changed.reaches_descendants), ("reads", true), "only what was said");
        assert_ne!(changed.etag, made.etag);
        bob.roles().update_role(request.clone()).await.refused(Code::Aborted, "ETAG_MISMATCH");
        let again = UpdateRoleRequest { etag: String::new(), ..request };
        assert_eq!(bob.roles().update_role(again).await.done().role.unwrap(), changed, "nothing to change");

        let stale = wire::DeleteRoleRequest { team_id: s.team.clone(), role_id: made.id.clone(), etag: made.etag, ..Default::default() };
        bob.roles().delete_role(stale).await.refused(Code::Aborted, "ETAG_MISMATCH");
        bob.delete_role(&s.team, &made.id, "").await.done();
        bob.role(&s.team, &made.id).await.refused(Code::NotFound, "ROLE_NOT_FOUND");
        bob.delete_role(&s.team, &made.id, "").await.refused(Code::NotFound, "ROLE_NOT_FOUND");
        let told = ["role_created DIRECT", "role_updated DIRECT", "role_deleted DIRECT"];
        assert_eq!(s.told(&["role_created", "role_updated", "role_deleted"]).await, told);
        Log::read(&s.service()).await.assert_tables_agree(&s.service()).await;
    }

    async fn only_who_may_makes_roles(db: Db) {
        let s = Scene::new(db).await;
        let id = s.own_role("reads", &["catalog.read"], false).await;
        for user in ["carol", "eve"] {
            let caller = s.person(user);
            caller.make_role(role(&s.team, "writes", &[])).await.refused(DENIED.0, DENIED.1);
            caller.change_role(wire::Role { name: "x".to_owned(), ..of(&s.team, &id) }, &["name"]).await.refused(DENIED.0, DENIED.1);
            caller.delete_role(&s.team, &id, "").await.refused(DENIED.0, DENIED.1);
        }
        let bad = wire::Role { key: "No key".to_owned(), name: String::new(), ..role(&s.team, "", &["Bad"]) };
        let refusal = s.person("bob").make_role(bad).await.refused(Code::InvalidArgument, "INVALID_FIELD");
        let fields: Vec<String> = violations(&refusal.status).into_iter().map(|(field, _)| field).collect();
        assert_eq!(fields, ["role.key", "role.name", "role.permissions[0]"]);
    }

    async fn a_key_is_unique_in_its_tree(db: Db) {
        let s = Scene::new(db).await;
        s.own_role("reads", &[], false).await;
        let other = s.own_role("writes", &[], false).await;
        s.person("bob").make_role(role(&s.team, "reads", &[])).await.refused(TAKEN.0, TAKEN.1);
        s.person("bob").make_role(role(&s.team, "member", &[])).await.refused(TAKEN.0, TAKEN.1);
        for key in ["reads", "owner"] {
            let changed = wire::Role { key: key.to_owned(), ..of(&s.team, &other) };
            s.person("bob").change_role(changed, &["key"]).await.refused(TAKEN.0, TAKEN.1);
        }
        let foreign = s.foreign_team().await;
        s.person("eve").make_role(role(&foreign, "reads", &[])).await.done();
    }

    async fn a_system_role_is_not_changed(db: Db) {
        let s = Scene::new(db).await;
        let changed = wire::Role { name: "Boss".to_owned(), ..of(&s.team, "admin") };
        s.person("ada").change_role(changed, &["name"]).await.refused(Code::FailedPrecondition, "SYSTEM_ROLE");
        s.person("ada").delete_role(&s.team, "member", "admin").await.refused(Code::FailedPrecondition, "SYSTEM_ROLE");
        assert_eq!(s.members().await, ["ada owner", "bob admin", "carol member"]);
    }

    async fn a_role_of_another_tree_does_not_exist(db: Db) {
        let s = Scene::new(db).await;
        let foreign = s.foreign_team().await;
        let theirs = s.person("eve").make_role(role(&foreign, "reads", &["catalog.read"])).await.done().role.unwrap().id;
        let not_found = (Code::NotFound, "ROLE_NOT_FOUND");
        let (ada, own) = (s.person("ada"), s.own_role("own", &[], false).await);
        ada.role(&s.team, &theirs).await.refused(not_found.0, not_found.1);
        ada.set_roles(&s.team, "carol", &[&theirs]).await.refused(not_found.0, not_found.1);
        s.service().add(&s.team, "eve", &[&theirs]).await.refused(not_found.0, not_found.1);
        ada.invite(&s.team, "dan@example.com", &[&theirs]).await.refused(not_found.0, not_found.1);
        ada.change_role(wire::Role { name: "x".to_owned(), ..of(&s.team, &theirs) }, &["name"]).await.refused(not_found.0, not_found.1);
        ada.delete_role(&s.team, &theirs, "").await.refused(not_found.0, not_found.1);
        ada.delete_role(&s.team, &own, &theirs).await.refused(not_found.0, not_found.1);
    }

    async fn a_role_gives_no_more_than_who_makes_it_holds(db: Db) {
        let s = Scene::new(db).await;
        let makes = ["roster.roles.*", "catalog.*"];
        let (here, down) = (s.own_role("here", &makes, false).await, s.own_role("down", &makes, true).await);
        create_user(&s.service(), "dan").await;
        s.service().add(&s.team, "eve", &[&here]).await.done();
        s.service().add(&s.team, "dan", &[&down]).await.done();
        let (eve, dan) = (s.person("eve"), s.person("dan"));
        let refusal = eve.make_role(role(&s.team, "a", &["catalog.read", "orders.read"])).await.refused(EXCEEDS.0, EXCEEDS.1);
        assert_eq!(refusal.metadata["permission"], "orders.read");
        let reaching = wire::Role { reaches_descendants: true, ..role(&s.team, "b", &["catalog.read"]) };
        eve.make_role(reaching.clone()).await.refused(EXCEEDS.0, EXCEEDS.1);
        dan.make_role(reaching).await.done();

        let made = eve.make_role(role(&s.team, "a", &["catalog.read"])).await.done().role.unwrap().id;
        let more = wire::Role { permissions: texts(&["catalog.read", "orders.read"]), ..of(&s.team, &made) };
        eve.change_role(more, &["permissions"]).await.refused(EXCEEDS.0, EXCEEDS.1);
        let reach = wire::Role { reaches_descendants: true, ..of(&s.team, &made) };
        eve.change_role(reach.clone(), &["reaches_descendants"]).await.refused(EXCEEDS.0, EXCEEDS.1);
        dan.change_role(reach, &["reaches_descendants"]).await.done();
        // What the role gives already may stay, and anything may be taken away.
        let beyond = s.own_role("beyond", &["orders.*"], false).await;
        let kept = wire::Role { permissions: texts(&["orders.*", "catalog.read"]), ..of(&s.team, &beyond) };
        eve.change_role(kept, &["permissions"]).await.done();
        let narrower = wire::Role { permissions: texts(&["orders.read", "orders.items.*"]), ..of(&s.team, &beyond) };
        eve.change_role(narrower.clone(), &["permissions"]).await.done();
        let wider = wire::Role { permissions: texts(&["orders.*"]), ..of(&s.team, &beyond) };
        eve.change_role(wider, &["permissions"]).await.refused(EXCEEDS.0, EXCEEDS.1);
        eve.change_role(of(&s.team, &beyond), &["permissions"]).await.done();
        eve.change_role(narrower, &["permissions"]).await.refused(EXCEEDS.0, EXCEEDS.1);
    }

    async fn nobody_changes_a_role_that_they_hold(db: Db) {
        let s = Scene::new(db).await;
        let branch = s.team_below("Branch").await;
        let id = s.own_role("reads", &["catalog.read"], false).await;
        s.service().add(&branch, "bob", &[&id]).await.done();
        let own = (Code::FailedPrecondition, "OWN_ROLE");
        let wider = wire::Role { permissions: texts(&["catalog.*"]), reaches_descendants: true, ..of(&s.team, &id) };
        s.person("bob").change_role(wider.clone(), &["permissions"]).await.refused(own.0, own.1);
        s.person("bob").change_role(wider.clone(), &["reaches_descendants"]).await.refused(own.0, own.1);
        s.person("bob").delete_role(&s.team, &id, "admin").await.refused(own.0, own.1);
        s.person("bob").change_role(wire::Role { name: "Reader".to_owned(), ..of(&s.team, &id) }, &["name"]).await.done();
        s.person("ada").change_role(wider, &["permissions"]).await.done();
    }

    async fn what_only_owners_hold_is_never_given_by_a_wildcard(db: Db) {
        let s = Scene::new(db).await;
        let wide = s.own_role("wide", &["*", "roster.*", "roster.teams.*"], true).await;
        s.service().add(&s.team, "eve", &[&wide]).await.done();
        for permission in ["roster.teams.delete", "roster.ownership.transfer"] {
            assert!(!s.service().may("eve", &s.team, permission).await, "{permission}");
            assert!(s.service().may("ada", &s.team, permission).await, "{permission}");
            let refusal = s.person("bob").make_role(role(&s.team, "ends", &[permission])).await.refused(EXCEEDS.0, EXCEEDS.1);
            assert_eq!(refusal.metadata["permission"], permission);
            let single = wire::Member { permissions: texts(&[permission]), ..member(&s.team, "carol") };
            s.person("bob").change(single, &["permissions"]).await.refused(EXCEEDS.0, EXCEEDS.1);
        }
        s.person("eve").delete_team(&s.team, false).await.refused(DENIED.0, DENIED.1);
        // What a wildcard did not give is a gain, however wide the role was before.
        let open = s.own_role("open", &["*"], false).await;
        for permission in ["roster.teams.delete", "roster.ownership.transfer"] {
            let more = wire::Role { permissions: texts(&["*", permission]), ..of(&s.team, &open) };
            s.person("bob").change_role(more, &["permissions"]).await.refused(EXCEEDS.0, EXCEEDS.1);
        }
        let ends = s.person("ada").make_role(role(&s.team, "ends", &["roster.teams.delete"])).await.done().role.unwrap().id;
        s.person("bob").set_roles(&s.team, "carol", &[&ends]).await.refused(EXCEEDS.0, EXCEEDS.1);
        s.person("ada").set_roles(&s.team, "carol", &[&ends]).await.done();
        s.person("carol").delete_team(&s.team, false).await.done();
    }

    async fn a_changed_role_counts_from_the_next_call_on(db: Db) {
        let s = Scene::new(db).await;
        let id = s.own_role("inviter", &["roster.invitations.*", "roster.members.read"], false).await;
        s.service().add(&s.team, "eve", &[&id]).await.done();
        s.person("eve").invite(&s.team, "dan@example.com", &[&id]).await.done();
        let less = wire::Role { permissions: texts(&["roster.members.read"]), ..of(&s.team, &id) };
        s.person("ada").change_role(less, &["permissions"]).await.done();
        s.person("eve").invite(&s.team, "fay@example.com", &[&id]).await.refused(DENIED.0, DENIED.1);
        s.person("eve").list(&s.team).await.done();
        assert_eq!(s.person("ada").invited(&s.team, InvitationState::Pending).await, [] as [&str; 0]);
        assert_eq!(s.told(&["invitation_canceled"]).await, ["invitation_canceled ROLE"]);
    }

    async fn a_role_in_use_is_deleted_with_a_replacement_only(db: Db) {
        let s = Scene::new(db).await;
        let branch = s.team_below("Branch").await;
        let (old, new) = (s.own_role("old", &["catalog.*"], false).await, s.own_role("new", &["catalog.read"], false).await);
        s.service().add(&s.team, "eve", &[&old, "member"]).await.done();
        s.service().add(&branch, "carol", &[&old]).await.done();
        let invitation = s.person("ada").invite(&branch, "dan@example.com", &[&old]).await.done().invitation.unwrap();
        let token = s.service().token(&branch, &invitation.id).await;
        let refusal = s.person("ada").delete_role(&s.team, &old, "").await.refused(Code::FailedPrecondition, "ROLE_IN_USE");
        assert_eq!((refusal.metadata["members"].as_str(), refusal.metadata["invitations"].as_str()), ("2", "1"));
        s.person("ada").delete_role(&s.team, &old, &old).await.refused(Code::NotFound, "ROLE_NOT_FOUND");
        s.person("ada").delete_role(&s.team, &old, &new).await.done();

        assert_eq!(s.person("ada").role(&s.team, &old).await.refused(Code::NotFound, "ROLE_NOT_FOUND").metadata["role"], old);
        let mut held = vec![new.clone(), "member".to_owned()];
        held.sort();
        assert_eq!(s.person("ada").member(&s.team, "eve").await.done().member.unwrap().role_ids, held);
        assert_eq!(s.service().members(&branch).await, [format!("carol {new}")]);
        let list = ListInvitationsRequest { team_id: branch.clone(), ..Default::default() };
        let invited = s.person("ada").invitations().list_invitations(list).await.done().invitations;
        assert_eq!(invited[0].grants[0].role_ids, texts(&[&new]));
        s.service().accept_new(&token, "dan").await.done();
        assert_eq!(s.service().members(&branch).await, [format!("carol {new}"), format!("dan {new}")]);
        let told = ["invitation_updated ROLE", "member_updated ROLE", "member_updated ROLE", "role_deleted DIRECT"];
        assert_eq!(s.told(&["invitation_updated", "member_updated", "role_deleted"]).await, told);
        Log::read(&s.service()).await.assert_tables_agree(&s.service()).await;
    }

    async fn a_replacement_is_given_as_every_role_is(db: Db) {
        let s = Scene::new(db).await;
        let shared = TeamPolicy { ownership: Ownership::Shared.into(), ..Default::default() };
        s.rule(shared, "ownership").await.done();
        let branch = s.team_below("Branch").await;
        let deletes = s.own_role("deletes", &["roster.roles.*", "catalog.read"], true).await;
        let old = s.own_role("old", &["catalog.read"], false).await;
        s.service().add(&s.team, "eve", &[&deletes]).await.done();
        s.service().add(&branch, "carol", &[&old]).await.done();
        s.person("eve").delete_role(&s.team, &old, "admin").await.refused(EXCEEDS.0, EXCEEDS.1);
        // Also who may share the ownership does not give it in a team below, nor to one whose membership ends.
        let refused = s.person("ada").delete_role(&s.team, &old, "owner").await;
        refused.refused(Code::FailedPrecondition, "OWNER_ROLE_NOT_GRANTABLE");
        assert_eq!(s.service().members(&branch).await, [format!("carol {old}")]);
    }

    async fn permissions_are_listed_in_pages(db: Db) {
        let s = Scene::new(db).await;
        let (mut names, mut owner_only, mut page_token) = (Vec::new(), Vec::new(), String::new());
        loop {
            let request = ListPermissionsRequest { page_size: 5, page_token };
            let page = s.person("eve").roles().list_permissions(request).await.done();
            assert!(page.permissions.len() <= 5 && page.permissions.iter().all(|p| p.description.len() > 5));
            owner_only.extend(page.permissions.iter().filter(|p| p.owner_only).map(|p| p.name.clone()));
            names.extend(page.permissions.into_iter().map(|p| p.name));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert!(names.is_sorted_by(|a, b| a < b) && names.len() > 20, "{names:?}");
        assert_eq!(owner_only, ["roster.ownership.transfer", "roster.teams.delete"]);
        assert!(names.iter().all(|name| name.starts_with("roster.")));
    }
}
