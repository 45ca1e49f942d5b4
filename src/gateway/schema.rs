//! Messages and enums as JSON Schema, in the JSON form that protobuf defines and that a transcoder reads and writes.
//!
//! What comes out of a gateway holds every field that has no presence of its own, also one that is empty; what goes in may
//! leave out any. So a message that does both is described twice, and the form that goes in has a name of its own.

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::{Error, comment::Commented as _};

/// The messages that an error's details can be.
pub(super) const DETAILS: [&str; 6] =
    ["BadRequest", "ErrorInfo", "PreconditionFailure", "QuotaFailure", "ResourceInfo", "RetryInfo"];

/// What the type of a packed message begins with.
const TYPE_URL: &str = "type.googleapis.com/";

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// Into the gateway.
    In,
    /// Out of it.
    Out,
}

/// The schemas that are referred to.
#[derive(Debug)]
pub(super) struct Schemas {
    /// The messages that come out, by their full names.
    out: BTreeSet<String>,
    /// Which message or enum is described under a name.
    owners: BTreeMap<String, String>,
    done: BTreeMap<String, Value>,
}

impl Schemas {
    /// None yet. `answers` are the messages that come out, each with all that is in it.
    pub(super) fn new(answers: impl Iterator<Item = MessageDescriptor>) -> Self {
        let (mut out, mut waiting) = (BTreeSet::new(), answers.collect::<Vec<_>>());
        while let Some(message) = waiting.pop() {
            if out.insert(message.full_name().to_owned()) {
                waiting.extend(message.fields().filter_map(|field| field.kind().as_message().cloned()));
            }
        }
        Self { out, owners: BTreeMap::new(), done: BTreeMap::new() }
    }

    /// All of them by name.
    pub(super) fn into_components(self) -> Map<String, Value> {
        self.done.into_iter().collect()
    }

    /// Refers to a message, and describes it if nothing has yet.
    pub(super) fn message(&mut self, message: &MessageDescriptor, way: Way) -> Result<Value, Error> {
        self.message_without(message, way, &[])
    }

    /// The same for a message some of whose fields are not here but elsewhere in the request.
    pub(super) fn message_without(
        &mut self,
        message: &MessageDescriptor,
        way: Way,
        elsewhere: &[&str],
    ) -> Result<Value, Error> {
        let mut name = short(message.full_name(), message.package_name());
        if way == Way::In && self.out.contains(message.full_name()) {
            name.push_str("Input");
        }
        if self.claim(&name, message.full_name())? {
            let schema = self.describe(message, way, elsewhere)?;
            self.done.insert(name.clone(), schema);
        }
        Ok(reference(&name))
    }

    /// The schema of a field's value.
    pub(super) fn field(&mut self, field: &FieldDescriptor, way: Way) -> Result<Value, Error> {
        let kind = field.kind();
        if let Some(entry) = kind.as_message().filter(|message| message.is_map_entry()) {
            let value = self.field(&entry.map_entry_value_field(), way)?;
            return Ok(json!({"type": "object", "additionalProperties": value}));
        }
        let value = match &kind {
            Kind::Message(message) => match well_known(message.full_name()) {
                Some(schema) => schema,
                None if message.package_name() == "google.protobuf" => {
                    return Err(Error::Type(field.full_name().to_owned()));
                }
                None => self.message(message, way)?,
            },
            Kind::Enum(kind) => self.enumeration(kind)?,
            kind => scalar(kind).ok_or_else(|| Error::Type(field.full_name().to_owned()))?,
        };
        Ok(if field.is_list() { json!({"type": "array", "items": value}) } else { value })
    }

    /// Whether the name was not described yet; it belongs to this message from now on.
    fn claim(&mut self, name: &str, full_name: &str) -> Result<bool, Error> {
        match self.owners.insert(name.to_owned(), full_name.to_owned()) {
            None => Ok(true),
            Some(owner) if owner == full_name => Ok(false),
            Some(owner) => Err(Error::Clash(owner, full_name.to_owned(), name.to_owned())),
        }
    }

