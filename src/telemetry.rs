//! Logs, traces and metrics of this process: where they go.
//!
//! Logs go to standard error, as text for people or JSON for machines. Traces and metrics go to an OTLP collector, if one
//! is configured; the W3C `traceparent` is understood either way. What is worth a span or an event is decided where it
//! happens, and what is measured in `metrics`. Here is only decided what may pass: libraries never log at `TRACE`, and are
//! never traced.

mod format;
mod meters;
mod sampler;

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{KeyValue, global};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use rand::{TryRngCore as _, rngs::OsRng};
use tracing::{Level, Metadata, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::filter::{FilterExt as _, FilterFn, ParseError};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{EnvFilter, Registry};

use crate::config::{LogFormat, OtlpEndpoint, Telemetry};

pub use meters::{Meters, TEXT_TYPE};
pub use opentelemetry_sdk::Resource;

/// How long the last traces may take to leave when the process ends.
const FLUSH_LIMIT: Duration = Duration::from_secs(3);

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log filter is not one.
    #[error("telemetry.log_filter is not a filter")]
    Filter(#[from] ParseError),
    /// An exporter could not be built.
    #[error("traces and metrics cannot be exported")]
    Exporter(#[from] ExporterBuildError),
    /// The reader of metrics could not be built.
    #[error("metrics cannot be read")]
    Metrics(#[source] OTelSdkError),
    /// Metrics could not be written as text.
    #[error("metrics cannot be written as text")]
    Text(#[source] prometheus::Error),
    /// The operating system gave no randomness to name this instance with.
    #[error("the operating system gives no randomness")]
    Randomness(#[source] io::Error),
    /// This process has a subscriber already.
    #[error("telemetry was set up twice")]
    Twice(#[from] TryInitError),
}

/// Keeps telemetry going. At the end of the process, [`Guard::shutdown`] sends what is still queued.
#[derive(Debug)]
#[must_use = "dropping it ends the export of traces"]
pub struct Guard(Option<SdkTracerProvider>);

/// Sets up logs and traces of `resource` for the whole process. Needs a tokio runtime around it if traces are exported.
///
/// # Errors
/// If called twice, or if what `config` asks for cannot be built. That the collector is not reachable is no error.
pub fn init(config: &Telemetry, resource: &Resource) -> Result<Guard, Error> {
    let exporting = |endpoint| exporting(endpoint, config, resource);
    let provider = config.otlp_endpoint.as_ref().map(exporting).transpose()?;
    global::set_text_map_propagator(TraceContextPropagator::new());
    subscriber(config, io::stderr, io::stderr().is_terminal(), provider.as_ref())?.try_init()?;
    Ok(Guard(provider))
}

impl Guard {
    /// Sends what is queued, and stops. Takes 3 seconds at most; what has not left by then is lost.
    pub async fn shutdown(mut self) {
        let Some(provider) = self.0.take() else { return };
        flush("traces", FLUSH_LIMIT, move || provider.shutdown_with_timeout(FLUSH_LIMIT)).await;
    }
}

/// Waits until the last of them have left, but not longer than this.
async fn flush(what: &str, limit: Duration, shutdown: impl FnOnce() -> OTelSdkResult + Send + 'static) {
    let left = tokio::time::timeout(limit, tokio::task::spawn_blocking(shutdown));
    if !matches!(left.await, Ok(Ok(Ok(())))) {
        tracing::warn!("the last {what} could not be sent");
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(provider) = self.0.take() {
            // Nobody is left to be told; the way to learn of a failure is `shutdown`.
            let _ = provider.shutdown_with_timeout(FLUSH_LIMIT);
        }
    }
}

fn exporting(endpoint: &OtlpEndpoint, config: &Telemetry, resource: &Resource) -> Result<SdkTracerProvider, Error> {
    let exporter = SpanExporter::builder().with_tonic().with_endpoint(endpoint.as_str()).build()?;
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(sampler::sampler(config.sample_ratio))
        .with_resource(resource.clone());
    Ok(provider.build())
}

/// What every trace and metric says about this process, besides what `OTEL_RESOURCE_ATTRIBUTES` adds. Each call makes
/// another instance of it.
///
/// # Errors
/// If the operating system gives no randomness.
pub fn resource(config: &Telemetry) -> Result<Resource, Error> {
    let mut instance = [0; 16];
    OsRng.try_fill_bytes(&mut instance).map_err(|error| Error::Randomness(io::Error::other(error)))?;
    let instance = uuid::Builder::from_random_bytes(instance).into_uuid();
    let resource = Resource::builder().with_service_name(config.service_name.clone()).with_attributes([
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", instance.to_string()),
    ]);
    Ok(resource.build())
}

fn subscriber<W>(
    config: &Telemetry,
    writer: W,
    terminal: bool,
    provider: Option<&SdkTracerProvider>,
) -> Result<impl Subscriber + Send + Sync + use<W>, Error>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = log_filter(&config.log_filter)?.and(FilterFn::new(may_log).with_max_level_hint(LevelFilter::TRACE));
    let as_text = match config.log_format {
        LogFormat::Auto => terminal,
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let log: Box<dyn Layer<Registry> + Send + Sync> = if as_text {
        format::text(writer, terminal).with_filter(filter).boxed()
    } else {
        format::json(writer).with_filter(filter).boxed()
    };
    let traces = provider.map(|provider| {
        let own = FilterFn::new(|metadata| is_own(metadata) && *metadata.level() <= Level::INFO);
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer(env!("CARGO_PKG_NAME")))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(own.with_max_level_hint(LevelFilter::INFO))
    });
    Ok(tracing_subscriber::registry().with(log).with(traces))
}

/// What is logged. The client of NATS tells at `INFO` of every attempt to connect, one a second while the broker is away;
/// that it is away, and is back, Roster says itself, once. So of it warnings have to do, unless it is asked for by its name
/// or everything is wanted.
fn log_filter(text: &str) -> Result<EnvFilter, ParseError> {
    const CHATTY: &str = "async_nats";

    let filter = EnvFilter::builder().parse(text)?;
    let shows_all = text.split(',').any(|directive| matches!(directive.parse(), Ok(Level::DEBUG | Level::TRACE)));
    if text.contains(CHATTY) || shows_all {
        Ok(filter)
    } else {
        Ok(filter.add_directive(format!("{CHATTY}=warn").parse()?))
    }
}

/// Whether the log may show this at all, however fine the configured filter is. At `TRACE`, libraries print what they
/// were given: the database's URL with its password, for one. Statements appear at `DEBUG`, always with placeholders.
fn may_log(metadata: &Metadata<'_>) -> bool {
    is_own(metadata) || *metadata.level() <= Level::DEBUG
}

/// Whether this comes from Roster itself. Only this is traced: a library's spans would be noise, and the exporter's own
/// would beget more of themselves.
fn is_own(metadata: &Metadata<'_>) -> bool {
    let root = metadata.target().split("::").next().unwrap_or_default();
    root == "roster" || root == "roster_migrations"
}

#[cfg(test)]
mod tests;
