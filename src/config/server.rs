//! `server`: where calls are taken, how many, and for how long.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Problems;
use super::text::HumanTime;
use super::web::PageOrigin;

/// The gRPC server.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Address and port of the gRPC server. Anything but loopback needs callers that show who they are: see
    /// `auth.mode`.
    pub listen: SocketAddr,
    /// Whether server reflection (v1 and v1alpha) is offered.
    pub reflection: bool,
    /// Connections held at once, at least 1; more are closed as they come.
    pub max_connections: usize,
    /// How long a connection may be without a call before it is asked to go, which it is at the latest after twice as
    /// long. Callers open another when they need one.
    #[serde(with = "HumanTime")]
    pub idle_timeout: Duration,
    /// Calls served at once over all connections, at least 1; more are refused at once with `RESOURCE_EXHAUSTED`. Health
    /// checks do not count, nor streams once they are open. Writes take half of the places at most, and on SQLite, which
    /// has one writer, as many as there are for one connection. Keep it at about 16 for each of
    /// `database.max_connections`, so that whoever is let in waits for the database for a moment only.
    pub max_in_flight: usize,
    /// The longest a call may take, whatever deadline its caller set. Streams have none.
    #[serde(with = "HumanTime")]
    pub max_deadline: Duration,
    /// How long calls in flight may go on after SIGTERM. Keep the sum of this, `drain_delay` and 10 s below the grace
    /// period of whatever ends the process.
    #[serde(with = "HumanTime")]
    pub drain_timeout: Duration,
    /// How long new calls are still taken after health has turned `NOT_SERVING`, so that load balancers learn of it; 5
    /// s suit Kubernetes.
    #[serde(with = "HumanTime")]
    pub drain_delay: Duration,
    /// TLS 1.2 and 1.3; served if there is a certificate. The files are PEM, and read again when they change.
    pub tls: Tls,
    /// gRPC-Web, which pages in a browser can speak.
    pub grpc_web: GrpcWeb,
}

/// TLS 1.2 and 1.3. The files are PEM, and read again when they change.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// The server's certificate, and those between it and its authority after it. Without it plain HTTP/2 is served.
    pub certificate_file: Option<PathBuf>,
    /// Its private key; required with the certificate.
    pub key_file: Option<PathBuf>,
    /// The authorities whose client certificates are taken. A client need not have one.
    pub client_ca_file: Option<PathBuf>,
}

/// gRPC-Web, which browsers can speak: on the same address, over HTTP/1.1 too.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GrpcWeb {
    /// Whether pages in a browser can call by gRPC-Web, on the same address, which then takes HTTP/1.1 too.
    pub enabled: bool,
    /// The origins whose pages may call, such as `https://app.example.com`; there is no `*`, and a page's own origin is
    /// no exception. Empty: only callers that are no browsers.
    pub allowed_origins: Vec<PageOrigin>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 50051)),
            reflection: true,
            max_connections: 10_000,
            idle_timeout: Duration::from_mins(5),
            max_in_flight: 160,
            max_deadline: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(20),
            drain_delay: Duration::ZERO,
            tls: Tls::default(),
            grpc_web: GrpcWeb::default(),
        }
    }
}

impl Server {
    pub(super) fn check(&self, problems: &mut Problems) {
        problems.require(self.max_connections > 0, "server.max_connections", "must be at least 1");
        problems.positive(self.idle_timeout, "server.idle_timeout");
        problems.require(self.max_in_flight > 0, "server.max_in_flight", "must be at least 1");
        problems.positive(self.max_deadline, "server.max_deadline");
        let Tls { certificate_file, key_file, client_ca_file } = &self.tls;
        let needs = |given: bool, needed: bool| !given || needed;
        let (certificate, key) = (certificate_file.is_some(), key_file.is_some());
        problems.require(needs(certificate, key), "server.tls.key_file", "is required with certificate_file");
        problems.require(
            needs(key || client_ca_file.is_some(), certificate),
            "server.tls.certificate_file",
            "is required where server.tls says anything else",
        );
        problems.require(
            self.grpc_web.enabled || self.grpc_web.allowed_origins.is_empty(),
            "server.grpc_web.allowed_origins",
            "is of no use without server.grpc_web.enabled",
        );
    }
}
