//! Follows Roster's events, so that a view of one's own stays true: each event is applied once and in its order, what
//! comes again is dropped, what is missing is read, and what cannot be read any more is replaced by what is there now.
//!
//! A consumer keeps, in one transaction with what it makes of an event, how far it has come: see [`View`]. Then it can
//! be ended at any moment and goes on where it was. `docs/events.md` says what all this rests on; `examples/members` is a
//! whole consumer. What is not here: taking events from NATS. [`Consumer::take`] is for those.

mod lane;

use std::convert::Infallible;
use std::error::Error as StdError;
use std::time::Duration;

use roster_proto::events::v1::Event;
use roster_proto::v1::{
    Consistency, ErrorReason, GetTeamRequest, ListEventsRequest, ListMembersRequest, Member, Team, WatchRequest,
    consistency::Requirement, get_team_request::Key, watch_request::Start, watch_response::Message,
};
use tonic::{Code, Status};

use crate::{Details as _, Roster};

pub use lane::{Lane, Mark, Step};

/// Pauses between two streams: the first one, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// How many events or members to ask for at once.
const PAGE: i32 = 500;

/// What is made of the events, and how far. Each method that changes something does so in one transaction: all of it or
/// nothing, and when it answers, it is there to stay.
pub trait View: Send {
    /// Why it could not be kept or read.
    type Error: StdError + Send + Sync + 'static;

    /// Everything up to here has been seen; empty at the very beginning.
    fn cursor(&mut self) -> impl Future<Output = Result<String, Self::Error>> + Send;

    /// How far a lane was applied, if anything of it was.
    fn mark(&mut self, lane: &Lane) -> impl Future<Output = Result<Option<Mark>, Self::Error>> + Send;

    /// The ids of all teams of which something was applied, also of those that are gone: a restored database brings them
    /// back.
    fn teams(&mut self) -> impl Future<Output = Result<Vec<String>, Self::Error>> + Send;

