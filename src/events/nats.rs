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
use tokio::{sync::watch, time::timeout};

use super::{PublishError, Publisher, outage::Causes};
use crate::{config, repository::events::StoredEvent};
use link::Link;
use message::Form;

/// How long [`Publisher::prepare`] waits for a connection.
const PATIENCE: Duration = Duration::from_secs(2);
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

impl NatsPublisher {
    /// A publisher for the configured stream; `source` is how this service is called in the messages. Reads the
    /// credentials file. Does not wait for the server, which may be down.
    ///
    /// # Errors
    ///
    /// [`NatsSetupError`] when the configuration cannot be used.
    pub async fn new(settings: &config::Nats, source: &str) -> Result<Self, NatsSetupError> {
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
        })
    }

    async fn connected(&self) -> Result<(), PublishError> {
        let mut link = self.link.clone();
        match timeout(PATIENCE, link.wait_for(Link::is_up)).await {
            Ok(Ok(_up)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(PublishError::Unavailable(self.link.borrow().why_down())),
        }
    }
}

impl Publisher for NatsPublisher {
    fn prepare(&self) -> BoxFuture<'_, Result<(), PublishError>> {
        Box::pin(async {
            self.connected().await?;
            if !self.checked.load(Ordering::Relaxed) {
                stream::ensure(&self.jetstream, &self.stream).await.map_err(PublishError::Unavailable)?;
                self.checked.store(true, Ordering::Relaxed);
            }
            Ok(())
        })
    }

    fn publish(&self, event: &StoredEvent) -> BoxFuture<'static, Result<(), PublishError>> {
        let message = self.form.message(event);
        let (jetstream, checked) = (self.jetstream.clone(), self.checked.clone());
        let mut link = self.link.clone();
        Box::pin(async move {
            let (subject, message) = message.map_err(|error| PublishError::Refused(Causes(&error).to_string()))?;
            let before = link.borrow_and_update().clone();
            if !before.is_up() {
                return Err(PublishError::Unavailable(before.why_down()));
            }
            // Also when the answer says that the message was there already, it is.
            let answer = async { jetstream.send_publish(subject, message).await?.await };
            tokio::select! {
                answer = answer => match answer {
                    Ok(_stored) => Ok(()),
                    Err(error) => Err(failure(&error, &checked)),
                },
                // The answer is lost with the connection.
                _ = link.wait_for(|now| now.was_lost_since(&before)) => {
                    Err(PublishError::Unavailable("the connection to NATS was lost".to_owned()))
                }
            }
        })
    }
}

fn failure(error: &jetstream::context::PublishError, checked: &AtomicBool) -> PublishError {
    let text = Causes(error).to_string();
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
