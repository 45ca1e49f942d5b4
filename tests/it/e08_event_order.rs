//! Transactions commit in another order than they wrote in, some are undone, others stay open for long: who follows the
//! events gets each of them once, in order and soon.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use prost::Message as _;
use roster_proto::v1::CreateTeamResponse;
use tokio::{sync::watch, task::JoinSet};

use crate::{
    both,
    support::{
        Caller, Db, TestServer,
        log::Log,
        outcome::error_info,
        parts,
        reader::{self, Seen},
        scene::{create_team, create_user},
        session::Session,
        storm::{self, Tally},
        write::Write,
    },
};

const WRITERS: usize = 64;
/// How many teams everybody writes to.
const TEAMS: usize = 24;
/// How many people there are to fill teams with.
const PEOPLE: usize = 120;

/// What says that the same may be sent again.
const AGAIN: [&str; 3] = ["CONCURRENT_MODIFICATION", "STORAGE_UNAVAILABLE", "DEADLINE_EXCEEDED"];
/// How far behind a reader may be before it counts as stalled, on whatever machine. Under the open transactions a reader
/// that waits for them would wait to the end.
const STALLED: Duration = Duration::from_secs(20);

/// Makes transactions linger between their events and their commit, a few of them for long, and undoes some in the end.
const HOLD_UP: &str = "
    CREATE FUNCTION hold_up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF random() < 0.4 THEN PERFORM pg_sleep(0.03 * random()); END IF;
        IF random() < 0.005 THEN PERFORM pg_sleep(1); END IF;
        IF random() < 0.02 THEN RAISE EXCEPTION 'undone' USING ERRCODE = '40001'; END IF;
        RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER hold_up AFTER INSERT ON events DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW WHEN (NEW.kind <> 'member_removed') EXECUTE FUNCTION hold_up()";

/// From here on nothing is held up or undone. The trigger stays: to drop it would wait for the open transactions.
const LET_GO: &str =
    "CREATE OR REPLACE FUNCTION hold_up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$";

/// Neighbours by the order of writing that came to stand the other way round.
const OVERTAKEN: &str = "
    SELECT count(*) FROM (SELECT position, lag(position) OVER (ORDER BY id) AS before FROM events) AS pairs
    WHERE position < before";

/// What writers and readers share.
struct Stage {
    teams: Vec<String>,
    /// How many events are still to be made.
    left: AtomicUsize,
    /// When each request was acknowledged.
    acknowledged: Mutex<HashMap<String, Instant>>,
}

/// One who writes to everybody's teams, and fills a team of their own to delete it with all that is in it.
struct Writer {
    stage: Arc<Stage>,
    service: Caller,
    name: String,
    count: usize,
    /// The team, how many members it has, and with how many it is full.
    own: Option<(String, usize, usize)>,
    tally: Tally,
}

impl Writer {
    async fn write_all(mut self) -> Tally {
        while self.stage.left.load(Ordering::Relaxed) > 0 {
            let events = self.write().await;
            let less = |left: usize| Some(left.saturating_sub(events));
            self.stage.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).unwrap();
        }
        self.tally
    }

    /// Writes something. Answers how many events that made.
    async fn write(&mut self) -> usize {
        self.count += 1;
        let id = format!("{}-{}", self.name, self.count);
        let team = &self.stage.teams[rand::random_range(0..TEAMS)];
        match rand::random_range(0..100) {
            0..5 => self.undone(Write::touch_team("", team, &id)).await,
            5..10 => self.refused(Write::remove_member(&id, team, "nobody")).await,
            10..50 => {
                self.send(Write::touch_team(&id, team, &id)).await;
                1
            }
            _ => self.own(&id).await,
        }
    }

    /// One more step with the team of one's own.
    async fn own(&mut self, id: &str) -> usize {
        match self.own.take() {
            None => {
                let answer = self.send(Write::create_team(id, &self.name, "ada")).await;
                let team = CreateTeamResponse::decode(answer.as_slice()).unwrap().team.unwrap().id;
                self.own = Some((team, 1, rand::random_range(2..PEOPLE)));
                2
            }
            Some((team, members, full)) if members < full => {
                self.send(Write::add_member(id, &team, &format!("person-{members}"), "member")).await;
                self.own = Some((team, members + 1, full));
                1
            }
            Some((team, members, _)) => {
                self.send(Write::delete_team(id, &team)).await;
                members + 1
            }
        }
    }

    /// Sends it until it is done: some transactions are undone, and some wait too long behind those that linger.
    async fn send(&mut self, write: Write) -> Vec<u8> {
        for _ in 0..100 {
            let result = write.send(&self.service).await;
            self.tally.add(&result);
            match result {
                Ok(answer) => {
                    let mut acknowledged = self.stage.acknowledged.lock().unwrap();
                    acknowledged.insert(write.request_id().to_owned(), Instant::now());
                    return answer;
                }
                Err(status) => {
                    let reason = error_info(&status).reason;
                    assert!(AGAIN.contains(&reason.as_str()), "{write:?}: {status:?}");
                }
            }
        }
        panic!("{write:?} is never done");
    }

    /// Everything is written and undone, since it is only to be validated.
    async fn undone(&mut self, write: Write) -> usize {
        let Write::UpdateTeam(mut request) = write else { panic!("not {write:?}") };
        request.validate_only = true;
        let result = self.service.teams().update_team(request).await;
        self.tally.add(&result);
        0
    }

    /// Refused under the lock of the team.
    async fn refused(&mut self, write: Write) -> usize {
        self.tally.add(&write.send(&self.service).await);
        0
    }
}

