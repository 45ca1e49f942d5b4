//! Lets a request arrive before it takes up anything: whoever sends half of one and waits takes no place from others.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::future::poll_fn;
use http_body::Frame;
use tonic::{Status, body::Body};
use tower::{Service, ServiceExt as _};

use super::{
    Answer, Call, Request, Response,
    body::{self, Polled},
    refusal,
};
use crate::grpc::status::EdgeError;

/// So many bytes of a request are waited for. The rest of a larger one comes when it is read.
const ENOUGH: usize = 64 << 10;

/// See the module. Health and reflection, which may have requests that do not end, pass.
///
/// It waits before it goes on, which a `Step` does not.
#[derive(Debug, Clone)]
pub(super) struct Receive<S>(pub(super) S);

impl<S> Service<Request> for Receive<S>
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send + 'static> + Clone + Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Answer {
        let call = Call::of(&request);
        if call.is_open() {
            return Box::pin(self.0.call(request));
        }
        let inner = self.0.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            match Arrived::wait_for(body).await {
                Ok(body) => inner.oneshot(Request::from_parts(head, Body::new(body))).await,
                // The connection broke, or the caller took back what they had begun: nobody reads this but the log.
                Err(_) => Ok(refusal(EdgeError::MessageMalformed, &call)),
            }
        })
    }
}

/// A body whose beginning is there.
struct Arrived {
    beginning: VecDeque<Frame<Bytes>>,
    rest: Body,
}

impl Arrived {
    async fn wait_for(mut rest: Body) -> Result<Self, Status> {
        let (mut beginning, mut size) = (VecDeque::new(), 0);
        while size < ENOUGH {
            let Some(frame) = poll_fn(|cx| body::poll(&mut rest, cx)).await.transpose()? else { break };
            size += frame.data_ref().map_or(0, Bytes::len);
            beginning.push_back(frame);
        }
        Ok(Self { beginning, rest })
    }
}

impl http_body::Body for Arrived {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled {
        let this = self.get_mut();
        match this.beginning.pop_front() {
            Some(frame) => Poll::Ready(Some(Ok(frame))),
            None => body::poll(&mut this.rest, cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.beginning.is_empty() && self.rest.is_end_stream()
    }
}
