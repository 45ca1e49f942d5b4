//! The server: its limits towards connections and messages, the services it always has, and how it comes to its end.

mod connection;

use std::{pin::pin, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::{service::Routes, transport};

use self::connection::Ends;
use super::{
    auth::Authenticator,
    health::Health,
    layers::{self, Tools},
    methods::Methods,
};
use crate::{config, env::Env};

pub use super::layers::Panics;

/// The most bytes of a request.
pub(super) const MAX_REQUEST: usize = 1 << 20;
/// The most bytes of an answer, and of each message of a stream.
pub(super) const MAX_ANSWER: usize = 4 << 20;

/// The most calls at a time on one connection.
const STREAMS: u32 = 100;
/// How many streams one connection may have that broke the protocol, before it is closed.
const BROKEN_STREAMS: usize = 1024;
/// How many streams one connection may reset before they were looked at, before it is closed: the defence against rapid
/// resets (CVE-2023-44487).
const RESET_STREAMS: usize = 20;
/// The most bytes of the headers of a call.
const HEADERS: u32 = 16 << 10;
/// How often a quiet connection is asked whether it is there, and how long it has to say so.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));
/// After this time a connection is asked to go, so that callers come to know new instances.
const AGE: Duration = Duration::from_mins(30);
/// How much longer it may take to go, before it is cut off.
const GRACE: Duration = Duration::from_mins(5);
/// How long connections that were cut off may take to notice.
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
    /// The library gave up.
    #[error("the gRPC server failed")]
    Transport(#[from] transport::Error),
}

/// What a server is made of.
#[derive(Debug)]
pub struct Parts {
    /// Its limits, and whether it offers reflection.
    pub config: config::Server,
    /// Who may call.
    pub authenticator: Authenticator,
    /// Where ids come from.
    pub env: Env,
    /// What it says of its health.
    pub health: Health,
    /// Counts what went wrong badly.
    pub panics: Panics,
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
/// If the server cannot be made of its parts, or gives up.
pub async fn serve(listener: TcpListener, parts: Parts, draining: CancellationToken) -> Result<(), Error> {
    let drain_timeout = parts.config.drain_timeout;
    let cut = CancellationToken::new();
    // Also when this future is dropped, nothing of it goes on.
    let _cut_at_the_end = cut.clone().drop_guard();
    let ends = Ends { age: AGE + GRACE, draining: draining.clone(), cut: cut.clone() };
    let service = layers::around(routes(&parts)?, tools(parts, draining.clone())?);
    let serving = limits().serve_with_incoming_shutdown(
        service,
        connection::accept(listener, ends),
        draining.clone().cancelled_owned(),
    );
    let mut serving = pin!(serving);
    let overdue = async {
        draining.cancelled().await;
        sleep(drain_timeout).await;
    };
    tokio::select! {
        result = &mut serving => return Ok(result?),
        () = overdue => {}
    }
    tracing::warn!(?drain_timeout, "cutting off what has not come to its end");
    cut.cancel();
    timeout(CUT, serving).await.unwrap_or(Ok(()))?;
    Ok(())
}

/// The library's server; without these settings it has hardly a limit.
fn limits() -> transport::Server {
    transport::Server::builder()
        .max_concurrent_streams(STREAMS)
        .http2_max_local_error_reset_streams(Some(BROKEN_STREAMS))
        .http2_max_pending_accept_reset_streams(Some(RESET_STREAMS))
        .http2_max_header_list_size(HEADERS)
        .http2_keepalive_interval(Some(KEEPALIVE.0))
        .http2_keepalive_timeout(Some(KEEPALIVE.1))
        // Not its `max_connection_age_grace`: with it, a connection is cut off without having been asked to go.
        .max_connection_age(AGE)
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
        routes = routes
            .add_service(limited!(described().build_v1()?))
            .add_service(limited!(described().build_v1alpha()?));
    }
    Ok(routes)
}

fn tools(parts: Parts, draining: CancellationToken) -> Result<Tools, Error> {
    Ok(Tools {
        env: parts.env,
        methods: Arc::new(Methods::read()?),
        authenticator: parts.authenticator,
        panics: parts.panics,
        max_deadline: parts.config.max_deadline,
        max_in_flight: parts.config.max_in_flight,
        draining,
    })
}

#[cfg(test)]
mod tests;
