//! The trace that a call belongs to, and what the call tells there of itself, in the words of the OpenTelemetry conventions
//! for RPC.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Frame, SizeHint};
use tonic::body::Body;
use tonic::{Code, Status};
use tracing::{Span, field::Empty};

/// One call, over all its attempts. Its span says how it ended; that it was given up, if nothing else is told.
#[derive(Debug)]
pub(crate) struct Call {
    span: Span,
    attempts: u32,
    ended: bool,
}

impl Call {
    /// A call of the RPC with this path.
    pub(crate) fn begin(path: &str) -> Self {
        let name = path.trim_start_matches('/');
        let span = tracing::info_span!(
            "call",
            otel.name = name,
            otel.kind = "client",
            otel.status_code = Empty,
            rpc.system.name = "grpc",
            rpc.method = name,
            rpc.response.status_code = Empty,
            error.type = Empty,
            roster.client.attempts = Empty,
        );
        Self { span, attempts: 0, ended: false }
    }

    /// What the call is made in.
    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    /// One more attempt is made. Answers which one it is.
    pub(crate) fn attempt(&mut self) -> u32 {
        self.attempts += 1;
        self.attempts
    }

    /// Tells how the call ended: now, or once a stream has.
    pub(crate) fn ends(
        mut self,
        with: Result<Response<Body>, Status>,
        streaming: bool,
    ) -> Result<Response<Body>, Status> {
        match with {
            Ok(response) if streaming && Status::from_header_map(response.headers()).is_none() => {
                Ok(response.map(|body| Body::new(Stream { body, call: self })))
            }
            Ok(response) => {
                self.tell(Code::Ok);
                Ok(response)
            }
            Err(status) => {
                self.tell(status.code());
                Err(status)
            }
        }
    }

    /// For whoever calls, every end but one is an error.
    fn tell(&mut self, code: Code) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let name = name(code);
        self.span.record("rpc.response.status_code", name);
        self.span.record("roster.client.attempts", self.attempts);
        if code != Code::Ok {
            self.span.record("error.type", name);
            self.span.record("otel.status_code", "ERROR");
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.tell(Code::Cancelled);
    }
}

/// An answer in parts, after which stands how the call ended.
struct Stream {
    body: Body,
    call: Call,
}

impl http_body::Body for Stream {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(status) = frame.trailers_ref().and_then(Status::from_header_map) {
                    self.call.tell(status.code());
                }
            }
            Poll::Ready(Some(Err(status))) => self.call.tell(status.code()),
            Poll::Ready(None) => self.call.tell(Code::Unknown),
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The name of a code in the gRPC specification.
fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
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
