//! Every RPC that this server may serve and what a call of it needs, read once from the descriptors.

use std::{collections::HashMap, sync::Arc};

use prost_reflect::{DescriptorError, DescriptorPool, MethodDescriptor};
use prost_types::{MethodOptions, method_options::IdempotencyLevel};

/// What a call of an RPC needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Access {
    /// Nothing: health and reflection.
    Open,
    /// Credentials, and this permission among the service's scopes.
    Permission(String),
    /// What nobody has: the RPC declares no permission.
    Undeclared,
}

/// An RPC.
#[derive(Debug)]
pub(super) struct Method {
    /// Its full name: that of its service, `/` and its own.
    pub(super) name: Arc<str>,
    /// What a call of it needs.
    pub(super) access: Access,
    /// Whether it may change something: whatever does not declare `NO_SIDE_EFFECTS` may.
    pub(super) writes: bool,
}

/// All RPCs by their paths. What is not here is not served.
#[derive(Debug)]
pub(super) struct Methods(HashMap<String, Arc<Method>>);

/// The package of the API.
pub(super) const PACKAGE: &str = "roster.v1";

/// The option that says which permission an RPC needs.
const OPTION: &str = "roster.options.v1.required_permission";

impl Methods {
    /// Reads them from the descriptors of the API, of health and of reflection.
    pub(super) fn read() -> Result<Self, DescriptorError> {
        let own = DescriptorPool::decode(roster_proto::DESCRIPTORS)?;
        let option = own.get_extension_by_name(OPTION);
        let mut table = HashMap::new();
        for method in own.services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
            let options = method.options();
            let permission = option.as_ref().filter(|option| options.has_extension(option)).and_then(|option| {
                options.get_extension(option).as_str().filter(|text| !text.is_empty()).map(str::to_owned)
            });
            insert(&mut table, &method, permission.map_or(Access::Undeclared, Access::Permission));
        }
        for descriptors in [
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ] {
            for service in DescriptorPool::decode(descriptors)?.services() {
                service.methods().for_each(|method| insert(&mut table, &method, Access::Open));
            }
        }
        Ok(Self(table))
    }

    /// The RPC that a path calls.
    pub(super) fn find(&self, path: &str) -> Option<Arc<Method>> {
        self.0.get(path).cloned()
    }
}

fn insert(table: &mut HashMap<String, Arc<Method>>, method: &MethodDescriptor, access: Access) {
    let name: Arc<str> = format!("{}/{}", method.parent_service().full_name(), method.name()).into();
    let level = method.method_descriptor_proto().options.as_ref().map(MethodOptions::idempotency_level);
    let writes = level != Some(IdempotencyLevel::NoSideEffects);
    table.insert(format!("/{name}"), Arc::new(Method { name, access, writes }));
}

/// The full names of the API's services.
pub(super) fn services() -> Result<Vec<String>, DescriptorError> {
    let own = DescriptorPool::decode(roster_proto::DESCRIPTORS)?;
    let names = own.services().filter(|service| service.package_name() == PACKAGE);
    Ok(names.map(|service| service.full_name().to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::permission;

    #[test]
    fn every_rpc_of_the_api_needs_a_permission_that_exists() {
        let methods = Methods::read().unwrap();
        let own: Vec<_> = methods.0.values().filter(|method| method.name.starts_with(PACKAGE)).collect();
        assert!(own.len() > 20);
        for method in own {
            let Access::Permission(name) = &method.access else { panic!("{method:?}") };
            assert!(permission::ALL.iter().any(|(known, _)| known == name), "{method:?}");
        }
    }

    #[test]
    fn what_has_side_effects_writes() {
        let methods = Methods::read().unwrap();
        for (path, writes) in [
            ("/roster.v1.TeamService/UpdateTeam", true),
            ("/roster.v1.TeamService/ListMembers", false),
            ("/roster.v1.AccessService/CheckAccess", false),
            ("/roster.v1.EventService/Watch", false),
        ] {
            assert_eq!(methods.find(path).unwrap().writes, writes, "{path}");
        }
    }

    #[test]
    fn only_health_and_reflection_are_open() {
        let methods = Methods::read().unwrap();
        let mut open: Vec<_> = methods.0.iter().filter(|(_, method)| method.access == Access::Open).collect();
        open.sort_by_key(|(path, _)| path.as_str());
        let open: Vec<_> = open.into_iter().map(|(path, _)| path.as_str()).collect();
        insta::assert_snapshot!(open.join("\n"), @r#"
    /grpc.health.v1.Health/Check
    /grpc.health.v1.Health/Watch
    /grpc.reflection.v1.ServerReflection/ServerReflectionInfo
    /grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo
    "#);
    }
}
