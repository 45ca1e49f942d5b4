//! Asking a running server for its health (`grpc.health.v1`): what `roster healthcheck` does. The answers are given
//! elsewhere.

use std::time::Duration;

use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// Health service: whether calls should be sent here. Ends when draining begins.
pub const READY: &str = "";
/// Health service: whether the process works at all. Only a restart mends what makes this fail.
pub const LIVE: &str = "roster.live";

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The endpoint is not a URL, or nobody listens there.
    #[error("cannot connect to {endpoint}")]
    Connect {
        /// The endpoint that was asked.
        endpoint: String,
        /// What went wrong.
        source: tonic::transport::Error,
    },
    /// The server refused to answer.
    #[error("{endpoint} answered {:?}: {}", status.code(), status.message())]
    Refused {
        /// The endpoint that was asked.
        endpoint: String,
        /// Its answer.
        status: Box<tonic::Status>,
    },
    /// The time was over first.
    #[error("{endpoint} did not answer within {timeout:?}")]
    Timeout {
        /// The endpoint that was asked.
        endpoint: String,
        /// How long it had.
        timeout: Duration,
    },
}

/// Asks the server at `endpoint` (`http://HOST:PORT`) whether `service` ([`READY`] or [`LIVE`]) is serving.
///
/// # Errors
/// If no answer came within `timeout`.
pub async fn check(endpoint: &str, service: &str, timeout: Duration) -> Result<bool, Error> {
    match tokio::time::timeout(timeout, ask(endpoint, service)).await {
        Ok(answer) => answer,
        Err(_) => Err(Error::Timeout { endpoint: endpoint.to_owned(), timeout }),
    }
}

async fn ask(endpoint: &str, service: &str) -> Result<bool, Error> {
    let connect = async { Endpoint::from_shared(endpoint.to_owned())?.connect().await };
    let channel = connect.await.map_err(|source| Error::Connect { endpoint: endpoint.to_owned(), source })?;
    let request = HealthCheckRequest { service: service.to_owned() };
    match HealthClient::new(channel).check(request).await {
        Ok(answer) => Ok(answer.into_inner().status() == ServingStatus::Serving),
        Err(status) => Err(Error::Refused { endpoint: endpoint.to_owned(), status: Box::new(status) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;
    use tokio_stream::wrappers::TcpListenerStream;
    use tonic_health::ServingStatus;

    const TIMEOUT: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn tells_serving_from_not_serving_and_from_no_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (reporter, service) = tonic_health::server::health_reporter();
        reporter.set_service_status(READY, ServingStatus::NotServing).await;
        reporter.set_service_status(LIVE, ServingStatus::Serving).await;
        let server = tonic::transport::Server::builder()
            .add_service(service)
            .serve_with_incoming(TcpListenerStream::new(listener));
        let asked = async {
            assert!(!check(&endpoint, READY, TIMEOUT).await.unwrap());
            assert!(check(&endpoint, LIVE, TIMEOUT).await.unwrap());
            assert!(matches!(check(&endpoint, "other", TIMEOUT).await, Err(Error::Refused { .. })));
        };
        tokio::select! {
            result = server => panic!("the server ended: {result:?}"),
            () = asked => {}
        }
    }

    #[tokio::test]
    async fn a_closed_port_and_a_silent_one_are_errors() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let silent = check(&endpoint, READY, Duration::from_millis(50)).await;
        assert!(matches!(silent, Err(Error::Timeout { .. })), "{silent:?}");
        drop(listener);
        let closed = check(&endpoint, READY, TIMEOUT).await;
        assert!(matches!(closed, Err(Error::Connect { .. })), "{closed:?}");
    }
}
