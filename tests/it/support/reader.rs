//! Those who follow the events, and begin again at any cursor they have seen.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use roster::domain::cursor;
use roster_proto::{
    events::v1::Event,
    v1::{ListEventsRequest, WatchRequest, WatchResponse, watch_request::Start, watch_response::Message},
};
use tokio::sync::watch;
use tonic::Streaming;

use super::{Caller, Outcome as _};

/// The last position to come, once it is known.
pub type Goal = watch::Receiver<Option<usize>>;

/// How far back a reader goes at the most when it begins again.
const BACK: usize = 100;

/// What a reader has seen.
#[derive(Debug, Default)]
pub struct Seen {
    ids: Vec<String>,
    requests: HashMap<String, Instant>,
    resumed: usize,
}

impl Seen {
    /// The ids of the events in the order of their positions.
    pub fn ids(&self) -> Vec<&str> {
        self.ids.iter().map(String::as_str).collect()
    }

    /// When the first event of a request was seen.
    pub fn at(&self, request_id: &str) -> Instant {
        self.requests[request_id]
    }

    /// How often reading began again.
    pub fn resumed(&self) -> usize {
        self.resumed
    }

    /// A position that was seen, and from which reading begins again.
    fn resume(&mut self) -> usize {
        self.resumed += 1;
        self.ids.len() - rand::random_range(0..=self.ids.len().min(BACK))
    }

    /// Notes the event at the next position, which may have been seen before: then it was the same one.
    fn note(&mut self, last: &mut usize, event: Event) {
        *last += 1;
        assert_eq!(cursor::decode(&event.position), i64::try_from(*last).ok(), "no gap and no inversion: {event:?}");
        if let Some(id) = self.ids.get(*last - 1) {
            assert_eq!(*id, event.event_id, "another event than before at {last}");
        } else {
            self.ids.push(event.event_id);
            self.requests.entry(event.request_id).or_insert_with(Instant::now);
        }
    }

    fn has_all(&self, goal: &Goal) -> bool {
        goal.borrow().is_some_and(|last| self.ids.len() >= last)
    }
}

fn text(position: usize) -> String {
    cursor::encode(i64::try_from(position).unwrap())
}

async fn open(service: &Caller, team: &str, after: usize) -> Streaming<WatchResponse> {
    let request = WatchRequest { team_id: team.to_owned(), start: Some(Start::Cursor(text(after))) };
    service.events().watch(request).await.done()
}

async fn next(stream: &mut Streaming<WatchResponse>) -> Message {
    let next = tokio::time::timeout(Duration::from_secs(20), stream.message()).await.expect("a sign of life");
    next.unwrap().expect("no end without a status").message.unwrap()
}

/// Follows the stream of all events, which it drops after some of them.
pub async fn of_stream(service: Caller, goal: Goal) -> Seen {
    let mut seen = Seen::default();
    while !seen.has_all(&goal) {
        let mut last = seen.resume();
        let mut stream = open(&service, "", last).await;
        let enough = last + rand::random_range(1..=5 * BACK);
        while last < enough && !seen.has_all(&goal) {
            match next(&mut stream).await {
                Message::Event(event) => seen.note(&mut last, event),
                Message::Checkpoint(checkpoint) => assert_eq!(checkpoint.cursor, text(last)),
            }
        }
    }
    seen
}

/// Asks for pages of any size, often for some that it has seen.
pub async fn of_lists(service: Caller, goal: Goal) -> Seen {
    let mut seen = Seen::default();
    while !seen.has_all(&goal) {
        let mut last = seen.resume();
        let page_size = rand::random_range(1..=500);
        let request = ListEventsRequest { cursor: text(last), page_size, ..ListEventsRequest::default() };
        let page = service.events().list_events(request).await.done();
        let known = seen.ids.len();
        page.events.into_iter().for_each(|event| seen.note(&mut last, event));
        assert_eq!(page.next_cursor, text(last), "the cursor stands behind the last event of the page");
        if seen.ids.len() == known {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    seen
}

/// Follows one team. Answers its last version.
pub async fn of_team(service: Caller, team: String, goal: Goal) -> i64 {
    // The position of each version, beginning with none.
    let mut positions = vec![0];
    loop {
        let mut version = positions.len() - 1 - rand::random_range(0..positions.len().min(BACK));
        let mut stream = open(&service, &team, positions[version]).await;
        let enough = version + rand::random_range(1..=5 * BACK);
        while version < enough {
            match next(&mut stream).await {
                Message::Event(event) => {
                    version += 1;
                    let position = usize::try_from(cursor::decode(&event.position).unwrap()).unwrap();
                    assert_eq!(event.team_version, i64::try_from(version).unwrap(), "no gap: {event:?}");
                    assert!(position > positions[version - 1], "no inversion: {event:?}");
                    match positions.get(version) {
                        Some(before) => assert_eq!(*before, position),
                        None => positions.push(position),
                    }
                }
                Message::Checkpoint(checkpoint) => {
                    let reached = usize::try_from(cursor::decode(&checkpoint.cursor).unwrap()).unwrap();
                    assert!(reached >= positions[version], "a checkpoint behind what was sent");
                    if goal.borrow().is_some_and(|last| reached >= last) && version + 1 == positions.len() {
                        return i64::try_from(version).unwrap();
                    }
                }
            }
        }
    }
}
