//! What the layers tell each other about a call; it travels in the request's extensions.

use std::sync::{Arc, OnceLock};

use crate::{
    domain::{Principal, UserId},
    grpc::methods::{Access, Method},
};

/// A call.
#[derive(Debug, Clone)]
pub(super) struct Call(Arc<Known>);

#[derive(Debug)]
struct Known {
    id: String,
    path: String,
    method: Option<Arc<Method>>,
    traceparent: Option<String>,
    principal: OnceLock<(String, Option<UserId>)>,
}

impl Call {
    /// A call of `method` by `path`. `traceparent` is what came with it, if it is well-formed.
    pub(super) fn new(id: String, path: String, method: Option<Arc<Method>>, traceparent: Option<String>) -> Self {
        Self(Arc::new(Known { id, path, method, traceparent, principal: OnceLock::new() }))
    }

    /// The call that this request is. Without the layers around it, that is a call of nothing, which nobody may make.
    pub(super) fn of<B>(request: &http::Request<B>) -> Self {
        request
            .extensions()
            .get()
            .cloned()
            .unwrap_or_else(|| Self::new(String::new(), request.uri().path().to_owned(), None, None))
    }

    /// The id by which the log and the caller know it.
    pub(super) fn id(&self) -> &str {
        &self.0.id
    }

    /// What was called, in the caller's words.
    pub(super) fn path(&self) -> &str {
        &self.0.path
    }

    /// The RPC; `None` if there is no such one.
    pub(super) fn method(&self) -> Option<&Method> {
        self.0.method.as_deref()
    }

    /// Whether it is health or reflection.
    pub(super) fn is_open(&self) -> bool {
        self.method().is_some_and(|method| method.access == Access::Open)
    }

    /// The W3C trace context that came with it.
    pub(super) fn traceparent(&self) -> Option<&str> {
        self.0.traceparent.as_deref()
    }

    /// Remembers who calls.
    pub(super) fn authenticated(&self, principal: &Principal) {
        // A call is authenticated once.
        let _ = self.0.principal.set((principal.caller.name().to_owned(), principal.person.clone()));
    }

    /// The service that calls and the person it acts for, once that is known.
    pub(super) fn principal(&self) -> Option<(&str, Option<&UserId>)> {
        self.0.principal.get().map(|(service, person)| (service.as_str(), person.as_ref()))
    }
}
