//! Turns a panic into INTERNAL, so that it costs one call and not the connection.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

use futures::FutureExt as _;
use tonic::body::Body;

use super::{
    Answer, Call, Request, Response, Rest, Step,
    body::{self, Polled, Watch, watched},
    refusal,
};
use crate::{grpc::status::EdgeError, metrics::Metrics};

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct CatchPanic(pub(super) Metrics);

impl Step for CatchPanic {
    fn call<R: Rest>(&self, request: Request, next: impl FnOnce(Request) -> R) -> Answer {
        let (call, metrics) = (Call::of(&request), self.0.clone());
        // Nothing that a panic may have left half-done is used again: what a call changes is in a transaction.
        let rest = AssertUnwindSafe(next(request)).catch_unwind();
        Box::pin(async move {
            Ok(match rest.await {
                Ok(Ok(response)) => watched(response, Catch { call, metrics }),
                Err(panic) => caught(&metrics, &*panic, &call),
            })
        })
    }
}

/// Catches panics of a stream that has begun.
struct Catch {
    call: Call,
    metrics: Metrics,
}

impl Watch for Catch {
    fn poll(&mut self, body: &mut Body, cx: &mut std::task::Context<'_>) -> Polled {
        catch_unwind(AssertUnwindSafe(|| body::poll(body, cx))).unwrap_or_else(|panic| {
            *body = Body::empty();
            body::trailers(caught(&self.metrics, &*panic, &self.call))
        })
    }
}

/// Counts a panic, and tells of it.
fn caught(metrics: &Metrics, panic: &(dyn Any + Send), call: &Call) -> Response {
    metrics.panicked();
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    refusal(EdgeError::Defect(format!("a panic: {}", text.unwrap_or("without a text"))), call)
}
