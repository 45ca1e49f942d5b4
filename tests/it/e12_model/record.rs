//! Whether the record of changes holds something of what was refused.

use std::time::Duration;

use roster_proto::{events::v1::Event, v1 as wire};

use super::stage::{PATIENCE, Tree};
use crate::support::{Outcome as _, outcome::kind, scene::create_user};

impl Tree<'_> {
    /// What is recorded of refused steps: an event says which call made it.
    pub async fn told_of_refused(&self) -> Vec<String> {
        let told = self.new_events().await;
        let refused = told.iter().filter(|event| self.refused.contains(&event.request_id));
        refused.map(|event| format!("{} {event:?}", kind(event))).collect()
    }

    /// The events since this was asked last on this stage. The last one is made for this purpose, for none that was
    /// committed earlier comes after it.
    async fn new_events(&self) -> Vec<Event> {
        let marker = format!("marker-{}", self.team(0));
        create_user(&self.service(), &marker).await;
        let reading = async {
            let mut events = Vec::new();
            while !self.read_on(&mut events).await.iter().any(|event| event.user_id == marker) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            events
        };
        tokio::time::timeout(PATIENCE, reading).await.expect("what was committed comes to be told")
    }

    /// Reads as much more as there is.
    async fn read_on<'a>(&self, events: &'a mut Vec<Event>) -> &'a [Event] {
        let mut cursor = self.stage.cursor.lock().await;
        loop {
            let request = wire::ListEventsRequest {
                cursor: cursor.clone(),
                page_size: 500,
                ..wire::ListEventsRequest::default()
            };
            let page = self.service().events().list_events(request).await.done();
            *cursor = page.next_cursor;
            events.extend(page.events);
            if !page.has_more {
                return events;
            }
        }
    }
}
