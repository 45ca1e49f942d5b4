//! Where a span stands among others: in the trace of its caller, or beside the one that it follows from.
//!
//! Which spans there are is said where they are made, with `tracing`; here is only what `tracing` has no words for. The
//! W3C trace context is passed on as text, so that nobody else has to know the library that makes traces.

use opentelemetry::{
    Context,
    propagation::{Extractor, TextMapPropagator as _},
    trace::TraceContextExt as _,
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The trace context of the span that is entered now, as a W3C `traceparent`. None where no traces are made.
pub fn current() -> Option<String> {
    let context = Context::current();
    let span = context.span().span_context().clone();
    span.is_valid().then(|| format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags().to_u8()))
}

/// Whether the span that is entered now is kept, so that spans within it are worth making.
pub fn is_kept() -> bool {
    Context::map_current(|context| context.span().span_context().is_sampled())
}

/// Makes `span`, which has just been made, part of the trace that the headers of a request tell of.
pub fn continue_from(span: &Span, headers: &http::HeaderMap) {
    let parent = TraceContextPropagator::new().extract(&Headers(headers));
    // Without a collector there is nothing that could have a parent.
    let _ = span.set_parent(parent);
}

/// Links `span`, which has just been made, to the trace that it follows from, by its W3C `traceparent`. A text that is
/// none links to nothing.
pub fn link(span: &Span, traceparent: &str) {
    let other = TraceContextPropagator::new().extract(&One(traceparent));
    span.add_link(other.span().span_context().clone());
}

struct Headers<'a>(&'a http::HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

/// Nothing but a `traceparent`.
struct One<'a>(&'a str);

impl Extractor for One<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == "traceparent").then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent"]
    }
}
