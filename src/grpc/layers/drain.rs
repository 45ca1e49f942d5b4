//! Ends open streams when the server stops: each is told `SHUTTING_DOWN` once all that was ready has been sent. Calls
//! that answer once go on to their end.

use std::pin::Pin;

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::body::Body;

use super::{
    Answer, Call, Request, Rest, Step,
    body::{self, Polled, Watch, watched},
    refusal,
};
use crate::grpc::status::EdgeError;

/// See the module. Holds the token that is canceled when streams have to end.
#[derive(Debug, Clone)]
pub(super) struct Drain(pub(super) CancellationToken);

impl Step for Drain {
    fn call<R: Rest>(&self, request: Request, next: impl FnOnce(Request) -> R) -> Answer {
        let (call, token) = (Call::of(&request), self.0.clone());
        let rest = next(request);
        Box::pin(async move {
            let Ok(response) = rest.await;
            Ok(watched(response, Ending { call, token, canceled: None }))
        })
    }
}

struct Ending {
    call: Call,
    token: CancellationToken,
    /// Made when the body is first waited for: the answer to a plain call never is.
    canceled: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl Watch for Ending {
    fn poll(&mut self, body: &mut Body, cx: &mut std::task::Context<'_>) -> Polled {
        let polled = body::poll(body, cx);
        if polled.is_ready() {
            return polled;
        }
        let canceled = self.canceled.get_or_insert_with(|| Box::pin(self.token.clone().cancelled_owned()));
        std::task::ready!(canceled.as_mut().poll(cx));
        *body = Body::empty();
        body::trailers(refusal(EdgeError::ShuttingDown, &self.call))
    }
}
