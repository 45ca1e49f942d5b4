//! People.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    Email, TeamId, UserId, Version,
    profile::{Country, ExternalId, Locale, Notifications, Phone, TimeZone},
    text::DisplayName,
};

/// A person known to Roster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The id.
    pub id: UserId,
    /// The address, unique among users.
    pub email: Email,
    /// Whether the address is known to belong to the person.
    pub email_verified: bool,
    /// The name to show.
    pub display_name: DisplayName,
    /// What else is known of the person.
    pub profile: Profile,
    /// What the person wants to be told.
    pub notifications: Notifications,
    /// The root of the tree that the person belongs to: elsewhere they are external. The first that they join by an act
    /// of their own or a service brings them into, unless a service says otherwise. One that was deleted is none.
    pub home: Option<TeamId>,
    /// The version of the record.
    pub version: Version,
    /// When the record was made.
    pub create_time: DateTime<Utc>,
    /// When it changed last.
    pub update_time: DateTime<Utc>,
}

/// What is known of a person besides who they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The telephone number.
    pub phone: Option<Phone>,
    /// The language.
    pub locale: Option<Locale>,
    /// The time zone.
    pub time_zone: Option<TimeZone>,
    /// The country that they mostly send to.
    pub default_sending_country: Option<Country>,
    /// Their id in a system of the caller's.
    pub external_id: Option<ExternalId>,
}

/// New values for a person's record; `None` keeps what is there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct UserPatch {
    /// The address. A new one is not verified, unless it is said to be.
    pub email: Option<Email>,
    /// Whether the address is known to belong to the person.
    pub email_verified: Option<bool>,
    /// The name to show.
    pub display_name: Option<DisplayName>,
    /// The telephone number; `Some(None)` takes it away, as in what follows.
    pub phone: Option<Option<Phone>>,
    /// The language.
    pub locale: Option<Option<Locale>>,
    /// The time zone.
    pub time_zone: Option<Option<TimeZone>>,
    /// The country that they mostly send to.
    pub default_sending_country: Option<Option<Country>>,
    /// Their id in a system of the caller's.
    pub external_id: Option<Option<ExternalId>>,
    /// The root of the tree that the person belongs to.
    pub home: Option<Option<TeamId>>,
}

impl User {
    /// The record with these values.
    pub fn patched(&self, patch: &UserPatch) -> Self {
        let email = patch.email.clone().unwrap_or_else(|| self.email.clone());
        let profile = &self.profile;
        Self {
            email_verified: patch.email_verified.unwrap_or(self.email_verified && email == self.email),
            email,
            display_name: patch.display_name.clone().unwrap_or_else(|| self.display_name.clone()),
            profile: Profile {
                phone: patch.phone.clone().unwrap_or_else(|| profile.phone.clone()),
                locale: patch.locale.clone().unwrap_or_else(|| profile.locale.clone()),
                time_zone: patch.time_zone.clone().unwrap_or_else(|| profile.time_zone.clone()),
                default_sending_country: patch
                    .default_sending_country
                    .clone()
                    .unwrap_or_else(|| profile.default_sending_country.clone()),
                external_id: patch.external_id.clone().unwrap_or_else(|| profile.external_id.clone()),
            },
            home: patch.home.unwrap_or(self.home),
            ..self.clone()
        }
    }

    /// Whether the person's home is another tree than that of `root`.
    pub fn is_external_to(&self, root: TeamId) -> bool {
        self.home.is_some_and(|home| home != root)
    }
}
