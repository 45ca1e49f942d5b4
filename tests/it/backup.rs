//! A copy of the database, made while it is written to, is the database as it was at one moment, and takes its place.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use roster::domain::cursor;
use roster_proto::events::v1::Event;
use roster_proto::v1::{ListEventsRequest, WatchRequest, watch_request::Start};
use tokio::task::JoinSet;
use tonic::Code;

use crate::{
    both, e33_migrations,
    support::{
        Caller, Db, Outcome as _,
        database::TestDatabase,
        log::Log,
        outcome::assert_says,
        parts,
        process::{Served, printed, roster, run},
        scene::{create_team, create_user},
        server::eventually,
        session::Session,
        storm,
        write::Write,
    },
};

const WRITERS: usize = 6;

async fn serve(folder: &Path, url: &str) -> Served {
    let limits = [("ROSTER_LIMITS__INVITATIONS_PER_RECIPIENT__COUNT", "0")];
    Served::start(folder, &[&limits[..], &[("ROSTER_DATABASE__URL", url), e33_migrations::LINK_KEYS]].concat()).await
}

/// Writes all kinds of things until told to stop.
fn write_on(served: &Served, stop: &Arc<AtomicBool>) -> JoinSet<usize> {
    let mut writing = JoinSet::new();
    for (writer, caller) in storm::services(served.address, WRITERS).into_iter().enumerate() {
        let stop = stop.clone();
        writing.spawn(async move {
            let name = format!("writer-{writer}");
            create_user(&caller, &name).await;
            let team = create_team(&caller, &name, &name).await;
            let mut count = 0;
            while !stop.load(Ordering::Relaxed) {
                let (id, user) = (format!("{name}-{count}"), format!("{name}-user-{count}"));
                for write in [
                    Write::create_user(&format!("{id}-a"), &user),
                    Write::add_member(&format!("{id}-b"), &team, &user, "admin"),
                    Write::invite(&format!("{id}-c"), &team, &format!("guest-{id}@example.com"), "member"),
                    Write::remove_member(&format!("{id}-d"), &team, &user),
                ] {
                    write.send(&caller).await.unwrap();
                }
                count += 1;
            }
            count
        });
    }
    writing
}

/// Waits until there are so many events.
async fn grown(service: &Caller, events: usize) {
    eventually("more events", async || {
        let mut request = ListEventsRequest { page_size: 500, ..Default::default() };
        let mut seen = 0;
        loop {
            let page = service.events().list_events(request.clone()).await.done();
            seen += page.events.len();
            request.cursor = page.next_cursor;
            if !page.has_more {
                return (seen >= events).then_some(());
            }
        }
    })
    .await;
}

/// A database that is not there yet, beside a test's own.
struct Restored {
    folder: tempfile::TempDir,
    url: String,
    name: Option<String>,
}

impl Restored {
    async fn new(db: Db, test: &TestDatabase) -> Self {
        let folder = tempfile::tempdir().unwrap();
        match db {
            Db::Sqlite => {
                let url = format!("sqlite://{}", folder.path().join("roster.db").display());
                Self { folder, url, name: None }
            }
            Db::Postgres => {
                let (server, name) = test.url.rsplit_once('/').unwrap();
                let name = format!("{name}_restored");
                let session = Session::on_server().await;
                session.run(&format!("CREATE DATABASE {name}")).await;
                session.close().await;
                Self { folder, url: format!("{server}/{name}"), name: Some(name) }
            }
        }
    }

    async fn remove(self) {
        if let Some(name) = self.name {
            let session = Session::on_server().await;
            session.run(&format!("DROP DATABASE {name} WITH (FORCE)")).await;
            session.close().await;
        }
    }
}

/// Copies the database, as an operator does.
async fn back_up(db: Db, test: &TestDatabase) -> PathBuf {
    let copy = test.folder.path().join("copy");
    let command = match db {
        Db::Sqlite => {
            let variables = [("ROSTER_DATABASE__URL", test.url.as_str())];
            roster(test.folder.path(), &["backup", copy.to_str().unwrap()], &variables)
        }
        Db::Postgres => {
            let mut command = Command::new(parts::pg_dump());
            command.args(["--format=custom", "--file"]).arg(&copy).arg(&test.url);
            command
        }
    };
    let output = run(command).await;
    assert!(output.status.success(), "{}", printed(&output));
    copy
}

async fn restore(db: Db, copy: &Path, restored: &Restored) {
    match db {
        Db::Sqlite => drop(std::fs::copy(copy, restored.folder.path().join("roster.db")).unwrap()),
        Db::Postgres => {
            let mut command = Command::new(parts::pg_restore());
            command.args(["--no-owner", "--exit-on-error", "--dbname", &restored.url]).arg(copy);
            let output = run(command).await;
            assert!(output.status.success(), "{}", printed(&output));
        }
    }
}

/// The latest cursor.
async fn now(service: &Caller) -> String {
    let mut request = ListEventsRequest { page_size: 500, ..Default::default() };
    loop {
        let page = service.events().list_events(request.clone()).await.done();
        request.cursor = page.next_cursor;
        if !page.has_more {
            return request.cursor;
        }
    }
}

