//! The server end to end, around services that do what a test asks for.

mod fixtures;
mod traces;

use std::time::{Duration, Instant};

use http::HeaderValue;
use roster_proto::v1::{GetRoleRequest, WatchRequest};
use tokio::net::TcpStream;
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_types::StatusExt as _;

use self::fixtures::{Fixture, raw};
use crate::config::{AuthMode, ServiceToken, TokenDigest};

/// Long enough for anything that should happen soon.
const SOON: Duration = Duration::from_secs(5);

fn role(role_id: &str) -> Request<GetRoleRequest> {
    Request::new(GetRoleRequest { role_id: role_id.to_owned(), ..Default::default() })
}

/// The code and the reason of a refusal.
fn reason(status: &Status) -> (Code, String) {
    (status.code(), status.get_details_error_info().map(|info| info.reason).unwrap_or_default())
}

fn is(code: Code, reason: &str) -> (Code, String) {
    (code, reason.to_owned())
}

/// The series of calls that ended so.
fn failures(method: &str, code: &str, reason: &str) -> String {
    format!(
        r#"roster_rpc_failures_total{{roster_error_reason="{reason}",rpc_method="{method}",rpc_response_status_code="{code}"}}"#
    )
}

#[tokio::test]
async fn a_call_bears_its_id_and_its_caller() {
    let fixture = Fixture::start().await;
    let mut request = role("who");
    request.metadata_mut().insert("x-request-id", "call-7".parse().unwrap());
    request.metadata_mut().insert("roster-actor", "user:ada".parse().unwrap());
    let answer = fixture.roles().get_role(request).await.unwrap();
    assert_eq!(answer.metadata().get("x-request-id").unwrap(), "call-7");
    assert_eq!(answer.into_inner().role.unwrap().description, "dev for ada in call-7");

    let made_up = fixture.roles().get_role(role("who")).await.unwrap();
    assert_eq!(made_up.metadata().get("x-request-id").unwrap().len(), 36);
}

#[tokio::test]
async fn a_panic_costs_one_call() {
    let fixture = Fixture::start().await;
    let mut roles = fixture.roles();
    let failed = roles.get_role(role("panic")).await.unwrap_err();
    assert_eq!(reason(&failed), is(Code::Internal, "INTERNAL"));
    let id = failed.metadata().get("x-request-id").unwrap().to_str().unwrap();
    assert_eq!(failed.get_details_error_info().unwrap().metadata["request_id"], id);
    assert!(!format!("{failed:?}").contains("hunter2"));
    assert_eq!(fixture.number("roster_panics_total"), 1);
    roles.get_role(role("who")).await.unwrap();
    assert_eq!(fixture.number("roster_panics_total"), 1);
}

#[tokio::test]
async fn a_panic_costs_one_stream() {
    let fixture = Fixture::start().await;
    let request = WatchRequest { team_id: "panic".to_owned(), ..Default::default() };
    let mut stream = fixture.events().watch(request).await.unwrap().into_inner();
    stream.message().await.unwrap().unwrap();
    assert_eq!(reason(&stream.message().await.unwrap_err()), is(Code::Internal, "INTERNAL"));
    assert_eq!(fixture.number("roster_panics_total"), 1);
}

#[tokio::test]
async fn a_call_ends_at_the_servers_deadline() {
    let fixture = Fixture::with(|config, _| config.max_deadline = Duration::from_millis(50)).await;
    let late = fixture.roles().get_role(role("slow")).await.unwrap_err();
    assert_eq!(reason(&late), is(Code::DeadlineExceeded, "DEADLINE_EXCEEDED"));
    let request = WatchRequest::default();
    let mut stream = fixture.events().watch(request).await.unwrap().into_inner();
    let more = tokio::time::timeout(Duration::from_millis(200), stream.message()).await;
    assert!(more.is_err(), "a stream has no deadline: {more:?}");
}

