//! Puts a call into a span of its own, named as the OpenTelemetry conventions for RPC ask.

use tonic::body::Body;
use tracing::{Instrument as _, field::Empty};

use super::{
    Answer, Call, Request, Rest, Step,
    body::{self, Polled, Watch, watched},
};
use crate::trace;

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
    let name = call.method().map(|method| &*method.name);
    let original = name.is_none().then(|| call.path().trim_start_matches('/'));
    let span = tracing::info_span!(
        "call",
        otel.name = name.unwrap_or("grpc"),
        otel.kind = "server",
        otel.status_code = Empty,
        rpc.system.name = "grpc",
        rpc.method = name.unwrap_or("_OTHER"),
        rpc.method_original = original,
        rpc.response.status_code = Empty,
        error.type = Empty,
        call_id = call.id(),
    );
    if call.traceparent().is_some() {
        trace::continue_from(&span, headers);
    }
    span
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
