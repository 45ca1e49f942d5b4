//! A status in the making: its reason, what its message says in a form for programs, and the details that go with it.

use std::{collections::BTreeMap, error::Error, fmt::Display, time::Duration};

use prost::Message;
use prost_types::Any;
use roster_proto::v1::ErrorReason as Reason;
use tonic::{Code, Status};
use tonic_types::pb::{
    self, BadRequest, PreconditionFailure, QuotaFailure, ResourceInfo, RetryInfo, bad_request, precondition_failure,
    quota_failure,
};

use super::reason;
use crate::causes::on_one_line;

/// The domain of every reason.
const DOMAIN: &str = "roster";

/// The most characters of any text in a status: a status travels in headers, and a caller's own words are in some.
const TEXT_LIMIT: usize = 256;

/// The most bytes of violations. Callers take at least 8 KiB of headers, and what is encoded there is a third longer.
const VIOLATIONS_LIMIT: usize = 4096;

/// How long a caller had better wait before the next try.
pub(super) mod later {
    use std::time::Duration;

    /// Nothing to wait for: what must come first is a new read.
    pub(in super::super) const AT_ONCE: Duration = Duration::ZERO;
    /// Until another server has been found.
    pub(in super::super) const ELSEWHERE: Duration = Duration::from_millis(100);
    /// Until other writers of the same team have passed, or a replica has caught up.
    pub(in super::super) const CONTENTION: Duration = Duration::from_millis(250);
    /// Until some of the calls in flight have been served.
    pub(in super::super) const OVERLOADED: Duration = Duration::from_millis(500);
    /// Until the keys of the identity provider are asked for again.
    pub(in super::super) const KEYS: Duration = Duration::from_secs(5);
    /// Until the database may be back.
    pub(in super::super) const STORAGE: Duration = Duration::from_secs(1);
}

/// `google.rpc.ErrorInfo`, with its metadata in order: equal refusals are to be equal byte for byte.
#[derive(Clone, PartialEq, Message)]
struct ErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(string, tag = "2")]
    domain: String,
    #[prost(btree_map = "string, string", tag = "3")]
    metadata: BTreeMap<String, String>,
}

/// A failure put into words.
#[derive(Debug)]
pub(super) struct Explained {
    reason: Reason,
    message: String,
    metadata: BTreeMap<String, String>,
    details: Vec<Any>,
}

impl Explained {
    /// For this reason, with a message for people.
    pub(super) fn new(reason: Reason, message: &impl Display) -> Self {
        Self { reason, message: limited(message), metadata: BTreeMap::new(), details: Vec::new() }
    }

    /// The reason.
    pub(super) fn reason(&self) -> Reason {
        self.reason
    }

    /// A failure that is not the caller's. The cause goes to the log, under the id that the caller is given.
    pub(super) fn internal(cause: &(dyn Error + 'static), call_id: &str) -> Self {
        tracing::error!(call_id, cause = on_one_line(cause), "a call failed by a defect");
        Self::new(Reason::Internal, &"the server failed; its log tells more under this request_id")
            .with("request_id", call_id)
    }

    /// Adds something that the message says, for programs.
    pub(super) fn with(mut self, key: &str, value: impl Display) -> Self {
        self.metadata.insert(key.to_owned(), limited(&value));
        self
    }

    /// Adds the same, unless it is said already.
    pub(super) fn with_default(self, key: &str, value: impl Display) -> Self {
        if self.metadata.contains_key(key) { self } else { self.with(key, value) }
    }

    /// Adds the fields that break their rules: all of them, unless they are too many for any caller to read.
    pub(super) fn bad_request(self, violations: &[(String, String)]) -> Self {
        let mut length = 0;
        let field_violations = violations.iter().map(|(field, description)| bad_request::FieldViolation {
            field: limited(field),
            description: limited(description),
            ..Default::default()
        });
        let fitting = field_violations.take_while(|violation| {
            length += violation.encoded_len();
            length <= VIOLATIONS_LIMIT
        });
        self.detail("BadRequest", &BadRequest { field_violations: fitting.collect() })
    }

    /// Adds which resource is meant. An empty name means one that the caller named in the request.
    pub(super) fn resource(self, resource_type: &str, name: &str) -> Self {
        let description = self.message.clone();
        let (resource_type, resource_name) = (format!("roster.v1.{resource_type}"), limited(&name));
        self.detail("ResourceInfo", &ResourceInfo { resource_type, resource_name, owner: String::new(), description })
    }

    /// Adds that the state of `subject` forbids it.
    pub(super) fn precondition(self, subject: &str) -> Self {
        let violation = precondition_failure::Violation {
            r#type: self.reason.as_str_name().to_owned(),
            subject: subject.to_owned(),
            description: self.message.clone(),
        };
        self.detail("PreconditionFailure", &PreconditionFailure { violations: vec![violation] })
    }

    /// Adds that the state of each of these subjects forbids it, and why.
    pub(super) fn preconditions(self, subjects: &[(String, String)]) -> Self {
        let violation = |(subject, why): &(String, String)| precondition_failure::Violation {
            r#type: self.reason.as_str_name().to_owned(),
            subject: limited(subject),
            description: limited(why),
        };
        let violations = subjects.iter().map(violation).collect();
        self.detail("PreconditionFailure", &PreconditionFailure { violations })
    }

    /// Adds that a limit of `subject` forbids it.
    pub(super) fn quota(self, subject: &str, limit: u32) -> Self {
        let violation = quota_failure::Violation {
            subject: subject.to_owned(),
            description: self.message.clone(),
            quota_value: limit.into(),
            ..Default::default()
        };
        self.with("limit", limit).detail("QuotaFailure", &QuotaFailure { violations: vec![violation] })
    }

    /// Adds when to try again.
    pub(super) fn retry_after(self, delay: Duration) -> Self {
        let retry_delay = prost_types::Duration::try_from(delay).ok();
        self.detail("RetryInfo", &RetryInfo { retry_delay })
    }

    fn detail(mut self, name: &str, detail: &impl Message) -> Self {
        self.details.push(any(name, detail));
        self
    }

    /// The status.
    pub(super) fn into_status(self) -> Status {
        let code: Code = reason::code(self.reason);
        let info = ErrorInfo {
            reason: self.reason.as_str_name().to_owned(),
            domain: DOMAIN.to_owned(),
            metadata: self.metadata,
        };
        let details = std::iter::once(any("ErrorInfo", &info)).chain(self.details).collect();
        let rich = pb::Status { code: code.into(), message: self.message, details };
        let encoded = rich.encode_to_vec().into();
        Status::with_details(code, rich.message, encoded)
    }
}

fn any(name: &str, message: &impl Message) -> Any {
    Any { type_url: format!("type.googleapis.com/google.rpc.{name}"), value: message.encode_to_vec() }
}

/// As much of a text as a status may hold.
fn limited(text: &impl Display) -> String {
    let text = text.to_string();
    match text.char_indices().nth(TEXT_LIMIT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
