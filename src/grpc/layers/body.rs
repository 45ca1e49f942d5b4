//! Watching the body of a response: what comes after the head, which for a stream is most of the call.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tonic::{Status, body::Body};

use super::Response;

/// What a poll of a body gives: a piece of a message, or the trailers that hold the status, or the end.
pub(super) type Polled = Poll<Option<Result<Frame<Bytes>, Status>>>;

/// What a layer does at each poll of a body. Dropped with the body, after it.
pub(super) trait Watch: Send + Unpin + 'static {
    /// Polls the body.
    fn poll(&mut self, body: &mut Body, cx: &mut Context<'_>) -> Polled;

    /// Ends the body before it is dropped.
    fn close(&mut self, body: &mut Body) {
        *body = Body::empty();
    }
}

/// Polls a body.
pub(super) fn poll(body: &mut Body, cx: &mut Context<'_>) -> Polled {
    http_body::Body::poll_frame(Pin::new(body), cx)
}

/// A response whose body is watched. One without a body is not.
pub(super) fn watched(response: Response, watch: impl Watch) -> Response {
    response.map(|body| Body::new(Watched { body, watch }))
}

struct Watched<W: Watch> {
    body: Body,
    watch: W,
}

impl<W: Watch> http_body::Body for Watched<W> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled {
        let this = self.get_mut();
        this.watch.poll(&mut this.body, cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<W: Watch> Drop for Watched<W> {
    fn drop(&mut self) {
        self.watch.close(&mut self.body);
    }
}

/// Trailers that tell of a failure, as the last piece of a body.
pub(super) fn trailers(refusal: Response) -> Polled {
    let (head, _) = refusal.into_parts();
    let mut trailers = head.headers;
    trailers.remove(http::header::CONTENT_TYPE);
    Poll::Ready(Some(Ok(Frame::trailers(trailers))))
}
