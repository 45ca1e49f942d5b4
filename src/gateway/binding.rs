//! The ways in which an RPC is reached over HTTP: its rule and the additional ones, read from its options.

use prost_reflect::{DynamicMessage, FieldDescriptor, MessageDescriptor, MethodDescriptor};

use super::Error;

/// The option that holds the rule.
const OPTION: &str = "google.api.http";

/// One way to reach an RPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binding {
    /// The HTTP method, in lower case.
    pub(super) method: String,
    /// The path, with its variables in braces: `/v1/teams/{teamId}:leave`.
    pub(super) path: String,
    /// What the variables stand for, in their order.
    pub(super) variables: Vec<Variable>,
    /// What the body holds.
    pub(super) body: Body,
}

/// A variable of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Variable {
    /// Its name in the path.
    pub(super) name: String,
    /// The field that it sets, as a path of names from the request.
    pub(super) field: String,
}

/// What the body of a request holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body {
    /// There is none.
    None,
    /// All fields that the path does not set.
    Rest,
    /// This field.
    Field(String),
}

/// Every way to reach an RPC, the first that of its rule.
pub(super) fn of(method: &MethodDescriptor) -> Result<Vec<Binding>, Error> {
    let cannot = || Error::Rule(method.full_name().to_owned());
    let options = method.options();
    let option = method.parent_pool().get_extension_by_name(OPTION).ok_or_else(cannot)?;
    let rule = options.get_extension(&option);
    let mut bindings = Vec::new();
    collect(rule.as_message().ok_or_else(cannot)?, &mut bindings).ok_or_else(cannot)?;
    Ok(bindings)
}

fn collect(rule: &DynamicMessage, bindings: &mut Vec<Binding>) -> Option<()> {
    let text = |name: &str| Some(rule.get_field_by_name(name)?.as_str()?.to_owned());
    let method = ["get", "put", "post", "delete", "patch"].into_iter().find(|name| rule.has_field_by_name(name))?;
    let (path, variables) = template(&text(method)?)?;
    let body = match text("body")?.as_str() {
        "" => Body::None,
        "*" => Body::Rest,
        field => Body::Field(field.to_owned()),
    };
    bindings.push(Binding { method: method.to_owned(), path, variables, body });
    for more in rule.get_field_by_name("additional_bindings")?.as_list()? {
        collect(more.as_message()?, bindings)?;
    }
    Some(())
}

/// A path with its variables renamed, and the variables. Each is one segment; of others the grammar would have more.
fn template(path: &str) -> Option<(String, Vec<Variable>)> {
    let (mut renamed, mut variables, mut rest) = (String::new(), Vec::new(), path);
    while let Some((before, more)) = rest.split_once('{') {
        let (field, after) = more.split_once('}')?;
        if field.contains(['=', '*']) {
            return None;
        }
        let name = variable(field);
        renamed.extend([before, "{", &name, "}"]);
        variables.push(Variable { name, field: field.to_owned() });
        rest = after;
    }
    renamed.push_str(rest);
    Some((renamed, variables))
}

/// The name of a variable: the same wherever the same is meant, since paths that differ in such names only are one path.
fn variable(field: &str) -> String {
    let mut parts = field.rsplit('.');
    let last = parts.next().unwrap_or_default();
    match parts.next() {
        Some(parent) if last == "id" => camel(&format!("{parent}_id")),
        _ => camel(last),
    }
}

/// A name as JSON has it.
fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let mut letters = part.chars();
        let initial = letters.next().map(|letter| letter.to_ascii_uppercase());
        text.chars().chain(initial).chain(letters).collect()
    })
}

/// The field that a path of names leads to.
pub(super) fn field(message: &MessageDescriptor, path: &str) -> Option<FieldDescriptor> {
    match path.split_once('.') {
        None => message.get_field_by_name(path),
        Some((name, rest)) => field(message.get_field_by_name(name)?.kind().as_message()?, rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_named_after_what_they_mean() {
        let check = |path: &str, renamed: &str, fields: &[&str]| {
            let (found, variables) = template(path).unwrap();
            assert_eq!(found, renamed);
            assert_eq!(variables.into_iter().map(|variable| variable.field).collect::<Vec<_>>(), fields);
        };
        check("/v1/teams", "/v1/teams", &[]);
        check("/v1/teams/{team_id}:leave", "/v1/teams/{teamId}:leave", &["team_id"]);
        check("/v1/teams/{team.id}", "/v1/teams/{teamId}", &["team.id"]);
        check(
            "/v1/teams/{member.team_id}/members/{member.user.id}",
            "/v1/teams/{teamId}/members/{userId}",
            &["member.team_id", "member.user.id"],
        );
        assert_eq!(template("/v1/{name=teams/*}"), None);
        assert_eq!(template("/v1/{name"), None);
    }
}
