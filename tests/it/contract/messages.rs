//! What requests and responses hold.

use prost_reflect::{Kind, MessageDescriptor};

use super::{
    api::{RPCS, Rpc, messages},
    assert_none,
};

/// Writes without an `etag`, and why.
const WITHOUT_ETAG: [(&str, &str); 13] = [
    ("CreateTeam", "nothing is there yet"),
    ("CreateUser", "nothing is there yet"),
    ("CreateRole", "nothing is there yet"),
    ("CreateInvitation", "nothing is there yet"),
    ("BatchCreateInvitations", "nothing is there yet"),
    ("ReportDelivery", "the delivery's id says which mail is meant"),
    ("RequestNewInvitation", "who holds a token has seen no etag"),
    ("AddMember", "nothing is there yet"),
    ("AcceptInvitation", "who holds a token has seen no etag"),
    ("DeclineInvitation", "who holds a token has seen no etag"),
    ("SetUserAccess", "it says all that shall be, in several teams"),
    ("LeaveTeam", "whoever leaves means it, whatever their roles are by now"),
    ("TransferOwnership", "who the owner is says it all: it fails for everybody else"),
];

/// Reads without a `consistency`, and why.
const WITHOUT_CONSISTENCY: [(&str, &str); 4] = [
    ("ListEvents", "a cursor says how far the reader is"),
    ("Watch", "a cursor says how far the reader is"),
    ("PreviewInvitation", "who holds a token has seen no revision"),
    ("ListPermissions", "what the service knows of itself does not change"),
];

/// Lists whose pages are not told by page tokens, and why.
const WITHOUT_PAGE_TOKEN: [(&str, &str); 1] =
    [("ListEvents", "a cursor lasts, and a page token is bound to its query")];

/// What an RPC lacks, unless it is an exception; and exceptions that are none any more.
fn excepted(rpc: &Rpc, exceptions: &[(&str, &str)], lacking: Option<String>) -> Option<String> {
    let excepted = exceptions.iter().any(|(name, _)| *name == rpc.name);
    match lacking {
        None if excepted => Some(format!("{} is no exception any more", rpc.name)),
        lacking => lacking.filter(|_| !excepted),
    }
}

#[test]
fn exceptions_name_rpcs() {
    let all = [&WITHOUT_ETAG[..], &WITHOUT_CONSISTENCY, &WITHOUT_PAGE_TOKEN].concat();
    let known = |name: &str| RPCS.iter().any(|rpc| rpc.name == name);
    assert_none(all.into_iter().filter(|(name, _)| !known(name)).map(|(name, why)| format!("{name}: {why}")));
}

/// What is wrong with a field that a message has to have.
fn lacks(message: &MessageDescriptor, field: &str, kind: &Kind) -> Option<String> {
    match message.get_field_by_name(field) {
        None => Some(format!("{} has no {field}", message.name())),
        Some(found) if found.kind() != *kind || found.is_list() => {
            Some(format!("{}.{field} is {:?}, not {kind:?}", message.name(), found.kind()))
        }
        Some(_) => None,
    }
}

fn lacks_message(message: &MessageDescriptor, field: &str, wanted: &str) -> Option<String> {
    let found = message.get_field_by_name(field).map(|field| field.kind());
    let right = matches!(&found, Some(Kind::Message(found)) if found.full_name() == wanted);
    (!right).then(|| format!("{}.{field} is {found:?}, not {wanted}", message.name()))
}

#[test]
fn every_write_can_be_retried_tried_out_and_waited_for() {
    assert_none(RPCS.iter().filter(|rpc| !rpc.reads()).flat_map(|rpc| {
        [
            lacks(&rpc.input, "request_id", &Kind::String),
            lacks(&rpc.input, "validate_only", &Kind::Bool),
            lacks(&rpc.output, "revision", &Kind::String),
        ]
        .into_iter()
        .flatten()
    }));
}

