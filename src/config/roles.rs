//! `roles`: the system roles, which every team has.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::error::Problems;
use super::text::{self, Text};
use crate::domain::permission::{OWNER_ONLY, PermissionPattern};
use crate::domain::{self, RoleId};

/// A system role.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Role {
    /// Its id, unique: 1 to 63 of `a-z`, `0-9`, `_` and `-`. The ids `owner` and `admin` must exist, since passing on
    /// the ownership gives the one and then the other.
    #[serde(with = "Text")]
    #[schemars(extend("x-required" = true))]
    pub id: RoleId,
    /// A name for people, 1 to 100 characters.
    #[schemars(extend("x-required" = true))]
    pub name: String,
    /// What the role is for. May be empty.
    pub description: String,
    /// What it gives: permissions, or patterns such as `catalog.*`. A pattern never gives what only owners hold
    /// (`roster.teams.delete`, `roster.ownership.transfer`); the role `owner` names these beside `*`.
    #[serde(with = "Patterns")]
    #[schemars(extend("x-required" = true))]
    pub permissions: Vec<PermissionPattern>,
    /// Whether holding it in a team gives the same in every team below. The role `owner` has to.
    pub reaches_descendants: bool,
}

impl Default for Role {
    /// Stands in for what could not be read; no such role is ever used.
    fn default() -> Self {
        Self {
            id: RoleId::owner(),
            name: String::new(),
            description: String::new(),
            permissions: Vec::new(),
            reaches_descendants: false,
        }
    }
}

impl From<&Role> for domain::Role {
    fn from(role: &Role) -> Self {
        Self {
            id: role.id.clone(),
            key: (&role.id).into(),
            name: role.name.clone(),
            description: role.description.clone(),
            permissions: role.permissions.iter().cloned().collect(),
            reaches_descendants: role.reaches_descendants,
            custom: None,
        }
    }
}

/// The roles of a service whose configuration names none: owner, admin and member.
pub(super) fn defaults() -> Vec<Role> {
    let role = |id: &str, description: &str, permissions: &[&str]| {
        Some(Role {
            id: id.parse().ok()?,
            name: id[..1].to_ascii_uppercase() + &id[1..],
            description: description.to_owned(),
            permissions: permissions.iter().filter_map(|name| PermissionPattern::parse(name).ok()).collect(),
            reaches_descendants: id != "member",
        })
    };
    [
        role("owner", "Everything, also deleting the team and passing it on.", &["*", OWNER_ONLY[0], OWNER_ONLY[1]]),
        role("admin", "Everything but what only the owner may do.", &["*"]),
        role(
            "member",
            "Sees the team, its members and its roles.",
            &["roster.teams.read", "roster.members.read", "roster.roles.read"],
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

pub(super) fn check(roles: &[Role], problems: &mut Problems) {
    let mut ids = HashSet::new();
    for (index, role) in roles.iter().enumerate() {
        let key = |field: &str| format!("roles[{index}].{field}");
        problems.require(ids.insert(&role.id), &key("id"), "is the id of another role");
        problems.require(role.id.uuid().is_none(), &key("id"), "must not be a UUID, which a tree's own roles have");
        problems.require(text::is_line(&role.name), &key("name"), "must be 1 to 100 characters on one line");
        if role.id == RoleId::owner() {
            check_owner(role, &key("permissions"), problems);
            problems.require(role.reaches_descendants, &key("reaches_descendants"), "the owner's role reaches");
        }
    }
    for required in [RoleId::OWNER, RoleId::ADMIN] {
        let given = roles.iter().any(|role| role.id.as_str() == required);
        problems.require(given, "roles", &format!("a role with the id {required:?} is required"));
    }
}

/// Without these a tree could come to hold something that nobody can manage.
fn check_owner(role: &Role, key: &str, problems: &mut Problems) {
    for name in ["*"].iter().chain(&OWNER_ONLY) {
        let given = role.permissions.iter().any(|pattern| pattern.as_str() == *name);
        problems.require(given, key, &format!("the owner needs {name:?}, named as such"));
    }
}

/// For `#[serde(with = "Patterns")]`: permission patterns as a list of texts.
#[derive(JsonSchema)]
#[schemars(transparent, inline)]
pub(super) struct Patterns(#[expect(dead_code, reason = "what it looks like in the file")] Vec<String>);

impl Patterns {
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<PermissionPattern>, D::Error> {
        let parse =
            |text: &String| PermissionPattern::parse(text).map_err(|why| D::Error::custom(format!("{text:?} {why}")));
        Vec::<String>::deserialize(from)?.iter().map(parse).collect()
    }

    pub(super) fn serialize<S: Serializer>(patterns: &[PermissionPattern], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(patterns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_owner_admin_and_member() {
        let permissions: Vec<_> = defaults()
            .iter()
            .map(|role| {
                (role.name.clone(), role.permissions.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
            })
            .collect();
        assert_eq!(
            permissions,
            [
                ("Owner".to_owned(), "* roster.teams.delete roster.ownership.transfer".to_owned()),
                ("Admin".to_owned(), "*".to_owned()),
                ("Member".to_owned(), "roster.teams.read roster.members.read roster.roles.read".to_owned()),
            ]
        );
        let mut problems = Problems::default();
        check(&defaults(), &mut problems);
        assert_eq!(problems.as_slice(), []);
    }
}
