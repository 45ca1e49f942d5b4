//! Where calls meet the limits of the server: time, number, size, and what it understands.

pub mod raw;

use std::{net::SocketAddr, time::Duration};

use futures::{StreamExt as _, stream::FuturesUnordered};
use roster_proto::v1::{
    self as wire, CreateUserRequest, ListEventsRequest, ListMembersRequest, RemoveMemberRequest, WatchRequest,
};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tonic_types::StatusExt as _;

use crate::{
    both,
    support::{Db, Outcome as _, Scene, TestServer, frames, server::eventually, session::Session},
    watch::large_events,
};
use raw::framed;

const LIST_MEMBERS: &str = "/roster.v1.TeamService/ListMembers";

/// Somebody who holds every team, so that no write to any of them comes to its end.
struct Held(Session);

impl Held {
    async fn by(s: &Scene) -> Self {
        let sql = Session::open(&s.server.database.url).await;
        sql.run("BEGIN; UPDATE teams SET version = version").await;
        Self(sql)
    }

    async fn let_go(self) {
        self.0.run("ROLLBACK").await;
        self.0.close().await;
    }
}

fn list(team: &str) -> Vec<u8> {
    framed(&ListMembersRequest { team_id: team.to_owned(), ..Default::default() })
}

/// A connection that has been let in: it is told the settings of the other side. `None` if it has not.
async fn let_in(address: SocketAddr) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // Whoever is not let in may notice it at once.
    let _ = stream.write_all(&[frames::PREFACE, &frames::frame(frames::SETTINGS, 0, 0, &[])].concat()).await;
    frames::try_read(&mut stream).await.is_ok().then_some(stream)
}

/// What the server says when it ends a connection that is let be.
async fn farewell(stream: TcpStream) -> Option<u32> {
    let (reader, _writer) = stream.into_split();
    frames::end(reader).await.goaway
}

/// The error code of a connection that ends in order.
const NO_ERROR: u32 = 0;

#[tokio::test]
async fn there_are_so_many_connections() {
    let few = |config: &mut roster::config::Config| config.server.max_connections = 3;
    let server = TestServer::with(Db::Sqlite, few).await;
    let mut places = Vec::new();
    for _ in 0..3 {
        places.push(let_in(server.address()).await.unwrap());
    }
    assert!(let_in(server.address()).await.is_none());
    // Whoever goes makes room.
    places.pop();
    eventually("a place", async || let_in(server.address()).await).await;
}

#[tokio::test]
async fn a_connection_without_calls_is_asked_to_go() {
    let short = |config: &mut roster::config::Config| config.server.idle_timeout = Duration::from_secs(1);
    let s = Scene::on(TestServer::with(Db::Sqlite, short).await).await;
    // A stream is a call, however quiet it is.
    let mut stream = s.service().events().watch(WatchRequest::default()).await.done();
    stream.message().await.unwrap();
    // Whoever was asked to go comes back, and notices nothing; and whoever does not listen has to go all the same.
    let idle = s.service();
    idle.list(&s.team).await.done();
    assert_eq!(farewell(let_in(s.server.address()).await.unwrap()).await, Some(NO_ERROR));
    idle.list(&s.team).await.done();
    stream.message().await.unwrap();
}

