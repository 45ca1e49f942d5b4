//! The publisher `nats`: a NATS JetStream stream.
//!
//! The connection is made in the background and made again whenever it is lost, for as long as the service runs; what a
//! message looks like stands in `message`, what the stream must be like in `stream`.

mod link;
mod message;
mod stream;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_nats::jetstream::{
    self,
    context::{ContextBuilder, PublishErrorKind},
    stream::Config as StreamConfig,
};
use futures::future::BoxFuture;
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use tracing::{Instrument as _, Span, field::Empty};

use super::{PublishError, Publisher};
use crate::{causes::on_one_line, config, domain::EventId, metrics::Metrics, repository::events::StoredEvent, trace};
use link::Link;
use message::{Form, Message};

/// How long [`Publisher::prepare`] waits for a connection.
const PATIENCE: Duration = Duration::from_secs(2);
/// What traces and metrics call the broker.
const SYSTEM: &str = "nats";
/// How long the broker may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// Publishes to one stream.
pub struct NatsPublisher {
    jetstream: Arc<jetstream::Context>,
    link: watch::Receiver<Link>,
    stream: StreamConfig,
    /// Whether the stream was seen to be as it must be.
    checked: Arc<AtomicBool>,
    form: Form,
    metrics: Metrics,
}

/// Why the publisher could not be set up. All of these are mistakes in the configuration.
#[derive(Debug, thiserror::Error)]
pub enum NatsSetupError {
    /// The credentials file cannot be read, or holds no credentials.
    #[error("cannot use the NATS credentials in {}", path.display())]
    Credentials {
        /// The configured file.
        path: PathBuf,
        /// What is wrong with it.
        source: std::io::Error,
    },
    /// The URL names no server.
    #[error("events.nats.url names no server")]
    Url(#[source] async_nats::ConnectError),
}

/// Why the server was not reached.
#[derive(Debug, thiserror::Error)]
pub enum NatsReachError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Setup(#[from] NatsSetupError),
    /// The server does not answer, or lets nobody in.
    #[error(transparent)]
    Down(#[from] PublishError),
}

impl NatsPublisher {
    /// A publisher for the configured stream; `source` is how this service is called in the messages, and `metrics` where
    /// it reports them. Reads the credentials file. Does not wait for the server, which may be down.
    ///
    /// # Errors
    ///
    /// [`NatsSetupError`] when the configuration cannot be used.
    pub async fn new(settings: &config::Nats, source: &str, metrics: Metrics) -> Result<Self, NatsSetupError> {
        let checked = Arc::new(AtomicBool::new(false));
        let (client, link) = link::connect(settings, checked.clone()).await?;
        let jetstream = ContextBuilder::new()
            .timeout(ANSWER)
            // Nobody waits for the answer of a publish that was abandoned.
            .ack_timeout(Duration::ZERO)
            .build(client);
        Ok(Self {
            jetstream: Arc::new(jetstream),
            link,
            stream: stream::wanted(settings),
            checked,
            form: Form::new(settings, source),
            metrics,
        })
    }

    /// Reads what [`NatsPublisher::new`] would read, and does not connect.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn check(settings: &config::Nats) -> Result<(), NatsSetupError> {
        link::options(settings).await.map(drop)
    }

    /// Connects as [`NatsPublisher::new`] does, and hangs up.
    ///
    /// # Errors
    ///
    /// [`NatsReachError`].
    pub async fn reach(settings: &config::Nats) -> Result<(), NatsReachError> {
        // The connection ends with its client.
        let (_client, link) = link::connect(settings, Arc::default()).await?;
        Ok(connected(&link).await?)
    }
}

/// Waits for the connection, for a short time.
async fn connected(link: &watch::Receiver<Link>) -> Result<(), PublishError> {
    let mut link = link.clone();
    if let Ok(Ok(_up)) = timeout(PATIENCE, link.wait_for(Link::is_up)).await {
        return Ok(());
    }
    Err(PublishError::Unavailable(link.borrow().why_down()))
}

impl Publisher for NatsPublisher {
    fn prepare(&self) -> BoxFuture<'_, Result<(), PublishError>> {
        Box::pin(async {
            connected(&self.link).await?;
            if !self.checked.load(Ordering::Relaxed) {
                stream::ensure(&self.jetstream, &self.stream).await.map_err(PublishError::Unavailable)?;
                self.checked.store(true, Ordering::Relaxed);
            }
            Ok(())
        })
    }

