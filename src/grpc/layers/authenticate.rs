//! Lets in only whom the RPC lets in, and hands the service who it is, as an `application::Context` in the extensions.
//!
//! Whoever is not known to be allowed is refused: a path that no descriptor declares, and an RPC that declares no
//! permission. What a person may do in a team is not looked at here.

use http::header::AUTHORIZATION;

use super::{Answer, Call, Request, Rest, Step, refuse};
use crate::{
    application::Context,
    domain::Principal,
    grpc::{auth::Authenticator, methods::Access, status::EdgeError},
    trace,
};

/// What stands in the place of a permission that nobody holds.
const UNDECLARED: &str = "(undeclared)";

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Authenticate(pub(super) Authenticator);

impl Step for Authenticate {
    fn call<R: Rest>(&self, mut request: Request, next: impl FnOnce(Request) -> R) -> Answer {
        let call = Call::of(&request);
        match self.admit(&request, &call) {
            Ok(None) => Box::pin(next(request)),
            Ok(Some(principal)) => {
                // What follows from the call follows from this server's part in its trace, where traces are made.
                let traceparent = trace::current().or_else(|| call.traceparent().map(str::to_owned));
                request.extensions_mut().insert(Context { principal, call_id: call.id().to_owned(), traceparent });
                // Nobody needs the secret from here on.
                request.headers_mut().remove(AUTHORIZATION);
                Box::pin(next(request))
            }
            Err(error) => refuse(error, &call),
        }
    }
}

impl Authenticate {
    /// Who calls, or nobody where it does not matter.
    fn admit(&self, request: &Request, call: &Call) -> Result<Option<Principal>, EdgeError> {
        let Some(method) = call.method() else {
            return Err(EdgeError::UnknownMethod { method: call.path().to_owned() });
        };
        let permission = match &method.access {
            Access::Open => return Ok(None),
            Access::Permission(permission) => Some(permission.as_str()),
            Access::Undeclared => None,
        };
        let principal = self.0.authenticate(request.headers())?;
        call.authenticated(&principal);
        match permission {
            Some(permission) if principal.scopes.cover(permission) => Ok(Some(principal)),
            denied => Err(EdgeError::PermissionDenied { permission: denied.unwrap_or(UNDECLARED).to_owned() }),
        }
    }
}
