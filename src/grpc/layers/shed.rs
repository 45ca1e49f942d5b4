//! Refuses calls at once when too many are in flight, over all connections: a call that waits for its turn would only
//! be answered too late.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Answer, Call, Request, Rest, Step, refuse};
use crate::{
    application::{Context, Slot},
    grpc::status::EdgeError,
};

/// See the module. Health and reflection pass in any case: that a server is busy is no reason to take it for dead.
#[derive(Debug, Clone)]
pub(super) struct Shed {
    calls: Arc<Semaphore>,
    /// The places among these that writes may take.
    writes: Arc<Semaphore>,
}

impl Shed {
    /// Lets this many calls in at a time, and among them this many writes.
    pub(super) fn new(max_in_flight: usize, max_writes: usize) -> Self {
        let places = |count: usize| Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        Self { calls: places(max_in_flight), writes: places(max_writes) }
    }

    /// The place of a call, if there is one.
    fn place(&self, call: &Call) -> Option<Place> {
        let of_writes = match call.method() {
            Some(method) if !method.writes => None,
            _ => Some(self.writes.clone().try_acquire_owned().ok()?),
        };
        Some(Place { _of_calls: self.calls.clone().try_acquire_owned().ok()?, _of_writes: of_writes })
    }
}

/// The place of a call that was let in, free again when this is dropped.
struct Place {
    _of_calls: OwnedSemaphorePermit,
    _of_writes: Option<OwnedSemaphorePermit>,
}

impl Step for Shed {
    fn call<R: Rest>(&self, mut request: Request, next: impl FnOnce(Request) -> R) -> Answer {
        let call = Call::of(&request);
        if call.is_open() {
            return Box::pin(next(request));
        }
        let Some(place) = self.place(&call) else { return refuse(EdgeError::Overloaded, &call) };
        // Work that outlives its call keeps its place: or else whoever resets calls as fast as they are made could have any
        // number of writes done at a time.
        let slot: Slot = Arc::new(place);
        if let Some(cx) = request.extensions_mut().get_mut::<Context>() {
            cx.slot = Some(slot.clone());
        }
        let rest = next(request);
        Box::pin(async move {
            let response = rest.await;
            // Here the head is ready, so a stream holds a slot only while it is opened.
            drop(slot);
            response
        })
    }
}