    fn publish(&self, event: &StoredEvent) -> BoxFuture<'static, Result<(), PublishError>> {
        let (message, id) = (self.form.message(event), event.id);
        let (jetstream, checked, metrics) = (self.jetstream.clone(), self.checked.clone(), self.metrics.clone());
        let link = self.link.clone();
        Box::pin(async move {
            let message = message.map_err(|error| PublishError::Refused(on_one_line(&error)))?;
            let (span, begun) = (span(&message, id), Instant::now());
            let result = send(&jetstream, message, link, &checked).instrument(span.clone()).await;
            let error = result.as_ref().err().map(kind);
            if let Some(error) = error {
                span.record("error.type", error);
                span.record("otel.status_code", "ERROR");
            }
            metrics.published(SYSTEM, error, begun.elapsed());
            if result? {
                metrics.duplicate();
            }
            Ok(())
        })
    }
}

/// The span of a publication, linked to the trace of the call that made the event. An event without a trace has none.
fn span(message: &Message, id: EventId) -> Span {
    let Some(traceparent) = &message.traceparent else { return Span::none() };
    let span = tracing::info_span!(
        parent: None,
        "publish",
        otel.name = format_args!("publish {}", message.kind),
        otel.kind = "producer",
        otel.status_code = Empty,
        messaging.system = SYSTEM,
        messaging.operation.name = "publish",
        messaging.operation.r#type = "send",
        messaging.destination.name = message.subject,
        messaging.message.id = %id,
        error.type = Empty,
    );
    trace::link(&span, traceparent);
    span
}

/// Sends a message, and answers whether it was there already.
async fn send(
    jetstream: &jetstream::Context,
    message: Message,
    mut link: watch::Receiver<Link>,
    checked: &AtomicBool,
) -> Result<bool, PublishError> {
    let before = link.borrow_and_update().clone();
    if !before.is_up() {
        return Err(PublishError::Unavailable(before.why_down()));
    }
    let answer = async { jetstream.send_publish(message.subject, message.content).await?.await };
    tokio::select! {
        answer = answer => match answer {
            Ok(stored) => Ok(stored.duplicate),
            Err(error) => Err(failure(&error, checked)),
        },
        // The answer is lost with the connection.
        _ = link.wait_for(|now| now.was_lost_since(&before)) => {
            Err(PublishError::Unavailable("the connection to NATS was lost".to_owned()))
        }
    }
}

fn kind(error: &PublishError) -> &'static str {
    match error {
        PublishError::Unavailable(_) => "UNAVAILABLE",
        PublishError::Refused(_) => "REFUSED",
    }
}

fn failure(error: &jetstream::context::PublishError, checked: &AtomicBool) -> PublishError {
    let text = on_one_line(error);
    match error.kind() {
        PublishErrorKind::StreamNotFound => {
            checked.store(false, Ordering::Relaxed);
            PublishError::Unavailable(text)
        }
        PublishErrorKind::BrokenPipe => PublishError::Unavailable(text),
        // One that stays without an answer may be one that this client has no permission to publish.
        PublishErrorKind::TimedOut
        | PublishErrorKind::MaxPayloadExceeded
        | PublishErrorKind::WrongLastMessageId
        | PublishErrorKind::WrongLastSequence
        | PublishErrorKind::MaxAckPending
        | PublishErrorKind::Other => PublishError::Refused(text),
    }
}
