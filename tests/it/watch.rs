//! The stream of changes as another service follows it: from now, from the beginning, and again from any cursor.

use std::time::Duration;

use futures::{StreamExt as _, future::join_all, stream};
use roster::{
    config::Config,
    domain::cursor,
    repository::{self, sequence},
};
use roster_proto::{
    events::v1::Event,
    v1::{self as wire, WatchRequest, WatchResponse, watch_request::Start, watch_response::Message},
};
use tonic::{Code, Status, Streaming};

use crate::{
    both,
    support::{
        Caller, Db, Outcome as _, Scene, TestServer,
        outcome::{assert_says, kind},
        process::Served,
        scene::{create_team, create_user},
    },
};

/// A stream that somebody reads.
struct Watched(Streaming<WatchResponse>);

impl Watched {
    /// Opens it; for all teams if the name is empty.
    async fn open(caller: &Caller, team: &str, start: Option<Start>) -> Result<Self, Status> {
        let request = WatchRequest { team_id: team.to_owned(), start };
        Ok(Self(caller.events().watch(request).await?.into_inner()))
    }

    async fn message(&mut self) -> Result<Message, Status> {
        let next = tokio::time::timeout(Duration::from_secs(20), self.0.message()).await.expect("a message in time");
        next.map(|response| response.expect("no end without a status").message.unwrap())
    }

    /// The next event, whatever signs of life come before it.
    async fn event(&mut self) -> Event {
        loop {
            if let Message::Event(event) = self.message().await.unwrap() {
                return event;
            }
        }
    }

    /// All events up to the next sign of life, and its cursor.
    async fn until_checkpoint(&mut self) -> (Vec<Event>, String) {
        let mut events = Vec::new();
        loop {
            match self.message().await.unwrap() {
                Message::Event(event) => events.push(event),
                Message::Checkpoint(checkpoint) => return (events, checkpoint.cursor),
            }
        }
    }

    /// Why it ends; what comes before that does not matter.
    async fn end(&mut self) -> Status {
        loop {
            if let Err(status) = self.message().await {
                return status;
            }
        }
    }
}

/// A server whose streams soon say that they live, and whose first eight events have their places.
async fn scene(db: Db) -> Scene {
    let quick = |config: &mut Config| config.events.checkpoint_interval = Duration::from_millis(20);
    let s = Scene::on(TestServer::with(db, quick).await).await;
    everything(&s.service(), 11).await;
    s
}

/// Everything that happened, once as many events as `least` are there.
async fn everything(service: &Caller, least: usize) -> Vec<Event> {
    service.events_of("", least).await
}

/// Makes two events a round.
async fn busy(s: &Scene, rounds: usize) {
    for _ in 0..rounds {
        s.person("ada").remove(&s.team, "carol").await.done();
        s.service().add(&s.team, "carol", &["member"]).await.done();
    }
}

/// After the event with this cursor.
#[expect(clippy::unnecessary_wraps, reason = "as a request holds it")]
fn after(cursor: &str) -> Option<Start> {
    Some(Start::Cursor(cursor.to_owned()))
}

const BEGINNING: Option<Start> = Some(Start::FromBeginning(true));

