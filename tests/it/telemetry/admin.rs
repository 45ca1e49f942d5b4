//! The port for those who look after the service.

use std::net::{SocketAddr, TcpListener};

use roster::config::Config;

use crate::support::{
    Db, TestServer,
    process::{Process, Served, printed, roster, run},
    scrape::{Numbers, ask},
    server::eventually,
};

/// Has a port of its own.
pub fn told(config: &mut Config) {
    config.telemetry.admin_listen = Some("127.0.0.1:0".parse().unwrap());
}

async fn status(address: SocketAddr, path: &str) -> u16 {
    ask(address, "GET", path).await.status
}

/// The address that the log names.
async fn address(process: &mut Process) -> SocketAddr {
    let named = |line: &str| line.split_once(r#""admin":""#)?.1.split('"').next()?.parse().ok();
    process.wait_for("the address of the admin port", named).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_tells_of_health_and_numbers_and_nothing_else() {
    let server = TestServer::with(Db::Sqlite, told).await;
    let address = server.admin_address();
    for (path, says) in [("/livez", "alive\n"), ("/readyz", "ready\n"), ("/readyz?verbose", "ready\n")] {
        let answer = ask(address, "GET", path).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, says), "{path}");
        assert_eq!(answer.content_type, "text/plain; charset=utf-8");
    }
    assert_eq!(Numbers::of(address).await.find("roster_ready", &[]), Some(1.0));
    for path in ["/", "/metrics/", "/config", "/debug/pprof", "/roster.v1.TeamService/GetTeam"] {
        assert_eq!(status(address, path).await, 404, "{path}");
    }
    for method in ["POST", "PUT", "DELETE"] {
        assert_eq!(ask(address, method, "/metrics").await.status, 405, "{method}");
    }
    let head = ask(address, "HEAD", "/metrics").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_answers_while_the_process_drains() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [("ROSTER_TELEMETRY__ADMIN_LISTEN", "127.0.0.1:0"), ("ROSTER_SERVER__DRAIN_DELAY", "1h")];
    let mut served = Served::start(folder.path(), &settings).await;
    let address = address(&mut served.process).await;
    assert_eq!(status(address, "/readyz").await, 200);
    served.process.signal("TERM");
    eventually("it is not ready any more", async || (status(address, "/readyz").await == 503).then_some(())).await;
    assert_eq!(status(address, "/livez").await, 200);
    assert_eq!(Numbers::of(address).await.find("roster_ready", &[]), Some(0.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_not_there_unless_it_is_asked_for_and_says_so_if_it_cannot_be() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(folder.path(), &[]).await;
    assert!(!served.process.lines().iter().any(|line| line.contains(r#""admin""#)));
    drop(served);

    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = held.local_addr().unwrap().to_string();
    let settings = [("ROSTER_TELEMETRY__ADMIN_LISTEN", taken.as_str()), ("ROSTER_SERVER__LISTEN", "127.0.0.1:0")];
    let output = run(roster(folder.path(), &[], &settings)).await;
    assert!(!output.status.success());
    let said = printed(&output);
    assert!(said.contains(&format!("cannot listen on {taken}, the value of telemetry.admin_listen")), "{said}");
}
