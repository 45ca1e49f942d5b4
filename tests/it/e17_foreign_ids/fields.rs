//! The table of requests has every field that holds an id, as the descriptors of the API tell them.

use std::collections::BTreeSet;

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::Value;

use crate::{
    contract::api::{RPCS, Rpc, comment, is_ours},
    support::rpc::REQUESTS,
};

/// Fields, wherever they stand, that are called like ids or keyed by texts, and name nothing that Roster keeps.
const NAMELESS: [(&str, &str); 5] = [
    ("request_id", "the caller's own, for one call"),
    ("external_id", "the caller's own, of another system"),
    ("labels", "the caller's own words"),
    ("metadata", "the caller's own words"),
    ("custom", "the caller's own words"),
];

/// Fields that an RPC does not look at, since they stand in a message that is answered too.
const NOT_LOOKED_AT: [(&str, &str, &str); 3] = [
    ("UpdateMember", "member.user.homeTeamId", "of the person, the id alone is taken"),
    ("CreateRole", "role.id", "Roster chooses it"),
    ("UpdateInvitation", "invitation.delivery.id", "how a mail came along is told by ReportDelivery"),
];

/// A field of a request that holds ids, by its path in JSON.
struct IdField {
    path: String,
    field: FieldDescriptor,
}

/// Whether a field holds ids, or is keyed by them.
fn holds_ids(field: &FieldDescriptor) -> bool {
    let called_so = field.name() == "id" || field.name().ends_with("_id") || field.name().ends_with("_ids");
    field.is_map() || called_so && field.kind() == Kind::String
}

fn output_only(field: &FieldDescriptor) -> bool {
    let file = field.parent_file();
    // What is changed is told by its id, although nobody sets that.
    field.name() != "id" && comment(file.file_descriptor_proto(), field.path()).ends_with("Output only.")
}

/// The fields of a message, and of those in it, that hold ids.
fn id_fields(message: &MessageDescriptor, within: &str) -> Vec<IdField> {
    let of_field = |field: FieldDescriptor| {
        let path = format!("{within}{}", field.json_name());
        match field.kind() {
            _ if holds_ids(&field) => vec![IdField { path, field }],
            Kind::Message(nested) if is_ours(nested.package_name()) => id_fields(&nested, &format!("{path}.")),
            _ => Vec::new(),
        }
    };
    message.fields().flat_map(of_field).collect()
}

/// The texts in a request, and the keys of its objects, each with the path of its field.
fn texts(value: &Value, path: &str) -> Vec<(String, String)> {
    match value {
        Value::String(text) => vec![(path.to_owned(), text.clone())],
        Value::Array(list) => list.iter().flat_map(|value| texts(value, path)).collect(),
        Value::Object(object) => {
            let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
            let of_entry = |(key, value): (&String, &Value)| {
                let mut found = texts(value, &below(key));
                found.push((path.to_owned(), key.clone()));
                found
            };
            object.iter().flat_map(of_entry).collect()
        }
        _ => Vec::new(),
    }
}

/// The fields for which a request has a name that stands for nothing else in it: that alone is foreign at times.
fn named(template: &str) -> BTreeSet<String> {
    let alone = |text: &str| text.starts_with('{') && template.matches(text).count() == 1;
    let request = serde_json::from_str(template).unwrap();
    texts(&request, "").into_iter().filter(|(_, text)| alone(text)).map(|(path, _)| path).collect()
}

/// The fields of an RPC's request for which no request of the table has a name.
fn lacking(rpc: &Rpc) -> Vec<IdField> {
    let rows = REQUESTS.iter().filter(|(name, _)| *name == rpc.name);
    let named: BTreeSet<_> = rows.flat_map(|(_, template)| named(template)).collect();
    let fields = id_fields(&rpc.input, "").into_iter().filter(|id| !output_only(&id.field));
    fields.filter(|id| !named.contains(&id.path)).collect()
}

#[test]
fn every_id_of_every_request_is_foreign_at_times() {
    let (mut broken, mut nameless, mut not_looked_at) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for rpc in RPCS.iter() {
        for id in lacking(rpc) {
            if let Some((name, _)) = NAMELESS.iter().find(|(name, _)| *name == id.field.name()) {
                nameless.insert(*name);
            } else if let Some((_, path, _)) =
                NOT_LOOKED_AT.iter().find(|(of, path, _)| *of == rpc.name && *path == id.path)
            {
                not_looked_at.insert((rpc.name.as_str(), *path));
            } else {
                broken.push(format!("{}: {} is never foreign alone", rpc.name, id.path));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
    assert_eq!(nameless.len(), NAMELESS.len(), "exceptions that are none: {nameless:?} are some");
    assert_eq!(not_looked_at.len(), NOT_LOOKED_AT.len(), "exceptions that are none: {not_looked_at:?} are some");
}
