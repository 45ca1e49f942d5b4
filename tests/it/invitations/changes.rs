//! Changing invitations, taking them off the list, and finding them.

use chrono::TimeDelta;
use roster_proto::v1::{
    self as wire, DeleteInvitationRequest, DeliveryChannel, DeliveryState, Invitation, InvitationOrder,
    InvitationState, ListInvitationsRequest, TeamPolicy,
};
use tonic::Code;

use super::several::grant;
use crate::{
    both,
    support::{
        Caller, Db, Outcome as _, Scene,
        acts::{stamp, texts},
        server::eventually,
    },
};

impl Scene {
    /// What an update of one of the team's invitations says.
    fn changed(&self, id: &str, change: Invitation) -> Invitation {
        Invitation { team_id: self.team.clone(), id: id.to_owned(), ..change }
    }
}

impl Caller {
    pub async fn delete_invitation(
        &self,
        team: &str,
        id: &str,
    ) -> Result<tonic::Response<wire::DeleteInvitationResponse>, tonic::Status> {
        let (team_id, invitation_id) = (team.to_owned(), id.to_owned());
        let request = DeleteInvitationRequest { team_id, invitation_id, ..Default::default() };
        self.invitations().delete_invitation(request).await
    }

    /// The addresses of the invitations that a query finds, over all of its pages of `size`.
    async fn addresses(&self, mut query: ListInvitationsRequest, size: i32) -> Vec<String> {
        query.page_size = size;
        let mut found = Vec::new();
        loop {
            let page = self.invitations().list_invitations(query.clone()).await.done();
            found.extend(page.invitations.into_iter().map(|invitation| invitation.email));
            if page.next_page_token.is_empty() {
                return found;
            }
            query.page_token = page.next_page_token;
        }
    }
}

