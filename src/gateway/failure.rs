//! What a call can fail with: the reasons that an RPC's comment names, by the HTTP status that a gateway answers with.

use std::collections::BTreeMap;

use prost_reflect::DescriptorPool;

use super::comment::{Commented as _, split};

/// The enum of all reasons. The comment of each begins with the code of its status.
const REASONS: &str = "roster.v1.ErrorReason";

/// The HTTP status for each code of `google.rpc.Code`, as `google/rpc/code.proto` maps them.
const STATUSES: [(&str, u16); 13] = [
    ("INVALID_ARGUMENT", 400),
    ("FAILED_PRECONDITION", 400),
    ("OUT_OF_RANGE", 400),
    ("UNAUTHENTICATED", 401),
    ("PERMISSION_DENIED", 403),
    ("NOT_FOUND", 404),
    ("ALREADY_EXISTS", 409),
    ("ABORTED", 409),
    ("RESOURCE_EXHAUSTED", 429),
    ("INTERNAL", 500),
    ("UNIMPLEMENTED", 501),
    ("UNAVAILABLE", 503),
    ("DEADLINE_EXCEEDED", 504),
];

/// Every reason with what its comment says.
#[derive(Debug)]
pub(super) struct Failures(BTreeMap<String, Reason>);

#[derive(Debug)]
struct Reason {
    status: u16,
    /// Without the code, up to the end of the first sentence.
    meaning: String,
}

impl Failures {
    /// Reads them.
    pub(super) fn read(pool: &DescriptorPool) -> Self {
        let values =
            pool.get_enum_by_name(REASONS).into_iter().flat_map(|reasons| reasons.values().collect::<Vec<_>>());
        let described = values.filter_map(|value| {
            let comment = value.comment();
            let (code, meaning) = comment.split_once(": ")?;
            let status = STATUSES.iter().find(|(known, _)| *known == code)?.1;
            Some((value.name().to_owned(), Reason { status, meaning: split(meaning).0.to_owned() }))
        });
        Self(described.collect())
    }

    /// The reasons that a comment names after "Fails with", by HTTP status, as a list in Markdown.
    pub(super) fn named(&self, comment: &str) -> BTreeMap<u16, String> {
        let sentence = comment.split("\n\n").find_map(|paragraph| paragraph.strip_prefix("Fails with "));
        let words = sentence.unwrap_or_default().split(|c: char| !c.is_ascii_uppercase() && c != '_');
        let mut lists = BTreeMap::new();
        for (name, reason) in words.filter_map(|word| self.0.get_key_value(word)) {
            let list: &mut String = lists.entry(reason.status).or_default();
            list.extend(["- `", name, "`: ", &reason.meaning, ".\n"]);
        }
        lists
    }
}
