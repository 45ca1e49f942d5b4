//! People.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Email, UserId, Version, text::DisplayName};

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
    /// The version of the record.
    pub version: Version,
    /// When the record was made.
    pub create_time: DateTime<Utc>,
    /// When it changed last.
    pub update_time: DateTime<Utc>,
}
