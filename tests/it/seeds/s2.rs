//! Accounts that people work in: one list, roles in several accounts, own profiles.

use chrono::TimeDelta;
use roster_proto::v1::{self as wire, InvitationState, RosterStatus};
use tonic::Code;

use crate::{
    both,
    support::{Db, Outcome as _, Scene},
};

both! {
    async fn seed_s2_01_many_are_invited_at_once(db: Db) {
        let s = Scene::new(db).await;
        let pasted = "d1@example.com, d2@example.com d3@example.com\nDee Four <d4@example.com>;d1@example.com";
        let request = wire::BatchCreateInvitationsRequest {
            team_id: s.team.clone(),
            text: pasted.to_owned(),
            role_ids: vec!["member".to_owned()],
            ..Default::default()
        };
        let answer = s.person("ada").invitations().batch_create_invitations(request).await.done();
        assert_eq!(answer.created_count, 4);
        for n in 1..=4 {
            s.server.wait_for_mails(&format!("d{n}@example.com"), 1).await;
        }
    }

    async fn seed_s2_02_one_mail_names_every_account(db: Db) {
        let s = Scene::new(db).await;
        let (north, south) = (s.team_below("North").await, s.team_below("South").await);
        let grant = |team: &str, role: &str| wire::Grant {
            team_id: team.to_owned(),
            role_ids: vec![role.to_owned()],
            permissions: Vec::new(),
        };
        let (_, token) = s.invited_to("dan@example.com", vec![grant(&north, "admin"), grant(&south, "member")]).await;
        let mails = s.server.wait_for_mails("dan@example.com", 1).await;
        assert_eq!(mails.len(), 1);
        for told in ["Acme", "North", "South", "Admin", "Member", "dan@example.com", "http://localhost:8080/", &token] {
            assert!(mails[0].contains(told), "{told}: {}", mails[0]);
        }
        s.service().accept_new(&token, "dan").await.done();
        for team in [&s.team, &north, &south] {
            assert_eq!(s.service().members(team).await.iter().filter(|member| member.starts_with("dan ")).count(), 1);
        }
    }

    async fn seed_s2_03_expired_after_14_days_until_invited_again(db: Db) {
        let s = Scene::new(db).await;
        let (id, token) = s.invited("dan@example.com", &["member"]).await;
        s.server.clock.advance(TimeDelta::days(14) - TimeDelta::seconds(1));
        assert_eq!(s.state(&token).await, InvitationState::Pending);
        s.server.clock.advance(TimeDelta::seconds(1));
        assert_eq!(s.state(&token).await, InvitationState::Expired);
        assert_eq!(s.invitations(InvitationState::Expired).await[0].id, id);
        s.service().accept_new(&token, "dan").await.refused(Code::FailedPrecondition, "INVITATION_EXPIRED");
        s.person("ada").resend(&s.team, &id).await.done();
        s.service().accept_new(&s.token(&id).await, "dan").await.done();
    }

    async fn seed_s2_04_one_list_of_people(db: Db) {
        let s = Scene::new(db).await;
        s.invited("old@example.com", &["member"]).await;
        s.server.clock.advance(TimeDelta::days(14));
        s.invited("dan@example.com", &["member"]).await;
        let request = wire::ListRosterRequest { team_id: s.team.clone(), ..Default::default() };
        let entries = s.person("ada").teams().list_roster(request).await.done().entries;
        let told: Vec<_> = entries.iter().map(|entry| (entry.email.as_str(), entry.status())).collect();
        let (active, expired, pending) = (RosterStatus::Active, RosterStatus::Expired, RosterStatus::Pending);
        let members = [("ada@example.com", active), ("bob@example.com", active), ("carol@example.com", active)];
        assert_eq!(told[..3], members);
        assert_eq!(told[3..], [("old@example.com", expired), ("dan@example.com", pending)]);
    }

    async fn seed_s2_05_roles_in_several_accounts(db: Db) {
        let s = Scene::new(db).await;
        let (north, south, west) = (s.team_below("North").await, s.team_below("South").await, s.team_below("West").await);
        let ada = s.person("ada");
        ada.set_access("carol", &[(&north, "admin"), (&south, "admin"), (&west, "admin")], &[]).await.done();
        ada.set_roles(&north, "carol", &["member"]).await.done();
        ada.set_access("carol", &[], &[&west]).await.done();
        let request = wire::ListTeamsRequest {
            scope: Some(wire::list_teams_request::Scope::UserId("carol".to_owned())), ..Default::default()
        };
        let found = s.person("carol").teams().list_teams(request).await.done();
        let role = |team: &wire::Team| found.effective_roles[&team.id].roles[0].role_id.clone();
        let mut told: Vec<_> = found.teams.iter().map(|team| (team.name.as_str(), role(team))).collect();
        told.sort();
        assert_eq!(told, [("Acme", "member".to_owned()), ("North", "member".to_owned()), ("South", "admin".to_owned())]);
    }

    async fn seed_s2_06_own_profile_only(db: Db) {
        let s = Scene::new(db).await;
        let profile = |id: &str| wire::User {
            id: id.to_owned(), display_name: "Someone".to_owned(), email: format!("new-{id}@example.com"),
            phone: "+41 44 123 45 67".to_owned(), default_sending_country: "CH".to_owned(), ..Default::default()
        };
        let own = s.person("carol").edit(profile("carol"), &[], "").await.done().user.unwrap();
        assert_eq!((own.phone.as_str(), own.default_sending_country.as_str()), ("+41441234567", "CH"));
        assert_eq!((own.email.as_str(), own.email_verified), ("new-carol@example.com", false));
        for (caller, of) in [("carol", "bob"), ("bob", "carol"), ("ada", "carol")] {
            s.person(caller).edit(profile(of), &[], "").await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
        }
        let by_ada = s.person("ada").edit(profile("carol"), &[], &s.team).await;
        by_ada.refused(Code::FailedPrecondition, "PROFILE_NOT_EDITABLE");
    }

    async fn seed_s2_07_own_notification_preferences(db: Db) {
        let s = Scene::new(db).await;
        let quiet = wire::NotificationPreferences { user_id: "carol".to_owned(), browser_badges: true, ..Default::default() };
        let update = wire::UpdateNotificationPreferencesRequest { notification_preferences: Some(quiet), ..Default::default() };
        s.person("carol").users().update_notification_preferences(update.clone()).await.done();
        let get = wire::GetNotificationPreferencesRequest { user_id: "carol".to_owned(), consistency: None };
        let now = s.person("carol").users().get_notification_preferences(get.clone()).await.done().notification_preferences.unwrap();
        assert_eq!((now.desktop_notifications, now.browser_badges, now.sounds), (false, true, false));
        let denied = (Code::PermissionDenied, "PERMISSION_DENIED");
        s.person("ada").users().get_notification_preferences(get).await.refused(denied.0, denied.1);
        s.person("ada").users().update_notification_preferences(update).await.refused(denied.0, denied.1);
    }
}
