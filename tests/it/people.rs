//! People's records: who edits what of whom, what a deletion ends, and what somebody wants to be told.

use roster_proto::v1::{
    self as wire, CreateUserRequest, DeleteUserRequest, GetNotificationPreferencesRequest, InvitationState,
    NotificationPreferences, ProfileEditing, TeamPolicy, UpdateNotificationPreferencesRequest, UpdateUserRequest, User,
};
use tonic::{Code, Response, Status};

use crate::{
    both,
    support::{
        Caller, Db, Outcome as _, Scene,
        acts::mask,
        log::Log,
        outcome::{kind, violations},
        scene::create_team,
    },
};

const DENIED: (Code, &str) = (Code::PermissionDenied, "PERMISSION_DENIED");
const INVALID: (Code, &str) = (Code::InvalidArgument, "INVALID_FIELD");
const NOT_EDITABLE: (Code, &str) = (Code::FailedPrecondition, "PROFILE_NOT_EDITABLE");

fn named(id: &str) -> User {
    User { id: id.to_owned(), ..Default::default() }
}

impl Scene {
    async fn editing(&self, editing: ProfileEditing) {
        let policy = TeamPolicy { profile_editing: editing.into(), ..Default::default() };
        self.rule(policy, "profile_editing").await.done();
    }

    /// The versions that a person's record went through, with what made them.
    async fn record(&self, user: &str) -> Vec<String> {
        let log = Log::read(&self.service()).await;
        let of_user = log.events.iter().filter(|event| event.user_id == user);
        of_user.map(|event| format!("{} {}", event.user_version, kind(event))).collect()
    }
}

impl Caller {
    async fn preferences(&self, user: &str) -> Result<Response<wire::GetNotificationPreferencesResponse>, Status> {
        let request = GetNotificationPreferencesRequest { user_id: user.to_owned(), consistency: None };
        self.users().get_notification_preferences(request).await
    }

    async fn prefer(
        &self,
        preferences: NotificationPreferences,
        paths: &[&str],
    ) -> Result<Response<wire::UpdateNotificationPreferencesResponse>, Status> {
        let request = UpdateNotificationPreferencesRequest {
            notification_preferences: Some(preferences),
            update_mask: mask(paths),
            ..Default::default()
        };
        self.users().update_notification_preferences(request).await
    }
}