both! {
    async fn a_write_whose_caller_has_gone_takes_up_its_place(db: Db) {
        let narrow = |config: &mut roster::config::Config| config.server.max_in_flight = 1;
        let s = Scene::on(TestServer::with(db, narrow).await).await;
        let held = Held::by(&s).await;
        let gone = RemoveMemberRequest { team_id: s.team.clone(), user_id: "bob".to_owned(), ..Default::default() };
        let headers = [("grpc-timeout", "200m"), ("roster-actor", "user:ada")];
        let path = "/roster.v1.TeamService/RemoveMember";
        raw::call(s.server.address(), path, &headers, framed(&gone)).await
            .refused(Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
        let ada = s.person("ada");
        for _ in 0..8 {
            ada.list(&s.team).await.refused(Code::ResourceExhausted, "OVERLOADED");
        }
        held.let_go().await;
        eventually("its end", async || ada.list(&s.team).await.ok()).await;
        assert_eq!(s.members().await, ["ada owner", "carol member"]);
    }

    async fn writes_leave_places_for_reads(db: Db) {
        let narrow = |config: &mut roster::config::Config| config.server.max_in_flight = 4;
        let s = Scene::on(TestServer::with(db, narrow).await).await;
        let held = Held::by(&s).await;
        let ada = s.person("ada");
        // So many are in, and wait for the team: half, or as many as wait for one connection where one alone writes.
        let writes = if db == Db::Sqlite { 1 } else { 2 };
        let mut calls: FuturesUnordered<_> = (0..8).map(|_| ada.remove(&s.team, "bob")).collect();
        for _ in writes..8 {
            calls.next().await.unwrap().refused(Code::ResourceExhausted, "OVERLOADED");
        }
        for _ in 0..8 {
            ada.list(&s.team).await.done();
        }
        ada.remove(&s.team, "carol").await.refused(Code::ResourceExhausted, "OVERLOADED");
        held.let_go().await;
        while calls.next().await.is_some() {}
        assert_eq!(s.members().await, ["ada owner", "carol member"]);
    }

    async fn half_a_request_takes_up_no_place(db: Db) {
        let narrow = |config: &mut roster::config::Config| config.server.max_in_flight = 1;
        let s = Scene::on(TestServer::with(db, narrow).await).await;
        let mut slow = let_in(s.server.address()).await.unwrap();
        for stream in [1, 3, 5] {
            let head = frames::frame(frames::HEADERS, frames::END_HEADERS, stream, &frames::fields(LIST_MEMBERS));
            let body = frames::frame(frames::DATA, 0, stream, &list(&s.team)[..3]);
            slow.write_all(&[head, body].concat()).await.unwrap();
        }
        // What is sent after them is answered after they have been looked at.
        slow.write_all(&frames::frame(frames::PING, 0, 0, &[7; 8])).await.unwrap();
        frames::pong(&mut slow).await;
        for _ in 0..8 {
            s.person("ada").list(&s.team).await.done();
        }
    }

    async fn a_call_that_its_caller_gave_no_more_time_is_told_so(db: Db) {
        let s = Scene::new(db).await;
        let held = Held::by(&s).await;
        let remove = RemoveMemberRequest {
            team_id: s.team.clone(), user_id: "bob".to_owned(), ..Default::default()
        };
        let headers = [("grpc-timeout", "200m"), ("roster-actor", "user:ada")];
        let path = "/roster.v1.TeamService/RemoveMember";
        let answer = raw::call(s.server.address(), path, &headers, framed(&remove)).await;
        answer.refused(Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
        // A write that has begun goes on to its end: who asked cannot know, and asks again with the same request id.
        assert_eq!(s.members().await, ["ada owner", "bob admin", "carol member"]);
        held.let_go().await;
        let bob_is_gone = async || (s.members().await == ["ada owner", "carol member"]).then_some(());
        eventually("the removal", bob_is_gone).await;

        // No time at all is no time to begin.
        let none = [("grpc-timeout", "0n")];
        let answer = raw::call(s.server.address(), LIST_MEMBERS, &none, list(&s.team)).await;
        answer.refused(Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    }

    async fn no_call_takes_longer_than_the_server_allows(db: Db) {
        let short = |config: &mut roster::config::Config| config.server.max_deadline = Duration::from_millis(500);
        let s = Scene::on(TestServer::with(db, short).await).await;
        let held = Held::by(&s).await;
        s.person("ada").remove(&s.team, "bob").await.refused(Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
        held.let_go().await;
    }

    async fn calls_beyond_the_limit_are_refused_at_once(db: Db) {
        let narrow = |config: &mut roster::config::Config| config.server.max_in_flight = 1;
        let s = Scene::on(TestServer::with(db, narrow).await).await;
        let held = Held::by(&s).await;
        let ada = s.person("ada");
        let mut calls: FuturesUnordered<_> = (0..8).map(|_| ada.remove(&s.team, "bob")).collect();
        // One of them is in, whichever, and waits for the team; there is no place for the others.
        for _ in 0..7 {
            let refusal = calls.next().await.unwrap().refused(Code::ResourceExhausted, "OVERLOADED");
            assert!(refusal.status.get_details_retry_info().unwrap().retry_delay.is_some());
        }
        let health = HealthClient::new(s.server.channel()).check(HealthCheckRequest::default()).await.done();
        assert_eq!(health.status(), ServingStatus::Serving);
        held.let_go().await;
        calls.next().await.unwrap().ok();
        assert_eq!(s.members().await, ["ada owner", "carol member"]);
    }

    async fn a_message_may_be_of_a_certain_size(db: Db) {
        let s = Scene::new(db).await;
        let huge = CreateUserRequest { display_name: "x".repeat(2 << 20), ..Default::default() };
        let refusal = s.service().users().create_user(huge).await.refused(Code::ResourceExhausted, "MESSAGE_TOO_LARGE");
        assert_eq!(refusal.metadata["limit"], (1 << 20).to_string());

        // More events than an answer may hold; fewer of them fit.
        let service = s.service();
        large_events(&service, &s.team, 280, 32).await;
        let request = ListEventsRequest { team_id: s.team.clone(), page_size: 500, ..Default::default() };
        eventually("all events", async || {
            let few = ListEventsRequest { page_size: 200, ..request.clone() };
            let first = service.events().list_events(few.clone()).await.done();
            let next = ListEventsRequest { cursor: first.next_cursor, ..few };
            (service.events().list_events(next).await.done().events.len() == 84).then_some(())
        })
        .await;
        let refusal = service.events().list_events(request).await.refused(Code::ResourceExhausted, "MESSAGE_TOO_LARGE");
        assert_eq!(refusal.metadata["limit"], (4 << 20).to_string());
    }

    async fn what_is_no_call_is_told_why(db: Db) {
        let s = Scene::new(db).await;
        let address = s.server.address();
        for path in ["/roster.v1.TeamService/Explode", "/roster.v1.Nobody/GetTeam", "/"] {
            let answer = raw::call(address, path, &[], list(&s.team)).await;
            let refusal = answer.refused(Code::Unimplemented, "UNKNOWN_METHOD");
            assert_eq!(refusal.metadata["method"], path);
        }
        for nonsense in [vec![], vec![0, 0, 0, 0, 9, 1], vec![0, 0, 0, 0, 3, 0xff, 0xff, 0xff]] {
            raw::call(address, LIST_MEMBERS, &[], nonsense).await.refused(Code::InvalidArgument, "MESSAGE_MALFORMED");
        }
        let mut compressed = list(&s.team);
        compressed[0] = 1;
        let answer = raw::call(address, LIST_MEMBERS, &[("grpc-encoding", "gzip")], compressed).await;
        answer.refused(Code::Unimplemented, "COMPRESSION_UNSUPPORTED");
        let nobody = HealthCheckRequest { service: "nobody".to_owned() };
        HealthClient::new(s.server.channel()).check(nobody).await.refused(Code::NotFound, "UNKNOWN_NAME");
    }

    async fn every_answer_bears_the_id_of_its_call(db: Db) {
        let s = Scene::new(db).await;
        let address = s.server.address();
        for (path, code) in [(LIST_MEMBERS, Code::Ok), ("/roster.v1.TeamService/Explode", Code::Unimplemented)] {
            let answer = raw::call(address, path, &[("x-request-id", "mine-1")], list(&s.team)).await;
            assert_eq!((answer.status.code(), answer.headers["x-request-id"].to_str().unwrap()), (code, "mine-1"));
            // What cannot stand in a log is replaced, as is what is missing.
            for headers in [&[("x-request-id", "not mine")][..], &[]] {
                let answer = raw::call(address, path, headers, list(&s.team)).await;
                let id = answer.headers["x-request-id"].to_str().unwrap();
                assert_eq!(id.parse::<uuid::Uuid>().unwrap().get_version_num(), 7);
            }
        }
        // A change is recorded under the id of its call.
        s.person("ada").saying("x-request-id", "mine-2").remove(&s.team, "carol").await.done();
        assert_eq!(s.service().events_of(&s.team, 5).await[4].request_id, "mine-2");
    }

    async fn a_damaged_record_is_an_error_of_the_server(db: Db) {
        let s = Scene::new(db).await;
        let sql = Session::open(&s.server.database.url).await;
        sql.run("UPDATE memberships SET source = 'NONSENSE' WHERE user_id = 'carol'").await;
        sql.close().await;
        let caller = s.service().saying("x-request-id", "mine-3");
        let refusal = caller.list(&s.team).await.refused(Code::Internal, "INTERNAL");
        assert_eq!(refusal.metadata, [("request_id".to_owned(), "mine-3".to_owned())].into());
        let told = [refusal.status.message().as_bytes(), refusal.status.details()].concat();
        let told = String::from_utf8_lossy(&told);
        assert!(!["memberships", "source", "NONSENSE", "carol"].iter().any(|inside| told.contains(inside)), "{told}");
        // The others are not harmed by it.
        let bob = wire::GetMemberRequest { team_id: s.team.clone(), user_id: "bob".to_owned(), ..Default::default() };
        s.service().teams().get_member(bob).await.done();
    }
}