#[tokio::test]
async fn what_is_too_much_is_refused_at_once() {
    let fixture = Fixture::with(|config, _| config.max_in_flight = 1).await;
    let (mut roles, mut slow) = (fixture.roles(), fixture.roles());
    // Its slot is free again once it is open.
    let _stream = fixture.events().watch(WatchRequest::default()).await.unwrap();
    let first = async { slow.get_role(role("wait")).await };
    let others = async {
        fixture.waiting.notified().await;
        let begun = Instant::now();
        let refused = roles.get_role(role("who")).await.unwrap_err();
        assert_eq!(reason(&refused), is(Code::ResourceExhausted, "OVERLOADED"));
        assert!(refused.get_details_retry_info().unwrap().retry_delay.is_some());
        assert!(begun.elapsed() < Duration::from_millis(500));
        assert_eq!(fixture.number(&failures("roster.v1.RoleService/GetRole", "RESOURCE_EXHAUSTED", "OVERLOADED")), 1);
        // The call that waits, and the stream.
        assert_eq!(fixture.number("roster_rpc_in_flight"), 2);
        assert_eq!(fixture.number("roster_rpc_max_in_flight"), 1);
        fixture.health().check(HealthCheckRequest::default()).await.unwrap();
        fixture.go_on.notify_one();
    };
    let (first, ()) = tokio::join!(first, others);
    first.unwrap();
    roles.get_role(role("who")).await.unwrap();
}

#[tokio::test]
async fn what_nobody_serves_is_unimplemented() {
    let fixture = Fixture::start().await;
    for path in ["/roster.v1.RoleService/GetRoll", "/roster.v1.RollService/GetRole", "/", "/a/b/c"] {
        let refused = raw::call(&fixture, raw::request(path, raw::frame(&()))).await;
        assert_eq!(reason(&refused), is(Code::Unimplemented, "UNKNOWN_METHOD"), "{path}");
        assert_eq!(refused.get_details_error_info().unwrap().metadata["method"], path);
    }
    // Whatever a caller makes up, it is counted under one name.
    assert_eq!(fixture.number(&failures("_OTHER", "UNIMPLEMENTED", "UNKNOWN_METHOD")), 4);
}

#[tokio::test]
async fn what_is_no_message_says_so() {
    let fixture = Fixture::start().await;
    let too_large = [&[0, 0, 0x20, 0, 0][..], &[0; 64]].concat();
    for (body, expected) in [
        (vec![0, 0, 0, 0, 2, 0xff, 0xff], is(Code::InvalidArgument, "MESSAGE_MALFORMED")),
        (vec![0, 0, 0, 0, 9, 1], is(Code::InvalidArgument, "MESSAGE_MALFORMED")),
        (vec![], is(Code::InvalidArgument, "MESSAGE_MALFORMED")),
        (vec![7, 0, 0, 0, 0], is(Code::InvalidArgument, "MESSAGE_MALFORMED")),
        (vec![1, 0, 0, 0, 0], is(Code::InvalidArgument, "MESSAGE_MALFORMED")),
        (too_large, is(Code::ResourceExhausted, "MESSAGE_TOO_LARGE")),
    ] {
        let shown = format!("{:?}", &body[..body.len().min(8)]);
        let refused = raw::call(&fixture, raw::request("/roster.v1.RoleService/GetRole", body)).await;
        assert_eq!(reason(&refused), expected, "{shown}");
    }
    let mut compressed = raw::request("/roster.v1.RoleService/GetRole", raw::frame(&()));
    compressed.headers_mut().insert("grpc-encoding", HeaderValue::from_static("gzip"));
    let refused = raw::call(&fixture, compressed).await;
    assert_eq!(reason(&refused), is(Code::Unimplemented, "COMPRESSION_UNSUPPORTED"));
}

#[tokio::test]
async fn an_answer_that_is_too_large_says_so() {
    let fixture = Fixture::start().await;
    let refused = fixture.roles().get_role(role("large")).await.unwrap_err();
    assert_eq!(reason(&refused), is(Code::ResourceExhausted, "MESSAGE_TOO_LARGE"));
    assert_eq!(refused.get_details_error_info().unwrap().metadata["limit"], "4194304");
}

#[tokio::test]
async fn health_of_what_is_not_there_has_a_reason() {
    let fixture = Fixture::start().await;
    let refused = fixture.health().check(HealthCheckRequest { service: "nobody".to_owned() }).await.unwrap_err();
    assert_eq!(reason(&refused), is(Code::NotFound, "UNKNOWN_NAME"));
}

