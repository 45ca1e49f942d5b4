//! Records each call when it is over, which for a stream is when the stream is: a line in the log, the end of the span, and
//! the numbers.

use std::{task::Poll, time::Instant};

use http::HeaderMap;
use roster_proto::v1::ErrorReason;
use tonic::{Code, Status, body::Body};
use tonic_types::StatusExt as _;

use super::{
    Answer, Call, Request, Rest, Step,
    body::{self, Polled, Watch, watched},
};
use crate::metrics::{Ended, Metrics, Ongoing};

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Record(pub(super) Metrics);

impl Step for Record {
    fn call<R: Rest>(&self, request: Request, next: impl FnOnce(Request) -> R) -> Answer {
        let mut line = Line {
            call: Call::of(&request),
            begun: Instant::now(),
            written: false,
            metrics: self.0.clone(),
            _in_flight: self.0.call(),
        };
        let rest = next(request);
        Box::pin(async move {
            let Ok(response) = rest.await;
            // A refusal has its status in the head, and no body.
            if response.headers().contains_key(Status::GRPC_STATUS) {
                line.write(response.headers());
                return Ok(response);
            }
            Ok(watched(response, line))
        })
    }
}

/// The line of a call that is not over.
struct Line {
    call: Call,
    begun: Instant,
    written: bool,
    metrics: Metrics,
    _in_flight: Ongoing,
}

impl Watch for Line {
    fn poll(&mut self, body: &mut Body, cx: &mut std::task::Context<'_>) -> Polled {
        let polled = body::poll(body, cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(trailers) = frame.trailers_ref()
        {
            self.write(trailers);
        }
        polled
    }
}

impl Line {
    fn write(&mut self, end: &HeaderMap) {
        let status = Status::from_header_map(end).unwrap_or_else(|| Status::unknown(""));
        let reason = status.get_details_error_info().map(|info| info.reason);
        self.write_as(status.code(), reason.as_deref());
    }

    fn write_as(&mut self, code: Code, reason: Option<&str>) {
        self.written = true;
        let elapsed = self.begun.elapsed();
        let failed = is_failure(code);
        annotate_span(name(code), failed);
        self.metrics.ended(Ended {
            method: self.call.method().map(|method| &method.name),
            code: name(code),
            // Ours all, so that there are only so many.
            reason: reason.and_then(ErrorReason::from_str_name).map(|reason| reason.as_str_name()),
            failed,
            elapsed,
        });
        let duration_ms = (elapsed.as_secs_f64() * 1e6).round() / 1e3;
        let (call_id, method) = (self.call.id(), self.call.path());
        let (principal, person) = self.call.principal().unzip();
        let actor = person.flatten().map(tracing::field::display);
        // Health is asked every few seconds by machines that do not read logs.
        if self.call.is_open() {
            tracing::debug!(method, ?code, reason, duration_ms, call_id, "served");
        } else {
            tracing::info!(method, ?code, reason, duration_ms, principal, actor, call_id, "served");
        }
    }
}

/// Writes the outcome into the span.
fn annotate_span(code: &str, failed: bool) {
    let span = tracing::Span::current();
    span.record("rpc.response.status_code", code);
    if failed {
        span.record("error.type", code);
        span.record("otel.status_code", "ERROR");
    }
}

/// Whether it is the server that failed, as the OpenTelemetry conventions for gRPC say. What a caller did wrong is no error
/// of the server's.
fn is_failure(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
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

impl Drop for Line {
    fn drop(&mut self) {
        if !self.written {
            // Nobody waits for the end any more.
            self.write_as(Code::Cancelled, None);
        }
    }
}
