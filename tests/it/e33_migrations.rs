//! Migrations of tables that are large and in use: whoever works with them meanwhile is not held up, several migrators are
//! one, a killed one is no trouble, and there and back again everything is as it was.

mod load;
mod rows;

use std::time::{Duration, Instant};

use roster::repository::{Database, schema};
use roster_proto::v1::{GetTeamRequest, ListInvitationsRequest, get_team_request::Key};

use crate::{
    both,
    schema::catalog,
    support::{
        Caller, Db, Outcome as _,
        database::{TestDatabase, execute, open},
        parts,
        process::{Process, Served, printed, roster, run},
        server::within,
        session::Session,
    },
};
use load::Load;
pub use rows::LINK_KEYS;
use rows::Rows;

/// The last step that only makes new tables: those after it work on what is there.
const BASE: &str = "m0003_events";

/// For how long a test waits for a migration before it fails.
const LIMIT: Duration = Duration::from_mins(20);

/// How many steps there are after [`BASE`].
async fn steps(database: &Database) -> u32 {
    let steps = schema::status(database).await.unwrap();
    let base = steps.iter().position(|(name, _)| name == BASE).unwrap();
    u32::try_from(steps.len() - 1 - base).unwrap()
}

/// A database with many rows as the schema was at [`BASE`], the schema as it is now, and how many steps lead there.
async fn at_base(db: Db, rows: Rows) -> (TestDatabase, catalog::Schema, u32) {
    let test = TestDatabase::new(db).await;
    let database = open(&test.url).await;
    let expected = catalog::read(&database).await;
    let steps = steps(&database).await;
    schema::down(&database, steps).await.unwrap();
    for sql in rows.statements(db) {
        execute(&database, &sql).await;
    }
    database.close().await.unwrap();
    (test, expected, steps)
}

/// Runs `roster migrate` to its end, which has to be a good one.
async fn migrate(test: &TestDatabase, arguments: &[&str]) {
    let variables = [("ROSTER_DATABASE__URL", test.url.as_str())];
    let command = roster(test.folder.path(), &[&["migrate"], arguments].concat(), &variables);
    let mut process = Process::start(command);
    let ended = process.end_within(LIMIT).await;
    assert!(ended.success(), "{arguments:?}: {ended:?} {:#?}", process.lines());
}

/// What is in the tables, in numbers, and whether the steps did to each row what they do.
async fn check(database: &Database, rows: Rows, expected: &catalog::Schema) {
    assert_eq!(&catalog::read(database).await, expected);
    for (table, count) in rows.counts() {
        assert_eq!(counted(database, table, "true").await, count, "{table}");
    }
    for (table, done) in [
        ("teams", "length(path) = 32"),
        ("memberships", "email LIKE 'user-%@example.com' AND name_key LIKE 'émile %'"),
        ("invitation_grants", "pending"),
    ] {
        assert_eq!(counted(database, table, done).await, counted(database, table, "true").await, "{table}: {done}");
    }
    assert_eq!(counted(database, "invitation_grants", "true").await, rows.invitations());
}

async fn counted(database: &Database, table: &str, which: &str) -> i64 {
    let found = catalog::rows(database, &format!("SELECT count(*) AS n FROM {table} WHERE {which}")).await;
    catalog::get(&found[0], "n")
}

/// What the API tells of a team among those rows.
async fn look(service: &Caller, rows: Rows) {
    let team = Rows::team_id(rows.teams / 2);
    let get = GetTeamRequest { key: Some(Key::TeamId(team.clone())), ..Default::default() };
    assert!(service.teams().get_team(get).await.done().team.unwrap().version >= 3);
    let members = service.members(&team).await;
    assert_eq!(members.len(), rows::MEMBERS, "{members:?}");
    assert!(members.iter().any(|member| member.ends_with(" owner")), "{members:?}");
    let list = ListInvitationsRequest { team_id: team.clone(), ..Default::default() };
    let invitations = service.invitations().list_invitations(list).await.done().invitations;
    assert_eq!(invitations.len(), rows::INVITATIONS);
    assert!(invitations.iter().all(|invitation| invitation.grants[0].role_ids == ["member"]), "{invitations:?}");
    let plain = members.iter().find_map(|member| member.strip_suffix(" member")).unwrap();
    service.remove(&team, plain).await.done();
}

