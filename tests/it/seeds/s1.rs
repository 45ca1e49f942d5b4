//! A company and its sub-accounts: invitees, single permissions, people in charge.

use chrono::TimeDelta;
use roster_proto::v1::{self as wire, InvitationState};
use tonic::Code;

use crate::{
    both,
    support::{
        Db, Outcome as _, Scene,
        acts::{below, member, texts},
        scene::create_team,
    },
};

both! {
    async fn seed_s1_01_states_of_an_invitee(db: Db) {
        let s = Scene::new(db).await;
        let (_, accepted) = s.invited("dan@example.com", &["member"]).await;
        let (_, declined) = s.invited("fay@example.com", &["member"]).await;
        let (_, pending) = s.invited("gus@example.com", &["member"]).await;
        s.service().accept_new(&accepted, "dan").await.done();
        s.service().decline(&declined).await.done();
        assert_eq!(s.state(&accepted).await, InvitationState::Accepted);
        assert_eq!(s.state(&declined).await, InvitationState::Declined);
        assert_eq!(s.state(&pending).await, InvitationState::Pending);

        crate::support::scene::create_user(&s.service(), "gus").await;
        s.person("gus").list(&s.team).await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
        s.service().accept(&pending, "gus").await.done();
        s.person("gus").list(&s.team).await.done();
        s.service().accept_new(&declined, "fay").await.refused(Code::FailedPrecondition, "INVITATION_DECLINED");
    }

    async fn seed_s1_02_a_declined_invitation_makes_room_for_another(db: Db) {
        let s = Scene::new(db).await;
        let (id, token) = s.invited("dan@example.com", &["member"]).await;
        s.service().decline(&token).await.done();
        let delete = wire::DeleteInvitationRequest { team_id: s.team.clone(), invitation_id: id, ..Default::default() };
        s.person("bob").invitations().delete_invitation(delete).await.done();
        assert_eq!(s.invitations(InvitationState::Declined).await, []);
        let (_, token) = s.invited("dan@example.com", &["admin"]).await;
        s.service().accept_new(&token, "dan").await.done();
        assert_eq!(s.members().await[3], "dan admin");
    }

    async fn seed_s1_03_cancel_only_while_pending(db: Db) {
        let s = Scene::new(db).await;
        let (id, token) = s.invited("eve@example.com", &["admin"]).await;
        s.person("bob").cancel(&s.team, &id).await.done();
        s.service().accept(&token, "eve").await.refused(Code::FailedPrecondition, "INVITATION_CANCELED");
        s.person("eve").list(&s.team).await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
        s.person("bob").cancel(&s.team, &id).await.refused(Code::FailedPrecondition, "INVITATION_CANCELED");

        let (id, token) = s.invited("eve@example.com", &["member"]).await;
        s.service().accept(&token, "eve").await.done();
        s.person("bob").cancel(&s.team, &id).await.refused(Code::FailedPrecondition, "INVITATION_ACCEPTED");
        let (id, token) = s.invited("dan@example.com", &["member"]).await;
        s.service().decline(&token).await.done();
        s.person("bob").cancel(&s.team, &id).await.refused(Code::FailedPrecondition, "INVITATION_DECLINED");
        let (id, _) = s.invited("fay@example.com", &["member"]).await;
        s.server.clock.advance(TimeDelta::days(14));
        s.person("bob").cancel(&s.team, &id).await.refused(Code::FailedPrecondition, "INVITATION_EXPIRED");
    }

    async fn seed_s1_04_members_and_invitees_are_removed(db: Db) {
        let s = Scene::new(db).await;
        let (pending, link) = s.invited("dan@example.com", &["member"]).await;
        let (declined, token) = s.invited("fay@example.com", &["member"]).await;
        s.service().decline(&token).await.done();
        let delete = |id: &str| wire::DeleteInvitationRequest {
            team_id: s.team.clone(),
            invitation_id: id.to_owned(),
            ..Default::default()
        };
        s.person("bob").remove(&s.team, "carol").await.done();
        s.person("bob").invitations().delete_invitation(delete(&declined)).await.done();
        // A pending one is canceled instead, and then it can go as well.
        s.person("bob").cancel(&s.team, &pending).await.done();
        s.service().accept_new(&link, "dan").await.refused(Code::FailedPrecondition, "INVITATION_CANCELED");
        s.person("bob").invitations().delete_invitation(delete(&pending)).await.done();
        let list = wire::ListRosterRequest { team_id: s.team.clone(), ..Default::default() };
        let people = s.person("bob").teams().list_roster(list).await.done().entries;
        assert_eq!(people.iter().map(|entry| entry.email.as_str()).collect::<Vec<_>>(), ["ada@example.com", "bob@example.com"]);
    }

    async fn seed_s1_05_roles_and_permissions_one_by_one(db: Db) {
        let s = Scene::new(db).await;
        let (bob, orders) = (s.person("bob"), s.own_role("orders", &["orders.*"], false).await);
        let held = |roles: &[&str], permissions: &[&str]| {
            wire::Member { role_ids: texts(roles), permissions: texts(permissions), ..member(&s.team, "carol") }
        };
        let steps: [(&[&str], &[&str], [bool; 3]); 5] = [
            (&["member", &orders], &[], [true, true, false]),
            (&["member", &orders], &["catalog.read"], [true, true, true]),
            (&["member"], &["catalog.read"], [true, false, true]),
            (&[], &["catalog.read"], [false, false, true]),
            (&["member"], &[], [true, false, false]),
        ];
        for (roles, permissions, expected) in steps {
            let now = bob.change(held(roles, permissions), &["role_ids", "permissions"]).await.done().member.unwrap();
            assert_eq!(now.permissions, texts(permissions));
            for (permission, may) in ["roster.members.read", "orders.write", "catalog.read"].into_iter().zip(expected) {
                assert_eq!(s.service().may("carol", &s.team, permission).await, may, "{roles:?} {permission}");
            }
        }
    }

    async fn seed_s1_06_nobody_changes_their_own_roles(db: Db) {
        let s = Scene::new(db).await;
        for (user, roles) in [("ada", ["admin"]), ("bob", ["member"]), ("bob", ["admin"])] {
            s.person(user).set_roles(&s.team, user, &roles).await.refused(Code::FailedPrecondition, "OWN_ROLE");
        }
        s.person("carol").set_roles(&s.team, "carol", &["admin"]).await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
        assert_eq!(s.members().await, ["ada owner", "bob admin", "carol member"]);
    }

    async fn seed_s1_07_a_sub_account_has_a_person_in_charge(db: Db) {
        let s = Scene::new(db).await;
        let in_charge = |email: &str| wire::CreateTeamRequest {
            person_in_charge: Some(wire::PersonInCharge { email: email.to_owned(), ..Default::default() }),
            ..below(&s.team, "Branch")
        };
        let made = s.person("ada").teams().create_team(in_charge("dan@example.com")).await.done();
        let (branch, invitation) = (made.team.unwrap(), made.invitation.unwrap());
        s.server.wait_for_mails("dan@example.com", 1).await;
        s.service().decline(&s.service().token(&branch.id, &invitation.id).await).await.done();
        // Declined by mistake: the address is invited again.
        let again = s.person("ada").invite(&branch.id, "dan@example.com", &["admin"]).await.done().invitation.unwrap();
        s.service().accept_new(&s.service().token(&branch.id, &again.id).await, "dan").await.done();
        s.person("dan").invite(&branch.id, "fay@example.com", &["member"]).await.done();
        s.person("dan").list(&s.team).await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
        s.person("bob").list(&branch.id).await.done();
        assert_eq!(s.service().members(&branch.id).await, ["dan admin"]);
    }

    async fn seed_s1_08_an_address_is_in_one_account_of_the_company(db: Db) {
        let s = Scene::new(db).await;
        s.rule(wire::TeamPolicy { exclusive_membership: true, ..Default::default() }, "exclusive_membership").await.done();
        let branch = s.team_below("Branch").await;
        let elsewhere = (Code::FailedPrecondition, "MEMBER_ELSEWHERE");
        s.person("ada").invite(&branch, "Carol@Example.com", &["member"]).await.refused(elsewhere.0, elsewhere.1);
        let taken = wire::PersonInCharge { email: "carol@example.com".to_owned(), ..Default::default() };
        let request = wire::CreateTeamRequest { person_in_charge: Some(taken), ..below(&s.team, "Other") };
        s.person("ada").teams().create_team(request).await.refused(elsewhere.0, elsewhere.1);
        let other = create_team(&s.service(), "Other", "ada").await;
        s.service().add(&other, "carol", &["member"]).await.done();
        s.person("ada").remove(&s.team, "carol").await.done();
        s.person("ada").invite(&branch, "carol@example.com", &["member"]).await.done();
    }
}
