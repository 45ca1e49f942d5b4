//! Puts a call into a span of its own, named as the OpenTelemetry conventions for RPC ask.

use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tonic::body::Body;
use tracing::{Instrument as _, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::{
    Answer, Call, Request, Rest, Step,
    body::{self, Polled, Watch, watched},
};

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Span;

impl Step for Span {
    fn call<R: Rest>(&self, request: Request, next: impl FnOnce(Request) -> R) -> Answer {
        let span = span(&Call::of(&request), request.headers());
        let rest = span.in_scope(|| next(request)).instrument(span.clone());
        Box::pin(async move {
            let Ok(response) = rest.await;
            Ok(watched(response, InSpan(span)))
        })
    }
}

/// The span; its status is filled in by whoever records the call.
fn span(call: &Call, headers: &http::HeaderMap) -> tracing::Span {
    // What a caller made up is no name of a span: there would be as many as callers can think of.
    let (service, method) = call.method().map_or(("", "_OTHER"), |method| (&method.service, &method.name));
    let span = tracing::info_span!(
        "call",
        otel.name = if service.is_empty() { method.to_owned() } else { format!("{service}/{method}") },
        otel.kind = "server",
        otel.status_code = Empty,
        rpc.system = "grpc",
        rpc.service = service,
        rpc.method = method,
        rpc.grpc.status_code = Empty,
        call_id = call.id(),
    );
    if call.traceparent().is_some() {
        let parent = TraceContextPropagator::new().extract(&Metadata(headers));
        // Without a collector there is nothing that could have a parent.
        let _ = span.set_parent(parent);
    }
    span
}

struct Metadata<'a>(&'a http::HeaderMap);

impl Extractor for Metadata<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

struct InSpan(tracing::Span);

impl Watch for InSpan {
    fn poll(&mut self, body: &mut Body, cx: &mut std::task::Context<'_>) -> Polled {
        self.0.in_scope(|| body::poll(body, cx))
    }

    fn close(&mut self, body: &mut Body) {
        self.0.in_scope(|| *body = Body::empty());
    }
}
