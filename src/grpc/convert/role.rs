//! Roles and permissions.

use std::collections::BTreeSet;

use prost_types::FieldMask;
use roster_proto::v1 as wire;

use super::{Violations, mask, texts, timestamp};
use crate::{
    application::{context::Etag, roles::RolePatch},
    domain::{
        PermissionPattern, Role,
        permission::OWNER_ONLY,
        text::{Description, RoleName},
    },
};

/// The most patterns that one role holds.
pub(in crate::grpc) const MAX_PERMISSIONS: usize = 200;

const MUTABLE: [&str; 5] = ["key", "name", "description", "permissions", "reaches_descendants"];
const IMMUTABLE: [&str; 6] = ["id", "system", "team_id", "create_time", "update_time", "etag"];

pub(in crate::grpc) fn message(role: &Role) -> wire::Role {
    let custom = role.custom.as_ref();
    wire::Role {
        id: role.id.to_string(),
        key: role.key.to_string(),
        name: role.name.clone(),
        description: role.description.clone(),
        permissions: texts(&role.permissions),
        reaches_descendants: role.reaches_descendants,
        system: custom.is_none(),
        team_id: custom.map(|custom| custom.root_id.to_string()).unwrap_or_default(),
        create_time: custom.map(|custom| timestamp(custom.create_time)),
        update_time: custom.map(|custom| timestamp(custom.update_time)),
        etag: custom.map(|custom| Etag::of(custom.changed)).unwrap_or_default(),
    }
}

/// The patterns that a field holds, each once.
pub(in crate::grpc) fn patterns(
    violations: &mut Violations,
    path: &str,
    texts: &[String],
    most: usize,
) -> Option<BTreeSet<PermissionPattern>> {
    if texts.len() > most {
        violations.add(path, format_args!("must hold at most {most} permissions"));
        return None;
    }
    let parse = |(i, text): (usize, &String)| violations.field(&format!("{path}[{i}]"), PermissionPattern::parse(text));
    let parsed: Vec<_> = texts.iter().enumerate().map(parse).collect();
    parsed.into_iter().collect()
}

/// The new values that an update asks for.
pub(in crate::grpc) fn patch(violations: &mut Violations, asked: Option<&FieldMask>, role: &wire::Role) -> RolePatch {
    let populated = [
        !role.key.is_empty(),
        !role.name.is_empty(),
        !role.description.is_empty(),
        !role.permissions.is_empty(),
        role.reaches_descendants,
    ];
    let mut patch = RolePatch::default();
    for path in mask::paths(violations, asked, &MUTABLE, &IMMUTABLE, &populated, "a role") {
        let field = format!("role.{path}");
        match path {
            "key" => patch.key = violations.id(&field, &role.key),
            "name" => patch.name = violations.field(&field, RoleName::parse(&role.name)),
            "description" => patch.description = violations.field(&field, Description::parse(&role.description)),
            "permissions" => patch.permissions = patterns(violations, &field, &role.permissions, MAX_PERMISSIONS),
            _ => patch.reaches_descendants = Some(role.reaches_descendants),
        }
    }
    patch
}

pub(in crate::grpc) fn permission((name, description): &(&str, &str)) -> wire::Permission {
    wire::Permission {
        name: (*name).to_owned(),
        description: description.trim().to_owned(),
        owner_only: OWNER_ONLY.contains(name),
    }
}
