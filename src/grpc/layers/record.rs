//! Writes one line to the log for each call, when it is over: for a stream, when the stream is.

use std::{task::Poll, time::Instant};

use http::HeaderMap;
use tonic::{Code, Status, body::Body};
use tonic_types::StatusExt as _;

use super::{
    Answer, Call, Request, Rest, Step,
    body::{self, Polled, Watch, watched},
};

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Record;

impl Step for Record {
    fn call<R: Rest>(&self, request: Request, next: impl FnOnce(Request) -> R) -> Answer {
        let mut line = Line { call: Call::of(&request), begun: Instant::now(), written: false };
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
        annotate_span(code);
        let duration_ms = (self.begun.elapsed().as_secs_f64() * 1e6).round() / 1e3;
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

/// Writes the outcome into the span. What a caller did wrong is no error of the server's.
fn annotate_span(code: Code) {
    let span = tracing::Span::current();
    span.record("rpc.grpc.status_code", code as i32);
    let failed = matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    );
    if failed {
        span.record("otel.status_code", "ERROR");
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
