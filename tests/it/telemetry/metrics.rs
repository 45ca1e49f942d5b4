//! The numbers, as somebody who scrapes the admin port sees them: each of these can be wrong.

use chrono::TimeDelta;
use roster::config::{Config, EventEncoding, MailTransportKind, PublisherKind, SmtpSecurity};
use roster_proto::v1::{CreateUserRequest, WatchRequest};
use tonic::Code;

use super::admin::told;
use crate::{
    both,
    relay::broker::Topic,
    support::{
        Db, Outcome as _, Scene, TestServer,
        process::steady_port,
        scene::create_team,
        scrape::{Numbers, wait_for},
        server::eventually,
        session::Session,
    },
};

const CALLS: &str = "rpc_server_call_duration_seconds_count";
const FAILURES: &str = "roster_rpc_failures_total";

/// Publishes to a stream of its own, and tells of it.
pub fn published(topic: &Topic) -> impl FnOnce(&mut Config) {
    let settings = topic.settings.clone();
    move |config| {
        told(config);
        config.events.publisher = PublisherKind::Nats;
        config.events.nats = settings;
    }
}

/// Who ends up with these, in the order of the labels.
fn ended<'a>(method: &'a str, code: &'a str) -> [(&'static str, &'a str); 2] {
    [("rpc_method", method), ("rpc_response_status_code", code)]
}

