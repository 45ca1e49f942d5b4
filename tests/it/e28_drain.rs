//! SIGTERM under load: whatever the program let in it answers, whoever reads a stream is told, who does not take an answer
//! is not waited for for longer than configured, and the exit status is 0.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::{Duration, Instant},
};

use bytes::Bytes;
use roster_proto::v1::{GetTeamRequest, ListEventsRequest, WatchRequest, get_team_request::Key};
use tokio::{net::TcpStream, task::JoinSet};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{
    both, e33_migrations,
    limits::raw::framed,
    support::{
        Caller, Db, Outcome as _,
        database::TestDatabase,
        outcome::assert_says,
        parts,
        process::Served,
        scene::{create_team, create_user},
        storm,
        write::Write,
    },
};

/// How many write at a time, each to a team of their own.
const WRITERS: usize = 8;
/// How many streams are open.
const STREAMS: usize = 4;

/// What became of the calls of one writer in one life of the program.
#[derive(Default)]
struct Written {
    /// Answered with success.
    acknowledged: i64,
    /// The ids of the calls that got an answer of the program's, whichever.
    answered: BTreeSet<String>,
    /// The ids of those that got none: the connection was closed, or there was none.
    unanswered: BTreeSet<String>,
}

/// Writes until the program is gone.
async fn write_on(caller: Caller, writer: String, team: String) -> Written {
    let mut written = Written::default();
    for number in 0.. {
        let id = format!("{writer}-{number}");
        // Two calls are under way at a time on each connection, as it is shared by two writers.
        match Write::touch_team("", &team, &id).send(&caller.clone().saying("x-request-id", &id)).await {
            Ok(_) => {
                written.acknowledged += 1;
                written.answered.insert(id);
            }
            Err(status) if is_an_answer(&status) => drop(written.answered.insert(id)),
            Err(_) => {
                written.unanswered.insert(id);
                break;
            }
        }
    }
    written
}

/// Whether the program said so, and not the client for want of an answer.
fn is_an_answer(status: &Status) -> bool {
    !status.get_error_details_vec().is_empty()
}

/// Asks for all there is and takes none of it, as long as what this gives is kept: for the program, a call that does not
/// come to its end.
async fn deaf(served: &Served, team: &str) -> JoinSet<()> {
    let stream = TcpStream::connect(served.address).await.unwrap();
    let (client, connection) = h2::client::Builder::new().initial_window_size(0).handshake(stream).await.unwrap();
    let mut kept = JoinSet::new();
    // How it ends is the server's business.
    kept.spawn(async move { drop(connection.await) });
    let request = http::Request::post(format!("http://{}/roster.v1.EventService/ListEvents", served.address))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    let asked = ListEventsRequest { team_id: team.to_owned(), page_size: 500, ..Default::default() };
    let mut client = client.ready().await.unwrap();
    let (response, mut sending) = client.send_request(request.body(()).unwrap(), false).unwrap();
    sending.send_data(Bytes::from(framed(&asked)), true).unwrap();
    // It has begun to answer.
    let body = response.await.unwrap();
    kept.spawn(async move {
        let _kept = (client, body);
        std::future::pending::<()>().await;
    });
    kept
}

/// The ids of the calls that the log tells of.
fn calls_in(lines: &[String]) -> BTreeSet<String> {
    let served = lines.iter().filter(|line| line.contains(r#""message":"served""#));
    served
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["call_id"].as_str().unwrap().to_owned()
        })
        .collect()
}

async fn version(service: &Caller, team: &str) -> i64 {
    let get = GetTeamRequest { key: Some(Key::TeamId(team.to_owned())), ..Default::default() };
    service.teams().get_team(get).await.done().team.unwrap().version
}

async fn start(folder: &Path, url: &str) -> Served {
    let variables = [
        ("ROSTER_DATABASE__URL", url),
        ("ROSTER_TELEMETRY__LOG_FORMAT", "json"),
        // Whoever is deaf is waited for for so long, and everybody else has long come to an end by then.
        ("ROSTER_SERVER__DRAIN_TIMEOUT", "6s"),
        e33_migrations::LINK_KEYS,
    ];
    Served::start(folder, &variables).await
}

both! {
    async fn e28_every_call_that_was_let_in_is_answered(db: Db) {
        let test = TestDatabase::new(db).await;
        let folder = test.folder.path();
        let mut served = start(folder, &test.url).await;
        let service = served.caller();
        create_user(&service, "ada").await;
        let mut teams = BTreeMap::new();
        for writer in 0..WRITERS {
            let team = create_team(&service, "Acme", "ada").await;
            teams.insert(team.clone(), (writer, version(&service, &team).await));
        }
        let (mut longest, mut calls) = (Duration::ZERO, 0);
        let rounds = parts::count(4, 200);
        for round in 0..rounds {
            let channels = storm::services(served.address, WRITERS / 2);
            let mut writers = JoinSet::new();
            for (team, (writer, _)) in &teams {
                let (name, team) = (format!("{round}-{writer}"), team.clone());
                let caller = channels[writer % channels.len()].clone();
                writers.spawn(async move { (team.clone(), write_on(caller, name, team).await) });
            }
            let mut streams = JoinSet::new();
            for _ in 0..STREAMS {
                let mut stream = served.caller().events().watch(WatchRequest::default()).await.done();
                stream.message().await.unwrap();
                streams.spawn(async move {
                    loop {
                        match stream.message().await {
                            Ok(Some(_)) => {}
                            Ok(None) => panic!("an end without a reason"),
                            Err(end) => break end,
                        }
                    }
                });
            }
            let _silent = TcpStream::connect(served.address).await.unwrap();
            let first_team = teams.keys().next().unwrap();
            // The last of four rounds: waiting for it takes the time that is given for draining.
            let _deaf = if round % 4 == 3 { Some(deaf(&served, first_team).await) } else { None };
            // So that the signal comes at another point of the writers' work each time.
            tokio::time::sleep(Duration::from_millis(50 + 37 * (round as u64 % 10))).await;

            let asked = Instant::now();
            served.process.signal("TERM");
            let ended = served.process.end_within(Duration::from_mins(2)).await;
            longest = longest.max(asked.elapsed());
            assert_eq!(ended.code(), Some(0), "{:#?}", served.process.lines());
            for end in streams.join_all().await {
                assert_says(&end, Code::Unavailable, "SHUTTING_DOWN");
            }
            let logged = calls_in(&served.process.all_lines());
            for (team, written) in writers.join_all().await {
                let lost: Vec<_> = written.unanswered.intersection(&logged).collect();
                assert!(lost.is_empty(), "let in and not answered: {lost:?}");
                assert!(written.answered.is_subset(&logged), "the log tells of every call");
                calls += written.answered.len();
                teams.get_mut(&team).unwrap().1 += written.acknowledged;
            }
            served = start(folder, &test.url).await;
            for (team, (_, expected)) in &teams {
                assert_eq!(version(&served.caller(), team).await, *expected, "what was acknowledged is there, and nothing else");
            }
        }
        println!("{db:?}: {rounds} ends, {calls} calls answered, the longest end took {longest:.1?}");
        assert!(calls >= rounds * WRITERS);
    }
}
