//! A team by itself: inviting, roles, removing, and passing the ownership on.

use chrono::TimeDelta;
use roster_proto::v1::{self as wire, DeliveryChannel, InvitationState, ListInvitationsRequest};
use tonic::Code;

use crate::{
    both,
    support::{
        Db, Outcome as _, Scene,
        acts::{role, texts},
        scene::{create_team, user_of},
    },
};

both! {
    async fn seed_s0_01_owner_or_admin_invites(db: Db) {
        let s = Scene::new(db).await;
        for (inviter, i) in [("ada", 0), ("bob", 1)] {
            for n in 0..30 {
                let email = format!("guest-{i}-{n}@example.com");
                let invitation = s.person(inviter).invite(&s.team, &email, &["member"]).await.done().invitation.unwrap();
                assert_eq!(invitation.inviter_user_id, inviter);
                assert_eq!(invitation.grants[0].role_ids, ["member"]);
            }
        }
        assert_eq!(s.invitations(InvitationState::Pending).await.len(), 50, "a page of sixty");
    }

    async fn seed_s0_02_link_is_single_use_and_expires(db: Db) {
        let s = Scene::new(db).await;
        s.set_ttl(15).await;
        let (_, token) = s.invited("dan@example.com", &["member"]).await;
        s.server.clock.advance(TimeDelta::days(15) - TimeDelta::minutes(1));
        s.service().accept_new(&token, "dan").await.done();
        s.service().accept(&token, "eve").await.refused(Code::FailedPrecondition, "INVITATION_ACCEPTED");

        let (id, token) = s.invited("fay@example.com", &["member"]).await;
        s.server.clock.advance(TimeDelta::days(15));
        s.service().accept_new(&token, "fay").await.refused(Code::FailedPrecondition, "INVITATION_EXPIRED");
        let resent = s.person("ada").resend(&s.team, &id).await.done().invitation.unwrap();
        assert_eq!(resent.state(), InvitationState::Pending);
        let renewed = s.token(&id).await;
        assert_ne!(renewed, token);
        s.service().accept_new(&token, "fay").await.refused(Code::FailedPrecondition, "LINK_REPLACED");
        s.service().accept_new(&renewed, "fay").await.done();
        assert_eq!(s.members().await.last().unwrap(), "fay member");
    }

    async fn seed_s0_03_pending_list_copy_link_resend_cancel(db: Db) {
        let s = Scene::new(db).await;
        let (id, token) = s.invited("dan@example.com", &["admin"]).await;
        s.server.wait_for_mails("dan@example.com", 1).await;
        let listed = crate::support::server::eventually("the date sent", async || {
            let listed = s.invitations(InvitationState::Pending).await;
            listed[0].delivery.as_ref().unwrap().last_sent_time.is_some().then_some(listed)
        })
        .await;
        assert_eq!(listed.len(), 1);
        assert_eq!((listed[0].email.as_str(), listed[0].grants[0].role_ids.as_slice()), ("dan@example.com", &["admin".to_owned()][..]));

        s.server.clock.advance(TimeDelta::days(1));
        s.person("bob").resend(&s.team, &id).await.done();
        let mails = s.server.wait_for_mails("dan@example.com", 2).await;
        assert!(mails.iter().all(|mail| mail.contains(&token)), "a link that is alive stays the same");
        assert_eq!(s.token(&id).await, token);

        s.person("bob").cancel(&s.team, &id).await.done();
        assert_eq!(s.invitations(InvitationState::Pending).await, []);
        s.service().accept_new(&token, "dan").await.refused(Code::FailedPrecondition, "INVITATION_CANCELED");
        s.invited("dan@example.com", &["member"]).await;
    }

    async fn seed_s0_04_change_a_members_role(db: Db) {
        let s = Scene::new(db).await;
        let editor = s.own_role("editor", &["catalog.*"], true).await;
        for (role, may_edit, may_invite) in [("admin", true, true), (editor.as_str(), true, false), ("member", false, false)] {
            s.person("bob").set_roles(&s.team, "carol", &[role]).await.done();
            assert_eq!(s.members().await[2], format!("carol {role}"));
            assert_eq!(s.service().may("carol", &s.team, "catalog.products.write").await, may_edit, "{role}");
            assert_eq!(s.service().may("carol", &s.team, "roster.invitations.create").await, may_invite, "{role}");
        }
        s.person("carol").set_roles(&s.team, "bob", &["member"]).await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
    }

    async fn seed_s0_04_change_an_invitees_role_before_they_accept(db: Db) {
        let s = Scene::new(db).await;
        let editor = s.own_role("editor", &["catalog.*"], true).await;
        let (id, token) = s.invited("dan@example.com", &["member"]).await;
        for role in ["admin", &editor, "member", &editor] {
            let grant = wire::Grant { team_id: s.team.clone(), role_ids: texts(&[role]), permissions: Vec::new() };
            let change = wire::Invitation { id: id.clone(), team_id: s.team.clone(), grants: vec![grant], ..Default::default() };
            s.person("bob").update_invitation(change.clone(), &["grants"]).await.done();
            s.person("carol").update_invitation(change, &["grants"]).await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
        }
        s.service().accept_new(&token, "dan").await.done();
        assert_eq!(s.members().await[3], format!("dan {editor}"));
    }

    async fn seed_s0_05_system_roles_and_own_roles(db: Db) {
        let s = Scene::new(db).await;
        let editor = s.person("bob").make_role(role(&s.team, "editor", &["catalog.*"])).await.done().role.unwrap();
        let list = wire::ListRolesRequest { team_id: s.team.clone(), ..Default::default() };
        let roles = s.person("carol").roles().list_roles(list).await.done().roles;
        let told: Vec<_> = roles.iter().map(|role| (role.key.as_str(), role.system)).collect();
        assert_eq!(told, [("owner", true), ("admin", true), ("member", true), ("editor", false)]);
        let (_, token) = s.invited("dan@example.com", &[&editor.id]).await;
        s.service().accept_new(&token, "dan").await.done();
        assert!(s.service().may("dan", &s.team, "catalog.products.write").await);
        let less = wire::Role { id: editor.id, ..role(&s.team, "editor", &["catalog.products.read"]) };
        s.person("bob").change_role(less, &["permissions"]).await.done();
        assert!(!s.service().may("dan", &s.team, "catalog.products.write").await, "who holds it has what it gives");
    }

    async fn seed_s0_07_remove_anyone_but_the_owner(db: Db) {
        let s = Scene::new(db).await;
        let other = create_team(&s.service(), "Other", "carol").await;
        s.service().add(&s.team, "eve", &["admin"]).await.done();
        s.person("bob").remove(&s.team, "eve").await.done();
        s.person("bob").remove(&s.team, "carol").await.done();
        s.person("bob").remove(&s.team, "ada").await.refused(Code::FailedPrecondition, "LAST_OWNER");
        s.person("ada").remove(&s.team, "bob").await.done();
        assert_eq!(s.members().await, ["ada owner"]);
        assert_eq!(s.service().members(&other).await, ["carol owner"], "only this team's access ends");

        let (_, token) = s.invited("carol@example.com", &["member"]).await;
        s.service().accept(&token, "carol").await.done();
        assert_eq!(s.members().await, ["ada owner", "carol member"]);
    }

    async fn seed_s0_08_only_the_owner_transfers(db: Db) {
        let s = Scene::new(db).await;
        s.person("bob").transfer(&s.team, "bob").await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
        s.service().transfer(&s.team, "bob").await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
        s.person("ada").transfer(&s.team, "eve").await.refused(Code::NotFound, "MEMBER_NOT_FOUND");
        s.person("ada").transfer(&s.team, "ada").await.refused(Code::FailedPrecondition, "ALREADY_OWNER");

        let answer = s.person("ada").transfer(&s.team, "carol").await.done();
        assert_eq!(user_of(answer.owner.as_ref().unwrap()), "carol");
        assert_eq!(answer.former_owner.unwrap().role_ids, ["admin"]);
        assert_eq!(s.members().await, ["ada admin", "bob admin", "carol member+owner"]);
        s.person("ada").transfer(&s.team, "ada").await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
        s.person("carol").remove(&s.team, "ada").await.done();
    }

    async fn seed_s0_09_nobody_but_owners_and_admins(db: Db) {
        let s = Scene::new(db).await;
        let (id, _) = s.invited("dan@example.com", &["member"]).await;
        for user in ["carol", "eve"] {
            let caller = s.person(user);
            let denied = (Code::PermissionDenied, "PERMISSION_DENIED");
            caller.invite(&s.team, "fay@example.com", &["member"]).await.refused(denied.0, denied.1);
            caller.resend(&s.team, &id).await.refused(denied.0, denied.1);
            caller.cancel(&s.team, &id).await.refused(denied.0, denied.1);
            caller.add(&s.team, "eve", &["member"]).await.refused(denied.0, denied.1);
            caller.set_roles(&s.team, "bob", &["member"]).await.refused(denied.0, denied.1);
            caller.remove(&s.team, "bob").await.refused(denied.0, denied.1);
            caller.transfer(&s.team, user).await.refused(denied.0, denied.1);
            let list = ListInvitationsRequest { team_id: s.team.clone(), ..Default::default() };
            caller.invitations().list_invitations(list).await.refused(denied.0, denied.1);
        }
        assert_eq!(s.members().await, ["ada owner", "bob admin", "carol member"]);
    }

    async fn a_link_only_invitation_sends_no_mail(db: Db) {
        let s = Scene::new(db).await;
        let request = wire::CreateInvitationRequest {
            team_id: s.team.clone(),
            email: "dan@example.com".to_owned(),
            role_ids: vec!["member".to_owned()],
            delivery_channel: DeliveryChannel::LinkOnly.into(),
            ..Default::default()
        };
        let quiet = s.person("ada").invitations().create_invitation(request).await.done().invitation.unwrap();
        assert_eq!(quiet.delivery.unwrap().channel(), DeliveryChannel::LinkOnly);
        s.invited("fay@example.com", &["member"]).await;
        // Mails go out in the order in which they were asked for, so once the second is there, the first never comes.
        s.server.wait_for_mails("fay@example.com", 1).await;
        assert_eq!(s.server.mails_to("dan@example.com"), [] as [String; 0]);
        s.service().accept_new(&s.token(&quiet.id).await, "dan").await.done();
    }
}
