//! Callers that go away in the middle of a call: no database session suffers, no acknowledged write is lost, and sending
//! the same again has one effect.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use roster::repository::{self, database::Options};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tonic::{Code, Status};

use crate::{
    both,
    support::{
        Caller, Db, TestServer,
        database::TestDatabase,
        log::Log,
        outcome::error_info,
        parts,
        proxy::Proxy,
        scene::{create_team, create_user},
        server::eventually,
        session::Session,
        storm,
        write::{Bytes, Write},
    },
};

/// How long bytes are under way between the service and PostgreSQL.
const DELAY: Duration = Duration::from_millis(5);
/// How many call at a time.
const CALLERS: usize = 48;
/// How many teams they write to: so many that they rarely wait for one another.
const TEAMS: usize = CALLERS;

/// Sessions that sit in a transaction.
const IN_TRANSACTION: &str = "\
    SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
    AND state LIKE 'idle in transaction%'";
/// For how long a session may sit in one: shorter than the ten seconds after which PostgreSQL would end it and so hide it.
const SETTLED: Duration = Duration::from_secs(8);

/// How long a caller waits for the answer.
#[derive(Debug, Clone, Copy)]
enum Patience {
    Endless,
    /// Goes away without a word.
    Leaves(Duration),
    /// Tells the server by when it needs the answer.
    Deadline(Duration),
}

impl Patience {
    /// Some wait for the answer, of the others half do so long enough.
    fn random(usual: Duration) -> Self {
        let patience = usual.mul_f64(2.0 * rand::random::<f64>());
        match rand::random_range(0..5) {
            0 => Self::Endless,
            1..=2 => Self::Leaves(patience),
            _ => Self::Deadline(patience),
        }
    }

    async fn wait<T>(self, call: impl AsyncFnOnce(Option<Duration>) -> Result<T, Status>) -> Option<T> {
        let result = match self {
            Self::Endless => call(None).await,
            Self::Leaves(patience) => timeout(patience, call(None)).await.ok()?,
            Self::Deadline(patience) => call(Some(patience)).await,
        };
        match result {
            Ok(answer) => Some(answer),
            // The client's own timer, or the server's.
            Err(status) if matches!(status.code(), Code::Cancelled | Code::DeadlineExceeded) => None,
            // Those that were given up on go on, and may be in the way for long.
            Err(status) if error_info(&status).reason == "STORAGE_UNAVAILABLE" => None,
            Err(status) => panic!("{self:?}: {status:?}"),
        }
    }
}

/// What is to be written.
fn writes(name: &str, teams: &[String], count: usize) -> Vec<Write> {
    let write = |n: usize| {
        let (id, team) = (format!("{name}-{n}"), &teams[n % teams.len()]);
        match n % 4 {
            0 => Write::create_user(&id, &id),
            1 => Write::touch_team(&id, team, &id),
            2 => Write::invite(&id, team, &format!("{id}@example.com"), "member"),
            _ => Write::create_team(&id, &id, "ada"),
        }
    };
    (0..count).map(write).collect()
}

/// Sends all of it, `CALLERS` at a time, and gives the answers that came. With a `usual` time for a call, most callers
/// are not that patient; they come with the next call when this one would have been done, for it goes on without them.
async fn send(services: &[Caller], writes: Vec<Write>, usual: Option<Duration>) -> BTreeMap<String, Bytes> {
    let (writes, next) = (Arc::new(writes), Arc::new(AtomicUsize::new(0)));
    let calling = services.iter().cycle().take(CALLERS).cloned().map(|service| {
        let (writes, next) = (writes.clone(), next.clone());
        async move {
            let mut answers = Vec::new();
            while let Some(write) = writes.get(next.fetch_add(1, Ordering::Relaxed)) {
                let begun = Instant::now();
                let patience = usual.map_or(Patience::Endless, Patience::random);
                let answer = patience.wait(async |deadline| write.send_within(&service, deadline).await).await;
                match (answer, usual) {
                    (Some(answer), _) => answers.push((write.request_id().to_owned(), answer)),
                    (None, Some(usual)) => {
                        look(&service, write, usual).await;
                        sleep(usual.mul_f64(1.2).saturating_sub(begun.elapsed())).await;
                    }
                    (None, None) => panic!("{write:?} was given up on"),
                }
            }
            answers
        }
    });
    storm::at_once(calling).await.into_iter().flatten().collect()
}

/// Now and then a read, which is given up on as well.
async fn look(service: &Caller, write: &Write, usual: Duration) {
    if let Write::UpdateTeam(request) = write {
        let team = request.team.as_ref().unwrap().id.clone();
        let read = async |_| service.list(&team).await.map(drop);
        Patience::Leaves(usual.mul_f64(rand::random())).wait(read).await;
    }
}

/// All of it at the same time, and everybody leaves at the same moment: whoever was just beginning a transaction is
/// the last one on their session.
async fn leave_together(services: &[Caller], writes: &[Write], patience: Duration) -> BTreeMap<String, Bytes> {
    let calling = writes.iter().cloned().zip(services.iter().cycle().cloned()).map(|(write, service)| async move {
        let answer = Patience::Leaves(patience).wait(async |_| write.send(&service).await).await;
        answer.map(|answer| (write.request_id().to_owned(), answer))
    });
    storm::at_once(calling.collect::<Vec<_>>()).await.into_iter().flatten().collect()
}

