//! `telemetry`: logs, traces and metrics, and the port for those who look after the service.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;
use url::Url;

use super::error::Problems;
use super::text::{self, HumanTime, InvalidText, OptionalText};

/// Logs, traces and metrics.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// The form of the log on standard error.
    pub log_format: LogFormat,
    /// What is logged: a level, or `target=level` pairs: `info,roster::events=debug,sqlx::query=debug`. Libraries never
    /// log at `trace`, whatever this says: there they print what they were given, secrets too.
    pub log_filter: String,
    /// The OTLP/gRPC collector that traces and metrics go to, `http://HOST:4317`; without it there are no traces. TLS
    /// is left to a collector near by.
    #[serde(with = "OptionalText")]
    pub otlp_endpoint: Option<OtlpEndpoint>,
    /// How often metrics go to the collector.
    #[serde(with = "HumanTime")]
    pub metrics_interval: Duration,
    /// Address and port that serve `/metrics` for Prometheus and the probes `/livez` and `/readyz`, by plain HTTP and
    /// to everybody who reaches it ([operations.md](operations.md)).
    pub admin_listen: Option<SocketAddr>,
    /// `service.name` of traces and metrics. `OTEL_RESOURCE_ATTRIBUTES` adds more attributes.
    pub service_name: String,
    /// The share of traces that is kept, 0 to 1, where the caller has not decided it.
    pub sample_ratio: f64,
}

/// The form of the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// `text` on a terminal, `json` elsewhere.
    #[default]
    Auto,
    /// One line an event, for people.
    Text,
    /// One JSON object an event, for machines.
    Json,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            log_format: LogFormat::default(),
            log_filter: "info".to_owned(),
            otlp_endpoint: None,
            metrics_interval: Duration::from_mins(1),
            admin_listen: None,
            service_name: "roster".to_owned(),
            sample_ratio: 1.0,
        }
    }
}

impl Telemetry {
    pub(super) fn check(&self, problems: &mut Problems) {
        if let Err(error) = EnvFilter::builder().parse(&self.log_filter) {
            problems.add("telemetry.log_filter", error.to_string());
        }
        problems.require(
            text::is_line(&self.service_name),
            "telemetry.service_name",
            "must be 1 to 100 characters on one line",
        );
        problems.positive(self.metrics_interval, "telemetry.metrics_interval");
        problems.require((0.0..=1.0).contains(&self.sample_ratio), "telemetry.sample_ratio", "must be 0 to 1");
    }
}

/// An OTLP/gRPC collector: `http://HOST:PORT`.
#[derive(Debug, Clone)]
pub struct OtlpEndpoint(Url);

impl OtlpEndpoint {
    /// The URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for OtlpEndpoint {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = InvalidText("expected http://HOST:PORT");
        let url = Url::parse(text).map_err(|_| expected.clone())?;
        match url.scheme() {
            "http" if url.username().is_empty() => Ok(Self(url)),
            "https" => Err(InvalidText("TLS is not spoken here; name a collector near by, with http://")),
            _ => Err(expected),
        }
    }
}

impl fmt::Display for OtlpEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
