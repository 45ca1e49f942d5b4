//! What every RPC does around its own work.

use roster_proto::v1::{self as wire, consistency::Requirement};
use tonic::{Request, Response, Status};

use super::status::{EdgeError, Failure, status};
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
    pub(super) fn consistency(&self, message: Option<&wire::Consistency>) -> Result<Consistency, Failure> {
        Ok(match message.and_then(|c| c.requirement.as_ref()) {
            None | Some(Requirement::FullyConsistent(false)) => Consistency::BoundedStaleness,
            Some(Requirement::FullyConsistent(true)) => Consistency::Full,
            Some(Requirement::AtLeastAsFresh(token)) => {
                Consistency::AtLeastAsFresh(Revision::decode(&self.keys, token)?)
            }
        })
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
