//! The server: the limits of its messages, the services it always has, and how it comes to its end. What limits
//! connections have stands in `connection`.

mod connection;
mod web;

use std::{sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::Semaphore, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::service::Routes;

use self::connection::Connections;
use super::{
    auth::Authenticator,
    health::Health,
    layers::{self, Tools},
    methods::Methods,
};
use crate::{
    callers::{Rates, Tls},
    config,
    env::Env,
    metrics::Metrics,
};

/// The most bytes of a request.
pub(super) const MAX_REQUEST: usize = 1 << 20;
/// The most bytes of an answer, and of each message of a stream.
pub(super) const MAX_ANSWER: usize = 4 << 20;

/// How long what was cut off may take to notice.
const CUT: Duration = Duration::from_secs(1);

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API's own descriptors cannot be read: a defect.
    #[error("the API's descriptors cannot be read")]
    Descriptors(#[from] prost_reflect::DescriptorError),
    /// Reflection cannot describe them: a defect.
    #[error("the API's descriptors cannot be served")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// What a server is made of.
#[derive(Debug)]
pub struct Parts {
    /// Its limits, and whether it offers reflection.
    pub config: config::Server,
    /// How many of the calls that it limits may be writes.
    pub max_writes: usize,
    /// What connections are secured with, if they are.
    pub tls: Option<Tls>,
    /// Who may call.
    pub authenticator: Authenticator,
    /// How often each of them may, if there is a limit.
    pub rates: Option<Rates>,
    /// Where ids come from.
    pub env: Env,
    /// What it says of its health.
    pub health: Health,
    /// Where it reports calls.
    pub metrics: Metrics,
    /// The services of the API.
    pub routes: Routes,
}

/// Limits the messages of a generated service.
macro_rules! limited {
    ($service:expr) => {
        $service
            .max_decoding_message_size($crate::grpc::server::MAX_REQUEST)
            .max_encoding_message_size($crate::grpc::server::MAX_ANSWER)
    };
}
pub(super) use limited;

/// Serves until it has come to its end after `draining` was canceled.
///
/// From then on nothing more is accepted, open streams end, and calls in flight go on; what has not come to its end after
/// `drain_timeout` is cut off.
///
/// # Errors
/// If the server cannot be made of its parts.
pub async fn serve(listener: TcpListener, parts: Parts, draining: CancellationToken) -> Result<(), Error> {
    let (config, tls) = (parts.config.clone(), parts.tls.clone());
    let service = web::around(layers::around(routes(&parts)?, tools(parts, draining.clone())?), &config.grpc_web);
    let (tasks, cut) = (TaskTracker::new(), CancellationToken::new());
    // Also when this future is dropped, nothing of it goes on.
    let _cut_at_the_end = cut.clone().drop_guard();
    let connections = Connections {
        service,
        tls,
        places: Arc::new(Semaphore::new(config.max_connections.min(Semaphore::MAX_PERMITS))),
        idle_timeout: config.idle_timeout,
        tasks: tasks.clone(),
        draining,
        cut: cut.clone(),
        http1: config.grpc_web.enabled,
    };
    connections.accept(listener).await;
    tasks.close();
    let drain_timeout = config.drain_timeout;
    if timeout(drain_timeout, tasks.wait()).await.is_err() {
        tracing::warn!(?drain_timeout, left = tasks.len(), "cutting off what has not come to its end");
        cut.cancel();
        // What does not even notice this is left to the end of the process.
        let _ = timeout(CUT, tasks.wait()).await;
    }
    Ok(())
}

/// The services of the API, health, and reflection if it is offered.
fn routes(parts: &Parts) -> Result<Routes, Error> {
    let mut routes = parts.routes.clone().add_service(limited!(parts.health.service()));
    if parts.config.reflection {
        let described = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(roster_proto::DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                // No service of ours, but without them grpcurl shows the details of an error as base64.
                .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
        };
        // Both, since older tools know the older one only.
        routes =
            routes.add_service(limited!(described().build_v1()?)).add_service(limited!(described().build_v1alpha()?));
    }
    Ok(routes)
}

fn tools(parts: Parts, draining: CancellationToken) -> Result<Tools, Error> {
    parts.metrics.limit_calls(parts.config.max_in_flight);
    Ok(Tools {
        env: parts.env,
        methods: Arc::new(Methods::read()?),
        authenticator: parts.authenticator,
        rates: parts.rates.map(Arc::new),
        metrics: parts.metrics,
        max_deadline: parts.config.max_deadline,
        max_in_flight: parts.config.max_in_flight,
        max_writes: parts.max_writes,
        draining,
    })
}

#[cfg(test)]
mod tests;