both! {
    async fn calls_are_counted_by_how_they_end(db: Db) {
        let s = Scene::on(TestServer::with(db, told).await).await;
        let address = s.server.admin_address();
        for _ in 0..3 {
            s.person("ada").list(&s.team).await.done();
        }
        s.person("eve").list(&s.team).await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
        s.person("ada").leave(&s.team).await.refused(Code::FailedPrecondition, "LAST_OWNER");
        s.person("ada").leave(&s.team).await.refused(Code::FailedPrecondition, "LAST_OWNER");
        let sql = Session::open(&s.server.database.url).await;
        sql.run("UPDATE memberships SET source = 'NONSENSE' WHERE user_id = 'carol'").await;
        sql.close().await;
        s.person("ada").list(&s.team).await.refused(Code::Internal, "INTERNAL");

        let (list, leave) = ("roster.v1.TeamService/ListMembers", "roster.v1.TeamService/LeaveTeam");
        let numbers = wait_for(address, CALLS, &ended(list, "INTERNAL"), 1.0).await;
        assert_eq!(numbers.find(CALLS, &ended(list, "OK")), Some(3.0));
        assert_eq!(numbers.find(CALLS, &ended(list, "PERMISSION_DENIED")), Some(1.0));
        assert_eq!(numbers.find(CALLS, &ended(leave, "FAILED_PRECONDITION")), Some(2.0));
        // Only what is the server's fault is an error to whoever watches it.
        assert_eq!(numbers.find(CALLS, &[("error_type", "INTERNAL")]), Some(1.0));
        assert_eq!(numbers.find(CALLS, &[("error_type", "PERMISSION_DENIED")]), None);
        for (method, reason, count) in
            [(list, "INTERNAL", 1.0), (list, "PERMISSION_DENIED", 1.0), (leave, "LAST_OWNER", 2.0)]
        {
            let labels = [("rpc_method", method), ("roster_error_reason", reason)];
            assert_eq!(numbers.find(FAILURES, &labels), Some(count), "{labels:?}");
        }
        assert_eq!(numbers.find(FAILURES, &[]), Some(4.0));

        // The database's share: a group of statements for each read and each transaction, refused or not.
        let system = if db == Db::Postgres { "postgresql" } else { "sqlite" };
        let group = |name| [("db_operation_name", name), ("db_system_name", system)];
        let groups = "db_client_operation_duration_seconds_count";
        assert_eq!(numbers.find(groups, &group("ListMembers")), Some(5.0));
        assert_eq!(numbers.find(groups, &group("LeaveTeam")), Some(2.0));
        assert_eq!(numbers.find(groups, &[("db_operation_name", "LeaveTeam"), ("error_type", "_OTHER")]), None);
        assert_eq!(numbers.find(groups, &[("db_operation_name", "ListMembers"), ("error_type", "CORRUPT")]), Some(1.0));
    }

    async fn a_retry_is_counted_as_one(db: Db) {
        let s = Scene::on(TestServer::with(db, told).await).await;
        let address = s.server.admin_address();
        let request = |email: &str| CreateUserRequest {
            user_id: "dan".to_owned(),
            email: email.to_owned(),
            request_id: "once".to_owned(),
            ..Default::default()
        };
        let replays = "roster_idempotency_replays_total";
        s.service().users().create_user(request("dan@example.com")).await.done();
        assert_eq!(Numbers::of(address).await.find(replays, &[]), Some(0.0));
        for _ in 0..2 {
            s.service().users().create_user(request("dan@example.com")).await.done();
        }
        // What is another request is no retry.
        let reused = s.service().users().create_user(request("dan@example.org")).await;
        reused.refused(Code::InvalidArgument, "REQUEST_ID_REUSED");
        assert_eq!(Numbers::of(address).await.find(replays, &[]), Some(2.0));
    }

    async fn open_streams_are_counted(db: Db) {
        let s = Scene::on(TestServer::with(db, told).await).await;
        let address = s.server.admin_address();
        let streams = "roster_watch_streams";
        assert_eq!(Numbers::of(address).await.find(streams, &[]), Some(0.0));
        let watch = async || s.service().events().watch(WatchRequest::default()).await.unwrap();
        let (first, second) = (watch().await, watch().await);
        let numbers = wait_for(address, streams, &[], 2.0).await;
        assert_eq!(numbers.find("roster_rpc_in_flight", &[]), Some(2.0));
        // A stream is measured when it is over.
        assert_eq!(numbers.find(CALLS, &[("rpc_method", "roster.v1.EventService/Watch")]), None);
        drop(first);
        wait_for(address, streams, &[], 1.0).await;
        drop(second);
        wait_for(address, streams, &[], 0.0).await;
        wait_for(address, CALLS, &ended("roster.v1.EventService/Watch", "CANCELLED"), 2.0).await;
        wait_for(address, "roster_rpc_in_flight", &[], 0.0).await;
    }

    async fn connections_are_told_of_by_pool(db: Db) {
        let few = |config: &mut Config| {
            told(config);
            // SQLite reads over so many on any machine.
            config.database.max_connections = 2;
        };
        let s = Scene::on(TestServer::with(db, few).await).await;
        let numbers = Numbers::of(s.server.admin_address()).await;
        let pools: &[(&str, f64)] = if db == Db::Postgres { &[("main", 2.0)] } else { &[("read", 2.0), ("write", 1.0)] };
        for (pool, most) in pools {
            let named = [("db_client_connection_pool_name", *pool)];
            assert_eq!(numbers.find("db_client_connection_max", &named), Some(*most), "{pool}");
            let there = numbers.find("db_client_connection_count", &named).unwrap();
            assert!(there >= 1.0 && there <= *most, "{pool}: {there}");
        }
        // A transaction that is held up holds a connection.
        let sql = Session::open(&s.server.database.url).await;
        sql.run("BEGIN; UPDATE teams SET version = version").await;
        let held = async { s.person("ada").remove(&s.team, "carol").await };
        let looked = async {
            let pool = pools.last().unwrap().0;
            let used = [("db_client_connection_pool_name", pool), ("db_client_connection_state", "used")];
            wait_for(s.server.admin_address(), "db_client_connection_count", &used, 1.0).await;
            sql.run("ROLLBACK").await;
            sql.close().await;
        };
        let (answer, ()) = tokio::join!(held, looked);
        answer.done();
    }

    async fn what_waits_is_told_by_the_leader_alone(db: Db) {
        let nowhere = steady_port();
        let mut topic = Topic::new(EventEncoding::Protobuf);
        topic.settings.url = format!("nats://127.0.0.1:{nowhere}").parse().unwrap();
        let s = Scene::on(
            TestServer::with(db, |config| {
                published(&topic)(config);
                config.mail.transport = MailTransportKind::Smtp;
                config.mail.smtp.host = "127.0.0.1".to_owned();
                config.mail.smtp.port = nowhere;
                config.mail.smtp.security = SmtpSecurity::Plaintext;
            })
            .await,
        )
        .await;
        let address = s.server.admin_address();
        s.person("ada").invite(&s.team, "dan@example.com", &["member"]).await.done();
        let recorded = s.service().events_of(&s.team, 5).await.len();
        // Beside those of the team are those of four people, three of whom have come to have a home.
        let waiting = f64::from(u32::try_from(recorded + 7).unwrap());
        let deferred = [("roster_mail_outcome", "deferred")];
        wait_for(address, "roster_mail_attempt_duration_seconds_count", &deferred, 1.0).await;
        let numbers = wait_for(address, "roster_outbox_pending", &[], waiting).await;
        assert_eq!(numbers.find("roster_relay_leader", &[]), Some(1.0));
        assert_eq!(numbers.find("roster_events_sequenced_total", &[]), Some(waiting));
        let held_back = numbers.find("roster_outbox_held_back", &[]);
        assert!([None, Some(0.0)].contains(&held_back), "the broker is away for all: {held_back:?}");
        let put_off = wait_for(address, "roster_mail_queue", &[("roster_mail_state", "put_off")], 1.0).await;
        assert_eq!(put_off.find("roster_mail_queue", &[("roster_mail_state", "due")]), Some(0.0));

        s.server.clock.advance(TimeDelta::hours(1));
        for age in ["roster_outbox_oldest_age_seconds", "roster_mail_oldest_age_seconds"] {
            eventually(age, async || {
                let age = Numbers::of(address).await.find(age, &[]);
                age.filter(|seconds| (3600.0..3700.0).contains(seconds))
            })
            .await;
        }
        if db == Db::Postgres {
            let (second, _) = s.server.second_instance().await;
            let other = second.admin_addr().unwrap();
            wait_for(other, "roster_ready", &[], 1.0).await;
            let numbers = Numbers::of(other).await;
            assert_eq!(numbers.find("roster_relay_leader", &[]), Some(0.0));
            for leaders in ["roster_outbox_pending", "roster_outbox_oldest_age_seconds", "roster_mail_queue"] {
                assert_eq!(numbers.find(leaders, &[]), None, "{leaders}");
            }
            second.shutdown().await.unwrap();
        }
    }

    async fn publications_and_duplicates_are_counted(db: Db) {
        let topic = Topic::new(EventEncoding::Protobuf);
        let s = Scene::on(TestServer::with(db, published(&topic)).await).await;
        let address = s.server.admin_address();
        let (sent, duplicates) = ("messaging_client_sent_messages_total", "roster_events_duplicates_total");
        // Four people, a team with its owner and two more members, and these three have come to have a home.
        let numbers = wait_for(address, sent, &[("messaging_system", "nats")], 11.0).await;
        assert_eq!(numbers.find(duplicates, &[]), Some(0.0));
        assert_eq!(numbers.find("messaging_client_operation_duration_seconds_count", &[]), Some(11.0));
        // What is acknowledged is marked a moment later.
        let sql = Session::open(&s.server.database.url).await;
        let unmarked = "SELECT count(*) FROM events WHERE publish_time IS NULL";
        eventually("all are marked", async || (sql.value::<i64>(unmarked).await == 0).then_some(())).await;
        wait_for(address, "roster_outbox_pending", &[], 0.0).await;
        // As an operator does after a stream was lost; here it was not.
        sql.run("UPDATE events SET publish_time = NULL").await;
        sql.close().await;
        create_team(&s.service(), "Other", "eve").await;
        let numbers = wait_for(address, duplicates, &[], 11.0).await;
        assert_eq!(numbers.find(sent, &[("error_type", "REFUSED")]), None);
        // With the other team, its owner and their home.
        wait_for(address, sent, &[], 25.0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_is_run_again_is_counted() {
    let s = Scene::on(TestServer::with(Db::Postgres, told).await).await;
    let (address, retries) = (s.server.admin_address(), "roster_transaction_retries_total");
    assert_eq!(Numbers::of(address).await.find(retries, &[]), Some(0.0));
    let sql = Session::open(&s.server.database.url).await;
    sql.run("BEGIN; UPDATE teams SET version = version").await;
    let other = Session::open(&s.server.database.url).await;
    let held = async { s.person("ada").remove(&s.team, "carol").await };
    let cut = async {
        let waiting = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                       WHERE wait_event_type = 'Lock' AND datname = current_database()";
        eventually("it waits, and loses its session", async || (other.value::<i64>(waiting).await == 1).then_some(()))
            .await;
        wait_for(address, retries, &[], 1.0).await;
        sql.run("ROLLBACK").await;
        sql.close().await;
        other.close().await;
    };
    let (answer, ()) = tokio::join!(held, cut);
    answer.done();
    assert_eq!(Numbers::of(address).await.find(retries, &[]), Some(1.0));
}
