//! `server`: where calls are taken, how many, and for how long.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::Problems;

/// The gRPC server.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Address and port to listen on. Default `127.0.0.1:50051`.
    pub listen: SocketAddr,
    /// Whether server reflection (v1 and v1alpha) is offered. Default true.
    pub reflection: bool,
    /// Calls served at once over all connections; more are refused at once. Health checks do not
    /// count. At least 1, default 1024.
    pub max_in_flight: usize,
    /// The longest a call may take, whatever deadline its caller set; streams have none.
    /// Default 10 s.
    #[serde(with = "humantime_serde")]
    pub max_deadline: Duration,
    /// How long calls in flight may go on after the stop of accepting. Default 20 s.
    #[serde(with = "humantime_serde")]
    pub drain_timeout: Duration,
    /// How long calls are still accepted after health has turned `NOT_SERVING`, so that load
    /// balancers learn of it. Default 0 s.
    #[serde(with = "humantime_serde")]
    pub drain_delay: Duration,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 50051)),
            reflection: true,
            max_in_flight: 1024,
            max_deadline: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(20),
            drain_delay: Duration::ZERO,
        }
    }
}

impl Server {
    pub(super) fn check(&self, problems: &mut Problems) {
        problems.require(self.max_in_flight > 0, "server.max_in_flight", "must be at least 1");
        problems.positive(self.max_deadline, "server.max_deadline");
    }
}