both! {
    async fn from_now_begins_with_a_checkpoint(db: Db) {
        let s = scene(db).await;
        let mut watched = Watched::open(&s.service(), "", None).await.unwrap();
        let (before, cursor) = watched.until_checkpoint().await;
        assert_eq!(before, []);
        s.person("ada").remove(&s.team, "carol").await.done();
        let removed = watched.event().await;
        assert_eq!((kind(&removed), removed.team_version), ("member_removed", 5));
        // From that first sign of life on, another reader misses nothing.
        let mut other = Watched::open(&s.service(), "", after(&cursor)).await.unwrap();
        assert_eq!(other.event().await, removed);
    }

    async fn from_every_cursor_exactly_the_missing_events(db: Db) {
        let s = scene(db).await;
        // More than are read at a time.
        busy(&s, 50).await;
        let all = everything(&s.service(), 111).await;
        assert_eq!(all.len(), 111);
        let cursors: Vec<_> = all.iter().map(|event| event.position.clone()).collect();
        let mut starts = vec![(BEGINNING, &all[..]), (after(&cursor::encode(0)), &all[..])];
        starts.extend(cursors.iter().enumerate().map(|(i, cursor)| (after(cursor), &all[i + 1..])));
        let service = s.service();
        join_all(starts.into_iter().map(async |(start, missing)| {
            let mut watched = Watched::open(&service, "", start.clone()).await.unwrap();
            let (events, checkpoint) = watched.until_checkpoint().await;
            assert_eq!(events, missing, "{start:?}");
            assert_eq!(&checkpoint, cursors.last().unwrap());
        }))
        .await;
    }

    async fn a_team_filter_leaves_out_the_others(db: Db) {
        let s = scene(db).await;
        let other = create_team(&s.service(), "Other", "eve").await;
        for user in ["bob", "carol"] {
            s.service().add(&other, user, &["member"]).await.done();
            s.person("ada").remove(&s.team, user).await.done();
        }
        let all = everything(&s.service(), 18).await;
        let mut watched = Watched::open(&s.service(), &other, BEGINNING).await.unwrap();
        let (events, checkpoint) = watched.until_checkpoint().await;
        let kinds: Vec<_> = events.iter().map(kind).collect();
        assert_eq!(kinds, ["team_created", "member_added", "member_added", "member_added"]);
        assert!(events.iter().all(|event| event.team_id == other));
        // A quiet team's reader comes forward with everybody else's events.
        assert_eq!(checkpoint, all.last().unwrap().position);
    }

    async fn a_quiet_stream_says_that_it_lives(db: Db) {
        let s = scene(db).await;
        let last = everything(&s.service(), 11).await.pop().unwrap();
        let mut watched = Watched::open(&s.service(), "", after(&last.position)).await.unwrap();
        for _ in 0..3 {
            assert_eq!(watched.until_checkpoint().await, (Vec::new(), last.position.clone()));
        }
    }

    async fn a_stream_says_that_it_lives_while_other_teams_are_busy(db: Db) {
        let slow = |config: &mut Config| config.events.checkpoint_interval = Duration::from_millis(500);
        let s = Scene::on(TestServer::with(db, slow).await).await;
        let other = create_team(&s.service(), "Other", "eve").await;
        let mut watched = Watched::open(&s.service(), &s.team, BEGINNING).await.unwrap();
        let busy = async {
            loop {
                s.service().add(&other, "carol", &["member"]).await.done();
                s.service().remove(&other, "carol").await.done();
            }
        };
        let checkpoints = async {
            let (events, first) = watched.until_checkpoint().await;
            assert_eq!(events.len(), 4);
            let (events, second) = watched.until_checkpoint().await;
            assert_eq!(events, []);
            assert_ne!(first, second, "what happened meanwhile need not be read again");
        };
        tokio::select! {
            never = busy => never,
            () = checkpoints => {}
        }
    }

    async fn a_cursor_that_is_none_is_refused(db: Db) {
        let s = scene(db).await;
        let all = everything(&s.service(), 11).await;
        let ahead = cursor::encode(i64::try_from(all.len()).unwrap() + 1);
        for nonsense in ["nonsense", "AQAAAAAAAAAB=", &ahead] {
            let refused = Watched::open(&s.service(), "", after(nonsense)).await.err().unwrap();
            assert_says(&refused, Code::InvalidArgument, "CURSOR_INVALID");
            let list = wire::ListEventsRequest { cursor: nonsense.to_owned(), ..Default::default() };
            s.service().events().list_events(list).await.refused(Code::InvalidArgument, "CURSOR_INVALID");
        }
    }

    async fn a_cursor_before_what_is_retained_has_expired(db: Db) {
        let s = scene(db).await;
        s.server.clock.advance(chrono::TimeDelta::days(8));
        s.person("ada").remove(&s.team, "carol").await.done();
        let all = everything(&s.service(), 12).await;
        let mut late = Watched::open(&s.service(), "", None).await.unwrap();
        late.until_checkpoint().await;
        assert_eq!(purge(&s).await, 11);

        for gone in [cursor::encode(0), all[9].position.clone()] {
            let refused = Watched::open(&s.service(), "", after(&gone)).await.err().unwrap();
            assert_says(&refused, Code::OutOfRange, "CURSOR_EXPIRED");
            let list = wire::ListEventsRequest { cursor: gone, ..Default::default() };
            s.service().events().list_events(list).await.refused(Code::OutOfRange, "CURSOR_EXPIRED");
        }
        // The last event that is gone was seen by whoever has its cursor; and who is up to date goes on.
        for start in [BEGINNING, after(&all[10].position)] {
            let mut watched = Watched::open(&s.service(), "", start).await.unwrap();
            assert_eq!(watched.until_checkpoint().await.0, all[11..]);
        }
        s.person("ada").remove(&s.team, "bob").await.done();
        assert_eq!(kind(&late.event().await), "member_removed");
    }

    async fn a_reader_that_falls_behind_is_told(db: Db) {
        let s = scene(db).await;
        // More than is read ahead for one reader, by far.
        large_events(&s.service(), &s.team, 450, 16).await;
        let all = everything(&s.service(), 461).await;
        let mut slow = Watched::open(&s.service(), "", BEGINNING).await.unwrap();
        assert_eq!(slow.event().await, all[0]);
        s.server.clock.advance(chrono::TimeDelta::days(8));
        assert_eq!(purge(&s).await, 461);
        // What it gets has no gap, and ends where the events are gone.
        let mut read = 1;
        let end = loop {
            match slow.message().await {
                Ok(Message::Event(event)) => assert_eq!(event, all[read]),
                Ok(other) => panic!("{other:?}"),
                Err(end) => break end,
            }
            read += 1;
        };
        assert_says(&end, Code::OutOfRange, "CURSOR_EXPIRED");
        assert!(read < all.len());
    }

    async fn a_person_watches_their_own_team_while_they_may(db: Db) {
        let s = scene(db).await;
        let other = create_team(&s.service(), "Other", "eve").await;
        for (user, team) in [("bob", ""), ("bob", other.as_str()), ("carol", &s.team), ("nobody", &s.team)] {
            let refused = Watched::open(&s.person(user), team, BEGINNING).await.err().unwrap();
            assert_says(&refused, Code::PermissionDenied, "PERMISSION_DENIED");
        }
        let missing = "00000000-0000-7000-8000-000000000000";
        let refused = Watched::open(&s.service(), missing, None).await.err().unwrap();
        assert_says(&refused, Code::NotFound, "TEAM_NOT_FOUND");

        let mut watched = Watched::open(&s.person("bob"), &s.team, BEGINNING).await.unwrap();
        assert_eq!(kind(&watched.event().await), "team_created");
        s.person("ada").set_roles(&s.team, "bob", &["member"]).await.done();
        let end = watched.end().await;
        assert_says(&end, Code::PermissionDenied, "PERMISSION_DENIED");
    }

    async fn a_right_that_came_from_above_ends_the_stream_when_it_ends_there(db: Db) {
        let s = scene(db).await;
        let branch = s.service().create_below(&s.team, "Branch").await;
        let mut watched = Watched::open(&s.person("bob"), &branch, BEGINNING).await.unwrap();
        assert_eq!(kind(&watched.event().await), "team_created");
        // In the team that is watched nothing happens.
        s.person("ada").remove(&s.team, "bob").await.done();
        let end = watched.end().await;
        assert_says(&end, Code::PermissionDenied, "PERMISSION_DENIED");
    }

    async fn a_stream_tells_of_the_end_of_its_team(db: Db) {
        let s = scene(db).await;
        let mut watched = Watched::open(&s.service(), &s.team, None).await.unwrap();
        watched.until_checkpoint().await;
        let delete = wire::DeleteTeamRequest { team_id: s.team.clone(), ..Default::default() };
        s.person("ada").teams().delete_team(delete).await.done();
        for expected in ["member_removed", "member_removed", "member_removed", "team_deleted"] {
            assert_eq!(kind(&watched.event().await), expected);
        }
        // Who was away when it happened learns of it too.
        let mut late = Watched::open(&s.service(), &s.team, BEGINNING).await.unwrap();
        assert_eq!(late.until_checkpoint().await.0.last().map(kind), Some("team_deleted"));
    }

    async fn a_stream_ends_with_the_server(db: Db) {
        let mut s = scene(db).await;
        let mut watched = Watched::open(&s.service(), "", None).await.unwrap();
        watched.until_checkpoint().await;
        let (end, ()) = tokio::join!(watched.end(), s.server.stop());
        assert_says(&end, Code::Unavailable, "SHUTTING_DOWN");
    }
}

