//! Where numbers go: to whoever asks for them as text, and to the OTLP collector every so often.

use std::time::Duration;

use opentelemetry::metrics::{Meter, MeterProvider as _, NoopMeterProvider};
use opentelemetry_otlp::{MetricExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    metrics::{PeriodicReader, SdkMeterProvider},
};
use prometheus::{Registry, TextEncoder};

use super::{Error, flush};
use crate::config::Telemetry;

/// How long the last numbers may take to leave when the process ends.
const FLUSH_LIMIT: Duration = Duration::from_secs(1);

/// The type of the text that [`Meters::text`] makes.
pub const TEXT_TYPE: &str = prometheus::TEXT_FORMAT;

/// What measures, and where the numbers go. Clones share it.
#[derive(Debug, Clone)]
pub struct Meters {
    /// None if nobody is told.
    provider: Option<SdkMeterProvider>,
    registry: Registry,
}

impl Meters {
    /// Measures for whom `config` names: those who ask at `telemetry.admin_listen`, and the collector at
    /// `telemetry.otlp_endpoint`, which takes a tokio runtime around it. Without either, nothing is measured.
    ///
    /// # Errors
    /// If what `config` asks for cannot be built. That the collector is not reachable is no error.
    pub fn new(config: &Telemetry, resource: &Resource) -> Result<Self, Error> {
        let registry = Registry::new();
        if config.admin_listen.is_none() && config.otlp_endpoint.is_none() {
            return Ok(Self { provider: None, registry });
        }
        let mut provider = SdkMeterProvider::builder().with_resource(resource.clone());
        if config.admin_listen.is_some() {
            // All names are of one scope; who asks would get its name with each number.
            let exporter =
                opentelemetry_prometheus::exporter().with_registry(registry.clone()).scope_info_enabled(false);
            provider = provider.with_reader(exporter.build().map_err(Error::Metrics)?);
        }
        if let Some(endpoint) = &config.otlp_endpoint {
            let exporter = MetricExporter::builder().with_tonic().with_endpoint(endpoint.as_str()).build()?;
            let reader = PeriodicReader::builder(exporter).with_interval(config.metrics_interval);
            provider = provider.with_reader(reader.build());
        }
        Ok(Self { provider: Some(provider.build()), registry })
    }

    /// What instruments are made with.
    pub fn meter(&self) -> Meter {
        const NAME: &str = env!("CARGO_PKG_NAME");

        match &self.provider {
            Some(provider) => provider.meter(NAME),
            None => NoopMeterProvider::new().meter(NAME),
        }
    }

    /// All numbers in the text format of Prometheus.
    ///
    /// # Errors
    /// If a number cannot be written, which is a defect.
    pub fn text(&self) -> Result<String, Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather()).map_err(Error::Text)
    }

    /// Sends the last numbers to the collector, and measures no more. Takes a second at most.
    pub async fn shutdown(self) {
        let Some(provider) = self.provider else { return };
        flush("metrics", FLUSH_LIMIT, move || provider.shutdown()).await;
    }
}
