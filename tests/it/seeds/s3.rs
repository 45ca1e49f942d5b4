//! Accounts that administrators run: editing users, and people from elsewhere.

use roster_proto::v1 as wire;
use tonic::Code;

use crate::{
    both,
    support::{
        Db, Outcome as _, Scene,
        acts::{member, texts},
        scene::{create_team, user_of},
    },
};

both! {
    async fn seed_s3_01_administrators_edit_users(db: Db) {
        let s = Scene::new(db).await;
        let rule = wire::TeamPolicy { profile_editing: wire::ProfileEditing::Admins.into(), ..Default::default() };
        s.rule(rule, "profile_editing").await.done();
        let profile = wire::User { id: "carol".to_owned(), display_name: "Carol".to_owned(), ..Default::default() };
        let changed = s.person("bob").edit(profile.clone(), &["display_name"], &s.team).await.done().user.unwrap();
        assert_eq!(changed.display_name, "Carol");
        let wanted = wire::Member { role_ids: texts(&["admin"]), permissions: texts(&["orders.read"]), ..member(&s.team, "carol") };
        let now = s.person("bob").change(wanted, &["role_ids", "permissions"]).await.done().member.unwrap();
        assert_eq!((now.role_ids, now.permissions), (texts(&["admin"]), texts(&["orders.read"])));
        s.service().set_roles(&s.team, "carol", &["member"]).await.done();
        let by_member = s.person("carol").edit(wire::User { id: "bob".to_owned(), ..profile }, &["display_name"], &s.team).await;
        by_member.refused(Code::PermissionDenied, "PERMISSION_DENIED");
    }

    async fn seed_s3_03_nobody_deletes_themselves(db: Db) {
        let s = Scene::new(db).await;
        s.person("bob").remove(&s.team, "bob").await.refused(Code::FailedPrecondition, "OWN_MEMBERSHIP");
        s.person("ada").remove(&s.team, "ada").await.refused(Code::FailedPrecondition, "OWN_MEMBERSHIP");
        s.person("ada").leave(&s.team).await.refused(Code::FailedPrecondition, "LAST_OWNER");
        s.person("ada").transfer(&s.team, "bob").await.done();
        s.person("bob").remove(&s.team, "ada").await.done();
        assert_eq!(s.members().await, ["bob admin+owner", "carol member"]);
    }

    async fn seed_s3_05_pending_for_seven_days_and_never_changed(db: Db) {
        let s = Scene::new(db).await;
        s.set_ttl(7).await;
        let locked = wire::TeamPolicy { invitee_roles_editable: Some(false), ..Default::default() };
        s.rule(locked, "invitee_roles_editable").await.done();
        let (id, token) = s.invited("dan@example.com", &["member"]).await;
        s.server.clock.advance(chrono::TimeDelta::days(6));
        s.person("ada").resend(&s.team, &id).await.done();
        s.server.clock.advance(chrono::TimeDelta::days(6));
        assert_eq!(s.state(&token).await, wire::InvitationState::Pending);
        // To change whom it is for or what they get, it is deleted and another one is made.
        let grants = vec![wire::Grant { team_id: s.team.clone(), role_ids: vec!["admin".to_owned()], permissions: Vec::new() }];
        let change = wire::Invitation { id: id.clone(), team_id: s.team.clone(), grants, ..Default::default() };
        s.person("ada").update_invitation(change, &["grants"]).await.refused(Code::FailedPrecondition, "INVITEE_ROLE_LOCKED");
        let delete = wire::DeleteInvitationRequest { team_id: s.team.clone(), invitation_id: id, ..Default::default() };
        s.person("ada").invitations().delete_invitation(delete).await.done();
        let (_, token) = s.invited("dan@example.com", &["admin"]).await;
        s.server.clock.advance(chrono::TimeDelta::days(7));
        assert_eq!(s.state(&token).await, wire::InvitationState::Expired);
    }

    async fn seed_s3_06_external_users(db: Db) {
        let s = Scene::new(db).await;
        let home = create_team(&s.service(), "Home", "eve").await;
        s.person("bob").add(&s.team, "eve", &["admin"]).await.done();
        let request = wire::ListMembersRequest { team_id: s.team.clone(), external: Some(true), ..Default::default() };
        let external = s.person("bob").teams().list_members(request).await.done().members;
        assert_eq!(external.iter().map(user_of).collect::<Vec<_>>(), ["eve"]);
        s.person("bob").set_roles(&s.team, "eve", &["member"]).await.done();
        s.person("eve").add(&s.team, "carol", &["member"]).await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
        s.person("bob").remove(&s.team, "eve").await.done();
        s.person("eve").list(&s.team).await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
        assert_eq!(s.service().members(&home).await, ["eve owner"], "their own account is not touched");
        assert!(s.service().may("eve", &home, "roster.teams.delete").await);
    }
}
