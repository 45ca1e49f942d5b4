//! Users, and what they want to be told.

use prost_types::FieldMask;
use roster_proto::v1 as wire;

use super::{Violations, mask, optional_text, timestamp};
use crate::{
    application::{context::Etag, users::UpdateNotifications},
    domain::{
        Email, Invalid, User, UserId,
        profile::{Country, ExternalId, Locale, Notifications, Phone, TimeZone},
        text::DisplayName,
        user::{Profile, UserPatch},
    },
};

const MUTABLE: [&str; 9] = [
    "email",
    "display_name",
    "phone",
    "locale",
    "time_zone",
    "default_sending_country",
    "email_verified",
    "external_id",
    "home_team_id",
];
/// How many of these a person can change.
const OF_PERSON: usize = 6;
const IMMUTABLE: [&str; 4] = ["id", "create_time", "update_time", "etag"];

pub(in crate::grpc) fn message(user: &User) -> wire::User {
    let profile = &user.profile;
    wire::User {
        id: user.id.to_string(),
        email: user.email.to_string(),
        email_verified: user.email_verified,
        display_name: user.display_name.to_string(),
        create_time: Some(timestamp(user.create_time)),
        update_time: Some(timestamp(user.update_time)),
        etag: Etag::of(user.version),
        home_team_id: optional_text(user.home),
        phone: optional_text(profile.phone.as_ref()),
        locale: optional_text(profile.locale.as_ref()),
        time_zone: optional_text(profile.time_zone.as_ref()),
        default_sending_country: optional_text(profile.default_sending_country.as_ref()),
        external_id: optional_text(profile.external_id.as_ref()),
    }
}

/// The value of a field that may be empty.
fn optional<T>(
    violations: &mut Violations,
    path: &str,
    text: &str,
    parse: impl FnOnce(&str) -> Result<T, Invalid>,
) -> Option<Option<T>> {
    if text.is_empty() { Some(None) } else { violations.field(path, parse(text)).map(Some) }
}

/// What a request says of a new person.
pub(in crate::grpc) fn profile(violations: &mut Violations, request: &wire::CreateUserRequest) -> Option<Profile> {
    let v = violations;
    let phone = optional(v, "phone", &request.phone, Phone::parse);
    let locale = optional(v, "locale", &request.locale, Locale::parse);
    let time_zone = optional(v, "time_zone", &request.time_zone, TimeZone::parse);
    let country = optional(v, "default_sending_country", &request.default_sending_country, Country::parse);
    let external_id = optional(v, "external_id", &request.external_id, ExternalId::parse);
    Some(Profile {
        phone: phone?,
        locale: locale?,
        time_zone: time_zone?,
        default_sending_country: country?,
        external_id: external_id?,
    })
}

/// The new values that an update asks for; a person may not ask for all.
pub(in crate::grpc) fn patch(
    violations: &mut Violations,
    asked: Option<&FieldMask>,
    user: &wire::User,
    by_person: bool,
) -> UserPatch {
    let populated = [
        !user.email.is_empty(),
        !user.display_name.is_empty(),
        !user.phone.is_empty(),
        !user.locale.is_empty(),
        !user.time_zone.is_empty(),
        !user.default_sending_country.is_empty(),
        user.email_verified,
        !user.external_id.is_empty(),
        !user.home_team_id.is_empty(),
    ];
    let whole = asked.is_some_and(|mask| mask.paths.iter().any(|path| path == "*"));
    let v = violations;
    let mut patch = UserPatch::default();
    for path in mask::paths(v, asked, &MUTABLE, &IMMUTABLE, &populated, "a user") {
        if by_person && MUTABLE[OF_PERSON..].contains(&path) {
            // A person's `*` means all that they can change.
            if !whole {
                v.add("update_mask", format_args!("{path} is for services to change"));
            }
            continue;
        }
        let field = format!("user.{path}");
        match path {
            "email" => patch.email = v.field(&field, Email::parse(&user.email)),
            "display_name" => patch.display_name = v.field(&field, DisplayName::parse(&user.display_name)),
            "phone" => patch.phone = optional(v, &field, &user.phone, Phone::parse),
            "locale" => patch.locale = optional(v, &field, &user.locale, Locale::parse),
            "time_zone" => patch.time_zone = optional(v, &field, &user.time_zone, TimeZone::parse),
            "default_sending_country" => {
                patch.default_sending_country = optional(v, &field, &user.default_sending_country, Country::parse);
            }
            "email_verified" => patch.email_verified = Some(user.email_verified),
            "external_id" => patch.external_id = optional(v, &field, &user.external_id, ExternalId::parse),
            _ => patch.home = v.optional_id(&field, &user.home_team_id),
        }
    }
    patch
}

pub(in crate::grpc) fn preferences(user: &User) -> wire::NotificationPreferences {
    let set = &user.notifications;
    wire::NotificationPreferences {
        user_id: user.id.to_string(),
        desktop_notifications: set.desktop,
        browser_badges: set.badges,
        sounds: set.sounds,
        custom: set.custom.as_map().clone(),
        etag: Etag::of(user.version),
    }
}

/// The settings that an update asks for; without a mask, all of them.
pub(in crate::grpc) fn preferences_update(
    violations: &mut Violations,
    asked: Option<&FieldMask>,
    preferences: wire::NotificationPreferences,
    etag: &str,
) -> Option<UpdateNotifications> {
    const MUTABLE: [&str; 4] = ["desktop_notifications", "browser_badges", "sounds", "custom"];

    let paths = mask::paths(violations, asked, &MUTABLE, &["user_id", "etag"], &[true; 4], "the preferences");
    let id: Option<UserId> = violations.id("notification_preferences.user_id", &preferences.user_id);
    let custom = if paths.contains(&"custom") {
        violations.field("notification_preferences.custom", Notifications::custom(preferences.custom)).map(Some)
    } else {
        Some(None)
    };
    let set = |path: &str, value: bool| paths.contains(&path).then_some(value);
    Some(UpdateNotifications {
        id: id?,
        desktop: set("desktop_notifications", preferences.desktop_notifications),
        badges: set("browser_badges", preferences.browser_badges),
        sounds: set("sounds", preferences.sounds),
        custom: custom?,
        etag: Etag::parse(etag),
    })
}
