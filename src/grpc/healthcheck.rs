//! Asking a running server for its health (`grpc.health.v1`): what `roster healthcheck` does. The answers are given
//! elsewhere.

mod unverified;

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// Health service: whether calls should be sent here. Ends when draining begins.
pub const READY: &str = "";
/// Health service: whether the process works at all. Only a restart mends what makes this fail.
pub const LIVE: &str = "roster.live";

/// What makes it certain, over `https`, that the one who answers is the one who was asked.
#[derive(Debug, Clone)]
pub enum Trust {
    /// A certificate by one of the system's authorities.
    System,
    /// A certificate by an authority of this PEM file.
    Authorities(PathBuf),
    /// Nothing: for asking an instance on this machine by its address, which its certificate does not name. The question is
    /// no secret. Were the certificate held against the file that it is served from, a new file that cannot be used would
    /// have a server taken for dead that goes on with the old one.
    Anybody,
}

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
    /// The file of authorities cannot be read.
    #[error("cannot read {}", path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
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

/// Asks the server at `endpoint` (`http://HOST:PORT`, or `https:` with `trust`) whether `service` ([`READY`] or [`LIVE`]) is serving.
///
/// # Errors
/// If no answer came within `timeout`.
pub async fn check(endpoint: &str, trust: &Trust, service: &str, timeout: Duration) -> Result<bool, Error> {
    match tokio::time::timeout(timeout, ask(endpoint, trust, service)).await {
        Ok(answer) => answer,
        Err(_) => Err(Error::Timeout { endpoint: endpoint.to_owned(), timeout }),
    }
}

async fn ask(endpoint: &str, trust: &Trust, service: &str) -> Result<bool, Error> {
    let authorities = match trust {
        Trust::Authorities(path) => {
            let read = tokio::fs::read(path).await;
            Some(read.map_err(|source| Error::Authorities { path: path.clone(), source })?)
        }
        Trust::System | Trust::Anybody => None,
    };
    let connect = async {
        let plain = Endpoint::from_shared(endpoint.to_owned())?;
        let secure = plain.uri().scheme_str() == Some("https");
        let tls = ClientTlsConfig::new();
        let endpoint = match (trust, authorities) {
            _ if !secure => plain,
            (Trust::Anybody, _) => plain.tls_config_with_verifier(tls, Arc::new(unverified::Unverified::default()))?,
            (_, Some(pem)) => plain.tls_config(tls.ca_certificate(Certificate::from_pem(pem)))?,
            (_, None) => plain.tls_config(tls.with_native_roots())?,
        };
        endpoint.connect().await
    };
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
            assert!(!check(&endpoint, &Trust::System, READY, TIMEOUT).await.unwrap());
            assert!(check(&endpoint, &Trust::System, LIVE, TIMEOUT).await.unwrap());
            assert!(matches!(check(&endpoint, &Trust::System, "other", TIMEOUT).await, Err(Error::Refused { .. })));
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
        let silent = check(&endpoint, &Trust::System, READY, Duration::from_millis(50)).await;
        assert!(matches!(silent, Err(Error::Timeout { .. })), "{silent:?}");
        drop(listener);
        let closed = check(&endpoint, &Trust::System, READY, TIMEOUT).await;
        assert!(matches!(closed, Err(Error::Connect { .. })), "{closed:?}");
    }
}
