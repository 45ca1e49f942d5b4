//! Roles.

use roster_proto::v1 as wire;

use super::texts;
use crate::domain::Role;

pub(in crate::grpc) fn message(role: &Role) -> wire::Role {
    wire::Role {
        id: role.id.to_string(),
        name: role.name.clone(),
        description: role.description.clone(),
        permissions: texts(&role.permissions),
        system: true,
    }
}
