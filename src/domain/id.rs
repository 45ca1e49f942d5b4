//! Identifiers. Each is its own type, so that none can stand where another is meant.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Invalid;

macro_rules! uuid_id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = Invalid;

            /// Takes the lower-case hyphenated form only, so that one id has one spelling.
            fn from_str(text: &str) -> Result<Self, Invalid> {
                let mut buffer = Uuid::encode_buffer();
                match Uuid::try_parse(text) {
                    Ok(id) if *id.as_hyphenated().encode_lower(&mut buffer) == *text => Ok(Self(id)),
                    _ => Err(Invalid::new("must be a UUID in lower-case hyphenated form")),
                }
            }
        }
    };
}

uuid_id!(
    /// A team's id.
    TeamId
);
uuid_id!(
    /// An invitation's id.
    InvitationId
);
uuid_id!(
    /// An event's id.
    EventId
);

/// A user's id: the caller's own, such as an identity provider's subject, or a UUIDv7.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserId(String);

impl UserId {
    /// A new id made of a UUIDv7.
    pub fn from_uuid(id: Uuid) -> Self {
        Self(id.as_hyphenated().to_string())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let good = |c: char| c.is_ascii_alphanumeric() || "-_.:|@+".contains(c);
        if (1..=128).contains(&text.len()) && text.chars().all(good) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new("must be 1 to 128 of the characters a-z, A-Z, 0-9 and -_.:|@+"))
        }
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A role's id: a system role's key, or a UUID for a role of a tree's own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RoleId(String);

impl RoleId {
    /// The id of the role that owns a team.
    pub const OWNER: &'static str = "owner";
    /// The id of the role that a former owner gets.
    pub const ADMIN: &'static str = "admin";

    /// The role `owner`.
    pub fn owner() -> Self {
        Self(Self::OWNER.to_owned())
    }

    /// The role `admin`.
    pub fn admin() -> Self {
        Self(Self::ADMIN.to_owned())
    }

    /// The id of a role of a tree's own.
    pub fn from_uuid(id: Uuid) -> Self {
        Self(id.as_hyphenated().to_string())
    }

    /// The UUID of a role of a tree's own; `None` for a system role.
    pub fn uuid(&self) -> Option<Uuid> {
        Uuid::try_parse(&self.0).ok()
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RoleId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        RoleKey::from_str(text).map(|RoleKey(text)| Self(text))
    }
}

impl fmt::Display for RoleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for RoleId {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

/// A role's name for machines, unique in its tree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RoleKey(String);

impl RoleKey {
    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&RoleId> for RoleKey {
    /// The key of a system role, which is its id.
    fn from(id: &RoleId) -> Self {
        Self(id.0.clone())
    }
}

impl FromStr for RoleKey {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        if (1..=63).contains(&text.len()) && text.chars().all(good) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new("must be 1 to 63 of the characters a-z, 0-9, _ and -"))
        }
    }
}

impl fmt::Display for RoleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The number of a change: of a team, dense from 1, or of a user's own record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub i64);

impl Version {
    /// The version of the next change.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_has_one_spelling() {
        let id = "0198f0c2-9d3b-7c41-8f00-0123456789ab";
        assert_eq!(id.parse::<TeamId>().unwrap().to_string(), id);
        for bad in [
            "",
            "0198F0C2-9d3b-7c41-8f00-0123456789ab",
            "0198f0c29d3b7c418f000123456789ab",
            "{0198f0c2-9d3b-7c41-8f00-0123456789ab}",
        ] {
            assert!(bad.parse::<TeamId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_user_id_takes_what_identity_providers_use() {
        for good in ["ada", "auth0|5f7c8ec7c33c6c004bbafe82", "google-oauth2:1234", "a+b@example.com"] {
            assert!(good.parse::<UserId>().is_ok(), "{good}");
        }
        for bad in ["", "a b", "a/b", "ä", &"x".repeat(129)] {
            assert!(bad.parse::<UserId>().is_err(), "{bad}");
        }
    }
}