    /// Applies an event, and keeps its lane's mark; and the cursor, if there is a new one. An event of a kind that means
    /// nothing to the view still leaves its mark.
    fn apply(
        &mut self,
        event: &Event,
        lane: &Lane,
        mark: &Mark,
        cursor: Option<&str>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Puts a team as it is in place of what was known of it, and keeps its mark. `None`: it is gone.
    fn replace(
        &mut self,
        team_id: &str,
        team: Option<(Team, Vec<Member>)>,
        mark: &Mark,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Forgets the marks of all people, but nothing else that is known of them: the next event about each is applied,
    /// whatever its version. A view that wants people to be true before that reads them here.
    fn forget_people(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Keeps a cursor: nothing that matters happened up to it. Empty: all that is left has to be looked at again.
    fn advance(&mut self, cursor: &str) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Why a consumer cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error<E: StdError + 'static> {
    /// Roster refuses, and would again: a permission is missing, or the credentials are none.
    #[error("Roster refuses: {}", .0.message())]
    Refused(Box<Status>),
    /// The view cannot be kept or read.
    #[error("the view cannot be kept")]
    View(#[source] E),
}

impl<E: StdError> From<Status> for Error<E> {
    fn from(status: Status) -> Self {
        Self::Refused(Box::new(status))
    }
}

/// Keeps a view true. The calls are made for the service itself, which needs `roster.events.read`, `roster.teams.read` and
/// `roster.members.read`.
#[derive(Debug)]
pub struct Consumer<V> {
    roster: Roster,
    view: V,
}

impl<V: View> Consumer<V> {
    /// A consumer of all events.
    pub fn new(roster: Roster, view: V) -> Self {
        Self { roster, view }
    }

    /// The view as it is.
    pub fn view(&self) -> &V {
        &self.view
    }

    /// Follows the events from where the view is, over lost connections and restarts of Roster, until it fails or the
    /// future is dropped, which may happen at any moment.
    ///
    /// # Errors
    /// [`Error`]; nothing that time would mend.
    pub async fn follow(&mut self) -> Result<Infallible, Error<V::Error>> {
        let mut pause = PAUSES.0;
        loop {
            match self.proceed(&mut pause).await {
                Err(Error::Refused(status)) if passes(&status) => {
                    tracing::debug!(why = status.message(), ?pause, "the stream of events has ended");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSES.1);
                }
                Err(error) => return Err(error),
                // Everything was read anew; or a proxy ended the stream, since Roster ends none without a reason.
                Ok(()) => tokio::time::sleep(pause).await,
            }
        }
    }

    /// Takes an event that came in some other way, as from NATS, in whatever order and however often. Acknowledge it once
    /// this has returned.
    ///
    /// # Errors
    /// [`Error`]. The event was not taken then; it may be given again.
    pub async fn take(&mut self, event: &Event) -> Result<(), Error<V::Error>> {
        self.take_with(event, None).await
    }

    /// Takes what one stream brings, or reads anew what no stream brings any more.
    async fn proceed(&mut self, pause: &mut Duration) -> Result<(), Error<V::Error>> {
        match self.stream(pause).await {
            Err(Error::Refused(status)) if status.reason() == Some(ErrorReason::CursorExpired) => {
                self.start_anew().await
            }
            end => end,
        }
    }

    async fn stream(&mut self, pause: &mut Duration) -> Result<(), Error<V::Error>> {
        let cursor = self.view.cursor().await.map_err(Error::View)?;
        let start = if cursor.is_empty() { Start::FromBeginning(true) } else { Start::Cursor(cursor) };
        let request = WatchRequest { start: Some(start), ..Default::default() };
        let mut stream = self.roster.events().watch(request).await?.into_inner();
        while let Some(response) = stream.message().await? {
            *pause = PAUSES.0;
            match response.message {
                Some(Message::Event(event)) => self.take_with(&event, Some(&event.position)).await?,
                Some(Message::Checkpoint(at)) => self.view.advance(&at.cursor).await.map_err(Error::View)?,
                None => {}
            }
        }
        Ok(())
    }

    /// `cursor`: where the reading of all events has come with this one.
    async fn take_with(&mut self, event: &Event, cursor: Option<&str>) -> Result<(), Error<V::Error>> {
        let (lane, mark) = Lane::of(event);
        let last = self.view.mark(&lane).await.map_err(Error::View)?;
        match lane.step(last.as_ref(), mark.version) {
            Step::Apply => self.view.apply(event, &lane, &mark, cursor).await.map_err(Error::View),
            Step::Drop => Ok(()),
            Step::Gap => {
                tracing::debug!(?lane, ?last, version = mark.version, "events are missing");
                self.fill(event, &lane, &mark, last).await?;
                match cursor {
                    Some(cursor) => self.view.advance(cursor).await.map_err(Error::View),
                    None => Ok(()),
                }
            }
        }
    }

    /// Reads and applies what is missing before an event, and the event.
    async fn fill(
        &mut self,
        event: &Event,
        lane: &Lane,
        mark: &Mark,
        last: Option<Mark>,
    ) -> Result<(), Error<V::Error>> {
        if let Some(last) = last
            && self.read_on(lane, last, mark.version).await?
        {
            return Ok(());
        }
        // The events before it are gone.
        match lane {
            Lane::Team(team) => self.reread(team, mark).await,
            Lane::User(_) => self.view.apply(event, lane, mark, None).await.map_err(Error::View),
        }
    }

    /// Applies the events of a lane after `last` until one has this version. False if they are not there any more.
    async fn read_on(&mut self, lane: &Lane, mut last: Mark, version: i64) -> Result<bool, Error<V::Error>> {
        let team_id = if let Lane::Team(team) = lane { team.clone() } else { String::new() };
        let mut cursor = last.position.clone();
        loop {
            let request = ListEventsRequest { team_id: team_id.clone(), cursor, page_size: PAGE };
            let page = match self.roster.events().list_events(request).await {
                Ok(response) => response.into_inner(),
                Err(status) if gone(&status) => return Ok(false),
                Err(status) => return Err(status.into()),
            };
            for event in &page.events {
                let (of, mark) = Lane::of(event);
                if of == *lane && lane.step(Some(&last), mark.version) == Step::Apply {
                    self.view.apply(event, lane, &mark, None).await.map_err(Error::View)?;
                    last = mark;
                }
            }
            if last.version >= version {
                return Ok(true);
            }
            if !page.has_more {
                return Ok(false);
            }
            cursor = page.next_cursor;
        }
    }

    /// Reads a team as it is, in which all that happened up to `mark` is contained.
    async fn reread(&mut self, team_id: &str, mark: &Mark) -> Result<(), Error<V::Error>> {
        let (team, mark) = match self.team(team_id).await {
            Ok((team, members)) => {
                let mark = Mark { version: team.version, position: mark.position.clone() };
                (Some((team, members)), mark)
            }
            Err(status) if status.code() == Code::NotFound => (None, mark.clone()),
            Err(status) => return Err(status.into()),
        };
        self.view.replace(team_id, team, &mark).await.map_err(Error::View)
    }

    /// A team, then its members: those that changed in between are told again by events, whole.
    async fn team(&self, team_id: &str) -> Result<(Team, Vec<Member>), Status> {
        let team = self.roster.teams().get_team(get_team(team_id)).await?.into_inner().team.unwrap_or_default();
        let mut request = list_members(team_id);
        let mut members = Vec::new();
        loop {
            let page = self.roster.teams().list_members(request.clone()).await?.into_inner();
            members.extend(page.members);
            if page.next_page_token.is_empty() {
                return Ok((team, members));
            }
            request.page_token = page.next_page_token;
        }
    }

    /// Events between the cursor and the oldest one retained are gone, or never were in a database that was restored: reads
    /// the known teams as they are, takes people as their next events tell, and goes on with all events that are left. A
    /// team that came to be in between, and to which nothing has happened since, is learned of by its next event.
    async fn start_anew(&mut self) -> Result<(), Error<V::Error>> {
        tracing::info!("the events after the cursor are not retained any more: reading the teams anew");
        let mut stream = self.roster.events().watch(WatchRequest::default()).await?.into_inner();
        let Some(Message::Checkpoint(now)) = stream.message().await?.and_then(|first| first.message) else {
            return Err(Status::unavailable("the stream did not begin with a checkpoint").into());
        };
        for team in self.view.teams().await.map_err(Error::View)? {
            let last = self.view.mark(&Lane::Team(team.clone())).await.map_err(Error::View)?;
            let version = last.map_or(0, |last| last.version);
            self.reread(&team, &Mark { version, position: now.cursor.clone() }).await?;
        }
        self.view.forget_people().await.map_err(Error::View)?;
        self.view.advance("").await.map_err(Error::View)
    }
}

fn get_team(team_id: &str) -> GetTeamRequest {
    GetTeamRequest { key: Some(Key::TeamId(team_id.to_owned())), consistency: Some(fresh()) }
}

fn list_members(team_id: &str) -> ListMembersRequest {
    ListMembersRequest {
        team_id: team_id.to_owned(),
        page_size: PAGE,
        consistency: Some(fresh()),
        ..Default::default()
    }
}

/// What takes the place of events must contain them.
fn fresh() -> Consistency {
    Consistency { requirement: Some(Requirement::FullyConsistent(true)) }
}

/// Whether events that were asked for are not retained any more.
fn gone(status: &Status) -> bool {
    matches!(status.reason(), Some(ErrorReason::CursorExpired | ErrorReason::TeamNotFound))
}

/// Whether time may mend it.
fn passes(status: &Status) -> bool {
    !matches!(
        status.code(),
        Code::PermissionDenied | Code::Unauthenticated | Code::InvalidArgument | Code::NotFound | Code::Unimplemented
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_team_is_read_as_fresh_as_can_be() {
        for consistency in [get_team("t").consistency, list_members("t").consistency] {
            assert_eq!(consistency.unwrap().requirement, Some(Requirement::FullyConsistent(true)));
        }
    }
}
