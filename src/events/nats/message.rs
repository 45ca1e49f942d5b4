//! An event as a NATS message: a CloudEvents 1.0 event in binary mode. `docs/events.md` tells consumers the same.

use std::borrow::Cow;

use async_nats::{HeaderMap, header::NATS_MESSAGE_ID, jetstream::message::PublishMessage};
use chrono::SecondsFormat;
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{
    config::{self, EventEncoding},
    contract,
    domain::{Subject, cursor},
    repository::events::StoredEvent,
};

/// What a user id's characters are encoded by: `.` separates the tokens of a subject, and what else a server or a client
/// takes there differs, so that only letters, digits, `-` and `_` stay.
const NO_TOKEN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');
/// What a header's value cannot hold, according to the NATS binding of CloudEvents. Beyond ASCII everything is encoded.
const NO_HEADER: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

/// How messages are made.
#[derive(Debug)]
pub(super) struct Form {
    prefix: String,
    source: String,
    encoding: EventEncoding,
}

/// A message.
#[derive(Debug)]
pub(super) struct Message {
    /// Where it goes.
    pub(super) subject: String,
    /// What happened.
    pub(super) kind: String,
    /// The W3C trace context of the call that made the event.
    pub(super) traceparent: Option<String>,
    pub(super) content: PublishMessage,
}

/// Why an event is no message: it is damaged.
#[derive(Debug, thiserror::Error)]
#[error("the event {event_id} is damaged")]
pub(super) struct DamagedEvent {
    event_id: crate::domain::EventId,
    source: contract::JsonError,
}

impl Form {
    /// Messages of the service called `source`.
    pub(super) fn new(settings: &config::Nats, source: &str) -> Self {
        let source = format!("/{}", utf8_percent_encode(source, NO_TOKEN));
        Self { prefix: settings.subject_prefix.clone(), source, encoding: settings.encoding }
    }

    /// An event's message.
    pub(super) fn message(&self, event: &StoredEvent) -> Result<Message, DamagedEvent> {
        let damaged = |source| DamagedEvent { event_id: event.id, source };
        let position = cursor::encode(event.position);
        let encoded = contract::with_position(&event.payload, position.clone());
        let traceparent = contract::decode(&event.payload, position).map_err(|e| damaged(e.into()))?.traceparent;
        let (content_type, body) = match self.encoding {
            EventEncoding::Protobuf => ("application/protobuf", encoded),
            EventEncoding::Json => ("application/json", contract::to_json(&encoded).map_err(damaged)?),
        };
        let (subject, about) = match &event.subject {
            Subject::Team { id, root } => (format!("{}.{root}.{id}.{}", self.prefix, event.kind), id.to_string()),
            Subject::User(id) => {
                let token = utf8_percent_encode(id.as_str(), NO_TOKEN);
                (format!("{}.users.{token}.{}", self.prefix, event.kind), id.to_string())
            }
        };

        let id = event.id.to_string();
        let mut headers = HeaderMap::new();
        headers.insert(NATS_MESSAGE_ID, id.as_str());
        headers.insert("ce-specversion", "1.0");
        headers.insert("ce-id", id);
        headers.insert("ce-type", format!("roster.events.v1.{}", event.kind));
        headers.insert("ce-source", self.source.as_str());
        headers.insert("ce-subject", header(&about).as_ref());
        headers.insert("ce-time", event.occur_time.to_rfc3339_opts(SecondsFormat::Micros, true));
        headers.insert("ce-datacontenttype", content_type);
        if !traceparent.is_empty() {
            headers.insert("traceparent", header(&traceparent).as_ref());
        }
        Ok(Message {
            subject,
            kind: event.kind.clone(),
            traceparent: Some(traceparent).filter(|text| !text.is_empty()),
            content: PublishMessage::build().headers(headers).payload(body.into()),
        })
    }
}

fn header(value: &str) -> Cow<'_, str> {
    utf8_percent_encode(value, NO_HEADER).into()
}
