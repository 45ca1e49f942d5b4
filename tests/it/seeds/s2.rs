//! Accounts that people work in: one list, roles in several accounts, own profiles.

use chrono::TimeDelta;
use roster_proto::v1::{self as wire, RosterStatus};
use tonic::Code;

use crate::{
    both,
    support::{Db, Outcome as _, Scene},
};

both! {
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
