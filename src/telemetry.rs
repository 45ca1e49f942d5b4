//! Logs and traces of this process: the subscriber that everything else reports to through `tracing`.
//!
//! Logs go to standard error, as text for people or JSON for machines. Traces go to an OTLP collector, if one is
//! configured; the W3C `traceparent` is understood either way. What is worth a span or an event is decided where it
//! happens, not here. Here is only decided what may pass: libraries never log at `TRACE`, and are never traced.

mod json;

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{KeyValue, global};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use rand::{TryRngCore as _, rngs::OsRng};
use tracing::{Level, Metadata, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::filter::{FilterExt as _, FilterFn, ParseError};
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{EnvFilter, Registry};

use crate::config::{LogFormat, OtlpEndpoint, Telemetry};

/// How long the last traces may take to leave when the process ends.
const FLUSH_LIMIT: Duration = Duration::from_secs(3);

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log filter is not one.
    #[error("telemetry.log_filter is not a filter")]
    Filter(#[from] ParseError),
    /// The exporter of traces could not be built.
    #[error("traces cannot be exported")]
    Exporter(#[from] ExporterBuildError),
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

/// Sets up logs and traces for the whole process. Needs a tokio runtime around it if traces are exported.
///
/// # Errors
/// If called twice, or if what `config` asks for cannot be built. That the collector is not reachable is no error.
pub fn init(config: &Telemetry) -> Result<Guard, Error> {
    let provider = config.otlp_endpoint.as_ref().map(|endpoint| exporting(endpoint, config)).transpose()?;
    global::set_text_map_propagator(TraceContextPropagator::new());
    subscriber(config, io::stderr, io::stderr().is_terminal(), provider.as_ref())?.try_init()?;
    Ok(Guard(provider))
}

impl Guard {
    /// Sends what is queued, and stops. Takes 3 seconds at most; what has not left by then is lost.
    pub async fn shutdown(mut self) {
        let Some(provider) = self.0.take() else { return };
        let flush = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH_LIMIT));
        if !matches!(tokio::time::timeout(FLUSH_LIMIT, flush).await, Ok(Ok(Ok(())))) {
            tracing::warn!("the last traces could not be sent");
        }
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

fn exporting(endpoint: &OtlpEndpoint, config: &Telemetry) -> Result<SdkTracerProvider, Error> {
    let exporter = SpanExporter::builder().with_tonic().with_endpoint(endpoint.as_str()).build()?;
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(config.sample_ratio)));
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(sampler)
        .with_resource(resource(config)?);
    Ok(provider.build())
}

/// What every trace says about this process, besides what `OTEL_RESOURCE_ATTRIBUTES` adds.
fn resource(config: &Telemetry) -> Result<Resource, Error> {
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
    let filter = EnvFilter::builder()
        .parse(&config.log_filter)?
        .and(FilterFn::new(may_log).with_max_level_hint(LevelFilter::TRACE));
    let as_text = match config.log_format {
        LogFormat::Auto => terminal,
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let log: Box<dyn Layer<Registry> + Send + Sync> = if as_text {
        let text = fmt::layer().with_writer(writer);
        // Where there is a terminal, the library decides: it knows NO_COLOR.
        if terminal { text.with_filter(filter).boxed() } else { text.with_ansi(false).with_filter(filter).boxed() }
    } else {
        json::layer(writer).with_filter(filter).boxed()
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
