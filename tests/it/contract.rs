//! The published API keeps its conventions: whoever knows one RPC can guess the next.
//!
//! Everything here is read from the descriptors that are compiled into the service, and so is true of what is served.
//! What a request and a response have to hold is in `messages`, the HTTP mapping in `http`, the reasons of errors in
//! `reasons`.

pub mod api;
mod http;
mod messages;
mod reasons;

use std::collections::BTreeSet;

use roster::domain::permission;

use api::{POOL, RPCS, comment, enums, is_ours, messages};

/// Fails with all that breaks a convention, a line each.
#[track_caller]
fn assert_none(broken: impl IntoIterator<Item = String>) {
    let broken: Vec<String> = broken.into_iter().collect();
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn every_rpc_needs_a_permission_that_exists() {
    assert_none(RPCS.iter().filter_map(|rpc| match &rpc.permission {
        Some(name) if permission::ALL.iter().any(|(known, _)| known == name) => None,
        other => Some(format!("{} needs {other:?}", rpc.name)),
    }));
}

#[test]
fn every_permission_is_needed_by_some_rpc() {
    let needed: BTreeSet<&str> = RPCS.iter().filter_map(|rpc| rpc.permission.as_deref()).collect();
    assert_none(
        permission::ALL.iter().map(|(name, _)| (*name).to_owned()).filter(|name| !needed.contains(name.as_str())),
    );
}

#[test]
fn every_rpc_says_which_permission_it_needs() {
    assert_none(RPCS.iter().filter_map(|rpc| {
        let needs = rpc.sentence("Needs ").unwrap_or_default();
        let same = needs.strip_prefix("the same as ").and_then(|name| RPCS.iter().find(|other| other.name == name));
        let said = same.map_or_else(|| needs.clone(), |other| other.sentence("Needs ").unwrap_or_default());
        let permission = format!("`{}`", rpc.permission.as_deref()?);
        (!said.starts_with(&permission)).then(|| format!("{} needs {permission} and says {needs:?}", rpc.name))
    }));
}

#[test]
fn every_rpc_says_whether_it_can_be_repeated() {
    // `IDEMPOTENCY_UNKNOWN` has to be said as well: then somebody has thought of it.
    assert_none(RPCS.iter().filter(|rpc| rpc.idempotency.is_none()).map(|rpc| rpc.name.clone()));
}

#[test]
fn rpcs_are_called_verb_and_noun_with_messages_of_their_own() {
    let verbs = [
        "Accept",
        "Add",
        "BatchCheck",
        "BatchCreate",
        "BatchGet",
        "Cancel",
        "Check",
        "Create",
        "Decline",
        "Delete",
        "Disable",
        "Enable",
        "Explain",
        "Get",
        "Leave",
        "List",
        "Preview",
        "Reactivate",
        "Remove",
        "Report",
        "Request",
        "Resend",
        "Set",
        "Suspend",
        "Transfer",
        "Update",
    ];
    // A stream has no noun: it is the events that are watched.
    let named = |name: &str| name == "Watch" || verbs.iter().any(|verb| has_noun(name, verb));
    let mut broken = Vec::new();
    for rpc in RPCS.iter() {
        if !named(&rpc.name) {
            broken.push(format!("{} is not a known verb and a noun", rpc.name));
        }
        for (message, kind) in [(&rpc.input, "Request"), (&rpc.output, "Response")] {
            if message.full_name() != format!("roster.v1.{}{kind}", rpc.name) {
                broken.push(format!("{} takes or gives {}", rpc.name, message.full_name()));
            }
        }
        if !rpc.service.starts_with("roster.v1.") || !rpc.service.ends_with("Service") {
            broken.push(format!("{} is in {}", rpc.name, rpc.service));
        }
    }
    assert_none(broken);
}

fn has_noun(name: &str, verb: &str) -> bool {
    name.strip_prefix(verb).is_some_and(|noun| noun.starts_with(|c: char| c.is_ascii_uppercase()))
}

#[test]
fn everything_has_a_comment() {
    let mut silent = Vec::new();
    for service in POOL.services() {
        let file = service.parent_file();
        let methods: Vec<_> = service.methods().map(|m| (m.full_name().to_owned(), m.path().to_vec())).collect();
        let own = (service.full_name().to_owned(), service.path().to_vec());
        collect_silent(&mut silent, file.file_descriptor_proto(), methods.into_iter().chain([own]));
    }
    for message in messages() {
        let fields = message.fields().map(|f| (f.full_name().to_owned(), f.path().to_vec()));
        let oneofs =
            message.oneofs().filter(|o| !o.is_synthetic()).map(|o| (o.full_name().to_owned(), o.path().to_vec()));
        let own = (message.full_name().to_owned(), message.path().to_vec());
        collect_silent(&mut silent, message.parent_file_descriptor_proto(), fields.chain(oneofs).chain([own]));
    }
    for found in enums() {
        let values = found.values().map(|v| (v.full_name().to_owned(), v.path().to_vec()));
        let own = (found.full_name().to_owned(), found.path().to_vec());
        collect_silent(&mut silent, found.parent_file_descriptor_proto(), values.chain([own]));
    }
    assert_none(silent);
}

fn collect_silent(
    silent: &mut Vec<String>,
    file: &prost_reflect::prost_types::FileDescriptorProto,
    declared: impl Iterator<Item = (String, Vec<i32>)>,
) {
    silent.extend(declared.filter(|(_, path)| comment(file, path).is_empty()).map(|(name, _)| name));
}

#[test]
fn enums_begin_with_what_is_unspecified() {
    assert_none(enums().filter_map(|found| {
        let mut prefix = String::new();
        for c in found.name().chars() {
            if c.is_ascii_uppercase() && !prefix.is_empty() {
                prefix.push('_');
            }
            prefix.push(c.to_ascii_uppercase());
        }
        let first = found.get_value(0).map(|value| value.name().to_owned());
        let wanted = format!("{prefix}_UNSPECIFIED");
        (first.as_ref() != Some(&wanted)).then(|| format!("{} begins with {first:?}, not {wanted}", found.full_name()))
    }));
}

#[test]
fn files_lie_where_their_package_says() {
    let ours = POOL.files().filter(|file| is_ours(file.package_name()));
    assert_none(ours.filter_map(|file| {
        let folder = file.name().rsplit_once('/').map_or("", |(folder, _)| folder).replace('/', ".");
        (folder != file.package_name()).then(|| format!("{} is package {}", file.name(), file.package_name()))
    }));
}