both! {
    async fn a_copy_made_under_writes_is_whole_and_takes_the_databases_place(db: Db) {
        let test = TestDatabase::new(db).await;
        let served = serve(test.folder.path(), &test.url).await;
        let service = served.caller();
        let stop = Arc::new(AtomicBool::new(false));
        let mut writing = write_on(&served, &stop);
        grown(&service, 150).await;
        let early = now(&service).await;
        let copy = back_up(db, &test).await;
        // Writes have not stood still meanwhile, and go on.
        let after = Log::read(&service).await.events.len();
        grown(&service, after + 100).await;
        stop.store(true, Ordering::Relaxed);
        while let Some(done) = writing.join_next().await {
            assert!(done.unwrap() > 0);
        }
        let late = now(&service).await;
        let original = Log::read(&service).await;

        let restored = Restored::new(db, &test).await;
        restore(db, &copy, &restored).await;
        let mut again = serve(restored.folder.path(), &restored.url).await;
        let copied = Log::read(&again.caller()).await;
        // All but the last event, which reading the log makes: those that had their places have them, those that had none
        // yet are the same, and the tables are as they tell.
        let (_, common) = copied.events.split_last().unwrap();
        assert!(common.len() >= 150 && common.len() < original.events.len(), "{}", common.len());
        let placed = usize::try_from(cursor::decode(&early).unwrap()).unwrap();
        assert_eq!(common[..placed], original.events[..placed]);
        let unplaced = |event: &Event| (event.event_id.clone(), Event { position: String::new(), ..event.clone() });
        let known: BTreeMap<_, _> = original.events.iter().map(unplaced).collect();
        for (id, event) in common.iter().map(unplaced) {
            assert_eq!(known.get(&id), Some(&event));
        }
        copied.assert_tables_agree(&again.caller()).await;

        // What the copied database does not know of is refused, as long as it is not known.
        let list = |cursor: &str| ListEventsRequest { cursor: cursor.to_owned(), page_size: 500, ..Default::default() };
        again.caller().events().list_events(list(&late)).await.refused(Code::InvalidArgument, "CURSOR_INVALID");
        again.process.signal("TERM");
        assert!(again.process.end().await.success());

        // Before that can be mistaken for what it will know, it is told that it was restored.
        let variables = [("ROSTER_DATABASE__URL", restored.url.as_str())];
        let told = run(roster(restored.folder.path(), &["restored"], &variables)).await;
        assert!(told.status.success() && printed(&told).contains("CURSOR_EXPIRED"), "{}", printed(&told));
        let again = serve(restored.folder.path(), &restored.url).await;
        let service = again.caller();
        for cursor in [&early, &late] {
            service.events().list_events(list(cursor)).await.refused(Code::OutOfRange, "CURSOR_EXPIRED");
            let from = WatchRequest { start: Some(Start::Cursor(cursor.clone())), ..Default::default() };
            let ended = service.events().watch(from).await.unwrap_err();
            assert_says(&ended, Code::OutOfRange, "CURSOR_EXPIRED");
        }
        // Whoever begins anew gets all that comes, and the versions of a team go on where they were.
        let start = now(&service).await;
        let (team, replay) = copied.teams().into_iter().find(|(_, team)| team.version > 0).unwrap();
        Write::touch_team("anew", team, "anew").send(&service).await.unwrap();
        let event = eventually("the event", async || {
            service.events().list_events(list(&start)).await.done().events.into_iter().next()
        })
        .await;
        assert_eq!((event.team_id.as_str(), event.team_version), (team, replay.version + 1));
        drop(again);
        restored.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_overwrites_nothing_and_is_for_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let told = async |arguments: &[&str], variables: &[(&str, &str)]| {
        let output = run(roster(folder.path(), arguments, variables)).await;
        (output.status.code().unwrap(), printed(&output))
    };
    let (status, why) = told(&["backup", "copy.db"], &[]).await;
    assert!(status == 1 && why.contains("there is no database at ./data/roster.db"), "{why}");

    let served = Served::start(folder.path(), &[]).await;
    create_user(&served.caller(), "ada").await;
    // Beside the process that owns the file, and with what it has not yet moved out of its log.
    let (status, said) = told(&["backup", "copy.db"], &[]).await;
    assert!(status == 0 && said.contains("Not in it: ./data/secret.key"), "{said}");
    let copy = std::fs::read(folder.path().join("copy.db")).unwrap();
    let (status, why) = told(&["backup", "copy.db"], &[]).await;
    assert!(status == 1 && why.contains("copy.db"), "{why}");
    assert_eq!(std::fs::read(folder.path().join("copy.db")).unwrap(), copy);
    let mut left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["copy.db", "data"], "nothing half done is left");

    let postgres = [("ROSTER_DATABASE__URL", "postgres://nowhere/roster"), e33_migrations::LINK_KEYS];
    let (status, why) = told(&["backup", "other.db"], &postgres).await;
    assert!(status == 1 && why.contains("pg_dump"), "{why}");
}
