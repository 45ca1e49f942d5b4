//! One call: its attempts, and what goes along with each.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response, StatusCode, request};
use http_body_util::{BodyExt as _, Full};
use tonic::body::Body;
use tonic::transport::Channel;
use tonic::{Code, Status, TimeoutExpired};
use tower::{Service, ServiceExt as _};
use tracing::Instrument as _;

use crate::deadline::Deadline;
use crate::identity::Identity;
use crate::method::Method;
use crate::retry::{Budget, Retries};
use crate::{frame, trace};

type Failure = Box<dyn Error + Send + Sync>;

/// What holds for all calls over one connection.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) retries: Retries,
    /// For calls that set none; streams have none by themselves.
    pub(crate) deadline: Option<Duration>,
    pub(crate) budget: Budget,
}

/// Makes the calls of the generated clients, which it stands under: `TeamServiceClient::new(calls)`. Cheap to clone.
#[derive(Clone)]
pub struct Calls<C = Channel> {
    pub(crate) channel: C,
    pub(crate) identity: Identity,
    pub(crate) settings: Arc<Settings>,
}

impl<C> fmt::Debug for Calls<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calls")
            .field("identity", &self.identity)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl<C> Service<Request<Body>> for Calls<C>
where
    C: Service<Request<Body>, Response = Response<Body>, Error: Into<Failure>, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
{
    type Response = Response<Body>;
    type Error = Failure;
    type Future = BoxFuture<'static, Result<Response<Body>, Failure>>;

    /// The connection is waited for by each attempt, since it may be made anew in between.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let calls = self.clone();
        let method = Method::at(request.uri().path());
        let mut call = trace::Call::begin(request.uri().path());
        let span = call.span();
        let run = async move {
            let end = calls.run(request, method, &mut call).await;
            // The generated clients make a status of it again.
            call.ends(end, method.streaming).map_err(Failure::from)
        };
        Box::pin(run.instrument(span))
    }
}

impl<C> Calls<C>
where
    C: Service<Request<Body>, Response = Response<Body>, Error: Into<Failure>, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
{
    async fn run(
        self,
        request: Request<Body>,
        method: Method,
        call: &mut trace::Call,
    ) -> Result<Response<Body>, Status> {
        let (head, body) = request.into_parts();
        let default = if method.streaming { None } else { self.settings.deadline };
        let deadline = Deadline::of(&head.headers, default);
        let (body, replayable) = named(body.collect().await?.to_bytes(), method);
        loop {
            let attempts = call.attempt();
            let status = match deadline.limit(self.attempt(&head, body.clone(), method, deadline)).await {
                Ok(response) => {
                    self.settings.budget.succeeded();
                    return Ok(response);
                }
                Err(status) => status,
            };
            let Some(pause) = self.settings.retries.pause(attempts, &status, replayable) else { return Err(status) };
            if !self.settings.budget.failed() || !deadline.allows(pause) {
                return Err(status);
            }
            tracing::debug!(attempts, code = ?status.code(), why = status.message(), ?pause, "trying again");
            tokio::time::sleep(pause).await;
        }
    }

    async fn attempt(
        &self,
        head: &request::Parts,
        body: Bytes,
        method: Method,
        deadline: Deadline,
    ) -> Result<Response<Body>, Status> {
        let mut request = Request::from_parts(head.clone(), Body::new(Full::new(body)));
        let headers = request.headers_mut();
        deadline.tell(headers);
        trace::propagate(headers);
        self.identity.tell(headers).await?;
        let mut channel = self.channel.clone();
        let channel = channel.ready().await.map_err(lost)?;
        let response = channel.call(request).await.map_err(lost)?;
        let told_first = check(Status::from_header_map(response.headers()), response.status())?;
        if method.streaming {
            return Ok(response);
        }
        // Whether a call has succeeded stands behind its answer.
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(lost)?;
        let told_last = check(body.trailers().and_then(Status::from_header_map), head.status)?;
        if !told_first && !told_last {
            return Err(Status::unavailable("the answer was cut off"));
        }
        Ok(Response::from_parts(head, Body::new(body)))
    }
}

/// The request's body with a request id, if the method takes one and the caller gave none; and whether the call may be
/// done again although it may have been done.
fn named(body: Bytes, method: Method) -> (Bytes, bool) {
    let Some(field) = method.request_id else { return (body, method.idempotent) };
    match frame::has_text(&body, field) {
        Some(true) => (body, true),
        Some(false) => match frame::with_text(&body, field, &format!("{:032x}", rand::random::<u128>())) {
            Some(named) => (named, true),
            None => (body, method.idempotent),
        },
        None => (body, method.idempotent),
    }
}

/// The failure in a response, if there is one; else whether it says that there is none.
fn check(status: Option<Status>, http: StatusCode) -> Result<bool, Status> {
    match status {
        Some(status) if status.code() != Code::Ok => Err(status),
        Some(_) => Ok(true),
        None if http == StatusCode::OK => Ok(false),
        // Something between here and Roster answered for it.
        None => {
            let text = format!("HTTP {http} instead of an answer");
            Err(if matches!(http.as_u16(), 429 | 502..=504) {
                Status::unavailable(text)
            } else {
                Status::unknown(text)
            })
        }
    }
}

/// What it means that no answer came, or only a part of one: the connection was not made, or is gone.
fn lost(error: impl Into<Failure>) -> Status {
    let error = error.into();
    let mut cause: Option<&(dyn Error + 'static)> = Some(&*error);
    let mut text = Vec::new();
    while let Some(error) = cause {
        if error.is::<TimeoutExpired>() {
            return Status::deadline_exceeded("the call's deadline has passed");
        }
        text.push(error.to_string());
        cause = error.source();
    }
    text.dedup();
    Status::unavailable(text.join(": "))
}

#[cfg(test)]
mod tests;
