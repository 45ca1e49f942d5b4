//! The reasons of errors: each is documented, named where it can come from, and produced by a test.

use std::collections::BTreeSet;

use prost_reflect::prost_types::FileDescriptorProto;
use roster_proto::v1::ErrorReason;

use super::{
    api::{POOL, RPCS, comment, messages},
    assert_none,
};
use crate::architecture::source;

/// The codes that an error can have, as `google.rpc.Code` spells them.
const CODES: [&str; 14] = [
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Named at no RPC, and why.
const OF_NO_RPC: [(&str, &str); 2] =
    [("UNKNOWN_METHOD", "it is what the call of no RPC gets"), ("UNKNOWN_NAME", "health and reflection are not ours")];

/// Every reason with its comment, but the one that is never used.
fn reasons() -> Vec<(String, String)> {
    let reasons = POOL.get_enum_by_name("roster.v1.ErrorReason").unwrap();
    let file: &FileDescriptorProto = reasons.parent_file_descriptor_proto();
    let described = reasons.values().map(|value| (value.name().to_owned(), comment(file, value.path())));
    described.filter(|(name, _)| name != ErrorReason::Unspecified.as_str_name()).collect()
}

/// What is said of the failures that every RPC shares.
fn shared() -> String {
    let service = POOL.get_service_by_name("roster.v1.TeamService").unwrap();
    comment(service.parent_file().file_descriptor_proto(), service.path())
}

/// The words in capitals of a text: reasons, and what else is written so.
fn capitals(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_uppercase() && c != '_');
    words.filter(|word| word.len() > 3).collect()
}

#[test]
fn every_reason_begins_with_its_code() {
    let described =
        |text: &str| text.split_once(": ").is_some_and(|(code, rest)| CODES.contains(&code) && rest.len() > 10);
    assert_none(
        reasons().into_iter().filter(|(_, text)| !described(text)).map(|(name, text)| format!("{name}: {text}")),
    );
}

#[test]
fn every_reason_is_named_where_it_can_come_from() {
    let shared = shared();
    let comments = RPCS.iter().map(|rpc| rpc.comment.as_str()).chain([shared.as_str()]);
    // `Consistency` says it for every read.
    let named: BTreeSet<&str> = comments.flat_map(capitals).chain(OF_NO_RPC.map(|(reason, _)| reason)).collect();
    assert_none(reasons().into_iter().map(|(name, _)| name).filter(|name| !named.contains(name.as_str())));
}

#[test]
fn what_an_rpc_fails_with_are_reasons() {
    let known: BTreeSet<String> = reasons().into_iter().map(|(name, _)| name).collect();
    let shared = shared();
    let sentences = RPCS.iter().filter_map(|rpc| Some((rpc.name.as_str(), rpc.sentence("Fails with ")?)));
    let sentences: Vec<_> = sentences.chain([("TeamService", shared)]).collect();
    assert_none(sentences.iter().flat_map(|(name, sentence)| {
        let unknown = capitals(sentence).into_iter().filter(|word| !known.contains(*word));
        unknown.map(move |word| format!("{name} fails with {word}, which is no reason"))
    }));
}

#[test]
fn what_an_rpc_makes_are_events() {
    let event = POOL.get_message_by_name("roster.events.v1.Event").unwrap();
    let payload = event.oneofs().find(|oneof| oneof.name() == "payload").unwrap();
    let kinds: BTreeSet<String> = payload.fields().map(|field| field.name().to_owned()).collect();
    let mut made = BTreeSet::new();
    let mut broken = Vec::new();
    for rpc in RPCS.iter() {
        let sentence = rpc.sentence("Makes `").unwrap_or_default();
        for kind in sentence.split('`').step_by(2).filter(|_| !sentence.is_empty()) {
            made.insert(kind.to_owned());
            if !kinds.contains(kind) {
                broken.push(format!("{} makes {kind}, which is no event", rpc.name));
            }
        }
        if rpc.reads() != sentence.is_empty() {
            broken.push(format!("{} makes {sentence:?}", rpc.name));
        }
    }
    broken.extend(kinds.difference(&made).map(|kind| format!("no RPC makes {kind}")));
    assert_none(broken);
}

#[test]
fn every_reason_is_produced_by_a_test() {
    let tests = source::rust_files()
        .iter()
        .filter(|file| file.path.starts_with("tests/it/") && !source::is_in(&file.path, "tests/it/contract"));
    let literals = tests.flat_map(|file| &file.tokens).filter(|token| token.text.contains('"'));
    let said: BTreeSet<&str> =
        literals.flat_map(|token| token.text.split(|c: char| !c.is_ascii_uppercase() && c != '_')).collect();
    assert_none(reasons().into_iter().map(|(name, _)| name).filter(|name| !said.contains(name.as_str())));
}

/// Errors travel in `google.rpc.Status`; an answer that holds one would hide it from every client. The answer to one
/// question of many cannot be a status of the call, nor can the reason why another call would fail.
#[test]
fn no_message_holds_a_reason() {
    let fields = messages().flat_map(|message| message.fields().collect::<Vec<_>>());
    let holds = fields.filter(|field| field.kind().as_enum().is_some_and(|kind| kind.name() == "ErrorReason"));
    let not_of_the_call = ["roster.v1.AccessError.reason", "roster.v1.InvitationPreview.blocked_by"];
    assert_none(
        holds.map(|field| field.full_name().to_owned()).filter(|name| !not_of_the_call.contains(&name.as_str())),
    );
}
