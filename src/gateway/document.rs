//! The OpenAPI document as a whole.

use prost_reflect::{DescriptorPool, MethodDescriptor, ServiceDescriptor};
use serde_json::{Map, Value, json};

use super::{
    Error,
    binding::{self, Body},
    comment::Commented as _,
    failure::Failures,
    operation::{Operation, failure},
    schema::{Schemas, Way},
};

/// The package whose services are the API.
const PACKAGE: &str = "roster.v1";

const DESCRIPTION: &str = "\
Roster owns who is in which team, with which role, and who has been invited. This is its gRPC API as a gateway offers it \
over HTTP, by the rules that the API's own definitions hold.

Descriptions name fields as the definitions do (`request_id`); in JSON and in queries they are written `requestId`. Members \
of a body that the API does not know are ignored; unknown query parameters are refused. Every failure is a `Status`, and \
the `reason` in its `ErrorInfo` is what programs go by: those of the domain `roster` are values of `ErrorReason`, those of \
the domain `gateway` tell that the call did not reach Roster, or that its answer did not come back. Ids in a path are \
percent-encoded.";

const ACTOR: &str = "\
For whom the calling service calls: `user:` and the id of a person. Without it, a service calls on its own behalf.";

/// The document.
pub(super) fn of(pool: &DescriptorPool) -> Result<Value, Error> {
    let services: Vec<_> = pool.services().filter(|service| service.package_name() == PACKAGE).collect();
    let methods: Vec<_> = services.iter().flat_map(|service| service.methods().collect::<Vec<_>>()).collect();
    let status = pool.get_message_by_name("google.rpc.Status");
    let mut schemas = Schemas::new(methods.iter().map(MethodDescriptor::output).chain(status.clone()));
    if let Some(status) = status {
        schemas.message(&status, Way::Out)?;
    }
    let reasons = pool.get_enum_by_name("roster.v1.ErrorReason");
    if let Some(reasons) = reasons {
        schemas.enumeration(&reasons)?;
    }
    let paths = paths(&methods, &mut schemas, &Failures::read(pool))?;
    Ok(json!({
        "openapi": "3.1.1",
        "info": {
            "title": "Roster",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": {"name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE")},
        },
        "servers": [{"url": "http://127.0.0.1:8081", "description": "The gateway as `gateway/envoy.yaml` has it."}],
        // In development mode nobody has to say who they are.
        "security": [{"bearer": []}, {}],
        "tags": services.iter().map(tag).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "description": "A service's token."}},
            "parameters": {"RosterActor": {
                "name": "roster-actor",
                "in": "header",
                "description": ACTOR,
                "schema": {"type": "string", "pattern": "^user:[-_.:|@+A-Za-z0-9]{1,128}$"},
            }},
            "headers": {"RequestId": {
                "description": "The id by which the logs know the call: the caller's own, or a new one.",
                "schema": {"type": "string"},
            }},
            "responses": {"Failure": any_failure()},
            "schemas": schemas.into_components(),
        },
    }))
}

fn tag(service: &ServiceDescriptor) -> Value {
    json!({"name": service.name(), "description": service.comment()})
}

fn paths(methods: &[MethodDescriptor], schemas: &mut Schemas, failures: &Failures) -> Result<Value, Error> {
    let mut paths: Map<String, Value> = Map::new();
    for method in methods {
        let bindings = binding::of(method)?;
        for (number, binding) in bindings.iter().enumerate() {
            // A field that the path of another way sets is not to be set here, where there is a way for it.
            let others = bindings.iter().filter(|other| *other != binding && binding.body == Body::None);
            let others: Vec<String> =
                others.flat_map(|other| other.variables.iter().map(|variable| variable.field.clone())).collect();
            let operation = Operation { method, binding, others: &others, number };
            let path = paths.entry(binding.path.clone()).or_insert_with(|| json!({}));
            path[&binding.method] = operation.describe(schemas, failures)?;
        }
    }
    Ok(paths.into())
}

fn any_failure() -> Value {
    let mut failure = failure();
    failure["description"] = "Every other failure, and those that all calls share: see the tag TeamService.".into();
    failure
}