/// Deletes what is older than seven days, as is done about once a minute. Answers how many events that were.
pub(crate) async fn purge(s: &Scene) -> u64 {
    let url = match s.server.database.url.strip_prefix("sqlite://") {
        // The file is the server's alone; by another name it has another lock.
        Some(path) => {
            let link = s.server.folder().join("link.db");
            std::os::unix::fs::symlink(path, &link).unwrap();
            format!("sqlite://{}", link.display())
        }
        None => s.server.database.url.clone(),
    };
    let timeout = Duration::from_secs(10);
    let options =
        repository::database::Options { url, max_connections: 2, acquire_timeout: timeout, statement_timeout: timeout };
    let database = repository::Database::open(options).await.unwrap();
    let cutoff = s.server.clock.env().now() - chrono::TimeDelta::days(7);
    let purged = sequence::purge(&database, cutoff, false).await.unwrap();
    database.close().await.unwrap();
    purged
}

/// Makes large events, of some 500 bytes for each of `size`, at most 32.
pub(crate) async fn large_events(service: &Caller, team: &str, count: usize, size: usize) {
    let invite = async |n: usize| {
        let request = wire::CreateInvitationRequest {
            team_id: team.to_owned(),
            email: format!("guest-{n}@example.com"),
            role_ids: vec!["member".to_owned()],
            metadata: (0..size).map(|key| (format!("key-{key}"), "x".repeat(500))).collect(),
            delivery_channel: wire::DeliveryChannel::LinkOnly.into(),
            ..Default::default()
        };
        service.invitations().create_invitation(request).await.done();
    };
    stream::iter(0..count).map(invite).buffer_unordered(8).collect::<Vec<_>>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_instance_writes_another_streams() {
    let s = scene(Db::Postgres).await;
    let (second, channel) = s.server.second_instance().await;
    let there = Caller::new(channel);
    let mut on_second = Watched::open(&there, "", None).await.unwrap();
    on_second.until_checkpoint().await;
    let mut on_first = Watched::open(&s.service(), "", None).await.unwrap();
    on_first.until_checkpoint().await;
    s.person("ada").remove(&s.team, "carol").await.done();
    there.clone().acting_for("ada").remove(&s.team, "bob").await.done();
    for watched in [&mut on_first, &mut on_second] {
        let (carol, bob) = (watched.event().await, watched.event().await);
        assert_eq!(
            [(kind(&carol), carol.team_version), (kind(&bob), bob.team_version)],
            [("member_removed", 5), ("member_removed", 6)]
        );
    }
    second.shutdown().await.unwrap();
}

/// Readers that do not read cost the server little, and nobody else anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_readers_are_waited_for_in_bounded_memory() {
    const READERS: usize = 60;
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(folder.path(), &[]).await;
    let service = served.caller();
    create_user(&service, "ada").await;
    let team = create_team(&service, "Acme", "ada").await;
    // Some 4 MiB of events: more than is read ahead for one reader, by far.
    large_events(&service, &team, 400, 8).await;
    let request = wire::DeleteTeamRequest { team_id: team.clone(), ..Default::default() };
    service.clone().acting_for("ada").teams().delete_team(request).await.done();
    let all = everything(&service, 805).await;

    let before = resident_kib(&served);
    let mut slow = Vec::new();
    for _ in 0..READERS {
        let mut reader = Watched::open(&served.caller(), "", BEGINNING).await.unwrap();
        // It has begun, and from here on nobody reads.
        reader.event().await;
        slow.push(reader);
    }
    let quick = async || {
        let mut reader = Watched::open(&served.caller(), "", BEGINNING).await.unwrap();
        for event in &all {
            assert_eq!(&reader.event().await, event);
        }
    };
    for _ in 0..3 {
        quick().await;
    }
    let grown = resident_kib(&served).saturating_sub(before) / 1024;
    let size = all.iter().map(prost::Message::encoded_len).sum::<usize>() * READERS / (1 << 20);
    assert!(grown < size * 2 / 3, "{grown} MiB for {READERS} readers of {size} MiB together");
    // They have lost nothing.
    for event in &all[1..] {
        assert_eq!(&slow[0].event().await, event);
    }
}

/// How much memory the process has, in KiB.
fn resident_kib(served: &Served) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", served.process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
