//! Trees of teams: what stands where, what reaches down, and what closing or deleting a team does to those below it.

use roster_proto::v1::{
    self as wire, CreateTeamRequest, InvitationState, ListTeamsRequest, PersonInCharge, TeamPolicy,
    list_teams_request::Scope,
};
use tonic::Code;

use crate::{
    both,
    support::{
        Caller, Db, Outcome as _, Scene,
        acts::{below, member, role, texts},
        log::Log,
        outcome::kind,
        scene::create_user,
    },
};

const DENIED: (Code, &str) = (Code::PermissionDenied, "PERMISSION_DENIED");
const DISABLED: (Code, &str) = (Code::FailedPrecondition, "TEAM_DISABLED");
const NOT_A_ROOT: (Code, &str) = (Code::FailedPrecondition, "NOT_A_ROOT_TEAM");

fn in_charge(parent: &str, name: &str, email: &str, roles: &[&str]) -> CreateTeamRequest {
    let person = PersonInCharge { email: email.to_owned(), role_ids: texts(roles), ..Default::default() };
    CreateTeamRequest { person_in_charge: Some(person), slug: name.to_lowercase(), ..below(parent, name) }
}

impl Caller {
    /// The names of the teams of a list, in pages of this size.
    async fn names(&self, scope: Scope, page_size: i32) -> Vec<String> {
        let mut request = ListTeamsRequest { scope: Some(scope), page_size, ..Default::default() };
        let mut names = Vec::new();
        loop {
            let page = self.teams().list_teams(request.clone()).await.done();
            assert!(page.teams.len() <= usize::try_from(page_size).unwrap());
            names.extend(page.teams.into_iter().map(|team| team.name));
            if page.next_page_token.is_empty() {
                return names;
            }
            request.page_token = page.next_page_token;
        }
    }
}