/// Transactions that stay open from before the first write until after the last one: in another database of the server,
/// and in this one.
async fn stay_open(url: &str) -> [Session; 2] {
    let (elsewhere, here) = (Session::on_server().await, Session::open(url).await);
    elsewhere.run("BEGIN; SELECT pg_current_xact_id()").await;
    here.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_current_xact_id(); SELECT count(*) FROM events").await;
    [elsewhere, here]
}

/// How long after its acknowledgement an event was seen: half of them, and all of them, within.
fn lag(stage: &Stage, seen: &Seen) -> (Duration, Duration) {
    let acknowledged = stage.acknowledged.lock().unwrap();
    let mut lags: Vec<Duration> =
        acknowledged.iter().map(|(id, since)| seen.at(id).saturating_duration_since(*since)).collect();
    lags.sort();
    (lags[lags.len() / 2], *lags.last().unwrap())
}

both! {
    async fn every_event_is_seen_once_in_order_and_soon(db: Db) {
        let server = TestServer::with(db, |config| config.database.max_connections = 80).await;
        let service = server.service();
        for person in (0..PEOPLE).map(|n| format!("person-{n}")).chain(["ada".to_owned()]) {
            create_user(&service, &person).await;
        }
        let mut teams = Vec::new();
        for _ in 0..TEAMS {
            teams.push(create_team(&service, "Team", "ada").await);
        }
        let session = Session::open(&server.database.url).await;
        let open = match db {
            Db::Sqlite => None,
            Db::Postgres => {
                session.run(HOLD_UP).await;
                Some(stay_open(&server.database.url).await)
            }
        };

        let started = Instant::now();
        let left = AtomicUsize::new(parts::count(1_500, 100_000));
        let stage = Arc::new(Stage { teams, left, acknowledged: Mutex::default() });
        let (end, goal) = watch::channel(None);
        let mut readers = JoinSet::new();
        let [streaming, listing, team] = <[Caller; 3]>::try_from(storm::services(server.address(), 3)).unwrap();
        readers.spawn(reader::of_stream(streaming, goal.clone()));
        readers.spawn(reader::of_lists(listing, goal.clone()));
        let mut of_team = JoinSet::new();
        of_team.spawn(reader::of_team(team, stage.teams[0].clone(), goal));

        let writers = storm::services(server.address(), WRITERS).into_iter().enumerate().map(|(n, service)| {
            let (stage, name) = (stage.clone(), format!("writer-{n}"));
            Writer { stage, service, name, count: 0, own: None, tally: Tally::default() }.write_all()
        });
        let mut tally = Tally::default();
        storm::at_once(writers).await.into_iter().for_each(|writer| tally.merge(writer));
        let written = started.elapsed();
        if db == Db::Postgres {
            session.run(LET_GO).await;
        }
        let log = Log::read(&service).await;
        end.send(Some(log.events.len())).unwrap();
        let seen = readers.join_all().await;
        let caught_up = started.elapsed().checked_sub(written).unwrap();
        assert!(caught_up < STALLED, "readers were {caught_up:?} behind");

        for seen in &seen {
            let ids: Vec<&str> = log.events.iter().map(|event| event.event_id.as_str()).collect();
            assert!(seen.ids() == ids, "a reader saw other events than the record has");
        }
        let replays = log.assert_tables_agree(&service).await;
        assert_eq!(of_team.join_all().await, [replays[stage.teams[0].as_str()].version]);
        let (half, all) = lag(&stage, &seen[0]);
        assert!(all < STALLED, "an event came {all:?} after its acknowledgement");
        let overtaken: i64 = session.value(OVERTAKEN).await;
        assert_eq!(overtaken > 0, db == Db::Postgres, "{overtaken} events were overtaken");
        println!(
            "e08 {db:?}: {} events of {} teams in {written:.1?}, {overtaken} of them overtaken before their commit: \
             0 lost, 0 inversions; seen within {half:.1?} (half) and {all:.1?} (all); {} streams and lists; {tally}",
            log.events.len(),
            replays.len(),
            seen.iter().map(Seen::resumed).sum::<usize>(),
        );
        for session in open.into_iter().flatten().chain([session]) {
            session.close().await;
        }
    }
}
