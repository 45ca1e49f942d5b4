//! What a call leaves behind: one line in the log, and one span.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use opentelemetry::trace::{SpanKind, TracerProvider as _};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{SdkTracerProvider, SpanData, SpanExporter},
};
use roster_proto::v1::WatchRequest;
use serde_json::Value;
use tracing_subscriber::layer::SubscriberExt as _;

use super::{SOON, fixtures::Fixture, role};

/// The lines of the log, and the spans that were exported.
#[derive(Debug, Clone, Default)]
struct Left {
    log: Arc<Mutex<Vec<u8>>>,
    spans: Arc<Mutex<Vec<SpanData>>>,
}

struct Guard {
    _default: tracing::subscriber::DefaultGuard,
    /// While there is only one subscriber, `tracing` takes what another thread, which has none, is not interested in for
    /// what nobody is interested in.
    _second: tracing::Dispatch,
}

impl Left {
    /// Collects what this thread leaves behind as long as the guard lives.
    fn collect() -> (Self, Guard) {
        let left = Self::default();
        let writer = left.clone();
        let provider = SdkTracerProvider::builder().with_simple_exporter(left.clone()).build();
        let traces = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let log = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(move || writer.clone());
        let only_ours = tracing_subscriber::EnvFilter::new("off,roster=info");
        let subscriber = tracing_subscriber::registry().with(only_ours).with(log).with(traces);
        let second = tracing::Dispatch::new(tracing_subscriber::registry());
        (left, Guard { _default: tracing::subscriber::set_default(subscriber), _second: second })
    }

    /// The lines about calls that are over.
    fn lines(&self) -> Vec<Value> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = log.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines
            .map(|line| serde_json::from_slice::<Value>(line).unwrap())
            .filter(|line| line["message"] == "served")
            .collect()
    }
}

impl io::Write for Left {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.log.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl SpanExporter for Left {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        self.spans.lock().unwrap().append(&mut batch);
        Ok(())
    }
}

/// Waits until something is there.
async fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            match look() {
                Some(found) => break found,
                None => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    };
    tokio::time::timeout(SOON, looking).await.expect("it comes")
}

/// Waits until this many calls are over.
async fn lines(left: &Left, count: usize) -> Vec<Value> {
    until(|| Some(left.lines()).filter(|lines| lines.len() >= count)).await
}

#[tokio::test]
async fn every_call_makes_one_line_when_it_is_over() {
    let (left, _guard) = Left::collect();
    let fixture = Fixture::start().await;
    let mut request = role("who");
    request.metadata_mut().insert("roster-actor", "user:ada".parse().unwrap());
    fixture.roles().get_role(request).await.unwrap();
    lines(&left, 1).await;
    let failed = fixture.roles().get_role(role("panic")).await.unwrap_err();
    let id = failed.metadata().get("x-request-id").unwrap().to_str().unwrap();
    lines(&left, 2).await;
    let stream = fixture.events().watch(WatchRequest::default()).await.unwrap();
    // A call in between shows that the stream has no line yet.
    fixture.roles().get_role(role("who")).await.unwrap();
    lines(&left, 3).await;
    drop(stream);
    let lines = lines(&left, 4).await;
    let shown = lines.iter().map(|line| {
        let text = |key: &str| line[key].as_str().unwrap_or("-").to_owned();
        assert!(line["duration_ms"].as_f64().is_some_and(|ms| ms > 0.0) && line["call_id"].is_string());
        [text("method"), text("code"), text("reason"), text("principal"), text("actor")].join(" ")
    });
    insta::assert_snapshot!(shown.collect::<Vec<_>>().join("\n"), @r"
    /roster.v1.RoleService/GetRole Ok - dev ada
    /roster.v1.RoleService/GetRole Internal INTERNAL dev -
    /roster.v1.RoleService/GetRole Ok - dev -
    /roster.v1.EventService/Watch Cancelled - dev -
    ");
    assert_eq!(lines[1]["call_id"], id);
}

#[tokio::test]
async fn a_call_is_a_span_in_the_trace_of_its_caller() {
    let (left, _guard) = Left::collect();
    let fixture = Fixture::start().await;
    let mut request = role("panic");
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    request.metadata_mut().insert("traceparent", parent.parse().unwrap());
    fixture.roles().get_role(request).await.unwrap_err();
    let span = until(|| left.spans.lock().unwrap().pop()).await;
    assert_eq!((span.name.as_ref(), span.span_kind), ("roster.v1.RoleService/GetRole", SpanKind::Server));
    assert_eq!(span.span_context.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(span.parent_span_id.to_string(), "00f067aa0ba902b7");
    assert!(matches!(span.status, opentelemetry::trace::Status::Error { .. }));
    let attributes = span.attributes.iter().filter(|attribute| attribute.key.as_str().starts_with("rpc."));
    let mut shown: Vec<_> = attributes.map(|attribute| format!("{}={}", attribute.key, attribute.value)).collect();
    shown.sort();
    insta::assert_snapshot!(shown.join("\n"), @r"
    rpc.method=roster.v1.RoleService/GetRole
    rpc.response.status_code=INTERNAL
    rpc.system.name=grpc
    ");
}
