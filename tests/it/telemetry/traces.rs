//! Traces at a collector: a call, what the database does for it, and what follows from it.

use opentelemetry_proto::tonic::{
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{Span, span::SpanKind},
};
use roster::config::EventEncoding;
use serde_json::Value as Json;
use tonic::Code;

use crate::{
    relay::broker::Topic,
    support::{
        Outcome as _,
        collector::Collector,
        outcome::kind,
        process::Served,
        scene::{create_team, create_user},
    },
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// The text of an attribute.
pub fn text<'a>(attributes: &'a [KeyValue], key: &str) -> &'a str {
    let found = attributes.iter().find(|attribute| attribute.key == key);
    match found.unwrap_or_else(|| panic!("no {key}: {attributes:#?}")).value.as_ref().unwrap().value.as_ref().unwrap() {
        Value::StringValue(text) => text,
        other => panic!("{key}: {other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The only span of this name.
#[track_caller]
fn only<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let found: Vec<_> = spans.iter().filter(|span| span.name == name).collect();
    let names: Vec<_> = spans.iter().map(|span| &span.name).collect();
    assert_eq!(found.len(), 1, "{name} in {names:#?}");
    found[0]
}

/// A span that follows from another stands in a trace of its own, and has a link to the other.
#[track_caller]
fn assert_follows(span: &Span, kind: SpanKind, from: &Span) {
    assert_eq!((span.kind(), span.parent_span_id.len()), (kind, 0), "{span:#?}");
    let [link] = &span.links[..] else { panic!("{span:#?}") };
    assert_eq!((&link.trace_id, &link.span_id), (&from.trace_id, &from.span_id), "{}", span.name);
    assert_ne!(span.trace_id, from.trace_id, "{}", span.name);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_story_is_told_from_the_call_to_the_mail_and_the_broker() {
    let (collector, topic) = (Collector::start().await, Topic::new(EventEncoding::Protobuf));
    let folder = tempfile::tempdir().unwrap();
    let settings = [
        ("ROSTER_TELEMETRY__OTLP_ENDPOINT", collector.endpoint.as_str()),
        ("ROSTER_TELEMETRY__LOG_FORMAT", "json"),
        ("ROSTER_EVENTS__PUBLISHER", "nats"),
        ("ROSTER_EVENTS__NATS__URL", topic.settings.url.expose()),
        ("ROSTER_EVENTS__NATS__STREAM", &topic.settings.stream),
        ("ROSTER_EVENTS__NATS__SUBJECT_PREFIX", &topic.settings.subject_prefix),
    ];
    let mut roster = Served::start(folder.path(), &settings).await;
    // Whose caller does not want a trace leaves none, and neither does what follows from it.
    let quiet = roster.caller().saying("traceparent", &format!("00-{}-{PARENT}-00", "a".repeat(32)));
    create_user(&quiet, "ada").await;
    let team = create_team(&quiet, "Acme", "ada").await;
    let caller = roster.caller().saying("traceparent", &format!("00-{TRACE}-{PARENT}-01"));
    caller.clone().acting_for("ada").invite(&team, "bob@example.com", &["member"]).await.done();
    caller.list(&team).await.done();
    caller.list("not-a-team").await.refused(Code::InvalidArgument, "INVALID_FIELD");
    // The mail's end is the last event.
    let messages = topic.messages(6).await;
    let kinds: Vec<_> = messages.iter().map(|message| kind(&message.event)).collect();
    assert!(kinds.contains(&"invitation_created") && kinds.contains(&"invitation_sent"), "{kinds:?}");
    roster.process.signal("TERM");
    assert!(roster.process.end().await.success());

    let spans = collector.spans().await;
    let call = only(&spans, "roster.v1.InvitationService/CreateInvitation");
    assert_eq!((hex(&call.trace_id), hex(&call.parent_span_id)), (TRACE.to_owned(), PARENT.to_owned()));
    assert_eq!(call.kind(), SpanKind::Server);
    for (key, value) in [
        ("rpc.system.name", "grpc"),
        ("rpc.method", "roster.v1.InvitationService/CreateInvitation"),
        ("rpc.response.status_code", "OK"),
    ] {
        assert_eq!(text(&call.attributes, key), value);
    }
    let lists: Vec<_> = spans.iter().filter(|span| span.name == "roster.v1.TeamService/ListMembers").collect();
    let codes: Vec<_> = lists.iter().map(|list| text(&list.attributes, "rpc.response.status_code")).collect();
    assert_eq!(codes, ["OK", "INVALID_ARGUMENT"]);

    // What the database does is part of the call.
    for (name, of) in [("CreateInvitation", call), ("ListMembers", lists[0])] {
        let statements = only(&spans, name);
        assert_eq!((&statements.trace_id, &statements.parent_span_id), (&of.trace_id, &of.span_id), "{name}");
        assert_eq!(statements.kind(), SpanKind::Client);
        assert_eq!(text(&statements.attributes, "db.system.name"), "sqlite");
        assert_eq!(text(&statements.attributes, "db.operation.name"), name);
    }

    // What follows from the call is linked to it, and what follows from the mail to the mail.
    let mail = only(&spans, "send invitation");
    assert_follows(mail, SpanKind::Client, call);
    assert_eq!(only(&spans, "RecordDelivery").parent_span_id, mail.span_id);
    let created = only(&spans, "publish invitation_created");
    assert_follows(created, SpanKind::Producer, call);
    assert_follows(only(&spans, "publish invitation_sent"), SpanKind::Producer, mail);
    let message = messages.iter().find(|message| kind(&message.event) == "invitation_created").unwrap();
    for (key, value) in [
        ("messaging.system", "nats"),
        ("messaging.operation.name", "publish"),
        ("messaging.operation.type", "send"),
        ("messaging.destination.name", &message.subject),
        ("messaging.message.id", &message.event.event_id),
    ] {
        assert_eq!(text(&created.attributes, key), value);
    }
    // Consumers go on from there.
    let told = ("traceparent".to_owned(), format!("00-{TRACE}-{}-01", hex(&call.span_id)));
    assert!(message.headers.contains(&told), "{:?}", message.headers);

    // There are no others, and none says who was invited.
    assert_eq!(spans.len(), 9, "{:#?}", spans.iter().map(|span| &span.name).collect::<Vec<_>>());
    assert!(!format!("{spans:?}").contains("bob@example.com"));

    // A line of the log and the trace are found from each other.
    let lines = roster.process.lines();
    let mut lines = lines.iter().filter_map(|line| serde_json::from_str::<Json>(line).ok());
    let line = lines.find(|line| line["method"] == "/roster.v1.InvitationService/CreateInvitation").unwrap();
    assert_eq!((&line["trace_id"], &line["span_id"]), (&TRACE.into(), &hex(&call.span_id).into()));
}
