//! Metrics at a collector: pushed every so often, and once more at the end.

use opentelemetry_proto::tonic::metrics::v1::{ResourceMetrics, metric::Data};

use super::traces::text;
use crate::support::{
    collector::Collector,
    process::Served,
    scene::{create_team, create_user},
    server::eventually,
};

/// How many calls of a method were measured, according to one delivery.
fn calls(received: &ResourceMetrics, method: &str) -> Option<u64> {
    let metrics = received.scope_metrics.iter().flat_map(|scope| &scope.metrics);
    let duration = metrics.into_iter().find(|metric| metric.name == "rpc.server.call.duration")?;
    assert_eq!(duration.unit, "s");
    let Some(Data::Histogram(histogram)) = &duration.data else { panic!("{duration:?}") };
    let of_method = histogram.data_points.iter().find(|point| text(&point.attributes, "rpc.method") == method)?;
    assert_eq!(text(&of_method.attributes, "rpc.system.name"), "grpc");
    Some(of_method.count)
}

async fn served(collector: &Collector, folder: &std::path::Path, interval: &str) -> Served {
    let settings = [
        ("ROSTER_TELEMETRY__OTLP_ENDPOINT", collector.endpoint.as_str()),
        ("ROSTER_TELEMETRY__METRICS_INTERVAL", interval),
        ("ROSTER_TELEMETRY__SERVICE_NAME", "members"),
    ];
    Served::start(folder, &settings).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_arrive_while_it_serves() {
    let (collector, folder) = (Collector::start().await, tempfile::tempdir().unwrap());
    let roster = served(&collector, folder.path(), "50ms").await;
    for (user, count) in [("ada", 1), ("bob", 2)] {
        create_user(&roster.caller(), user).await;
        eventually(&format!("{count} calls"), async || {
            let received = collector.metrics().await;
            let found = received.iter().find(|one| calls(one, "roster.v1.UserService/CreateUser") == Some(count))?;
            let resource = &found.resource.as_ref().unwrap().attributes;
            assert_eq!(text(resource, "service.name"), "members");
            assert_eq!(text(resource, "service.version"), env!("CARGO_PKG_VERSION"));
            Some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_metrics_leave_at_the_end_under_the_name_of_the_traces() {
    let (collector, folder) = (Collector::start().await, tempfile::tempdir().unwrap());
    let mut roster = served(&collector, folder.path(), "1h").await;
    create_user(&roster.caller(), "ada").await;
    create_team(&roster.caller(), "Acme", "ada").await;
    roster.process.signal("TERM");
    assert!(roster.process.end().await.success());
    let received = collector.metrics().await;
    let last = received.last().expect("one delivery");
    assert_eq!(calls(last, "roster.v1.TeamService/CreateTeam"), Some(1));
    let instance = |attributes| text(attributes, "service.instance.id").to_owned();
    let of_metrics = instance(&last.resource.as_ref().unwrap().attributes);
    let traces = collector.received().await;
    assert_eq!(of_metrics, instance(&traces[0].resource.as_ref().unwrap().attributes));
}
