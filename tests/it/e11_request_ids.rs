//! The same request id many times at once, some with another payload: one effect, one answer, and the others refused.

use std::{collections::BTreeSet, time::Instant};

use futures::{StreamExt as _, stream};
use roster::{
    env::Clock as _,
    repository::{idempotency, purge},
};
use tonic::Code;

use crate::{
    both,
    support::{
        Caller, Db, Outcome as _, TestServer,
        database::open,
        log::Log,
        outcome::error_info,
        parts,
        scene::{create_team, create_user},
        session::Session,
        storm,
        write::Write,
    },
};

/// How often each id is sent at the same time.
const DUPLICATES: usize = 10;
/// How many ids are under way at a time.
const IDS: usize = 12;
/// How many teams are written to.
const TEAMS: usize = 8;

/// A request with the id of its number, as it was meant or altered. Each of the two could be done.
fn write(n: usize, team: &str, altered: bool) -> Write {
    let id = format!("request-{n}");
    let either = |meant: &'static str, other: &'static str| if altered { other } else { meant };
    match n % 6 {
        0 => Write::create_user(&id, &format!("{}-{n}", either("user", "other"))),
        1 => Write::create_team(&id, either("Meant", "Altered"), "ada"),
        2 => Write::touch_team(&id, team, &format!("{}-{n}", either("meant", "altered"))),
        3 => Write::add_member(&id, team, &format!("added-{n}"), either("member", "admin")),
        4 => Write::invite(&id, team, &format!("invited-{n}@example.com"), either("member", "admin")),
        _ => Write::remove_member(&id, team, &format!("{}-{n}", either("removed", "kept"))),
    }
}

/// The users and members that a request needs.
async fn prepare(service: &Caller, n: usize, team: &str) {
    match n % 6 {
        3 => create_user(service, &format!("added-{n}")).await,
        5 => {
            for user in [format!("removed-{n}"), format!("kept-{n}")] {
                create_user(service, &user).await;
                service.add(team, &user, &["member"]).await.done();
            }
        }
        _ => {}
    }
}

/// What became of one id.
struct Race {
    /// What was done.
    winner: Write,
    /// Whether it was the altered request.
    altered: bool,
    refused: usize,
}

/// Sends one id ten times at once, each time on a connection of its own.
async fn race(services: Vec<Caller>, n: usize, team: String) -> Race {
    prepare(&services[0], n, &team).await;
    let calls = services.iter().cycle().skip(n).take(DUPLICATES).cloned().map(|service| {
        let altered = rand::random_ratio(1, 10);
        let write = write(n, &team, altered);
        async move { (altered, write.send(&service).await) }
    });
    let results = storm::at_once(calls.collect::<Vec<_>>()).await;

    let done: BTreeSet<(bool, &[u8])> =
        results.iter().filter_map(|(altered, result)| Some((*altered, result.as_deref().ok()?))).collect();
    assert_eq!(done.len(), 1, "one answer, byte for byte, to one of the two requests: {results:?}");
    let (altered, answer) = done.first().copied().unwrap();
    for (other, result) in &results {
        match result {
            Ok(_) => {}
            Err(status) => {
                assert_ne!(*other, altered, "the same request was refused: {status:?}");
                let reason = error_info(status).reason;
                assert_eq!((status.code(), reason.as_str()), (Code::InvalidArgument, "REQUEST_ID_REUSED"));
            }
        }
    }
    let winner = write(n, &team, altered);
    assert_eq!(winner.send(&services[0]).await.unwrap(), answer, "and the same answer later on");
    Race { winner, altered, refused: results.iter().filter(|(_, result)| result.is_err()).count() }
}

both! {
    async fn answers_that_are_kept_no_more_are_deleted_in_batches(db: Db) {
        let mut server = TestServer::start(db).await;
        create_user(&server.service(), "ada").await;
        Write::create_team("kept", "Kept", "ada").send(&server.service()).await.unwrap();
        let (now, url) = (server.clock.now(), server.database.url.clone());
        let sql = Session::open(&url).await;
        sql.run(
            "WITH RECURSIVE many(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < 10005) \
             INSERT INTO idempotency_keys (principal, request_id, fingerprint, answer, create_time) \
             SELECT 'old', 'r' || n, 'f', 'a', '2020-01-01 00:00:00+00:00' FROM many",
        )
        .await;
        server.stop().await;
        let database = open(&url).await;
        for deleted in [purge::BATCH, 5, 0] {
            assert_eq!(idempotency::purge(&database, now).await.unwrap(), deleted);
        }
        database.close().await.unwrap();
        assert_eq!(sql.value::<i64>("SELECT count(*) FROM idempotency_keys").await, 1, "the one of the day");
        sql.close().await;
    }

    async fn a_request_id_has_one_effect_however_often_it_comes(db: Db) {
        let started = Instant::now();
        let server = TestServer::start(db).await;
        let service = server.service();
        create_user(&service, "ada").await;
        let mut teams = Vec::new();
        for _ in 0..TEAMS {
            teams.push(create_team(&service, "Team", "ada").await);
        }
        let count = parts::count(240, 5_000);
        let services = storm::services(server.address(), 20);
        let races = stream::iter(0..count).map(|n| race(services.clone(), n, teams[n % TEAMS].clone()));
        let races: Vec<Race> = races.buffer_unordered(IDS).collect().await;

        let log = Log::read(&service).await;
        let effects = log.effects();
        for race in &races {
            let made = effects.get(race.winner.request_id());
            assert!(made.is_some_and(|made| race.winner.is_made_of(made)), "{:?} made {made:?}", race.winner);
        }
        log.assert_tables_agree(&service).await;
        let refused: usize = races.iter().map(|race| race.refused).sum();
        let altered = races.iter().filter(|race| race.altered).count();
        assert!(refused > 0 && altered > 0, "neither request ever lost");
        println!(
            "e11 {db:?}: {count} ids × {DUPLICATES} in {:.1?}: one effect each; {refused} refused; \
             the altered request came first for {altered}",
            started.elapsed(),
        );
    }
}
