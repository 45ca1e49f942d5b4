//! What every RPC does around its own work.

use roster_proto::v1::{self as wire, consistency::Requirement};
use tonic::{Request, Response, Status};

use super::{
    convert::{REVISION, Violations},
    status::{EdgeError, Failure, status},
};
use crate::{
    application::{Context, Queries, Revision, Store, Written, revision::Consistency},
    domain::keyring::Keyring,
};

/// What services work with.
#[derive(Debug, Clone)]
pub struct Api {
    /// The way to write.
    pub store: Store,
    /// The way to read.
    pub queries: Queries,
    /// What page tokens and revisions are signed with.
    pub keys: Keyring,
}

impl Api {
    /// The token of what a write made; empty when it wrote nothing.
    pub(super) fn revision<T>(&self, written: &Written<T>) -> String {
        written.revision.as_ref().map(|revision| revision.encode(&self.keys)).unwrap_or_default()
    }

    /// How fresh a read has to be.
    pub(super) fn consistency(&self, v: &mut Violations, message: Option<&wire::Consistency>) -> Option<Consistency> {
        match message.and_then(|c| c.requirement.as_ref()) {
            None | Some(Requirement::FullyConsistent(false)) => Some(Consistency::BoundedStaleness),
            Some(Requirement::FullyConsistent(true)) => Some(Consistency::Full),
            Some(Requirement::AtLeastAsFresh(token)) => {
                v.field(REVISION, Revision::decode(&self.keys, token)).map(Consistency::AtLeastAsFresh)
            }
        }
    }
}

/// Runs the work of one RPC for the caller that authentication found.
pub(super) async fn serve<T, R>(
    request: Request<T>,
    work: impl AsyncFnOnce(&Context, T) -> Result<R, Failure>,
) -> Result<Response<R>, Status> {
    let (_, mut extensions, message) = request.into_parts();
    // No context means that the call came past authentication, which is never let through.
    let Some(cx) = extensions.remove::<Context>() else {
        return Err(status(&EdgeError::CredentialsMissing.into(), ""));
    };
    work(&cx, message).await.map(Response::new).map_err(|failure| status(&failure, &cx.call_id))
}
