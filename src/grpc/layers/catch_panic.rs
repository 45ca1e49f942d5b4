//! Turns a panic into INTERNAL, so that it costs one call and not the connection.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use futures::FutureExt as _;
use tonic::body::Body;

use super::{
    Answer, Call, Request, Response, Rest, Step,
    body::{self, Polled, Watch, watched},
    refusal,
};
use crate::grpc::status::EdgeError;

/// How many panics were caught.
#[derive(Debug, Clone, Default)]
pub struct Panics(Arc<AtomicU64>);

impl Panics {
    /// The number since the start of the process.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn caught(&self, panic: &(dyn Any + Send), call: &Call) -> Response {
        self.0.fetch_add(1, Ordering::Relaxed);
        let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        refusal(EdgeError::Defect(format!("a panic: {}", text.unwrap_or("without a text"))), call)
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct CatchPanic(pub(super) Panics);

impl Step for CatchPanic {
    fn call<R: Rest>(&self, request: Request, next: impl FnOnce(Request) -> R) -> Answer {
        let (call, panics) = (Call::of(&request), self.0.clone());
        // Nothing that a panic may have left half-done is used again: what a call changes is in a transaction.
        let rest = AssertUnwindSafe(next(request)).catch_unwind();
        Box::pin(async move {
            Ok(match rest.await {
                Ok(Ok(response)) => watched(response, Catch { call, panics }),
                Err(panic) => panics.caught(&*panic, &call),
            })
        })
    }
}

/// Catches panics of a stream that has begun.
struct Catch {
    call: Call,
    panics: Panics,
}

impl Watch for Catch {
    fn poll(&mut self, body: &mut Body, cx: &mut std::task::Context<'_>) -> Polled {
        catch_unwind(AssertUnwindSafe(|| body::poll(body, cx))).unwrap_or_else(|panic| {
            *body = Body::empty();
            body::trailers(self.panics.caught(&*panic, &self.call))
        })
    }
}
