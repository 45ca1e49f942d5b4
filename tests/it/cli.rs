//! The program as an operator meets it: its commands, its exit statuses, its start and its end.

use std::{path::Path, process::Output, time::Duration};

use roster_proto::v1::{CreateUserRequest, GetTeamRequest, WatchRequest, get_team_request::Key};
use tokio::{net::TcpStream, time::Instant};
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::{
    both,
    support::{
        Caller, Db, Outcome as _,
        database::TestDatabase,
        outcome::assert_says,
        process::{Served, file, roster, run, steady_port},
        scene::{create_team, create_user},
        server::eventually,
    },
};

/// The steps of the schema, the first one first.
const STEPS: [&str; 12] = [
    "m0001_teams",
    "m0002_invitations",
    "m0003_events",
    "m0004_trees",
    "m0005_roles",
    "m0006_members",
    "m0007_profiles",
    "m0008_offers",
    "m0009_rate_limits",
    "m0010_expirations",
    "m0011_deleted_invitations",
    "m0012_mail_traces",
];

/// What a command came to.
struct Ended {
    status: i32,
    out: String,
    err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let status = output.status.code().unwrap_or_else(|| panic!("{output:?}"));
        Self { status, out: text(&output.stdout), err: text(&output.stderr) }
    }
}

/// Runs `roster` in a folder to its end.
async fn told(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    run(roster(folder, arguments, variables)).await.into()
}

impl Ended {
    #[track_caller]
    fn succeeded(self) -> String {
        assert_eq!(self.status, 0, "{}{}", self.out, self.err);
        self.out
    }

    /// What it says on standard error; it must have ended with this status.
    #[track_caller]
    fn failed(self, status: i32) -> String {
        assert_eq!(self.status, status, "{}{}", self.out, self.err);
        self.err
    }
}

#[tokio::test]
async fn every_command_explains_itself() {
    let folder = tempfile::tempdir().unwrap();
    let help = told(folder.path(), &["--help"], &[]).await.succeeded();
    for word in [
        "serve",
        "migrate",
        "backup",
        "restored",
        "healthcheck",
        "config",
        "token",
        "--config <FILE>",
        "ROSTER_SERVER__LISTEN",
        "Exit status: 0",
    ] {
        assert!(help.contains(word), "{word}: {help}");
    }
    for (command, word) in [
        (&["serve"][..], "until SIGTERM"),
        (&["migrate"], "status"),
        (&["migrate", "up"], "Harmless"),
        (&["migrate", "down"], "--steps <N>"),
        (&["migrate", "status"], "applied and missing"),
        (&["healthcheck"], "--live"),
        (&["backup"], "one moment"),
        (&["restored"], "CURSOR_EXPIRED"),
        (&["config"], "secrets masked"),
        (&["token"], "kept nowhere"),
    ] {
        let help = told(folder.path(), &[command, &["--help"]].concat(), &[]).await.succeeded();
        assert!(help.contains(word), "{command:?}: {help}");
    }
    assert_eq!(
        told(folder.path(), &["--version"], &[]).await.succeeded(),
        concat!("roster ", env!("CARGO_PKG_VERSION"), "\n")
    );
    let unknown = told(folder.path(), &["explode"], &[]).await.failed(2);
    assert!(unknown.contains("unrecognized subcommand 'explode'"), "{unknown}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "asking leaves nothing behind");
}

#[tokio::test]
async fn the_configuration_is_shown_without_its_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let key = "ab".repeat(32);
    let given = format!(
        r#"
        [server]
        max_in_flight = 10
        [database]
        url = "postgres://roster:s3cr3t-1@db/roster"
        [mail.smtp]
        username = "roster"
        password = "s3cr3t-2"
        [events.nats]
        url = "nats://roster:s3cr3t-3@nats:4222"
        [[links.keys]]
        id = 1
        secret = "{key}"
        "#
    );
    let path = file(folder.path(), "roster.toml", &given).display().to_string();
    let variables = [("ROSTER_SERVER__MAX_IN_FLIGHT", "20"), ("ROSTER_MAIL__SMTP__PASSWORD", "s3cr3t-4")];
    let shown = told(folder.path(), &["--config", &path, "config"], &variables).await.succeeded();
    for secret in ["s3cr3t", &key] {
        assert!(!shown.contains(secret), "{shown}");
    }
    let shown: toml::Table = shown.parse().unwrap();
    assert_eq!(shown["server"]["max_in_flight"].as_integer(), Some(20), "the environment wins over the file");
    assert_eq!(shown["server"]["listen"].as_str(), Some("127.0.0.1:50051"), "what is not given is shown too");
    assert_eq!(shown["database"]["url"].as_str(), Some("postgres://roster:***@db/roster"));
    assert_eq!(shown["mail"]["smtp"]["password"].as_str(), Some("***"));
    assert_eq!(shown["links"]["keys"][0]["secret"].as_str(), Some("***"));
}

