//! One invitation to several teams.

use roster_proto::v1::{self as wire, CreateInvitationRequest, Grant, TeamPolicy};
use tonic::Code;

use crate::{
    both,
    support::{Db, Outcome as _, Scene, acts::texts, scene::create_team},
};

pub fn grant(team: &str, roles: &[&str]) -> Grant {
    Grant { team_id: team.to_owned(), role_ids: texts(roles), permissions: Vec::new() }
}

/// Invites to a team as a member, and to others.
pub fn to(team: &str, email: &str, others: Vec<Grant>) -> CreateInvitationRequest {
    CreateInvitationRequest {
        team_id: team.to_owned(),
        email: email.to_owned(),
        role_ids: texts(&["member"]),
        other_grants: others,
        ..Default::default()
    }
}

impl Scene {
    /// Invites on behalf of the owner to the scene's team and to others; gives the invitation and its token.
    pub async fn invited_to(&self, email: &str, others: Vec<Grant>) -> (wire::Invitation, String) {
        let request = to(&self.team, email, others);
        let made = self.person("ada").invitations().create_invitation(request).await.done().invitation.unwrap();
        let token = self.token(&made.id).await;
        (made, token)
    }
}

both! {
    async fn accepting_joins_every_team(db: Db) {
        let s = Scene::new(db).await;
        let (north, south) = (s.team_below("North").await, s.team_below("South").await);
        let permissions = Grant { team_id: south.clone(), permissions: texts(&["catalog.*"]), ..Default::default() };
        let (made, token) = s.invited_to("eve@example.com", vec![grant(&north, &["admin"]), permissions]).await;
        assert_eq!(made.grants[0], grant(&s.team, &["member"]), "the team that invites comes first");
        let mail = s.server.wait_for_mails("eve@example.com", 1).await.remove(0);
        for told in ["Acme", "North", "South", &token, "eve@example.com"] {
            assert!(mail.contains(told), "{told}: {mail}");
        }
        let accepted = s.service().accept(&token, "eve").await.done();
        assert_eq!(accepted.member.as_ref().unwrap().team_id, s.team);
        let mut others: Vec<_> = accepted.other_members.iter().map(|member| member.team_id.clone()).collect();
        others.sort();
        let mut expected = vec![north.clone(), south.clone()];
        expected.sort();
        assert_eq!(others, expected);
        assert_eq!(s.service().members(&north).await, ["eve admin"]);
        assert!(s.service().may("eve", &south, "catalog.products.write").await);
        assert_eq!(s.told(&["member_added"]).await.iter().filter(|told| told.ends_with("INVITATION")).count(), 3);
        let again = s.service().accept(&token, "eve").await.done();
        assert_eq!((again.member, again.other_members), (accepted.member, accepted.other_members));
    }

    async fn it_is_all_or_nothing(db: Db) {
        let s = Scene::new(db).await;
        let (north, south) = (s.team_below("North").await, s.team_below("South").await);
        s.service().add(&north, "carol", &["admin"]).await.done();
        let (_, token) = s.invited_to("eve@example.com", vec![grant(&north, &["member"]), grant(&south, &["member"])]).await;
        s.person("ada").disable(&south).await.done();
        s.service().accept(&token, "eve").await.refused(Code::FailedPrecondition, "TEAM_DISABLED");
        assert_eq!(s.service().members(&north).await, ["carol admin"]);
        s.person("ada").enable(&south).await.done();
        s.rule(TeamPolicy { max_members: 3, ..Default::default() }, "max_members").await.done();
        s.service().accept(&token, "eve").await.refused(Code::ResourceExhausted, "SEATS_EXHAUSTED");
        assert_eq!(s.service().members(&south).await, [""; 0]);
        s.rule(TeamPolicy::default(), "max_members").await.done();
        s.service().accept(&token, "eve").await.done();
    }

    async fn authority_is_needed_in_every_team_and_stays_needed(db: Db) {
        let s = Scene::new(db).await;
        let (north, south) = (s.team_below("North").await, s.team_below("South").await);
        for (team, user) in [(&north, "eve"), (&south, "eve"), (&north, "carol")] {
            s.service().add(team, user, &["admin"]).await.done();
        }
        crate::support::scene::create_user(&s.service(), "dan").await;
        let carol = s.person("carol").invitations().create_invitation(to(&north, "dan@example.com", vec![grant(&south, &["member"])])).await;
        carol.refused(Code::PermissionDenied, "PERMISSION_DENIED");
        let request = to(&north, "dan@example.com", vec![grant(&south, &["member"])]);
        let made = s.person("eve").invitations().create_invitation(request).await.done().invitation.unwrap();
        let token = s.service().token(&north, &made.id).await;
        s.service().set_roles(&south, "eve", &["member"]).await.done();
        s.service().accept(&token, "dan").await.refused(Code::FailedPrecondition, "INVITATION_CANCELED");
        let canceled = s.told(&["invitation_canceled"]).await;
        assert_eq!(canceled, ["invitation_canceled DEMOTION"], "in the stream of the team that invites");
    }

    async fn an_invitation_is_for_one_tree(db: Db) {
        let s = Scene::new(db).await;
        let elsewhere = create_team(&s.service(), "Elsewhere", "eve").await;
        let request = || to(&s.team, "dan@example.com", vec![grant(&elsewhere, &["member"])]);
        s.service().invitations().create_invitation(request()).await.refused(Code::FailedPrecondition, "ANOTHER_TREE");
        s.person("ada").invitations().create_invitation(request()).await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
        let twice = to(&s.team, "dan@example.com", vec![grant(&s.team, &["member"])]);
        s.service().invitations().create_invitation(twice).await.refused(Code::InvalidArgument, "INVALID_FIELD");
        s.rule(TeamPolicy { exclusive_membership: true, ..Default::default() }, "exclusive_membership").await.done();
        let north = s.team_below("North").await;
        let several = to(&s.team, "dan@example.com", vec![grant(&north, &["member"])]);
        s.service().invitations().create_invitation(several).await.refused(Code::FailedPrecondition, "ONE_TEAM_ONLY");
    }

    async fn one_is_open_for_an_address_in_each_team(db: Db) {
        let s = Scene::new(db).await;
        let (north, south) = (s.team_below("North").await, s.team_below("South").await);
        let (made, _) = s.invited_to("dan@example.com", vec![grant(&north, &["member"])]).await;
        s.person("ada").invite(&north, "dan@example.com", &["admin"]).await.refused(Code::AlreadyExists, "INVITATION_PENDING");
        s.person("ada").invite(&south, "dan@example.com", &["admin"]).await.done();
        let list = wire::ListRosterRequest { team_id: north.clone(), ..Default::default() };
        let entries = s.person("ada").teams().list_roster(list).await.done().entries;
        assert_eq!(entries.iter().map(|entry| entry.email.as_str()).collect::<Vec<_>>(), ["dan@example.com"]);
        s.person("ada").delete_team(&north, false).await.done();
        assert_eq!(s.told(&["invitation_canceled"]).await, ["invitation_canceled TEAM"]);
        s.person("ada").resend(&s.team, &made.id).await.refused(Code::FailedPrecondition, "INVITATION_CANCELED");
    }

    async fn who_is_in_some_of_the_teams_joins_the_others(db: Db) {
        let s = Scene::new(db).await;
        let north = s.team_below("North").await;
        let (_, token) = s.invited_to("eve@example.com", vec![grant(&north, &["admin"])]).await;
        s.service().add(&s.team, "eve", &["admin"]).await.done();
        let accepted = s.service().accept(&token, "eve").await.done();
        assert_eq!(accepted.member.unwrap().role_ids, ["admin", "member"], "accepting never takes anything away");
        assert_eq!(s.service().members(&north).await, ["eve admin"]);
    }
}