both! {
    async fn e33_up_down_up_with_a_million_rows(db: Db) {
        let rows = Rows { teams: parts::count(500, 56_000) };
        let (test, expected, steps) = at_base(db, rows).await;
        let back = steps.to_string();
        let mut took = Vec::new();
        for arguments in [&["up"][..], &["down", "--steps", &back], &["up"]] {
            let begun = Instant::now();
            migrate(&test, arguments).await;
            took.push(begun.elapsed());
            if arguments == ["up"] {
                let database = open(&test.url).await;
                check(&database, rows, &expected).await;
                database.close().await.unwrap();
            }
        }
        println!("{} rows up, down and up again in {took:.1?} on {db:?}", rows.all());
        let served = Served::start(test.folder.path(), &[("ROSTER_DATABASE__URL", test.url.as_str()), LINK_KEYS]).await;
        look(&served.caller(), rows).await;
    }

    async fn e33_a_migrator_that_is_killed_leaves_what_the_next_one_completes(db: Db) {
        let rows = Rows { teams: parts::count(300, 3000) };
        let (test, expected, _) = at_base(db, rows).await;
        let variables = [("ROSTER_DATABASE__URL", test.url.as_str())];
        for step in ["m0004_trees", "m0006_members", "m0008_offers"] {
            let mut victim = Process::start(roster(test.folder.path(), &["migrate", "up"], &variables));
            let begun = |line: &str| line.contains(&format!("Applying migration '{step}'")).then_some(());
            victim.wait_for(step, begun).await;
            victim.signal("KILL");
            victim.end().await;
            // PostgreSQL notices that nobody is there when it has done what it was asked for.
            if db == Db::Postgres {
                gone(&test.url).await;
            }
        }
        migrate(&test, &["up"]).await;
        check(&open(&test.url).await, rows, &expected).await;
    }
}

/// Waits until no session of the service is left.
async fn gone(url: &str) {
    let session = Session::open(url).await;
    within(LIMIT, "the end of its session", async || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'roster' \
                   AND datname = current_database()";
        (session.value::<i64>(sql).await == 0).then_some(())
    })
    .await;
    session.close().await;
}

/// Four migrators, while writers write and while somebody reads for longer than any writer would wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e33_nobody_waits_for_long_while_four_migrators_work() {
    let rows = Rows { teams: parts::count(1000, 56_000) };
    let (test, expected, _) = at_base(Db::Postgres, rows).await;

    let load = Load::start(&test.url, rows).await;
    let reader = Session::open(&test.url).await;
    reader.run("BEGIN; SELECT count(*) FROM teams; SELECT count(*) FROM memberships; SELECT count(*) FROM users").await;
    let variables = [("ROSTER_DATABASE__URL", test.url.as_str())];
    let mut migrators: Vec<Process> =
        (0..4).map(|_| Process::start(roster(test.folder.path(), &["migrate", "up"], &variables))).collect();
    // Whichever is the first gives up, so that the writers behind it are let by, and tries again.
    let gave_up = "somebody works with what is to be changed";
    within(LIMIT, "a migrator that lets others pass", async || {
        let times = |process: &Process| process.lines().iter().filter(|line| line.contains(gave_up)).count();
        (migrators.iter().map(times).sum::<usize>() >= parts::count(3, 8)).then_some(())
    })
    .await;
    reader.run("COMMIT").await;
    let begun = Instant::now();
    for migrator in &mut migrators {
        let ended = migrator.end_within(LIMIT).await;
        assert!(ended.success(), "{ended:?} {:#?}", migrator.lines());
    }
    let took = begun.elapsed();
    let seen = load.stop().await;
    println!("{} rows in {took:.1?}; {seen}", rows.all());
    assert!(seen.written > 0);
    check(&open(&test.url).await, rows, &expected).await;

    let status = run(roster(test.folder.path(), &["migrate", "status"], &variables)).await;
    assert!(!printed(&status).contains("pending"), "{}", printed(&status));
    let served = Served::start(test.folder.path(), &[variables[0], LINK_KEYS]).await;
    look(&served.caller(), rows).await;
}