#[test]
fn a_change_can_be_bound_to_what_was_read() {
    let writes = RPCS.iter().filter(|rpc| !rpc.reads());
    assert_none(writes.filter_map(|rpc| {
        let lacking = lacks(&rpc.input, "etag", &Kind::String);
        excepted(rpc, &WITHOUT_ETAG, lacking)
    }));
}

#[test]
fn every_read_says_how_fresh_it_has_to_be() {
    let reads = RPCS.iter().filter(|rpc| rpc.reads());
    assert_none(reads.filter_map(|rpc| {
        let lacking = lacks_message(&rpc.input, "consistency", "roster.v1.Consistency");
        excepted(rpc, &WITHOUT_CONSISTENCY, lacking)
    }));
    // A read that could be retried by id would be a write.
    let reads = RPCS.iter().filter(|rpc| rpc.reads());
    assert_none(reads.filter(|rpc| rpc.input.get_field_by_name("request_id").is_some()).map(|rpc| rpc.name.clone()));
}

#[test]
fn every_list_comes_in_pages() {
    let lists = RPCS.iter().filter(|rpc| rpc.name.starts_with("List"));
    assert_none(lists.flat_map(|rpc| {
        let token = |message, field| excepted(rpc, &WITHOUT_PAGE_TOKEN, lacks(message, field, &Kind::String));
        let offset = rpc.input.get_field_by_name("offset").map(|_| format!("{} counts from the start", rpc.name));
        let broken = [
            lacks(&rpc.input, "page_size", &Kind::Int32),
            token(&rpc.input, "page_token"),
            token(&rpc.output, "next_page_token"),
            offset,
        ];
        broken.into_iter().flatten()
    }));
}

#[test]
fn every_update_takes_a_resource_and_a_mask() {
    let updates = RPCS.iter().filter_map(|rpc| Some((rpc, rpc.name.strip_prefix("Update")?)));
    assert_none(updates.flat_map(|(rpc, noun)| {
        let resource = lacks_message(&rpc.input, &snake_case(noun), &format!("roster.v1.{noun}"));
        let mask = lacks_message(&rpc.input, "update_mask", "google.protobuf.FieldMask");
        resource.into_iter().chain(mask)
    }));
}

/// `NotificationPreferences` as a field is called.
fn snake_case(noun: &str) -> String {
    let letter = |(i, c): (usize, char)| {
        (c.is_ascii_uppercase() && i > 0).then_some('_').into_iter().chain([c.to_ascii_lowercase()])
    };
    noun.chars().enumerate().flat_map(letter).collect()
}

#[test]
fn times_are_called_times() {
    let fields = messages().flat_map(|message| message.fields().collect::<Vec<_>>());
    assert_none(fields.filter_map(|field| {
        let is_time =
            |kind: &Kind| matches!(kind, Kind::Message(kind) if kind.full_name() == "google.protobuf.Timestamp");
        let map = field.is_map().then(|| field.kind().as_message().map(|entry| entry.map_entry_value_field().kind()));
        let times = map.flatten().is_some_and(|kind| is_time(&kind));
        // The value of a map's entry is called so by the language.
        let entry = field.parent_message().is_map_entry();
        let time = is_time(&field.kind()) && !entry;
        (time != field.name().ends_with("_time") || times != field.name().ends_with("_times"))
            .then(|| format!("{} is called so", field.full_name()))
    }));
}

#[test]
fn one_response_alone_holds_a_link_or_a_token() {
    let requests: Vec<&str> = RPCS.iter().map(|rpc| rpc.input.full_name()).collect();
    let fields = messages()
        .filter(|message| !requests.contains(&message.full_name()))
        .filter(|message| message.name() != "GetInvitationLinkResponse")
        .flat_map(|message| message.fields().collect::<Vec<_>>());
    assert_none(fields.filter_map(|field| {
        let secret =
            field.name().split('_').any(|word| ["link", "links", "token", "tokens", "url", "secret"].contains(&word));
        (secret && field.name() != "next_page_token").then(|| field.full_name().to_owned())
    }));
}