#[tokio::test]
async fn every_mistake_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path =
        file(folder.path(), "roster.toml", "[server]\nport = 1\n[mail]\ntransport = \"smtp\"\n").display().to_string();
    let variables = [("ROSTER_CONFIG", path.as_str()), ("ROSTER_EVENTS__RETENTION", "1day")];
    for command in [&[][..], &["serve"], &["config"], &["migrate", "up"]] {
        let told = told(folder.path(), command, &variables).await.failed(2);
        assert!(told.starts_with("error: the configuration has 3 problems:"), "{told}");
        for mistake in [
            "server.port: is not a known key",
            "mail.smtp.host: is required",
            "events.retention: must be at least 7days (set by ROSTER_EVENTS__RETENTION)",
        ] {
            assert!(told.contains(mistake), "{told}");
        }
    }
    let nowhere = told(folder.path(), &["--config", "nowhere.toml"], &[]).await.failed(2);
    assert!(nowhere.contains("nowhere.toml"), "{nowhere}");
}

#[tokio::test]
async fn development_mode_stays_on_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:50051"] {
        let told = told(folder.path(), &[], &[("ROSTER_SERVER__LISTEN", listen)]).await.failed(2);
        assert!(told.contains("auth.mode: \"development\" lets everybody in"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_admits_its_bearer() {
    let folder = tempfile::tempdir().unwrap();
    let [(reader, reads), (web, mut acts)] = [made(folder.path(), "reader").await, made(folder.path(), "web").await];
    acts["scopes"] = vec!["roster.*"].into();
    acts["act_for_users"] = true.into();
    let auth = toml::Table::from_iter([
        ("mode".to_owned(), "credentials".into()),
        ("tokens".to_owned(), vec![reads, acts].into()),
    ]);
    let config = toml::to_string(&toml::Table::from_iter([("auth".to_owned(), auth.into())])).unwrap();
    let path = file(folder.path(), "roster.toml", &config).display().to_string();
    let served = Served::start(folder.path(), &[("ROSTER_CONFIG", &path)]).await;
    let token = reader;
    let [reader, web] = [&token, &web].map(|token| served.caller().with_token(token));

    create_user(&web, "ada").await;
    let team = create_team(&web.clone().acting_for("ada"), "Acme", "ada").await;
    let get = || GetTeamRequest { key: Some(Key::TeamId(team.clone())), ..Default::default() };
    reader.teams().get_team(get()).await.done();
    web.clone().acting_for("eve").teams().get_team(get()).await.refused(Code::PermissionDenied, "PERMISSION_DENIED");

    let create = || CreateUserRequest { email: "bob@example.com".to_owned(), ..Default::default() };
    let beyond = reader.users().create_user(create()).await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
    assert_eq!(beyond.metadata["permission"], "roster.users.create");
    let acting = reader.clone().acting_for("ada").teams().get_team(get()).await;
    assert_eq!(acting.refused(Code::PermissionDenied, "PERMISSION_DENIED").metadata["permission"], "act_for_users");
    served.caller().teams().get_team(get()).await.refused(Code::Unauthenticated, "CREDENTIALS_MISSING");
    for wrong in ["rst_wrong", "", &token[1..], &token.to_lowercase()] {
        let wrong = served.caller().with_token(wrong).teams().get_team(get()).await;
        wrong.refused(Code::Unauthenticated, "CREDENTIALS_INVALID");
    }
    // Who asks for its health need not be known.
    let endpoint = served.endpoint();
    told(folder.path(), &["healthcheck", "--endpoint", &endpoint], &[]).await.succeeded();
    assert!(!served.process.lines().concat().contains(&token));
}

/// A new token, and the entry that admits it.
async fn made(folder: &Path, name: &str) -> (String, toml::Value) {
    let told = told(folder, &["token", "--name", name], &[]).await.succeeded();
    let (token, entry) = told.split_once('\n').unwrap();
    let entry: toml::Table = entry.parse().unwrap();
    assert_eq!(entry["auth"]["tokens"][0]["name"].as_str(), Some(name));
    (token.to_owned(), entry["auth"]["tokens"][0].clone())
}

both! {
    async fn the_schema_goes_up_and_down(db: Db) {
        let database = TestDatabase::new(db).await;
        let folder = database.folder.path();
        let migrate = async |arguments: &[&str]| {
            let variables = [("ROSTER_DATABASE__URL", database.url.as_str())];
            told(folder, &[&["migrate"], arguments].concat(), &variables).await.succeeded()
        };
        let report = |applied: usize| {
            let line = |(i, step)| format!("{}  {step}\n", if i < applied { "applied" } else { "pending" });
            STEPS.iter().enumerate().map(line).collect::<String>()
        };
        let (all, but_one) = (STEPS.len(), STEPS.len() - 1);
        for (arguments, applied) in [
            (&["status"][..], all),
            (&["down"], but_one),
            (&["status"], but_one),
            (&["down", "--steps", &but_one.to_string()], 0),
            (&["up"], all),
            (&["up"], all),
            (&["status"], all),
        ] {
            assert_eq!(migrate(arguments).await, report(applied), "{arguments:?}");
        }
        let variables = [("ROSTER_DATABASE__URL", database.url.as_str())];
        told(folder, &["migrate", "down", "--steps", "0"], &variables).await.failed(2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_schema_it_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [("ROSTER_SERVER__LISTEN", "127.0.0.1:0"), ("ROSTER_DATABASE__MIGRATE_ON_START", "false")];
    let told = told(folder.path(), &[], &variables).await.failed(1);
    assert!(told.contains("migrate up"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_has_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(folder.path(), &[]).await;
    for command in [&[][..], &["migrate", "status"]] {
        let told = told(folder.path(), command, &[("ROSTER_SERVER__LISTEN", "127.0.0.1:0")]).await.failed(1);
        assert!(told.contains("another process uses") && told.contains("data/roster.db"), "{told}");
    }
    create_user(&served.caller(), "ada").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_in_use_is_told() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let served = Served::start(folders[0].path(), &[]).await;
    let address = served.address.to_string();
    let told = told(folders[1].path(), &[], &[("ROSTER_SERVER__LISTEN", &address)]).await.failed(1);
    assert!(told.contains(&format!("cannot listen on {address}")), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_health_check_has_an_exit_status() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("127.0.0.1:{}", steady_port());
    let check = async |arguments: &[&str]| {
        // It asks the server that the same configuration describes.
        told(folder.path(), &[&["healthcheck"], arguments].concat(), &[("ROSTER_SERVER__LISTEN", &address)]).await
    };
    let nobody = check(&[]).await.failed(1);
    assert!(nobody.contains(&format!("cannot connect to http://{address}")), "{nobody}");

    // One that goes on for a while after it was asked to stop.
    let variables = [("ROSTER_SERVER__LISTEN", address.as_str()), ("ROSTER_SERVER__DRAIN_DELAY", "60s")];
    let served = Served::start(folder.path(), &variables).await;
    assert_eq!(check(&[]).await.succeeded(), "SERVING\n");
    assert_eq!(check(&["--live"]).await.succeeded(), "SERVING\n");
    served.process.signal("TERM");
    eventually("not ready", async || {
        let health = HealthClient::new(served.channel()).check(HealthCheckRequest::default()).await.done();
        (health.status() == ServingStatus::NotServing).then_some(())
    })
    .await;
    let stopping = check(&[]).await;
    assert_eq!((stopping.status, stopping.out.as_str()), (1, "NOT_SERVING\n"));
    assert_eq!(check(&["--live"]).await.succeeded(), "SERVING\n");
    // Whoever calls now is served all the same.
    create_user(&served.caller(), "ada").await;
}

/// Starts the program with a stream open and a connection that never says a word.
async fn in_use(folder: &Path) -> (Served, tonic::Streaming<roster_proto::v1::WatchResponse>, TcpStream) {
    let served = Served::start(folder, &[]).await;
    create_user(&served.caller(), "ada").await;
    let mut stream = served.caller().events().watch(WatchRequest::default()).await.done();
    stream.message().await.unwrap();
    let silent = TcpStream::connect(served.address).await.unwrap();
    (served, stream, silent)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_ends_it_in_order() {
    for signal in ["TERM", "INT"] {
        let folder = tempfile::tempdir().unwrap();
        let (mut served, mut stream, _silent) = in_use(folder.path()).await;
        let idle = served.caller();
        create_user(&idle, "bob").await;
        let asked = Instant::now();
        served.process.signal(signal);
        let end = loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("an end without a reason"),
                Err(end) => break end,
            }
        };
        assert_says(&end, Code::Unavailable, "SHUTTING_DOWN");
        assert_eq!(served.process.end().await.code(), Some(0));
        assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
        // What was acknowledged is there, and the file is free again.
        let again = Served::start(folder.path(), &[]).await;
        assert_eq!(users(&again.caller()).await, ["ada", "bob"]);
    }
}

/// Everybody who was recorded.
async fn users(service: &Caller) -> Vec<String> {
    service.events_of("", 2).await.into_iter().map(|event| event.user_id).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_it_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut served = Served::start(folder.path(), &[("ROSTER_SERVER__DRAIN_DELAY", "60s")]).await;
    served.process.signal("TERM");
    served
        .process
        .wait_for("the first signal", |line| line.contains("a second signal stops at once").then_some(()))
        .await;
    served.process.signal("TERM");
    assert_eq!(served.process.end().await.code(), Some(128 + 15));
}