#[tokio::test]
async fn services_come_in_with_their_tokens_only() {
    let token = ServiceToken {
        name: "shop".to_owned(),
        sha256: TokenDigest::of("rst_shop"),
        scopes: vec![crate::domain::PermissionPattern::parse("roster.roles.*").unwrap()],
        act_for_users: false,
    };
    let fixture = Fixture::with(|_, auth| {
        auth.mode = AuthMode::Credentials;
        auth.tokens = vec![token];
    })
    .await;
    let with = |value: &str| {
        let mut request = role("who");
        request.metadata_mut().insert("authorization", value.parse().unwrap());
        request
    };
    let mut roles = fixture.roles();
    let refused = roles.get_role(role("who")).await.unwrap_err();
    assert_eq!(reason(&refused), is(Code::Unauthenticated, "CREDENTIALS_MISSING"));
    let refused = roles.get_role(with("Bearer rst_other")).await.unwrap_err();
    assert_eq!(reason(&refused), is(Code::Unauthenticated, "CREDENTIALS_INVALID"));
    let answer = roles.get_role(with("Bearer rst_shop")).await.unwrap().into_inner().role.unwrap();
    assert!(answer.description.starts_with("shop in "), "{}", answer.description);
    assert!(!answer.name.contains("authorization"), "the secret goes no further: {}", answer.name);

    let mut request = Request::new(WatchRequest::default());
    request.metadata_mut().insert("authorization", "Bearer rst_shop".parse().unwrap());
    let refused = fixture.events().watch(request).await.unwrap_err();
    assert_eq!(reason(&refused), is(Code::PermissionDenied, "PERMISSION_DENIED"));
    assert_eq!(refused.get_details_error_info().unwrap().metadata["permission"], "roster.events.read");
    fixture.health().check(HealthCheckRequest::default()).await.unwrap();
}

#[tokio::test]
async fn reflection_speaks_both_versions_if_it_is_offered() {
    let fixture = Fixture::start().await;
    for services in [raw::reflect_v1(&fixture).await.unwrap(), raw::reflect_v1alpha(&fixture).await.unwrap()] {
        assert!(services.contains(&"roster.v1.TeamService".to_owned()), "{services:?}");
        assert!(services.contains(&"grpc.health.v1.Health".to_owned()), "{services:?}");
    }
    let silent = Fixture::with(|config, _| config.reflection = false).await;
    let refused = raw::reflect_v1(&silent).await.unwrap_err();
    assert_eq!(reason(&refused), is(Code::Unimplemented, "UNKNOWN_METHOD"));
}

#[tokio::test]
async fn the_end_waits_for_calls_but_not_for_streams_and_the_silent() {
    let fixture = Fixture::start().await;
    let _silent = TcpStream::connect(fixture.address).await.unwrap();
    let mut health = fixture.health().watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    health.message().await.unwrap().unwrap();
    let mut events = fixture.events().watch(WatchRequest::default()).await.unwrap().into_inner();
    let mut roles = fixture.roles();
    let in_flight = async { roles.get_role(role("wait")).await };
    let ending = async {
        fixture.waiting.notified().await;
        fixture.draining.cancel();
        for end in [health.message().await.unwrap_err(), events.message().await.unwrap_err()] {
            assert_eq!(reason(&end), is(Code::Unavailable, "SHUTTING_DOWN"));
        }
        fixture.go_on.notify_one();
    };
    let (answer, ()) = tokio::join!(in_flight, ending);
    answer.unwrap();
    let begun = Instant::now();
    fixture.ended().await.unwrap();
    assert!(begun.elapsed() < SOON, "well before the drain timeout");
}

#[tokio::test]
async fn what_does_not_end_is_cut_off() {
    let fixture = Fixture::with(|config, _| config.drain_timeout = Duration::from_millis(100)).await;
    let mut roles = fixture.roles();
    let in_flight = async { roles.get_role(role("wait")).await };
    let ending = async {
        fixture.waiting.notified().await;
        fixture.draining.cancel();
    };
    let (cut, ()) = tokio::join!(in_flight, ending);
    assert!(cut.is_err());
    tokio::time::timeout(SOON, fixture.ended()).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_that_is_dropped_lets_go_of_its_connections() {
    let fixture = Fixture::start().await;
    let mut events = fixture.events().watch(WatchRequest::default()).await.unwrap().into_inner();
    fixture.abandon();
    let cut = tokio::time::timeout(SOON, events.message()).await.unwrap();
    assert!(cut.is_err(), "{cut:?}");
}