both! {
    async fn what_an_open_invitation_says_can_be_changed(db: Db) {
        let s = Scene::new(db).await;
        let (id, token) = s.invited("eve@example.com", &["member"]).await;
        let north = s.team_below("North").await;
        let end = s.after(TimeDelta::days(30));
        let change = s.changed(&id, Invitation {
            grants: vec![grant(&s.team, &["admin"]), grant(&north, &["member"])],
            expire_time: Some(stamp(end)),
            message: "Come".to_owned(),
            metadata: [("a".to_owned(), "b".to_owned())].into(),
            ..Default::default()
        });
        let after = s.person("bob").update_invitation(change.clone(), &["*"]).await.done().invitation.unwrap();
        assert_eq!((after.message.as_str(), after.grants.len(), after.expire_time), ("Come", 2, Some(stamp(end))));
        assert_eq!(after.inviter_user_id, "bob", "who changes the grants answers for them");
        // The same again is no change, and a field that is not named stays.
        s.person("bob").update_invitation(change, &["*"]).await.done();
        let words = s.changed(&id, Invitation { message: "Do come".to_owned(), ..Default::default() });
        let after = s.person("ada").update_invitation(words, &[]).await.done().invitation.unwrap();
        assert_eq!((after.message.as_str(), after.grants.len(), after.inviter_user_id.as_str()), ("Do come", 2, "bob"));
        assert_eq!(s.told(&["invitation_updated"]).await.len(), 2);
        assert_eq!(s.token(&id).await, token, "the link stays the same");
        s.service().accept(&token, "eve").await.done();
        assert_eq!(s.service().members(&north).await, ["eve member"]);
        assert_eq!(s.members().await[3], "eve admin");
    }

    async fn nobody_changes_an_invitation_to_more_than_they_hold(db: Db) {
        let s = Scene::new(db).await;
        let (id, _) = s.invited("eve@example.com", &["member"]).await;
        let rights = ["roster.invitations.*", "roster.teams.read", "roster.members.read", "roster.roles.read"];
        let editor = s.own_role("editor", &rights, false).await;
        s.service().set_roles(&s.team, "carol", &[&editor]).await.done();
        let admin = s.changed(&id, Invitation { grants: vec![grant(&s.team, &["admin"])], ..Default::default() });
        s.person("carol").update_invitation(admin.clone(), &["grants"]).await.refused(Code::PermissionDenied, "GRANT_EXCEEDS_OWN");
        s.person("bob").update_invitation(admin, &["grants"]).await.done();
        // What another gave and she lacks, she cannot pass on as her own either.
        let both = Invitation { grants: vec![grant(&s.team, &["admin", "member"])], ..Default::default() };
        s.person("carol").update_invitation(s.changed(&id, both), &["grants"]).await.refused(Code::PermissionDenied, "GRANT_EXCEEDS_OWN");
        let less = Invitation { grants: vec![grant(&s.team, &["member"])], ..Default::default() };
        s.person("carol").update_invitation(s.changed(&id, less), &["grants"]).await.done();
        let north = s.team_below("North").await;
        let below = Invitation { grants: vec![grant(&s.team, &["member"]), grant(&north, &["member"])], ..Default::default() };
        s.person("carol").update_invitation(s.changed(&id, below), &["grants"]).await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
    }

    async fn to_prolong_an_invitation_is_to_give_what_it_gives(db: Db) {
        let s = Scene::new(db).await;
        let (id, _) = s.invited("eve@example.com", &["admin"]).await;
        let north = s.team_below("North").await;
        let (both, _) = s.invited_to("fay@example.com", vec![grant(&north, &["member"])]).await;
        let rights = ["roster.invitations.*", "roster.teams.read", "roster.members.read", "roster.roles.read"];
        let editor = s.own_role("editor", &rights, false).await;
        s.service().set_roles(&s.team, "carol", &[&editor]).await.done();
        let end = |id: &str, days| s.changed(id, Invitation { expire_time: Some(stamp(s.after(TimeDelta::days(days)))), ..Default::default() });
        let carol = s.person("carol");
        carol.update_invitation(end(&id, 60), &["expire_time"]).await.refused(Code::PermissionDenied, "GRANT_EXCEEDS_OWN");
        carol.update_invitation(end(&both.id, 60), &["expire_time"]).await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
        // To have it end sooner gives nobody anything, and she does not come to answer for it.
        let sooner = carol.update_invitation(end(&id, 1), &["expire_time"]).await.done().invitation.unwrap();
        assert_eq!(sooner.inviter_user_id, "ada");
        // Whoever prolongs it does, also where what is granted is locked.
        let policy = TeamPolicy { invitee_roles_editable: Some(false), ..Default::default() };
        s.rule(policy, "invitee_roles_editable").await.done();
        let later = s.person("bob").update_invitation(end(&id, 60), &["expire_time"]).await.done().invitation.unwrap();
        assert_eq!(later.inviter_user_id, "bob");
    }

    async fn nobody_invites_their_own_address(db: Db) {
        let s = Scene::new(db).await;
        let north = s.team_below("North").await;
        s.person("bob").invite(&north, "bob@example.com", &["admin"]).await.refused(Code::FailedPrecondition, "OWN_ROLE");
        let by_ada = s.person("ada").invite(&north, "bob@example.com", &["member"]).await.done().invitation.unwrap();
        // Nor do they come to answer for what another sent them.
        s.person("bob").resend(&north, &by_ada.id).await.refused(Code::FailedPrecondition, "OWN_ROLE");
        let more = Invitation { team_id: north.clone(), id: by_ada.id.clone(), grants: vec![grant(&north, &["admin"])], ..Default::default() };
        s.person("bob").update_invitation(more, &["grants"]).await.refused(Code::FailedPrecondition, "OWN_ROLE");
        s.service().accept(&s.service().token(&north, &by_ada.id).await, "bob").await.done();
    }

    async fn a_change_is_refused_where_it_cannot_be(db: Db) {
        let s = Scene::new(db).await;
        let (id, token) = s.invited("eve@example.com", &["member"]).await;
        let ada = s.person("ada");
        let end = |delta| s.changed(&id, Invitation { expire_time: Some(stamp(s.after(delta))), ..Default::default() });
        ada.update_invitation(end(TimeDelta::seconds(-1)), &["expire_time"]).await.refused(Code::FailedPrecondition, "EXPIRE_TIME_PASSED");
        ada.update_invitation(end(TimeDelta::days(91)), &["expire_time"]).await.refused(Code::FailedPrecondition, "EXPIRE_TIME_TOO_LATE");
        let grants = |grants| s.changed(&id, Invitation { grants, ..Default::default() });
        for bad in [vec![], vec![grant(&s.team, &[])], vec![grant("x", &["member"])]] {
            ada.update_invitation(grants(bad), &["grants"]).await.refused(Code::InvalidArgument, "INVALID_FIELD");
        }
        let north = s.team_below("North").await;
        ada.update_invitation(grants(vec![grant(&north, &["member"])]), &["grants"]).await.refused(Code::InvalidArgument, "INVALID_FIELD");
        for path in ["email", "locale", "nonsense"] {
            ada.update_invitation(grants(vec![]), &[path]).await.refused(Code::InvalidArgument, "INVALID_FIELD");
        }
        let gone = vec![grant(&s.team, &["01988e1c-0000-7000-8000-000000000000"])];
        ada.update_invitation(grants(gone), &["grants"]).await.refused(Code::NotFound, "ROLE_NOT_FOUND");
        let stale = wire::UpdateInvitationRequest {
            invitation: Some(s.changed(&id, Invitation { message: "x".to_owned(), ..Default::default() })),
            etag: "v1".to_owned(),
            ..Default::default()
        };
        ada.invitations().update_invitation(stale).await.refused(Code::Aborted, "ETAG_MISMATCH");
        // Another open invitation has the place in the team that is added.
        ada.invite(&north, "eve@example.com", &["member"]).await.done();
        let both = vec![grant(&s.team, &["member"]), grant(&north, &["member"])];
        ada.update_invitation(grants(both), &["grants"]).await.refused(Code::AlreadyExists, "INVITATION_PENDING");
        s.service().decline(&token).await.done();
        let words = s.changed(&id, Invitation { message: "x".to_owned(), ..Default::default() });
        ada.update_invitation(words, &[]).await.refused(Code::FailedPrecondition, "INVITATION_DECLINED");
        assert_eq!(s.told(&["invitation_updated"]).await.len(), 0);
    }

    async fn the_rules_can_leave_what_was_offered_as_it_is(db: Db) {
        let s = Scene::new(db).await;
        let (id, _) = s.invited("eve@example.com", &["member"]).await;
        let policy = TeamPolicy { invitee_roles_editable: Some(false), ..Default::default() };
        s.rule(policy, "invitee_roles_editable").await.done();
        let admin = s.changed(&id, Invitation { grants: vec![grant(&s.team, &["admin"])], ..Default::default() });
        s.person("ada").update_invitation(admin, &["grants"]).await.refused(Code::FailedPrecondition, "INVITEE_ROLE_LOCKED");
        let words = s.changed(&id, Invitation { message: "Hello".to_owned(), ..Default::default() });
        s.person("ada").update_invitation(words, &["message"]).await.done();
    }

    async fn who_is_taken_off_the_list_can_be_invited_again(db: Db) {
        let s = Scene::new(db).await;
        let (open, token) = s.invited("eve@example.com", &["member"]).await;
        s.person("carol").delete_invitation(&s.team, &open).await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
        s.person("bob").delete_invitation(&s.team, &open).await.done();
        s.person("bob").delete_invitation(&s.team, &open).await.refused(Code::NotFound, "INVITATION_NOT_FOUND");
        // Who has the link is told what became of it.
        s.service().accept(&token, "eve").await.refused(Code::FailedPrecondition, "INVITATION_CANCELED");
        assert_eq!(s.told(&["invitation_canceled", "invitation_deleted"]).await, ["invitation_canceled DIRECT", "invitation_deleted DIRECT"]);
        let (declined, token) = s.invited("eve@example.com", &["member"]).await;
        s.service().decline(&token).await.done();
        s.person("bob").delete_invitation(&s.team, &declined).await.done();
        let (accepted, token) = s.invited("eve@example.com", &["member"]).await;
        s.service().accept(&token, "eve").await.done();
        s.person("bob").delete_invitation(&s.team, &accepted).await.done();
        assert_eq!(s.members().await[3], "eve member", "the membership stays");
        let all = ListInvitationsRequest { team_id: s.team.clone(), ..Default::default() };
        assert_eq!(s.person("ada").addresses(all, 10).await, [""; 0]);
        s.server.clock.advance(TimeDelta::days(1));
        let (late, _) = s.invited("late@example.com", &["member"]).await;
        s.server.clock.advance(TimeDelta::days(14));
        s.person("bob").delete_invitation(&s.team, &late).await.done();
        assert_eq!(s.told(&["invitation_expired"]).await.len(), 1);
    }

    async fn invitations_are_found_by_what_they_are(db: Db) {
        let s = Scene::new(db).await;
        let north = s.team_below("North").await;
        for (by, team, email) in [("ada", &s.team, "d1@example.com"), ("bob", &s.team, "D2@example.com"), ("ada", &s.team, "fay@example.com"), ("bob", &north, "gus@example.com")] {
            s.server.clock.advance(TimeDelta::minutes(1));
            s.person(by).invite(team, email, &["member"]).await.done();
        }
        s.service().invite_outside(&s.team, "out@example.com").await;
        let list = |change: ListInvitationsRequest| ListInvitationsRequest { team_id: s.team.clone(), ..change };
        let ada = s.person("ada");
        let all = ListInvitationsRequest::default;
        eventually("the mails", async || {
            let sent = ListInvitationsRequest { delivery_states: vec![DeliveryState::Sent.into()], include_descendants: true, ..all() };
            (ada.addresses(list(sent), 50).await.len() == 4).then_some(())
        }).await;
        for (what, query, expected) in [
            ("newest first", all(), vec!["out", "fay", "d2", "d1"]),
            ("oldest first", ListInvitationsRequest { order_by: InvitationOrder::CreateTime.into(), ..all() }, vec!["d1", "d2", "fay", "out"]),
            ("by address", ListInvitationsRequest { order_by: InvitationOrder::Email.into(), ..all() }, vec!["d1", "d2", "fay", "out"]),
            ("by end", ListInvitationsRequest { order_by: InvitationOrder::ExpireTime.into(), ..all() }, vec!["d1", "d2", "fay", "out"]),
            ("prefix", ListInvitationsRequest { email_prefix: "D".to_owned(), ..all() }, vec!["d2", "d1"]),
            ("inviter", ListInvitationsRequest { inviter_user_id: "ada".to_owned(), ..all() }, vec!["fay", "d1"]),
            ("queued", ListInvitationsRequest { delivery_states: vec![DeliveryState::Queued.into()], ..all() }, vec!["out"]),
            ("subtree", ListInvitationsRequest { include_descendants: true, ..all() }, vec!["out", "gus", "fay", "d2", "d1"]),
            ("sent", ListInvitationsRequest { min_last_sent_time: Some(stamp(s.after(-TimeDelta::days(1)))), ..all() }, vec!["fay", "d2", "d1"]),
            ("not sent since", ListInvitationsRequest { min_last_sent_time: Some(stamp(s.after(TimeDelta::days(1)))), ..all() }, vec![]),
            ("closed", ListInvitationsRequest { states: vec![InvitationState::Accepted.into()], ..all() }, vec![]),
        ] {
            let expected: Vec<String> = expected.iter().map(|name| format!("{name}@example.com")).collect();
            assert_eq!(ada.addresses(list(query.clone()), 50).await, expected, "{what}");
            assert_eq!(ada.addresses(list(query), 1).await, expected, "{what}, page by page");
        }
        let subtree = ListInvitationsRequest { include_descendants: true, ..all() };
        let reader = s.own_role("reader", &["roster.invitations.read"], false).await;
        s.service().set_roles(&s.team, "carol", &[&reader]).await.done();
        s.person("carol").invitations().list_invitations(list(all())).await.done();
        s.person("carol").invitations().list_invitations(list(subtree)).await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
        let bad = ListInvitationsRequest { order_by: 99, delivery_states: vec![99], email_prefix: "\n".to_owned(), ..all() };
        let refused = ada.invitations().list_invitations(list(bad)).await;
        let fields = crate::support::outcome::violations(refused.as_ref().unwrap_err());
        assert_eq!(fields.iter().map(|(field, _)| field.as_str()).collect::<Vec<_>>(), ["delivery_states[0]", "email_prefix", "order_by"]);
    }

    async fn who_sends_it_again_answers_for_it(db: Db) {
        let s = Scene::new(db).await;
        let invited = s.person("bob").invite(&s.team, "eve@example.com", &["admin"]).await.done().invitation.unwrap();
        s.server.clock.advance(TimeDelta::days(15));
        s.person("ada").remove(&s.team, "bob").await.done();
        let again = s.person("ada").resend(&s.team, &invited.id).await.done().invitation.unwrap();
        assert_eq!(again.inviter_user_id, "ada");
        s.service().accept(&s.token(&invited.id).await, "eve").await.done();
    }

    async fn a_role_that_is_replaced_is_replaced_in_invitations_too(db: Db) {
        let s = Scene::new(db).await;
        let north = s.team_below("North").await;
        let role = s.own_role("helper", &["catalog.read"], false).await;
        let (made, _) = s.invited_to("dan@example.com", vec![grant(&north, &[&role])]).await;
        let delete = |replacement: &str| wire::DeleteRoleRequest {
            team_id: s.team.clone(),
            role_id: role.clone(),
            replacement_role_id: replacement.to_owned(),
            ..Default::default()
        };
        let in_use = s.person("ada").roles().delete_role(delete("")).await;
        in_use.refused(Code::FailedPrecondition, "ROLE_IN_USE");
        s.person("ada").roles().delete_role(delete("member")).await.done();
        let after = s.invitation(&made.id).await;
        assert_eq!(after.grants, [grant(&s.team, &["member"]), grant(&north, &["member"])]);
    }

    async fn an_invitation_whose_role_comes_to_give_too_much_is_canceled(db: Db) {
        let s = Scene::new(db).await;
        let held = ["catalog.read", "roster.invitations.create", "roster.teams.read"];
        let inviter = s.own_role("inviter", &held, false).await;
        let role = s.own_role("helper", &["catalog.read"], false).await;
        s.service().set_roles(&s.team, "carol", &[&inviter]).await.done();
        s.person("carol").invite(&s.team, "dan@example.com", &[&role]).await.done();
        let change = wire::Role { team_id: s.team.clone(), id: role, permissions: texts(&["catalog.*"]), ..Default::default() };
        let request = wire::UpdateRoleRequest { role: Some(change), ..Default::default() };
        s.person("ada").roles().update_role(request).await.done();
        assert_eq!(s.told(&["invitation_canceled"]).await, ["invitation_canceled ROLE"]);
    }

    async fn a_link_only_invitation_sends_nothing(db: Db) {
        let s = Scene::new(db).await;
        let request = wire::CreateInvitationRequest {
            team_id: s.team.clone(),
            email: "dan@example.com".to_owned(),
            role_ids: texts(&["member"]),
            delivery_channel: DeliveryChannel::LinkOnly.into(),
            locale: "de-CH".to_owned(),
            ..Default::default()
        };
        let made = s.person("ada").invitations().create_invitation(request).await.done().invitation.unwrap();
        let delivery = made.delivery.unwrap();
        assert_eq!((delivery.state(), delivery.id.as_str(), made.locale.as_str()), (DeliveryState::Unspecified, "", "de-CH"));
    }

    async fn who_may_not_invite_does_not_come_to_answer_for_an_invitation(db: Db) {
        let s = Scene::new(db).await;
        let (id, token) = s.invited("eve@example.com", &["member"]).await;
        let held = ["roster.invitations.update", "roster.teams.read", "roster.members.read", "roster.roles.read", "catalog.read"];
        let editor = s.own_role("editor", &held, false).await;
        s.service().set_roles(&s.team, "carol", &[&editor]).await.done();
        let grants = vec![wire::Grant { permissions: texts(&["catalog.read"]), ..grant(&s.team, &["member"]) }];
        let more = s.changed(&id, Invitation { grants, ..Default::default() });
        let refused = s.person("carol").update_invitation(more.clone(), &["grants"]).await;
        assert_eq!(refused.refused(Code::PermissionDenied, "PERMISSION_DENIED").metadata["permission"], "roster.invitations.create");
        // Her words rest on the authority of whoever sent it.
        let words = s.changed(&id, Invitation { message: "Hello".to_owned(), ..Default::default() });
        let after = s.person("carol").update_invitation(words, &["message"]).await.done().invitation.unwrap();
        assert_eq!(after.inviter_user_id, "ada");
        s.person("bob").update_invitation(more, &["grants"]).await.done();
        s.service().accept(&token, "eve").await.done();
    }

    async fn to_send_it_again_never_shortens_it(db: Db) {
        let s = Scene::new(db).await;
        let (id, token) = s.invited("dan@example.com", &["member"]).await;
        let end = s.after(TimeDelta::days(60));
        s.person("ada").end_invitation_at(&s.team, &id, end).await.done();
        let again = s.person("ada").resend(&s.team, &id).await.done().invitation.unwrap();
        assert_eq!((again.expire_time, s.token(&id).await), (Some(stamp(end)), token));
        s.server.clock.advance(TimeDelta::days(50));
        let longer = s.person("ada").resend(&s.team, &id).await.done().invitation.unwrap();
        assert!(longer.expire_time.unwrap().seconds > end.timestamp(), "{longer:?}");
        // That it ran out is told of, whether the sweeper or this call finds it.
        s.server.clock.advance(TimeDelta::days(14));
        s.person("ada").resend(&s.team, &id).await.done();
        let told = s.told(&["invitation_expired", "invitation_updated"]).await;
        assert_eq!(told[3..], ["invitation_expired EXPIRY", "invitation_updated DIRECT"]);
    }

    async fn a_replacement_that_is_held_for_a_time_is_held_as_long_as_what_it_replaces(db: Db) {
        let s = Scene::new(db).await;
        let (old, new) = (s.own_role("old", &["catalog.read"], false).await, s.own_role("new", &["catalog.read"], false).await);
        let end = s.after(TimeDelta::days(1));
        let ends = [(new.clone(), stamp(end))].into();
        let with = wire::AddMemberRequest { role_ids: vec![old.clone(), new.clone()], role_expire_times: ends, ..Default::default() };
        s.service().add_with(&s.team, "eve", with).await.done();
        s.person("ada").delete_role(&s.team, &old, &new).await.done();
        let member = s.service().member(&s.team, "eve").await.done().member.unwrap();
        assert_eq!((member.role_ids, member.role_expire_times.len()), (vec![new], 0));
        s.server.clock.advance(TimeDelta::days(2));
        assert!(s.service().may("eve", &s.team, "catalog.read").await);
    }
}
