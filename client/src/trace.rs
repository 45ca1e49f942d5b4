//! The trace that a call belongs to.

use http::HeaderMap;
use tracing::Span;

/// A span for one call, over all its attempts.
pub(crate) fn span(path: &str) -> Span {
    let (service, method) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
    tracing::info_span!(
        "call",
        otel.name = path.trim_start_matches('/'),
        otel.kind = "client",
        rpc.system = "grpc",
        rpc.service = service,
        rpc.method = method,
    )
}

/// Puts the current span's W3C trace context into the metadata, if it is part of a trace.
#[cfg(feature = "opentelemetry")]
pub(crate) fn propagate(headers: &mut HeaderMap) {
    use http::{HeaderName, HeaderValue};
    use opentelemetry::propagation::{Injector, TextMapPropagator as _};
    use opentelemetry_sdk::propagation::TraceContextPropagator;
    use tracing_opentelemetry::OpenTelemetrySpanExt as _;

    struct Into<'a>(&'a mut HeaderMap);

    impl Injector for Into<'_> {
        fn set(&mut self, key: &str, value: String) {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
                self.0.insert(name, value);
            }
        }
    }

    TraceContextPropagator::new().inject_context(&Span::current().context(), &mut Into(headers));
}

/// Without the feature `opentelemetry` there is nothing to hand on; whoever has a `traceparent` can put it into the
/// request's metadata.
#[cfg(not(feature = "opentelemetry"))]
pub(crate) fn propagate(_: &mut HeaderMap) {}
