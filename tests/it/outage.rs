//! The database goes away and comes back, or lets other transactions win.

use std::time::Duration;

use roster_proto::v1::{CreateTeamRequest, WatchRequest, watch_request::Start, watch_response::Message};
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tonic_types::StatusExt as _;

use crate::support::{
    Db, Outcome as _, Scene, TestServer, outcome::assert_says, proxy::Proxy, server::eventually, session::Session,
};

/// A server that reaches its PostgreSQL through a proxy.
async fn behind_a_proxy() -> (Scene, Proxy) {
    let mut s = Scene::new(Db::Postgres).await;
    let proxy = Proxy::before_postgres(Duration::ZERO).await;
    let url = proxy.through(&s.server.database.url);
    s.server.restart_with(|config| config.database.url = url.parse().unwrap()).await;
    (s, proxy)
}

fn second_team() -> CreateTeamRequest {
    CreateTeamRequest {
        name: "Second".to_owned(),
        owner_user_id: "ada".to_owned(),
        request_id: "second".to_owned(),
        ..Default::default()
    }
}

async fn health(server: &TestServer, service: &str) -> ServingStatus {
    let request = HealthCheckRequest { service: service.to_owned() };
    HealthClient::new(server.channel()).check(request).await.done().status()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_database_calls_say_so_and_with_it_they_work_again() {
    let (s, proxy) = behind_a_proxy().await;
    s.members().await;
    proxy.cut();
    let refusals = [
        s.person("ada").list(&s.team).await.refused(Code::Unavailable, "STORAGE_UNAVAILABLE"),
        s.service().teams().create_team(second_team()).await.refused(Code::Unavailable, "STORAGE_UNAVAILABLE"),
    ];
    for refusal in refusals {
        assert!(refusal.status.get_details_retry_info().unwrap().retry_delay.is_some());
    }
    eventually("not ready", async || (health(&s.server, "").await == ServingStatus::NotServing).then_some(())).await;
    assert_eq!(health(&s.server, "roster.live").await, ServingStatus::Serving, "a restart would not help");

    proxy.mend();
    let made = eventually("an answer", async || s.service().teams().create_team(second_team()).await.ok()).await;
    assert_eq!(made.into_inner(), s.service().teams().create_team(second_team()).await.done(), "made once");
    assert_eq!(s.members().await, ["ada owner", "bob admin", "carol member"]);
    eventually("ready", async || (health(&s.server, "").await == ServingStatus::Serving).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_goes_on_where_the_database_went_away() {
    let (s, proxy) = behind_a_proxy().await;
    let all = s.service().events_of("", 11).await;
    let watch = |cursor: &str| WatchRequest { start: Some(Start::Cursor(cursor.to_owned())), ..Default::default() };
    let mut stream = s.service().events().watch(watch(&all[10].position)).await.done();
    // Something new makes it look, and it finds no database.
    s.person("ada").remove(&s.team, "carol").await.done();
    let carol = loop {
        // Checkpoints come in between.
        if let Some(Message::Event(carol)) = stream.message().await.unwrap().unwrap().message {
            break carol;
        }
    };
    proxy.cut();
    let end = loop {
        if let Err(end) = stream.message().await {
            break end;
        }
    };
    assert_says(&end, Code::Unavailable, "STORAGE_UNAVAILABLE");

    proxy.mend();
    eventually("the removal", async || s.person("ada").remove(&s.team, "bob").await.ok()).await;
    let stream = eventually("the stream", async || s.service().events().watch(watch(&carol.position)).await.ok()).await;
    let Some(Message::Event(bob)) = stream.into_inner().message().await.unwrap().unwrap().message else {
        panic!("no event")
    };
    assert_eq!((carol.team_version, bob.team_version), (5, 6));
}

/// As when a failover has made a standby of the server that the address still leads to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_takes_no_writes_counts_as_away() {
    let s = Scene::new(Db::Postgres).await;
    let session = Session::open(&s.server.database.url).await;
    let name: String = session.value("SELECT current_database()::text").await;
    let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    session.run(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on; {others}")).await;
    s.service().teams().create_team(second_team()).await.refused(Code::Unavailable, "STORAGE_UNAVAILABLE");
    s.person("ada").list(&s.team).await.refused(Code::Unavailable, "STORAGE_UNAVAILABLE");
    eventually("not ready", async || (health(&s.server, "").await == ServingStatus::NotServing).then_some(())).await;
    session.run(&format!("ALTER DATABASE {name} RESET default_transaction_read_only")).await;
    // No session of that time is left in the pool.
    eventually("an answer", async || s.service().teams().create_team(second_team()).await.ok()).await;
    for _ in 0..20 {
        s.service().teams().create_team(second_team()).await.done();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_others_undo_is_run_again_five_times() {
    let s = Scene::new(Db::Postgres).await;
    let session = Session::open(&s.server.database.url).await;
    // The first transactions to change a team end as if they had met another one in a deadlock. What a sequence has
    // counted stays counted.
    let lose = "CREATE SEQUENCE tries; CREATE TABLE losses AS SELECT 5 AS most;
        CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF nextval('tries') <= (SELECT most FROM losses) THEN RAISE 'lost' USING ERRCODE = '40P01'; END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER lose BEFORE UPDATE ON teams FOR EACH ROW EXECUTE FUNCTION lose()";
    session.run(lose).await;
    s.person("ada").remove(&s.team, "carol").await.done();
    assert_eq!(s.members().await, ["ada owner", "bob admin"]);

    session.run("ALTER SEQUENCE tries RESTART; UPDATE losses SET most = 6").await;
    let refusal = s.person("ada").remove(&s.team, "bob").await.refused(Code::Aborted, "CONCURRENT_MODIFICATION");
    assert!(refusal.status.get_details_retry_info().unwrap().retry_delay.is_some());
    assert_eq!(session.value::<i64>("SELECT last_value FROM tries").await, 6);
    session.close().await;
    // Whoever comes again wins.
    s.person("ada").remove(&s.team, "bob").await.done();
    assert_eq!(s.service().events_of(&s.team, 6).await.len(), 6);
}
