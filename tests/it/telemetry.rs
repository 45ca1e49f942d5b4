//! What the running program tells its operators: the log of calls and failures here, and more in the modules.

mod admin;
mod documents;
mod metrics;
mod otlp;
mod promql;
mod traces;

use std::path::Path;

use serde_json::Value as Json;
use tonic::Code;

use crate::support::{
    Outcome as _,
    process::{Served, steady_port},
    scene::{create_team, create_user},
    server::eventually,
    session::Session,
};

/// The lines of the log that are about a call.
async fn lines(served: &Served, call_id: &str, count: usize) -> Vec<Json> {
    eventually(&format!("{count} lines about {call_id}"), async || {
        let lines = served.process.lines();
        let about = lines.iter().filter_map(|line| serde_json::from_str::<Json>(line).ok());
        let about: Vec<_> = about.filter(|line| line["call_id"] == call_id).collect();
        (about.len() >= count).then_some(about)
    })
    .await
}

async fn sql(folder: &Path) -> Session {
    Session::open(&format!("sqlite://{}", folder.join("data/roster.db").display())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_has_a_line_for_a_call_and_the_cause_of_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(folder.path(), &[]).await;
    let service = served.caller();
    create_user(&service, "ada").await;
    let team = create_team(&service, "Acme", "ada").await;

    service.clone().acting_for("ada").saying("x-request-id", "call-1").list(&team).await.done();
    let line = lines(&served, "call-1", 1).await.remove(0);
    assert_eq!((&line["level"], &line["message"]), (&"INFO".into(), &"served".into()));
    assert_eq!((&line["method"], &line["code"]), (&"/roster.v1.TeamService/ListMembers".into(), &"Ok".into()));
    assert_eq!((&line["principal"], &line["actor"]), (&"dev".into(), &"ada".into()));
    assert!(line["duration_ms"].as_f64().unwrap() > 0.0);

    let sql = sql(folder.path()).await;
    sql.run("UPDATE memberships SET source = 'NONSENSE'").await;
    sql.close().await;
    service.saying("x-request-id", "call-2").list(&team).await.refused(Code::Internal, "INTERNAL");
    let told = lines(&served, "call-2", 2).await;
    assert_eq!(told.len(), 2, "{told:#?}");
    assert_eq!(told[0]["level"], "ERROR");
    let cause = told[0]["cause"].as_str().unwrap();
    assert!(cause.contains("memberships.source") && cause.contains("NONSENSE"), "{cause}");
    assert_eq!((&told[1]["message"], &told[1]["reason"]), (&"served".into(), &"INTERNAL".into()));
}

/// Traces are not worth waiting for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_collector_it_serves_and_ends_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = format!("http://127.0.0.1:{}", steady_port());
    let mut served = Served::start(folder.path(), &[("ROSTER_TELEMETRY__OTLP_ENDPOINT", &endpoint)]).await;
    create_user(&served.caller(), "ada").await;
    served.process.signal("TERM");
    assert!(served.process.end().await.success());
}
