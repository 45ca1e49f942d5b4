//! `EventService`.

use std::{
    pin::Pin,
    time::{Duration, Instant},
};

use futures::Stream;
use roster_proto::v1::{self as wire, event_service_server::EventService};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, async_trait};

use super::{
    call::{Api, serve},
    convert::{self, Violations, event},
    status::{EdgeError, Failure, status},
};
use crate::{
    application::{
        Context, Error, Result as Answer,
        queries::{EventPage, Start},
    },
    domain::{TeamId, cursor},
    metrics::{Metrics, Ongoing},
};

/// How many events are read at a time.
const BATCH: u64 = 100;
/// How many events wait for a slow reader; with a batch, it is what one stream holds in memory.
const BUFFER: usize = 16;

/// Serves the stream of changes.
#[derive(Debug, Clone)]
pub struct Events {
    /// What services work with.
    pub api: Api,
    /// Tells the position of the latest event.
    pub head: watch::Receiver<i64>,
    /// How long a stream is quiet before it says that it lives.
    pub checkpoint_interval: Duration,
    /// The tasks that feed streams.
    pub tasks: TaskTracker,
    /// Where streams are counted.
    pub metrics: Metrics,
}

/// How long a person's right to a stream goes unlooked at: it ends within a second.
const RECHECK: Duration = Duration::from_millis(500);

type Streamed = Result<wire::WatchResponse, Status>;

#[async_trait]
impl EventService for Events {
    type WatchStream = Pin<Box<dyn Stream<Item = Streamed> + Send>>;

    async fn list_events(
        &self,
        request: Request<wire::ListEventsRequest>,
    ) -> Result<Response<wire::ListEventsResponse>, Status> {
        serve(request, async |cx, request| {
            let mut v = Violations::default();
            let size = convert::page_size(&mut v, request.page_size);
            let team = v.optional_id("team_id", &request.team_id);
            let (team,) = v.all((team,))?;
            self.api.queries.check_events(cx, team).await?;
            let start = if request.cursor.is_empty() { Start::Beginning } else { Start::After(read(&request.cursor)?) };
            let position = self.api.queries.start_position(start).await?;
            let page = self.api.queries.events_after(position, team, size).await?;
            let events = page.events.iter().map(event::message).collect::<Answer<_>>()?;
            Ok(wire::ListEventsResponse { events, next_cursor: cursor::encode(page.next), has_more: page.has_more })
        })
        .await
    }

    async fn watch(&self, request: Request<wire::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        use wire::watch_request::Start as Message;

        serve(request, async |cx, request| {
            let mut v = Violations::default();
            let team = v.optional_id("team_id", &request.team_id);
            let (team,) = v.all((team,))?;
            self.api.queries.check_events(cx, team).await?;
            let start = match request.start {
                None | Some(Message::FromBeginning(false)) => Start::Now,
                Some(Message::FromBeginning(true)) => Start::Beginning,
                Some(Message::Cursor(text)) => Start::After(read(&text)?),
            };
            let position = self.api.queries.start_position(start).await?;
            let (sender, receiver) = mpsc::channel(BUFFER);
            // A stream occupies nothing but while it is opened.
            let cx = Context { slot: None, ..cx.clone() };
            let feed = Feed {
                service: self.clone(),
                cx,
                team,
                position,
                checked: Instant::now(),
                sender,
                _open: self.metrics.stream(),
            };
            self.tasks.spawn(feed.run(start == Start::Now));
            Ok(Box::pin(ReceiverStream::new(receiver)) as Self::WatchStream)
        })
        .await
    }
}

fn read(text: &str) -> Result<i64, Error> {
    cursor::decode(text).ok_or(Error::CursorInvalid)
}

/// Feeds one stream until its reader goes away, which is also how it ends when the server drains, or until the caller may
/// not read on.
struct Feed {
    service: Events,
    cx: Context,
    team: Option<TeamId>,
    /// Everything up to here has been sent.
    position: i64,
    /// When the caller was allowed to read last.
    checked: Instant,
    sender: mpsc::Sender<Streamed>,
    _open: Ongoing,
}

/// Why a stream ends.
enum End {
    /// Nobody reads on.
    Gone,
    /// The reader is told why.
    Told(Failure),
}

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        Self::Told(failure)
    }
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Told(error.into())
    }
}

impl Feed {
    async fn run(mut self, announce: bool) {
        let sender = self.sender.clone();
        let end = tokio::select! {
            end = self.feed(announce) => end,
            () = sender.closed() => Err(End::Gone),
        };
        if let Err(End::Told(failure)) = end {
            let _gone = sender.send(Err(status(&failure, &self.cx.call_id))).await;
        }
    }

    async fn feed(&mut self, announce: bool) -> Result<(), End> {
        let mut head = self.service.head.clone();
        if announce {
            self.checkpoint().await?;
        }
        let interval = self.service.checkpoint_interval;
        let mut last_word = Instant::now();
        loop {
            head.mark_unchanged();
            let page = self.read().await?;
            let (quiet, has_more) = (page.events.is_empty(), page.has_more);
            for stored in &page.events {
                let message = wire::watch_response::Message::Event(event::message(stored)?);
                self.send(message).await?;
            }
            self.position = page.next;
            if has_more {
                continue;
            }
            // The head moves with the events of other teams too, which this reader is not told of.
            if quiet && last_word.elapsed() >= interval {
                self.checkpoint().await?;
                last_word = Instant::now();
            } else if !quiet {
                last_word = Instant::now();
            }
            let pause = interval.saturating_sub(last_word.elapsed()).min(self.until_recheck());
            match tokio::time::timeout(pause, head.changed()).await {
                Ok(Ok(())) | Err(_) => {}
                Ok(Err(_closed)) => return Err(Failure::from(EdgeError::ShuttingDown).into()),
            }
        }
    }

    /// The next events. A person's right to them is looked at again each time, for it may have ended with one of them; and
    /// now and then without any, for it may have ended elsewhere.
    async fn read(&mut self) -> Result<EventPage, Failure> {
        let queries = &self.service.api.queries;
        let page = queries.events_after(self.position, self.team, BATCH).await?;
        if !page.events.is_empty() || self.until_recheck().is_zero() {
            queries.check_events(&self.cx, self.team).await?;
            self.checked = Instant::now();
        }
        Ok(page)
    }

    /// For how long the caller's right needs no look. What a service may read does not change while it is connected.
    fn until_recheck(&self) -> Duration {
        match self.cx.principal.person {
            Some(_) => RECHECK.saturating_sub(self.checked.elapsed()),
            None => Duration::MAX,
        }
    }

    async fn checkpoint(&self) -> Result<(), End> {
        let checkpoint = wire::Checkpoint {
            cursor: cursor::encode(self.position),
            observe_time: Some(convert::timestamp(self.service.api.queries.now())),
        };
        self.send(wire::watch_response::Message::Checkpoint(checkpoint)).await
    }

    async fn send(&self, message: wire::watch_response::Message) -> Result<(), End> {
        let response = wire::WatchResponse { message: Some(message) };
        self.sender.send(Ok(response)).await.map_err(|_gone| End::Gone)
    }
}
