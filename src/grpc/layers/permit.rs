//! Lets in only those whose scopes the RPC asks for.
//!
//! An RPC that declares no permission is refused for everybody. What a person may do in a team is not looked at here.

use super::{Answer, Call, Request, Rest, Step, refuse};
use crate::{
    application::Context,
    grpc::{methods::Access, status::EdgeError},
};

/// What stands in the place of a permission that nobody holds.
const UNDECLARED: &str = "(undeclared)";

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Permit;

impl Step for Permit {
    fn call<R: Rest>(&self, request: Request, next: impl FnOnce(Request) -> R) -> Answer {
        let call = Call::of(&request);
        let covered = |permission: &str| {
            request.extensions().get::<Context>().is_some_and(|cx| cx.principal.scopes.cover(permission))
        };
        let denied = match call.method().map(|method| &method.access) {
            Some(Access::Open) => None,
            Some(Access::Permission(permission)) => Some(permission.as_str()).filter(|permission| !covered(permission)),
            Some(Access::Undeclared) | None => Some(UNDECLARED),
        };
        match denied {
            None => Box::pin(next(request)),
            Some(permission) => refuse(EdgeError::PermissionDenied { permission: permission.to_owned() }, &call),
        }
    }
}
