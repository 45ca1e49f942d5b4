//! Reading the record of changes.

use super::Queries;
use crate::{
    application::{Context, Error, Missing, Result, authorize, revision::Consistency},
    domain::{TeamId, permission::ReadEvents},
    repository::{
        events::{self, StoredEvent},
        sequence, teams,
    },
};

/// Where to start reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// After this position.
    After(i64),
    /// With the oldest event retained.
    Beginning,
    /// With the next event.
    Now,
}

/// Events, and up to where they reach.
#[derive(Debug, Clone)]
pub struct EventPage {
    /// The events.
    pub events: Vec<StoredEvent>,
    /// Every event up to here that was asked for is in this page or an earlier one.
    pub next: i64,
    /// Whether more were there than fit.
    pub has_more: bool,
}

impl Queries {
    /// Whether the caller may read the events of this team; of all teams for `None`, which is not for a person. A service
    /// may read those of a deleted team too: the last of them are how it learns of the end.
    pub async fn check_events(&self, cx: &Context, team: Option<TeamId>) -> Result<()> {
        self.statements
            .group("CheckEvents", async {
                match team {
                    Some(team) if cx.principal.person.is_none() => {
                        authorize::check_scope::<ReadEvents>(&cx.principal)?;
                        let version = teams::version(&self.reader, team).await?;
                        version.map(drop).ok_or_else(|| Error::Missing(Missing::Team(team.to_string())))
                    }
                    Some(team) => self.authorize::<ReadEvents>(cx, team, &Consistency::Full).await.map(drop),
                    None => authorize::for_self::<ReadEvents>(cx, None),
                }
            })
            .await
    }

    /// The position after which to read.
    pub async fn start_position(&self, start: Start) -> Result<i64> {
        self.statements
            .group("StartPosition", async {
                let bounds = sequence::bounds(&self.reader).await?;
                match start {
                    Start::After(position) if position > bounds.last || position < 0 => Err(Error::CursorInvalid),
                    Start::After(position) if position < bounds.purged => Err(Error::CursorExpired),
                    Start::After(position) => Ok(position),
                    Start::Beginning => Ok(bounds.purged),
                    Start::Now => Ok(bounds.last),
                }
            })
            .await
    }

    /// Events after a position. Ask [`Queries::check_events`] first.
    pub async fn events_after(&self, position: i64, team: Option<TeamId>, limit: u64) -> Result<EventPage> {
        self.statements
            .group("ListEvents", async {
                // How far positions reach is read first: what gets one later may be in the page, but is not promised by `next`.
                let head = sequence::bounds(&self.reader).await?.last;
                let mut events = events::after(&self.reader, position, team, limit + 1).await?;
                // How far events are gone is read last: what went meanwhile may be missing from the page.
                if position < sequence::bounds(&self.reader).await?.purged {
                    return Err(Error::CursorExpired);
                }
                let has_more = events.len() as u64 > limit;
                if has_more {
                    events.pop();
                }
                let last = events.last().map_or(position, |event| event.position);
                let next = if has_more { last } else { last.max(head) };
                Ok(EventPage { events, next, has_more })
            })
            .await
    }
}
