//! Finds out who calls, and hands that to the service as an `application::Context` in the extensions.
//!
//! The one layer that may have to wait before the rest of the way is gone: for the keys that a token is checked with.
//! Where everybody may call, nobody is asked; and a path that no descriptor declares goes no further.

use std::{
    convert::Infallible,
    task::{Context as Waker, Poll},
};

use http::header::AUTHORIZATION;
use tower::{Layer, Service};

use super::{Answer, Call, Request, Response, refuse};
use crate::{
    application::Context,
    callers::Certificate,
    domain::Principal,
    grpc::{
        auth::{Authenticator, Decided},
        methods::Access,
        status::EdgeError,
    },
    trace,
};

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Authenticate(pub(super) Authenticator);

impl<S> Layer<S> for Authenticate {
    type Service = Authenticated<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Authenticated { authenticator: self.0.clone(), inner }
    }
}

/// The rest of the way, for those who are known.
#[derive(Debug, Clone)]
pub(super) struct Authenticated<S> {
    authenticator: Authenticator,
    inner: S,
}

impl<S> Service<Request> for Authenticated<S>
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send + 'static> + Clone + Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, cx: &mut Waker<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Answer {
        let call = Call::of(&request);
        let Some(method) = call.method() else {
            return refuse(EdgeError::UnknownMethod { method: call.path().to_owned() }, &call);
        };
        if method.access == Access::Open {
            return Box::pin(self.inner.call(request));
        }
        match self.authenticator.authenticate(request.headers(), request.extensions().get::<Certificate>()) {
            Decided::Now(Ok(principal)) => {
                introduce(&mut request, &call, principal);
                Box::pin(self.inner.call(request))
            }
            Decided::Now(Err(error)) => refuse(error, &call),
            Decided::Later(decided) => {
                // What was found ready is what is called; a clone need not be ready.
                let clone = self.inner.clone();
                let mut inner = std::mem::replace(&mut self.inner, clone);
                Box::pin(async move {
                    match decided.await {
                        Ok(principal) => {
                            introduce(&mut request, &call, principal);
                            inner.call(request).await
                        }
                        Err(error) => refuse(error, &call).await,
                    }
                })
            }
        }
    }
}

/// Hands on who calls.
fn introduce(request: &mut Request, call: &Call, principal: Principal) {
    call.authenticated(&principal);
    // What follows from the call follows from this server's part in its trace, where traces are made.
    let traceparent = trace::current().or_else(|| call.traceparent().map(str::to_owned));
    request.extensions_mut().insert(Context { principal, call_id: call.id().to_owned(), traceparent, slot: None });
    // Nobody needs the secret from here on.
    request.headers_mut().remove(AUTHORIZATION);
}