both! {
    async fn people_edit_their_own_record(db: Db) {
        let s = Scene::new(db).await;
        let wanted = User {
            display_name: "Carol".to_owned(),
            phone: "+41 (44) 123-45.67".to_owned(),
            locale: "DE-ch".to_owned(),
            time_zone: "Europe/Zurich".to_owned(),
            default_sending_country: "ch".to_owned(),
            ..named("carol")
        };
        let update = UpdateUserRequest { user: Some(wanted), ..Default::default() };
        let carol = s.person("carol").users().update_user(update).await.done().user.unwrap();
        let stored = (carol.display_name.as_str(), carol.phone.as_str(), carol.locale.as_str(), carol.time_zone.as_str(), carol.default_sending_country.as_str());
        assert_eq!(stored, ("Carol", "+41441234567", "de-CH", "Europe/Zurich", "CH"));
        assert_eq!((carol.email.as_str(), carol.email_verified), ("carol@example.com", true), "only what was said");
        let less = s.person("carol").edit(User { locale: "fr".to_owned(), ..named("carol") }, &["phone", "locale"], "").await.done().user.unwrap();
        assert_eq!((less.phone.as_str(), less.locale.as_str(), less.time_zone.as_str()), ("", "fr", "Europe/Zurich"));
        assert_eq!(s.person("carol").edit(named("carol"), &["phone"], "").await.done().user.unwrap(), less, "nothing to change");
        let stale = UpdateUserRequest { user: Some(named("carol")), update_mask: mask(&["locale"]), etag: carol.etag, ..Default::default() };
        s.person("carol").users().update_user(stale).await.refused(Code::Aborted, "ETAG_MISMATCH");
        assert_eq!(s.record("carol").await, ["1 user_created", "2 user_updated", "3 user_updated", "4 user_updated"], "the second is their home");
    }

    async fn a_field_has_to_be_what_it_is_called(db: Db) {
        let s = Scene::new(db).await;
        let wrong = User {
            email: "no address".to_owned(), display_name: "x".repeat(201), phone: "044 123".to_owned(), locale: "german".to_owned(),
            time_zone: "Zurich".to_owned(), default_sending_country: "XX".to_owned(), ..named("carol")
        };
        let refusal = s.person("carol").edit(wrong, &["*"], "").await.refused(INVALID.0, INVALID.1);
        let fields: Vec<String> = violations(&refusal.status).into_iter().map(|(field, _)| field).collect();
        assert_eq!(fields, ["email", "display_name", "phone", "locale", "time_zone", "default_sending_country"].map(|field| format!("user.{field}")));
        for (field, why) in [("id", "id cannot be changed"), ("ghost", "ghost is no field of a user")] {
            let refusal = s.service().edit(named("carol"), &[field], "").await.refused(INVALID.0, INVALID.1);
            assert_eq!(violations(&refusal.status), [("update_mask".to_owned(), why.to_owned())]);
        }
        s.service().edit(User { display_name: "x".to_owned(), ..named("ghost") }, &["display_name"], "").await.refused(Code::NotFound, "USER_NOT_FOUND");
    }

    async fn some_fields_are_for_services(db: Db) {
        let s = Scene::new(db).await;
        let foreign = s.foreign_team().await;
        let branch = s.team_below("Branch").await;
        let said = User { email_verified: false, external_id: "crm:17".to_owned(), home_team_id: foreign.clone(), display_name: "Carol".to_owned(), email: "carol@example.com".to_owned(), ..named("carol") };
        for field in ["email_verified", "external_id", "home_team_id"] {
            let refusal = s.person("carol").edit(said.clone(), &[field], "").await.refused(INVALID.0, INVALID.1);
            assert_eq!(violations(&refusal.status)[0].1, format!("{field} is for services to change"));
        }
        // A person's `*` is all that they can change.
        let own = s.person("carol").edit(said.clone(), &["*"], "").await.done().user.unwrap();
        assert_eq!((own.display_name.as_str(), own.email_verified, own.external_id.as_str(), &own.home_team_id), ("Carol", true, "", &s.team));
        let all = s.service().edit(said, &["*"], "").await.done().user.unwrap();
        assert_eq!((all.email_verified, all.external_id.as_str(), &all.home_team_id), (false, "crm:17", &foreign));
        let at = |home: &str| User { home_team_id: home.to_owned(), ..named("carol") };
        s.service().edit(at(&branch), &["home_team_id"], "").await.refused(Code::FailedPrecondition, "NOT_A_ROOT_TEAM");
        s.service().edit(at("00000000-0000-7000-8000-000000000000"), &["home_team_id"], "").await.refused(Code::NotFound, "TEAM_NOT_FOUND");
        assert_eq!(s.service().edit(at(""), &["home_team_id"], "").await.done().user.unwrap().home_team_id, "");
    }

    async fn a_new_address_is_not_verified(db: Db) {
        let s = Scene::new(db).await;
        let at = |email: &str| User { email: email.to_owned(), ..named("carol") };
        let same = s.person("carol").edit(at("Carol@EXAMPLE.com"), &["email"], "").await.done().user.unwrap();
        assert_eq!((same.email.as_str(), same.email_verified), ("carol@example.com", true), "it is the same address");
        s.person("carol").edit(at("BOB@example.com"), &["email"], "").await.refused(Code::AlreadyExists, "EMAIL_TAKEN");
        let moved = s.person("carol").edit(at("Carol@Bücher.example"), &["email"], "").await.done().user.unwrap();
        assert_eq!((moved.email.as_str(), moved.email_verified), ("carol@xn--bcher-kva.example", false));
        // The address that she left is free, and her membership follows her.
        s.person("bob").edit(User { email: "carol@example.com".to_owned(), ..named("bob") }, &["email"], "").await.done();
        s.person("ada").invite(&s.team, "carol@bücher.example", &["member"]).await.refused(Code::AlreadyExists, "ALREADY_MEMBER");
        let verified = User { email_verified: true, ..at("carol@new.example") };
        assert!(s.service().edit(verified, &["email", "email_verified"], "").await.done().user.unwrap().email_verified);
    }

    async fn administrators_edit_profiles_where_the_rules_let_them(db: Db) {
        let s = Scene::new(db).await;
        let branch = s.team_below("Branch").await;
        s.service().add(&branch, "carol", &["member"]).await.done();
        let named = |user: &str| User { display_name: format!("{user}!"), ..named(user) };
        let (name, bob) = (["display_name"], s.person("bob"));
        bob.edit(named("carol"), &name, &s.team).await.refused(NOT_EDITABLE.0, NOT_EDITABLE.1);
        bob.delete_user("carol", &s.team).await.refused(NOT_EDITABLE.0, NOT_EDITABLE.1);
        s.editing(ProfileEditing::Admins).await;
        bob.edit(named("carol"), &name, "").await.refused(DENIED.0, DENIED.1);
        s.person("carol").edit(named("bob"), &name, &s.team).await.refused(DENIED.0, DENIED.1);
        bob.edit(named("eve"), &name, &s.team).await.refused(Code::NotFound, "MEMBER_NOT_FOUND");
        bob.edit(named("ghost"), &name, &s.team).await.refused(Code::NotFound, "MEMBER_NOT_FOUND");
        bob.edit(named("carol"), &name, &branch).await.refused(Code::FailedPrecondition, "NOT_A_ROOT_TEAM");
        bob.edit(named("carol"), &name, &s.team).await.done();
        let verified = User { email_verified: true, ..named("carol") };
        bob.edit(verified, &["email_verified"], &s.team).await.refused(INVALID.0, INVALID.1);
        // Who is at home elsewhere is not theirs to edit.
        s.foreign_team().await;
        s.service().add(&s.team, "eve", &["member"]).await.done();
        bob.edit(named("eve"), &name, &s.team).await.refused(NOT_EDITABLE.0, NOT_EDITABLE.1);
        bob.delete_user("eve", &s.team).await.refused(NOT_EDITABLE.0, NOT_EDITABLE.1);
        bob.delete_user("carol", &branch).await.refused(Code::FailedPrecondition, "NOT_A_ROOT_TEAM");
        // Whoever deletes is not told where else somebody is the owner.
        let own = create_team(&s.service(), "Own", "carol").await;
        let refusal = bob.delete_user("carol", &s.team).await.refused(Code::FailedPrecondition, "LAST_OWNER");
        assert_eq!(refusal.metadata.get("team"), None);
        s.service().delete_team(&own, false).await.done();
        bob.delete_user("carol", &s.team).await.done();
        assert_eq!(s.members().await, ["ada owner", "bob admin", "eve member"]);
    }

    async fn a_deleted_person_is_gone_everywhere(db: Db) {
        let s = Scene::new(db).await;
        let (branch, foreign) = (s.team_below("Branch").await, s.foreign_team().await);
        for team in [&branch, &foreign] {
            s.service().add(team, "carol", &["admin"]).await.done();
        }
        s.person("carol").invite(&branch, "dan@example.com", &["member"]).await.done();
        for user in ["carol", "ada"] {
            s.person(user).delete_user(user, "").await.refused(Code::FailedPrecondition, "OWN_USER");
        }
        s.person("bob").delete_user("carol", "").await.refused(DENIED.0, DENIED.1);
        let refusal = s.service().delete_user("ada", "").await.refused(Code::FailedPrecondition, "LAST_OWNER");
        assert_eq!(refusal.metadata["team"], s.team);
        s.service().delete_user("ghost", "").await.refused(Code::NotFound, "USER_NOT_FOUND");
        let stale = DeleteUserRequest { user_id: "carol".to_owned(), etag: "v99".to_owned(), ..Default::default() };
        s.service().users().delete_user(stale).await.refused(Code::Aborted, "ETAG_MISMATCH");
        s.service().delete_user("carol", "").await.done();

        s.person("carol").list(&branch).await.refused(DENIED.0, DENIED.1);
        s.service().edit(named("carol"), &["phone"], "").await.refused(Code::NotFound, "USER_NOT_FOUND");
        s.service().add(&s.team, "carol", &["member"]).await.refused(Code::NotFound, "USER_NOT_FOUND");
        assert_eq!(s.service().members(&foreign).await, ["eve owner"]);
        assert_eq!(s.service().invited(&branch, InvitationState::Canceled).await, ["dan@example.com"]);
        let told = s.told(&["member_removed", "invitation_canceled", "user_deleted"]).await;
        let mut sorted = told.clone();
        sorted.sort();
        let removed = "member_removed USER";
        assert_eq!(sorted, ["invitation_canceled USER", removed, removed, removed, "user_deleted DIRECT"]);
        assert_eq!(told.last().unwrap(), "user_deleted DIRECT");
    }

    async fn an_id_can_be_used_again(db: Db) {
        let s = Scene::new(db).await;
        let again = CreateUserRequest { user_id: "carol".to_owned(), email: "carol@example.com".to_owned(), ..Default::default() };
        let other = CreateUserRequest { email: "other@example.com".to_owned(), ..again.clone() };
        s.service().users().create_user(other).await.refused(Code::AlreadyExists, "USER_ID_TAKEN");
        s.service().delete_user("carol", "").await.done();
        let user = s.service().users().create_user(again).await.done().user.unwrap();
        assert_eq!((user.display_name.as_str(), user.home_team_id.as_str(), user.email_verified), ("", "", false), "nothing is left of the former");
        assert_eq!(s.record("carol").await, ["1 user_created", "2 user_updated", "3 user_deleted", "4 user_created"]);
        assert_eq!(s.members().await, ["ada owner", "bob admin"]);
        let second = create_team(&s.service(), "Second", "carol").await;
        assert_eq!(s.service().members(&second).await, ["carol owner"]);
    }

    async fn preferences_are_everybodys_own(db: Db) {
        let s = Scene::new(db).await;
        s.editing(ProfileEditing::Admins).await;
        let found = s.person("carol").preferences("carol").await.done().notification_preferences.unwrap();
        assert_eq!((found.desktop_notifications, found.browser_badges, found.sounds, found.custom.len()), (true, true, true, 0));
        let quiet = NotificationPreferences { custom: [("digest".to_owned(), "weekly".to_owned())].into(), ..found.clone() };
        let quiet = NotificationPreferences { sounds: false, browser_badges: false, ..quiet };
        let changed = s.person("carol").prefer(quiet.clone(), &["sounds", "custom"]).await.done().notification_preferences.unwrap();
        assert_eq!((changed.browser_badges, changed.sounds, &changed.custom), (true, false, &quiet.custom));
        assert_eq!(s.service().preferences("carol").await.done().notification_preferences.unwrap(), changed);
        let stale = UpdateNotificationPreferencesRequest { notification_preferences: Some(quiet.clone()), etag: found.etag, ..Default::default() };
        s.person("carol").users().update_notification_preferences(stale).await.refused(Code::Aborted, "ETAG_MISMATCH");
        for other in ["ada", "bob"] {
            s.person(other).preferences("carol").await.refused(DENIED.0, DENIED.1);
            s.person(other).prefer(quiet.clone(), &["sounds"]).await.refused(DENIED.0, DENIED.1);
        }
        s.service().preferences("ghost").await.refused(Code::NotFound, "USER_NOT_FOUND");
        let ghost = NotificationPreferences { user_id: "ghost".to_owned(), ..quiet };
        s.service().prefer(ghost, &["sounds"]).await.refused(Code::NotFound, "USER_NOT_FOUND");
        assert_eq!(s.record("carol").await.last().unwrap(), "3 user_updated");
    }
}
