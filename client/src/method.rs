//! What the API's descriptors say of each RPC.

use std::collections::HashMap;
use std::sync::LazyLock;

use prost::Message as _;
use prost_types::method_options::IdempotencyLevel;
use prost_types::{FileDescriptorProto, FileDescriptorSet, MethodOptions};

/// The field that makes a write safe to retry.
const REQUEST_ID: &str = "request_id";

/// An RPC, as far as it matters for calling it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Method {
    /// Whether doing it twice is as good as doing it once, also without a request id.
    pub(crate) idempotent: bool,
    /// The number of the request's field `request_id`, if it has one.
    pub(crate) request_id: Option<u32>,
    /// Whether the answer is a stream.
    pub(crate) streaming: bool,
}

impl Method {
    /// The RPC with this path, such as `/roster.v1.TeamService/GetTeam`. Of one that is not Roster's nothing is known, so
    /// that it is never repeated.
    pub(crate) fn at(path: &str) -> Self {
        static METHODS: LazyLock<HashMap<String, Method>> = LazyLock::new(|| {
            // What the build made of the definitions is a descriptor set; were it none, nothing would be known.
            let set = FileDescriptorSet::decode(roster_proto::DESCRIPTORS).unwrap_or_default();
            methods(&set.file)
        });
        METHODS.get(path).copied().unwrap_or_default()
    }
}

fn methods(files: &[FileDescriptorProto]) -> HashMap<String, Method> {
    let mut request_ids = HashMap::new();
    for file in files {
        for message in &file.message_type {
            let field = message.field.iter().find(|field| field.name() == REQUEST_ID);
            let number = field.and_then(|field| u32::try_from(field.number()).ok());
            request_ids.insert(format!(".{}.{}", file.package(), message.name()), number);
        }
    }
    let mut methods = HashMap::new();
    for file in files {
        for service in &file.service {
            for method in &service.method {
                let level = method
                    .options
                    .as_ref()
                    .map_or(IdempotencyLevel::IdempotencyUnknown, MethodOptions::idempotency_level);
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                methods.insert(
                    path,
                    Method {
                        idempotent: level != IdempotencyLevel::IdempotencyUnknown,
                        request_id: request_ids.get(method.input_type()).copied().flatten(),
                        streaming: method.server_streaming(),
                    },
                );
            }
        }
    }
    methods
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_descriptors_tell() {
        let get = Method::at("/roster.v1.TeamService/GetTeam");
        assert_eq!(get, Method { idempotent: true, request_id: None, streaming: false });
        let create = Method::at("/roster.v1.TeamService/CreateTeam");
        assert_eq!(create, Method { idempotent: false, request_id: Some(6), streaming: false });
        assert!(Method::at("/roster.v1.EventService/Watch").streaming);
        assert_eq!(Method::at("/roster.v1.TeamService/Explode"), Method::default());
    }
}