both! {
    async fn a_team_stands_below_another(db: Db) {
        let s = Scene::new(db).await;
        let made = s.person("bob").teams().create_team(below(&s.team, "Branch")).await.done();
        assert_eq!((made.owner, made.invitation), (None, None));
        let branch = made.team.unwrap();
        assert_eq!((&branch.parent_team_id, &branch.root_team_id), (&s.team, &s.team));
        let leaf = s.person("bob").create_below(&branch.id, "Leaf").await;
        s.rule(TeamPolicy { max_members: 7, ..Default::default() }, "max_members").await.done();
        let leaf = s.person("ada").team(&leaf).await.done().team.unwrap();
        assert_eq!((&leaf.parent_team_id, &leaf.root_team_id), (&branch.id, &s.team));
        assert_eq!(leaf.policy.unwrap().max_members, 7, "the rules of the root");
        let root = s.person("ada").team(&s.team).await.done().team.unwrap();
        assert_eq!((root.parent_team_id.as_str(), &root.root_team_id), ("", &s.team));
        for outsider in ["carol", "eve"] {
            s.person(outsider).teams().create_team(below(&s.team, "Other")).await.refused(DENIED.0, DENIED.1);
        }
        let nowhere = "00000000-0000-7000-8000-000000000000";
        s.service().teams().create_team(below(nowhere, "Other")).await.refused(Code::NotFound, "TEAM_NOT_FOUND");
        assert_eq!(s.events(&branch.id).await.iter().map(kind).collect::<Vec<_>>(), ["team_created"]);
    }

    async fn the_person_in_charge_is_invited_in_the_same_call(db: Db) {
        let s = Scene::new(db).await;
        let made = s.person("bob").teams().create_team(in_charge(&s.team, "Branch", "dan@example.com", &[])).await.done();
        let (branch, invitation) = (made.team.unwrap(), made.invitation.unwrap());
        assert_eq!(invitation.grants, [wire::Grant { team_id: branch.id.clone(), role_ids: texts(&["admin"]), permissions: Vec::new() }]);
        assert_eq!(invitation.inviter_user_id, "bob");
        assert_eq!(s.service().team(&branch.id).await.done().team.unwrap().version, branch.version);
        let token = s.service().token(&branch.id, &invitation.id).await;
        s.service().accept_new(&token, "dan").await.done();
        assert_eq!(s.person("dan").members(&branch.id).await, ["dan admin"]);
        s.person("dan").add(&branch.id, "eve", &["member"]).await.done();
        s.person("dan").list(&s.team).await.refused(DENIED.0, DENIED.1);
        let told = ["team_created", "invitation_created", "invitation_accepted", "member_added", "member_added"];
        assert_eq!(s.events(&branch.id).await.iter().map(kind).collect::<Vec<_>>(), told);
    }

    async fn nothing_remains_of_a_team_whose_person_cannot_be_invited(db: Db) {
        let s = Scene::new(db).await;
        let domains = TeamPolicy { allowed_email_domains: texts(&["example.com"]), ..Default::default() };
        s.rule(domains, "allowed_email_domains").await.done();
        let may_open = ["roster.teams.create", "roster.teams.read", "roster.invitations.create"];
        let here = s.own_role("here", &may_open, false).await;
        let down = s.own_role("down", &may_open, true).await;
        s.service().set_roles(&s.team, "carol", &[&here]).await.done();
        s.service().add(&s.team, "eve", &[&down]).await.done();
        let dan = "dan@example.com";
        let ask = async |user: &str, email: &str, roles: &[&str]| {
            s.person(user).teams().create_team(in_charge(&s.team, "Branch", email, roles)).await
        };
        ask("ada", "dan@elsewhere.example", &[]).await.refused(Code::FailedPrecondition, "DOMAIN_NOT_ALLOWED");
        ask("ada", dan, &["owner"]).await.refused(Code::FailedPrecondition, "OWNER_ROLE_NOT_GRANTABLE");
        ask("ada", dan, &["ghost"]).await.refused(Code::NotFound, "ROLE_NOT_FOUND");
        ask("eve", dan, &["admin"]).await.refused(Code::PermissionDenied, "GRANT_EXCEEDS_OWN");
        let refusal = ask("carol", dan, &[&here]).await.refused(DENIED.0, DENIED.1);
        assert_eq!(refusal.metadata["permission"], "roster.invitations.create", "what carol holds does not reach down");
        assert_eq!(s.service().names(Scope::ParentTeamId(s.team.clone()), 9).await, [] as [&str; 0]);
        ask("eve", dan, &[&down]).await.done();
        s.person("carol").create_below(&s.team, "Other").await;
    }

    async fn a_tree_is_eight_levels_deep(db: Db) {
        let s = Scene::new(db).await;
        let mut deepest = s.team.clone();
        for level in 2..=8 {
            deepest = s.person("ada").create_below(&deepest, &format!("Level {level}")).await;
        }
        let refusal = s.service().teams().create_team(below(&deepest, "Level 9")).await;
        let refusal = refusal.refused(Code::FailedPrecondition, "TREE_TOO_DEEP");
        assert_eq!(refusal.metadata["limit"], "8");
        s.person("bob").add(&deepest, "eve", &["member"]).await.done();
    }

    async fn only_roles_that_reach_down_give_anything_below(db: Db) {
        let s = Scene::new(db).await;
        let (branch, other) = (s.team_below("Branch").await, s.team_below("Other").await);
        let leaf = s.service().create_below(&branch, "Leaf").await;
        let (reads, writes) = (s.own_role("reads", &["catalog.read"], true).await, s.own_role("writes", &["catalog.write"], false).await);
        s.service().add(&branch, "eve", &[&reads, &writes]).await.done();
        let held = [("catalog.read", [false, true, true, false]), ("catalog.write", [false, true, false, false])];
        for (permission, expected) in held {
            for (team, may) in [&s.team, &branch, &leaf, &other].into_iter().zip(expected) {
                assert_eq!(s.service().may("eve", team, permission).await, may, "{permission} {team}");
            }
        }
        s.person("bob").list(&leaf).await.done();
        s.person("carol").list(&leaf).await.refused(DENIED.0, DENIED.1);
        let single = wire::Member { permissions: texts(&["catalog.single"]), ..member(&branch, "eve") };
        s.person("bob").change(single, &["permissions"]).await.done();
        assert!(s.service().may("eve", &branch, "catalog.single").await);
        assert!(!s.service().may("eve", &leaf, "catalog.single").await);
    }

    async fn teams_below_are_listed_as_far_as_they_may_be_seen(db: Db) {
        let s = Scene::new(db).await;
        let mut ids = std::collections::HashMap::from([("", s.team.clone())]);
        for (parent, name) in [("", "A"), ("", "B"), ("A", "A1"), ("A", "A2"), ("A2", "A21"), ("", "C")] {
            ids.insert(name, s.service().create_below(&ids[parent], name).await);
        }
        let all = ["A", "A1", "A2", "A21", "B", "C"];
        for size in [1, 2, 4, 6, 7] {
            assert_eq!(s.person("bob").names(Scope::ParentTeamId(s.team.clone()), size).await, ["A", "B", "C"]);
            assert_eq!(s.person("bob").names(Scope::AncestorTeamId(s.team.clone()), size).await, all);
            assert_eq!(s.service().names(Scope::AncestorTeamId(ids["A"].clone()), size).await, ["A1", "A2", "A21"]);
        }
        // What carol holds in the root does not reach down; what she holds in A2 does, and in C she may see nothing.
        let blind = s.own_role("blind", &["catalog.read"], false).await;
        for (name, role) in [("A2", "admin"), ("B", "member"), ("C", &blind)] {
            s.service().add(&ids[name], "carol", &[role]).await.done();
        }
        for size in [1, 2, 7] {
            assert_eq!(s.person("carol").names(Scope::ParentTeamId(s.team.clone()), size).await, ["B"]);
            assert_eq!(s.person("carol").names(Scope::AncestorTeamId(s.team.clone()), size).await, ["A2", "A21", "B"]);
        }
        s.service().disable(&ids["A2"]).await.done();
        assert_eq!(s.person("carol").names(Scope::AncestorTeamId(s.team.clone()), 7).await, ["B"]);
        let request = ListTeamsRequest { scope: Some(Scope::AncestorTeamId(s.team.clone())), ..Default::default() };
        s.person("eve").teams().list_teams(request).await.refused(DENIED.0, DENIED.1);
    }

    async fn a_list_of_teams_goes_on_behind_one_that_is_gone(db: Db) {
        let s = Scene::new(db).await;
        let a = s.team_below("A").await;
        let b = s.team_below("B").await;
        let inner = s.service().create_below(&b, "B1").await;
        s.team_below("C").await;
        for (scope, first, gone, rest) in [
            (Scope::ParentTeamId(s.team.clone()), vec!["A"], &a, vec!["B", "C"]),
            (Scope::AncestorTeamId(s.team.clone()), vec!["B", "B1"], &inner, vec!["C"]),
        ] {
            let size = i32::try_from(first.len()).unwrap();
            let mut request = ListTeamsRequest { scope: Some(scope), page_size: size, ..Default::default() };
            let page = s.service().teams().list_teams(request.clone()).await.done();
            assert_eq!(page.teams.iter().map(|team| team.name.as_str()).collect::<Vec<_>>(), first);
            s.service().delete_team(gone, true).await.done();
            request.page_token = page.next_page_token;
            let page = s.service().teams().list_teams(request).await.done();
            assert_eq!(page.teams.iter().map(|team| team.name.as_str()).collect::<Vec<_>>(), rest[..rest.len().min(first.len())]);
        }
    }

    async fn a_disabled_part_is_closed_to_all_but_owners(db: Db) {
        let s = Scene::new(db).await;
        let branch = s.team_below("Branch").await;
        let leaf = s.service().create_below(&branch, "Leaf").await;
        s.service().add(&leaf, "carol", &["admin"]).await.done();
        let ender = s.own_role("ender", &["roster.teams.*", "roster.teams.delete"], true).await;
        s.service().add(&s.team, "eve", &[&ender]).await.done();
        s.service().disable(&branch).await.done();
        let below = Scope::AncestorTeamId(s.team.clone());
        assert_eq!(s.person("bob").names(below.clone(), 50).await, Vec::<String>::new());
        assert_eq!(s.person("ada").names(below.clone(), 50).await, ["Branch", "Leaf"]);
        assert_eq!(s.service().names(below, 50).await, ["Branch", "Leaf"]);
        s.person("bob").remove_below(&s.team, "carol").await.refused(DISABLED.0, DISABLED.1);
        s.person("bob").set_access("carol", &[], &[&leaf]).await.refused(DISABLED.0, DISABLED.1);
        s.person("eve").delete_team(&s.team, true).await.refused(DISABLED.0, DISABLED.1);
        assert_eq!(s.service().members(&leaf).await, ["carol admin"], "nothing changed");
        let in_force = async |user: &str| {
            let request = ListTeamsRequest { scope: Some(Scope::UserId(user.to_owned())), ..Default::default() };
            let found = s.person(user).teams().list_teams(request).await.done();
            found.effective_roles.get(&leaf).map_or(0, |roles| roles.roles.len())
        };
        assert_eq!(in_force("carol").await, 0);
        s.person("ada").enable(&branch).await.done();
        assert_eq!(in_force("carol").await, 1);
        s.person("bob").remove_below(&s.team, "carol").await.done();
        s.service().add(&leaf, "carol", &["admin"]).await.done();
        s.person("ada").disable(&branch).await.done();
        s.person("ada").remove_below(&s.team, "carol").await.done();
        assert_eq!(s.service().members(&leaf).await, Vec::<String>::new());
    }

    async fn a_users_teams_tell_the_roles_in_force(db: Db) {
        let s = Scene::new(db).await;
        let branch = s.team_below("Branch").await;
        s.service().add(&branch, "bob", &["member"]).await.done();
        s.service().add(&branch, "carol", &["member"]).await.done();
        let roles = async |user: &str| {
            let request = ListTeamsRequest { scope: Some(Scope::UserId(user.to_owned())), ..Default::default() };
            let found = s.person(user).teams().list_teams(request).await.done();
            let of = |team: &wire::Team| {
                let roles = found.effective_roles[&team.id].roles.iter();
                let held = |role: &wire::EffectiveRole| {
                    format!("{} {}", role.role_id, if role.team_id == branch { "Branch" } else { "Acme" })
                };
                (team.name.clone(), roles.map(held).collect::<Vec<_>>())
            };
            found.teams.iter().map(of).collect::<Vec<_>>()
        };
        let of = |name: &str, roles: &[&str]| (name.to_owned(), texts(roles));
        assert_eq!(roles("bob").await, [of("Acme", &["admin Acme"]), of("Branch", &["member Branch", "admin Acme"])]);
        assert_eq!(roles("carol").await, [of("Acme", &["member Acme"]), of("Branch", &["member Branch"])]);
        s.person("ada").suspend(&s.team, "bob").await.done();
        assert_eq!(roles("bob").await, [of("Acme", &[]), of("Branch", &["member Branch"])]);
    }

    async fn a_disabled_team_is_closed_but_to_owners_and_services(db: Db) {
        let s = Scene::new(db).await;
        let branch = s.team_below("Branch").await;
        let leaf = s.service().create_below(&branch, "Leaf").await;
        s.service().add(&leaf, "carol", &["admin"]).await.done();
        let disabled = s.person("bob").disable(&branch).await.done().team.unwrap();
        assert!(disabled.disable_time.is_some());
        assert_eq!(disabled.disabled_by_team_id, branch);
        let below = s.service().team(&leaf).await.done().team.unwrap();
        assert_eq!((below.disable_time, &below.disabled_by_team_id), (None, &branch));
        for (user, team) in [("bob", &branch), ("bob", &leaf), ("carol", &leaf)] {
            let refusal = s.person(user).list(team).await.refused(DISABLED.0, DISABLED.1);
            assert_eq!(refusal.metadata["team"], branch);
            s.person(user).add(team, "eve", &["member"]).await.refused(DISABLED.0, DISABLED.1);
            s.person(user).enable(team).await.refused(DISABLED.0, DISABLED.1);
            assert!(!s.service().may(user, team, "roster.members.read").await);
        }
        s.person("eve").list(&leaf).await.refused(DENIED.0, DENIED.1);
        s.person("bob").list(&s.team).await.done();
        s.person("ada").add(&leaf, "eve", &["member"]).await.done();
        s.service().list(&leaf).await.done();
        // To enable one below changes nothing while the one above is disabled.
        let below = s.person("ada").enable(&leaf).await.done().team.unwrap();
        assert_eq!(below.disabled_by_team_id, branch);
        let enabled = s.person("ada").enable(&branch).await.done().team.unwrap();
        assert_eq!((enabled.disable_time, enabled.disabled_by_team_id.as_str()), (None, ""));
        s.person("carol").list(&leaf).await.done();
    }

    async fn to_disable_again_changes_nothing(db: Db) {
        let s = Scene::new(db).await;
        let team = s.person("ada").disable(&s.team).await.done().team.unwrap();
        assert_eq!(s.person("ada").disable(&s.team).await.done().team.unwrap(), team);
        let team = s.person("ada").enable(&s.team).await.done().team.unwrap();
        assert_eq!(s.service().enable(&s.team).await.done().team.unwrap(), team);
        assert_eq!(s.told(&["team_disabled", "team_enabled"]).await, ["team_disabled DIRECT", "team_enabled DIRECT"]);
        Log::read(&s.service()).await.assert_tables_agree(&s.service()).await;
        s.person("carol").disable(&s.team).await.refused(DENIED.0, DENIED.1);
    }

    async fn nobody_joins_a_disabled_team(db: Db) {
        let s = Scene::new(db).await;
        let branch = s.team_below("Branch").await;
        let invitation = s.person("bob").invite(&branch, "eve@example.com", &["member"]).await.done().invitation.unwrap();
        let token = s.service().token(&branch, &invitation.id).await;
        s.person("ada").disable(&s.team).await.done();
        s.service().accept(&token, "eve").await.refused(DISABLED.0, DISABLED.1);
        s.person("ada").enable(&s.team).await.done();
        s.service().accept(&token, "eve").await.done();
        assert_eq!(s.service().members(&branch).await, ["eve member"]);
    }

    async fn a_tree_is_deleted_from_below(db: Db) {
        let s = Scene::new(db).await;
        let branch = s.team_below("Branch").await;
        let leaf = s.service().create_below(&branch, "Leaf").await;
        s.own_role("reads", &["catalog.read"], true).await;
        s.service().add(&leaf, "eve", &["member"]).await.done();
        s.person("ada").invite(&leaf, "dan@example.com", &["member"]).await.done();
        s.person("bob").delete_team(&s.team, true).await.refused(DENIED.0, DENIED.1);
        let refusal = s.person("ada").delete_team(&s.team, false).await.refused(Code::FailedPrecondition, "TEAM_HAS_CHILDREN");
        assert_eq!(refusal.metadata["children"], "2");
        s.person("ada").delete_team(&s.team, true).await.done();

        let log = Log::read(&s.service()).await;
        let names = [(&s.team, "Acme"), (&branch, "Branch"), (&leaf, "Leaf")];
        let name = |id: &str| names.iter().find(|(team, _)| *team == id).unwrap().1;
        let of_deletion = log.events.iter().skip_while(|event| kind(event) != "invitation_canceled");
        let told = of_deletion.filter(|event| !event.team_id.is_empty() && kind(event) != "invitation_sent");
        let told: Vec<String> = told.map(|event| format!("{} {}", name(&event.team_id), kind(event))).collect();
        let expected = [
            "Leaf invitation_canceled", "Leaf member_removed", "Leaf team_deleted", "Branch team_deleted",
            "Acme member_removed", "Acme member_removed", "Acme member_removed", "Acme role_deleted", "Acme team_deleted",
        ];
        assert_eq!(told, expected);
        log.assert_tables_agree(&s.service()).await;
        for (team, _) in names {
            s.service().team(team).await.refused(Code::NotFound, "TEAM_NOT_FOUND");
        }
    }

    async fn only_a_root_has_rules_roles_and_an_owner(db: Db) {
        let s = Scene::new(db).await;
        let branch = s.team_below("Branch").await;
        let own = s.own_role("reads", &["catalog.read"], true).await;
        s.service().add(&branch, "bob", &["member"]).await.done();
        let policy = Some(TeamPolicy { max_members: 3, ..Default::default() });
        let team = wire::Team { id: branch.clone(), policy, ..Default::default() };
        let update = wire::UpdateTeamRequest { team: Some(team), ..Default::default() };
        let ada = s.person("ada");
        let refusal = ada.teams().update_team(update).await.refused(NOT_A_ROOT.0, NOT_A_ROOT.1);
        assert_eq!(refusal.metadata["root"], s.team);
        ada.make_role(role(&branch, "writes", &[])).await.refused(NOT_A_ROOT.0, NOT_A_ROOT.1);
        let changed = wire::Role { id: own.clone(), ..role(&branch, "writes", &[]) };
        ada.change_role(changed, &["key"]).await.refused(NOT_A_ROOT.0, NOT_A_ROOT.1);
        ada.delete_role(&branch, &own, "").await.refused(NOT_A_ROOT.0, NOT_A_ROOT.1);
        ada.transfer(&branch, "bob").await.refused(NOT_A_ROOT.0, NOT_A_ROOT.1);
        ada.add(&branch, "eve", &["owner"]).await.refused(Code::FailedPrecondition, "OWNER_ROLE_NOT_GRANTABLE");
        let renamed = wire::Team { id: branch.clone(), name: "Twig".to_owned(), ..Default::default() };
        ada.teams().update_team(wire::UpdateTeamRequest { team: Some(renamed), ..Default::default() }).await.done();
    }

    async fn a_removal_takes_the_teams_below_along_when_asked(db: Db) {
        let s = Scene::new(db).await;
        create_user(&s.service(), "dan").await;
        let branch = s.team_below("Branch").await;
        let (leaf, twig) = (s.service().create_below(&branch, "Leaf").await, s.service().create_below(&branch, "Twig").await);
        for (user, team) in [("dan", &branch), ("dan", &leaf), ("eve", &leaf), ("eve", &twig), ("ada", &leaf)] {
            s.service().add(team, user, &["member"]).await.done();
        }
        let remover = s.own_role("remover", &["roster.members.remove"], false).await;
        s.service().set_roles(&branch, "dan", &[&remover]).await.done();
        s.person("dan").remove_below(&branch, "eve").await.refused(DENIED.0, DENIED.1);
        s.person("bob").remove(&branch, "eve").await.refused(Code::NotFound, "MEMBER_NOT_FOUND");
        // Whoever saw a member here does not mean one who is in teams below alone.
        let seen = wire::RemoveMemberRequest {
            team_id: branch.clone(), user_id: "eve".to_owned(), include_descendants: true, etag: "v1".to_owned(), ..Default::default()
        };
        s.person("bob").teams().remove_member(seen).await.refused(Code::Aborted, "ETAG_MISMATCH");
        s.person("bob").remove_below(&s.team, "eve").await.done();
        s.person("bob").remove_below(&s.team, "eve").await.refused(Code::NotFound, "MEMBER_NOT_FOUND");
        s.person("bob").remove_below(&s.team, "ada").await.refused(Code::FailedPrecondition, "LAST_OWNER");
        assert_eq!(s.service().members(&leaf).await, ["dan member", "ada member"], "all or nothing");
        s.person("bob").remove(&branch, "dan").await.done();
        assert_eq!(s.service().members(&leaf).await, ["dan member", "ada member"], "only where it was asked");
        assert_eq!(s.service().members(&twig).await, [] as [&str; 0]);
    }

    async fn what_was_sent_below_ends_with_the_authority_above(db: Db) {
        let s = Scene::new(db).await;
        let branch = s.team_below("Branch").await;
        s.service().set_roles(&s.team, "carol", &["admin"]).await.done();
        for user in ["eve", "dan", "fay"] {
            if user != "eve" {
                create_user(&s.service(), user).await;
            }
            s.service().add(&s.team, user, &["admin"]).await.done();
        }
        s.service().add(&branch, "fay", &["admin"]).await.done();
        for user in ["bob", "carol", "eve", "dan", "fay"] {
            s.person(user).invite(&branch, &format!("by-{user}@example.com"), &["member"]).await.done();
        }
        let ada = s.person("ada");
        ada.set_roles(&s.team, "bob", &["member"]).await.done();
        ada.remove(&s.team, "carol").await.done();
        ada.suspend(&s.team, "eve").await.done();
        ada.set_roles(&s.team, "fay", &["member"]).await.done();
        let left = ["by-fay@example.com", "by-dan@example.com"];
        assert_eq!(ada.invited(&branch, InvitationState::Pending).await, left, "fay may still invite in the branch");
        let told = ["DEMOTION", "REMOVAL", "SUSPENSION"].map(|cause| format!("invitation_canceled {cause}"));
        assert_eq!(s.told(&["invitation_canceled"]).await, told);
        Log::read(&s.service()).await.assert_tables_agree(&s.service()).await;
    }

    async fn nobody_adds_themselves_to_a_team_below(db: Db) {
        let s = Scene::new(db).await;
        let below = s.person("bob").create_below(&s.team, "North").await;
        s.person("bob").add(&below, "bob", &["member"]).await.refused(Code::FailedPrecondition, "OWN_ROLE");
        s.person("ada").add(&below, "bob", &["member"]).await.done();
    }
}
