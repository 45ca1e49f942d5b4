//! Refuses calls at once when too many are in flight, over all connections: a call that waits for its turn would only
//! be answered too late.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::{Answer, Call, Request, Rest, Step, refuse};
use crate::{
    application::{Context, Slot},
    grpc::status::EdgeError,
};

/// See the module. Health and reflection pass in any case: that a server is busy is no reason to take it for dead.
#[derive(Debug, Clone)]
pub(super) struct Shed(Arc<Semaphore>);

impl Shed {
    /// Lets this many calls in at a time.
    pub(super) fn new(max_in_flight: usize) -> Self {
        Self(Arc::new(Semaphore::new(max_in_flight.min(Semaphore::MAX_PERMITS))))
    }
}

impl Step for Shed {
    fn call<R: Rest>(&self, mut request: Request, next: impl FnOnce(Request) -> R) -> Answer {
        let call = Call::of(&request);
        if call.is_open() {
            return Box::pin(next(request));
        }
        let Ok(slot) = self.0.clone().try_acquire_owned() else { return refuse(EdgeError::Overloaded, &call) };
        // Work that outlives its call keeps the slot: or else whoever resets calls as fast as they are made could have any
        // number of writes done at a time.
        let slot: Slot = Arc::new(slot);
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