/// A server, behind the proxy if its database is PostgreSQL.
async fn behind_proxy(db: Db) -> (TestServer, Option<Proxy>) {
    let proxy = match db {
        Db::Sqlite => None,
        Db::Postgres => Some(Proxy::before_postgres(DELAY).await),
    };
    let server = TestServer::with(db, |config| {
        if let Some(proxy) = &proxy {
            config.database.url = proxy.through(config.database.url.expose()).parse().unwrap();
        }
        config.database.max_connections = 40;
        // On a slow machine too, whoever waits is answered.
        config.database.acquire_timeout = Duration::from_secs(100);
        config.server.max_deadline = Duration::from_secs(100);
    });
    (server.await, proxy)
}

/// Fails if a session stays in a transaction that nobody goes on with, once the calls have come to their end.
async fn no_session_is_abandoned(db: Db, session: &Session) {
    if db == Db::Sqlite {
        return;
    }
    let since = Instant::now();
    while session.value::<i64>(IN_TRANSACTION).await > 0 {
        assert!(since.elapsed() < SETTLED, "sessions sit in a transaction that nobody ends");
        sleep(Duration::from_millis(10)).await;
    }
}

both! {
    async fn calls_that_are_given_up_on_leave_nothing_half_done(db: Db) {
        let started = Instant::now();
        let (mut server, _proxy) = behind_proxy(db).await;
        let direct = server.database.url.clone();
        create_user(&server.service(), "ada").await;
        let services = storm::services(server.address(), 8);
        let mut teams = Vec::new();
        // One after the other, for they are all one person's.
        for service in services.iter().cycle().take(TEAMS) {
            teams.push(create_team(service, "Team", "ada").await);
        }
        let session = Session::open(&direct).await;
        let calibration = Instant::now();
        send(&services, writes("first", &teams, 2 * CALLERS), None).await;
        let usual = calibration.elapsed() / 2;

        let mut all = writes("storm", &teams, parts::count(200, 12_000));
        let mut acknowledged = send(&services, all.clone(), Some(usual)).await;
        // Connections are given out in turn: when these are done, so is what was given up on.
        send(&services, writes("last", &teams, CALLERS), None).await;
        no_session_is_abandoned(db, &session).await;
        for wave in 0..parts::count(5, 170) {
            let wave = writes(&format!("wave-{wave}"), &teams, CALLERS);
            let patience = usual.mul_f64(0.2 * rand::random::<f64>());
            acknowledged.extend(leave_together(&services, &wave, patience).await);
            no_session_is_abandoned(db, &session).await;
            all.extend(wave);
        }

        // Everything once more, and this time everybody waits.
        let again = send(&services, all.clone(), None).await;
        for (id, answer) in &acknowledged {
            assert_eq!(&again[id], answer, "{id} is answered as it was");
        }
        let next = writes("next", &teams, CALLERS);
        send(&services, next.clone(), None).await;
        no_session_is_abandoned(db, &session).await;
        session.close().await;

        // A new process would see what is committed, and nothing else.
        server.restart_with(|config| config.database.url = direct.parse().unwrap()).await;
        let log = Log::read(&server.service()).await;
        let effects = log.effects();
        for write in all.iter().chain(&next) {
            let made = effects.get(write.request_id());
            assert!(made.is_some_and(|made| write.is_made_of(made)), "{write:?} made {made:?}");
        }
        log.assert_tables_agree(&server.service()).await;
        println!(
            "e10 {db:?}: {} calls, {} of them given up on, in {:.1?}: 0 abandoned sessions, 0 lost, one effect each",
            all.len(),
            all.len() - acknowledged.len(),
            started.elapsed(),
        );
    }
}

/// The call is gone while its write waits for the team, which somebody else holds; the write comes to its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_goes_on_without_its_caller() {
    let server = TestServer::start(Db::Postgres).await;
    let service = server.service();
    create_user(&service, "ada").await;
    let team = create_team(&service, "Acme", "ada").await;
    let session = Session::open(&server.database.url).await;
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";

    session.run(&format!("BEGIN; SELECT * FROM teams WHERE id = '{team}' FOR UPDATE")).await;
    let mut calling = JoinSet::new();
    let write = Write::touch_team("left-alone", &team, "yes");
    calling.spawn({
        let (service, write) = (service.clone(), write.clone());
        async move { write.send(&service).await }
    });
    eventually("the write waits", async || (session.value::<i64>(waiting).await == 1).then_some(())).await;
    calling.abort_all();
    while calling.join_next().await.is_some() {}
    session.run("COMMIT").await;

    let events = service.events_of(&team, 3).await;
    assert_eq!(events[2].request_id, "left-alone");
    write.send(&service).await.unwrap();
    assert_eq!(service.events_of(&team, 3).await.len(), 3);
    session.close().await;
}

/// The pool's own guard, without the one above it: beginnings of transactions that are dropped half-way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_beginning_leaves_no_session_in_a_transaction() {
    let proxy = Proxy::before_postgres(DELAY).await;
    let database = TestDatabase::new(Db::Postgres).await;
    let options = Options {
        url: proxy.through(&database.url),
        max_connections: 8,
        acquire_timeout: Duration::from_secs(10),
        statement_timeout: Duration::from_secs(10),
    };
    let through = repository::Database::open(options).await.unwrap();
    let rounds = parts::count(50, 1_000);
    let lanes = (0..8).map(|_| {
        let through = through.clone();
        async move {
            for _ in 0..rounds {
                let patience = Duration::from_micros(rand::random_range(0..25_000));
                if let Ok(begun) = timeout(patience, through.begin()).await {
                    begun.unwrap().rollback().await.unwrap();
                }
            }
        }
    });
    storm::at_once(lanes).await;
    let session = Session::open(&database.url).await;
    no_session_is_abandoned(Db::Postgres, &session).await;
    session.close().await;
    through.close().await.unwrap();
}
