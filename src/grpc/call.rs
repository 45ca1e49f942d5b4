//! What every RPC does around its own work.

use tonic::{Request, Response, Status};

use super::status::{EdgeError, Failure, status};
use crate::{
    application::{Context, Queries, Store},
    domain::keyring::Keyring,
};

/// What services work with.
#[derive(Debug, Clone)]
pub struct Api {
    /// The way to write.
    pub store: Store,
    /// The way to read.
    pub queries: Queries,
    /// What page tokens are signed with.
    pub keys: Keyring,
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
