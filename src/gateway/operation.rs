//! One way to reach an RPC, as an OpenAPI operation.

use std::collections::BTreeMap;

use prost_reflect::{FieldDescriptor, MessageDescriptor, MethodDescriptor};
use serde_json::{Value, json};

use super::{
    Error,
    binding::{self, Binding, Body},
    comment::{Commented as _, split},
    failure::Failures,
    schema::{Schemas, Way},
};

/// The option that says which permission an RPC needs.
const PERMISSION: &str = "roster.options.v1.required_permission";

/// An RPC with all that is needed to describe it.
#[derive(Debug)]
pub(super) struct Operation<'a> {
    /// The RPC.
    pub(super) method: &'a MethodDescriptor,
    /// The way that is described.
    pub(super) binding: &'a Binding,
    /// The fields that other ways to it set by their paths.
    pub(super) others: &'a [String],
    /// Which of the ways it is, counted from 0.
    pub(super) number: usize,
}

impl Operation<'_> {
    /// The operation.
    pub(super) fn describe(&self, schemas: &mut Schemas, failures: &Failures) -> Result<Value, Error> {
        let comment = self.method.comment();
        let (summary, description) = split(&comment);
        let mut operation = json!({
            "operationId": self.id(),
            "tags": [self.method.parent_service().name()],
            "summary": summary,
            "parameters": self.parameters(schemas)?,
            "responses": self.responses(&comment, schemas, failures)?,
        });
        if !description.is_empty() {
            operation["description"] = description.into();
        }
        if let Some(permission) = self.permission() {
            operation["x-required-permission"] = permission.into();
        }
        if let Some(body) = self.body(schemas)? {
            operation["requestBody"] = body;
        }
        Ok(operation)
    }

    /// Unique: the RPC's name, with a number from its second way on.
    fn id(&self) -> String {
        let (service, name) = (self.method.parent_service().name().to_owned(), self.method.name());
        match self.number {
            0 => format!("{service}_{name}"),
            number => format!("{service}_{name}{}", number + 1),
        }
    }

    fn permission(&self) -> Option<String> {
        let options = self.method.options();
        let option = self.method.parent_pool().get_extension_by_name(PERMISSION)?;
        options.get_extension(&option).as_str().map(str::to_owned)
    }

    fn parameters(&self, schemas: &mut Schemas) -> Result<Vec<Value>, Error> {
        let mut parameters = Vec::new();
        for variable in &self.binding.variables {
            let found = binding::field(&self.method.input(), &variable.field);
            let field = found.ok_or_else(|| Error::Rule(self.method.full_name().to_owned()))?;
            let mut schema = schemas.field(&field, Way::In)?;
            schema["minLength"] = 1.into();
            parameters.push(json!({
                "name": variable.name, "in": "path", "required": true, "description": field.comment(), "schema": schema,
            }));
        }
        if self.binding.body != Body::Rest {
            self.query(&self.method.input(), "", "", &mut parameters, schemas)?;
        }
        parameters.push(json!({"$ref": "#/components/parameters/RosterActor"}));
        Ok(parameters)
    }

    /// A parameter for each field that neither path nor body hold; those of messages with the names that lead to them.
    fn query(
        &self,
        message: &MessageDescriptor,
        names: &str,
        json_names: &str,
        parameters: &mut Vec<Value>,
        schemas: &mut Schemas,
    ) -> Result<(), Error> {
        for field in message.fields() {
            let name = format!("{names}{}", field.name());
            let json_name = format!("{json_names}{}", field.json_name());
            if self.is_elsewhere(&field, &name) {
                continue;
            }
            match field.kind().as_message() {
                Some(inner) if inner.package_name() != "google.protobuf" && !field.is_list() => {
                    self.query(inner, &format!("{name}."), &format!("{json_name}."), parameters, schemas)?;
                }
                _ => parameters.push(json!({
                    "name": json_name,
                    "in": "query",
                    "description": field.comment(),
                    "schema": schemas.field(&field, Way::In)?,
                })),
            }
        }
        Ok(())
    }

    /// Whether a field is set by the path or the body, or cannot be set because another choice of its oneof is.
    fn is_elsewhere(&self, field: &FieldDescriptor, name: &str) -> bool {
        let bound = |field: &str| self.binding.variables.iter().any(|variable| variable.field == field);
        let chosen = field.containing_oneof().is_some_and(|oneof| oneof.fields().any(|other| bound(other.name())));
        let body = matches!(&self.binding.body, Body::Field(body) if body == name);
        bound(name) || body || chosen || self.others.iter().any(|other| other == name)
    }

    fn body(&self, schemas: &mut Schemas) -> Result<Option<Value>, Error> {
        let input = self.method.input();
        let schema = match &self.binding.body {
            Body::None => return Ok(None),
            Body::Rest => {
                let bound: Vec<&str> = self.binding.variables.iter().map(|variable| variable.field.as_str()).collect();
                schemas.message_without(&input, Way::In, &bound)?
            }
            Body::Field(name) => {
                let found = input.get_field_by_name(name);
                schemas.field(&found.ok_or_else(|| Error::Rule(self.method.full_name().to_owned()))?, Way::In)?
            }
        };
        Ok(Some(json!({"required": true, "content": {"application/json": {"schema": schema}}})))
    }

    fn responses(
        &self,
        comment: &str,
        schemas: &mut Schemas,
        failures: &Failures,
    ) -> Result<BTreeMap<String, Value>, Error> {
        let output = self.method.output();
        let mut description = output.comment();
        if self.method.is_server_streaming() {
            description.push_str(
                "\n\nThis is a stream without an end of its own: lines, each of them one such object. A failure before \
                 the first line has its own HTTP status and is one `Status`. A later one can end the stream only: go on \
                 from the last cursor, and if that is refused, the answer says why.",
            );
        }
        let answer = json!({
            "description": description,
            "headers": {"x-request-id": {"$ref": "#/components/headers/RequestId"}},
            "content": {"application/json": {"schema": schemas.message(&output, Way::Out)?}},
        });
        let mut responses = BTreeMap::from([("200".to_owned(), answer)]);
        for (status, reasons) in failures.named(comment) {
            let mut response = failure();
            response["description"] = reasons.into();
            responses.insert(status.to_string(), response);
        }
        responses.insert("default".to_owned(), json!({"$ref": "#/components/responses/Failure"}));
        Ok(responses)
    }
}

/// What every failure looks like.
pub(super) fn failure() -> Value {
    json!({
        "headers": {"x-request-id": {"$ref": "#/components/headers/RequestId"}},
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Status"}}},
    })
}