    fn describe(&mut self, message: &MessageDescriptor, way: Way, elsewhere: &[&str]) -> Result<Value, Error> {
        let (mut properties, mut required) = (Map::new(), Vec::new());
        let detail = is_detail(message);
        if detail {
            properties.insert("@type".to_owned(), json!({"const": format!("{TYPE_URL}{}", message.full_name())}));
            required.push("@type".to_owned());
        }
        for field in message.fields().filter(|field| !elsewhere.contains(&field.name())) {
            let name = field.json_name().to_owned();
            let schema = if field.full_name() == "google.rpc.Status.details" {
                self.details(message)?
            } else {
                self.field(&field, way)?
            };
            if way == Way::Out && !field.supports_presence() {
                required.push(name.clone());
            }
            properties.insert(name, with_comment(schema, &field.comment()));
        }
        let mut schema = json!({"type": "object", "properties": properties});
        insert(&mut schema, "description", message.comment());
        if !required.is_empty() {
            insert(&mut schema, "required", required);
        }
        let choices: Vec<Value> = message
            .oneofs()
            .filter(|oneof| !oneof.is_synthetic())
            .map(|oneof| {
                choice(
                    oneof
                        .fields()
                        .filter(|field| !elsewhere.contains(&field.name()))
                        .map(|field| field.json_name().to_owned()),
                )
            })
            .collect();
        if !choices.is_empty() {
            insert(&mut schema, "allOf", choices);
        }
        Ok(schema)
    }

    /// What an error's details are: one of the messages that Roster puts there.
    fn details(&mut self, status: &MessageDescriptor) -> Result<Value, Error> {
        let pool = status.parent_pool();
        let known = DETAILS.iter().filter_map(|name| pool.get_message_by_name(&format!("google.rpc.{name}")));
        let known = known.map(|message| self.message(&message, Way::Out)).collect::<Result<Vec<_>, _>>()?;
        Ok(json!({"type": "array", "items": {"anyOf": known}}))
    }

    /// Refers to an enum, and describes it if nothing has yet.
    pub(super) fn enumeration(&mut self, kind: &EnumDescriptor) -> Result<Value, Error> {
        let name = short(kind.full_name(), kind.package_name());
        if self.claim(&name, kind.full_name())? {
            let (names, meanings): (Vec<_>, Vec<_>) = kind
                .values()
                .map(|value| (value.name().to_owned(), format!("- `{}`: {}", value.name(), value.comment())))
                .unzip();
            let description = format!("{}\n\n{}", kind.comment(), meanings.join("\n"));
            self.done.insert(name.clone(), json!({"type": "string", "enum": names, "description": description}));
        }
        Ok(reference(&name))
    }
}

/// A name without its package; that of an event's part says so.
fn short(full_name: &str, package: &str) -> String {
    let name = full_name.strip_prefix(package).unwrap_or(full_name).trim_start_matches('.').replace('.', "");
    match package {
        "roster.events.v1" if !name.starts_with("Event") => format!("Event{name}"),
        _ => name,
    }
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn is_detail(message: &MessageDescriptor) -> bool {
    message.package_name() == "google.rpc" && DETAILS.contains(&message.name())
}

/// Messages that have a form of their own in JSON.
fn well_known(full_name: &str) -> Option<Value> {
    Some(match full_name {
        "google.protobuf.Timestamp" => json!({"type": "string", "format": "date-time"}),
        // Seconds with up to nine digits after the point.
        "google.protobuf.Duration" => json!({"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$"}),
        // Paths of fields, separated by commas.
        "google.protobuf.FieldMask" => {
            json!({"type": "string", "pattern": r"^([A-Za-z0-9_.*]+(,[A-Za-z0-9_.*]+)*)?$"})
        }
        _ => return None,
    })
}

fn scalar(kind: &Kind) -> Option<Value> {
    Some(match kind {
        Kind::Bool => json!({"type": "boolean"}),
        Kind::String => json!({"type": "string"}),
        Kind::Bytes => json!({"type": "string", "contentEncoding": "base64"}),
        Kind::Int32 => json!({"type": "integer", "format": "int32", "minimum": i32::MIN, "maximum": i32::MAX}),
        // Numbers in JSON are exact up to 53 bits only, so these are texts.
        Kind::Int64 => json!({"type": "string", "format": "int64", "pattern": "^-?[0-9]{1,19}$"}),
        _ => return None,
    })
}

/// That at most one of these fields is set.
fn choice(names: impl Iterator<Item = String>) -> Value {
    let set: Vec<Value> = names.map(|name| json!({"required": [name]})).collect();
    let mut all = set.clone();
    all.push(json!({"not": {"anyOf": set}}));
    json!({"oneOf": all})
}

/// A field's schema with what is said of it.
fn with_comment(mut schema: Value, comment: &str) -> Value {
    insert(&mut schema, "description", comment);
    if comment.ends_with("Output only.") {
        insert(&mut schema, "readOnly", true);
    }
    schema
}

fn insert(object: &mut Value, key: &str, value: impl Into<Value>) {
    if let Some(object) = object.as_object_mut() {
        object.insert(key.to_owned(), value.into());
    }
}
