//! NATS as consumers see it: a stream for each test, and a server that can be killed.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use async_nats::jetstream::{
    self,
    message::StreamMessage,
    stream::{Config, RetentionPolicy},
};
use prost::Message as _;
use roster::config::{self, EventEncoding};
use roster_proto::events::v1::Event;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::support::{
    parts,
    server::{eventually, within},
};

/// How long messages may take to arrive, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(90);

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Where the events of one test go.
pub(crate) struct Topic {
    pub(crate) settings: config::Nats,
}

/// A message with the event that it holds.
pub(crate) struct Received {
    pub(crate) subject: String,
    /// Sorted by name.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) event: Event,
}

impl Topic {
    /// A stream that does not exist yet, on the server that all tests share.
    pub(crate) fn new(encoding: EventEncoding) -> Self {
        Self::on(&parts::nats_url(), encoding)
    }

    fn on(url: &str, encoding: EventEncoding) -> Self {
        let number = format!("{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let settings = config::Nats {
            url: url.parse().unwrap(),
            stream: format!("TEST_{number}"),
            subject_prefix: format!("test.{number}.events"),
            encoding,
            ..config::Nats::default()
        };
        Self { settings }
    }

    /// Waits for so many messages, and gives them as protobuf events.
    pub(crate) async fn messages(&self, count: u64) -> Vec<Received> {
        let received = |message: StreamMessage| {
            let mut headers: Vec<_> =
                message.headers.iter().map(|(name, values)| (name.to_string(), values[0].to_string())).collect();
            headers.sort();
            let event = Event::decode(message.payload).unwrap();
            Received { subject: message.subject.to_string(), headers, event }
        };
        self.raw(count).await.into_iter().map(received).collect()
    }

    /// Waits for so many messages. They are read from the stream itself: when they do not come, it says how many did.
    pub(crate) async fn raw(&self, count: u64) -> Vec<StreamMessage> {
        let jetstream = self.jetstream().await;
        let name = &self.settings.stream;
        let stream = within(PATIENCE, "the stream is made", async || jetstream.get_stream(name).await.ok()).await;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let held = stream.get_info().await.map(|info| info.state.messages);
            if held.as_ref().is_ok_and(|held| *held >= count) {
                break;
            }
            assert!(Instant::now() < deadline, "{count} messages are not there within {PATIENCE:?}: {held:?}");
            sleep(Duration::from_millis(10)).await;
        }
        let mut messages = Vec::new();
        for sequence in 1..=count {
            messages.push(stream.get_raw_message(sequence).await.unwrap());
        }
        messages
    }

    /// How many messages the stream holds.
    pub(crate) async fn count(&self) -> u64 {
        let stream = self.jetstream().await.get_stream(&self.settings.stream).await.unwrap();
        stream.cached_info().state.messages
    }

    /// Makes the stream as an operator should not.
    pub(crate) async fn make_unfit(&self) {
        let config = Config {
            name: self.settings.stream.clone(),
            subjects: vec![format!("{}.>", self.settings.subject_prefix)],
            retention: RetentionPolicy::WorkQueue,
            ..Config::default()
        };
        self.jetstream().await.create_stream(config).await.unwrap();
    }

    /// Takes the stream away.
    pub(crate) async fn remove(&self) {
        self.jetstream().await.delete_stream(&self.settings.stream).await.unwrap();
    }

    async fn jetstream(&self) -> jetstream::Context {
        let url = self.settings.url.expose();
        let client = eventually("NATS is there", async || async_nats::connect(url).await.ok()).await;
        jetstream::new(client)
    }
}

/// A NATS server of a test's own.
pub(crate) struct Broker {
    folder: TempDir,
    port: u16,
    process: Option<Child>,
}

impl Broker {
    /// One that is not running yet.
    pub(crate) fn new() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { folder: tempfile::tempdir().unwrap(), port, process: None }
    }

    /// A stream on it.
    pub(crate) fn topic(&self) -> Topic {
        Topic::on(&format!("nats://127.0.0.1:{}", self.port), EventEncoding::Protobuf)
    }

    /// Starts it, with the data it had.
    pub(crate) fn start(&mut self) {
        let mut command = Command::new(parts::nats_server());
        command.args(["--addr", "127.0.0.1", "--jetstream", "--port", &self.port.to_string(), "--store_dir"]);
        let process = command.arg(self.folder.path()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        self.process = Some(process);
    }

    /// Kills it, as a crash would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}
