//! gRPC-Web, as a page in a browser speaks it: over HTTP/1.1, with the status in the body.

use std::net::SocketAddr;

use prost::Message;
use roster_proto::v1 as wire;
use tonic_types::StatusExt as _;

use crate::support::{
    Db, Outcome as _, TestServer,
    envoy::Envoy,
    http::{Answered, Http},
};

const PAGE: &str = "https://app.example.com";
const CREATE: &str = "/roster.v1.UserService/CreateUser";

async fn server() -> TestServer {
    TestServer::with(Db::Sqlite, |config| {
        config.server.grpc_web.enabled = true;
        config.server.grpc_web.allowed_origins = vec![PAGE.to_owned().try_into().unwrap()];
    })
    .await
}

fn page(address: SocketAddr) -> Http {
    Http::new(address).saying("origin", PAGE).saying("content-type", "application/grpc-web+proto")
}

/// A message as a frame.
fn framed(message: &impl Message) -> Vec<u8> {
    let bytes = message.encode_to_vec();
    [&[0][..], &u32::try_from(bytes.len()).unwrap().to_be_bytes(), &bytes].concat()
}

/// The frames of a body: what the flag says of each, and what is in it.
fn frames(mut body: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let Some((head, rest)) = body.split_at_checked(5) {
        let length = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize;
        frames.push((head[0], rest[..length].to_vec()));
        body = &rest[length..];
    }
    assert!(body.is_empty());
    frames
}

/// The status in the last frame, or in the head where there is no body.
fn status(answer: &Answered, frames: &[(u8, Vec<u8>)]) -> tonic::Status {
    let mut trailers = answer.headers.clone();
    if let Some((128, text)) = frames.last() {
        for line in String::from_utf8(text.clone()).unwrap().lines() {
            let (name, value) = line.split_once(':').unwrap();
            trailers.insert(http::HeaderName::try_from(name).unwrap(), value.trim().try_into().unwrap());
        }
    }
    tonic::Status::from_header_map(&trailers).unwrap_or_else(|| panic!("no status: {answer:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_can_call() {
    let server = server().await;
    can_call(&page(server.address())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_can_call_through_the_gateway() {
    let server = server().await;
    let envoy = Envoy::before(server.address()).await;
    can_call(&page(envoy.address)).await;
    let asking = envoy.http().saying("origin", PAGE).saying("access-control-request-method", "POST");
    let asked = asking.send("OPTIONS", CREATE, "").await;
    assert_eq!(asked.headers["access-control-allow-origin"], PAGE);
}

async fn can_call(page: &Http) {
    let ada = wire::CreateUserRequest { user_id: "ada".into(), email: "ada@example.com".into(), ..Default::default() };
    let made = page.send("POST", CREATE, framed(&ada)).await;
    assert_eq!(made.status, 200);
    assert_eq!(made.headers["content-type"], "application/grpc-web+proto");
    assert_eq!(made.headers["access-control-allow-origin"], PAGE);
    let parts = frames(&made.bytes);
    assert_eq!(status(&made, &parts).code(), tonic::Code::Ok);
    let (flag, message) = &parts[0];
    assert_eq!(*flag, 0);
    assert_eq!(wire::CreateUserResponse::decode(message.as_slice()).unwrap().user.unwrap().id, "ada");

    // A refusal has all its details where a page may read them.
    let refused = page.send("POST", CREATE, framed(&ada)).await;
    let told = status(&refused, &frames(&refused.bytes));
    assert_eq!(told.code(), tonic::Code::AlreadyExists);
    assert_eq!(told.get_details_error_info().unwrap().reason, "USER_ID_TAKEN");
    let exposed = refused.headers["access-control-expose-headers"].to_str().unwrap();
    for name in ["grpc-status", "grpc-message", "grpc-status-details-bin"] {
        assert!(exposed.contains(name), "{exposed}");
    }

    // What is no message is told as over gRPC.
    let broken = page.send("POST", CREATE, [0, 0, 0, 0, 9, 1]).await;
    assert_eq!(status(&broken, &frames(&broken.bytes)).get_details_error_info().unwrap().reason, "MESSAGE_MALFORMED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_comes_as_it_happens() {
    let server = server().await;
    let request = framed(&wire::WatchRequest::default());
    let mut watch = page(server.address()).open("POST", "/roster.v1.EventService/Watch", request).await;
    assert_eq!(watch.response.status(), 200);
    let first = watch.next_bytes().await.unwrap();
    let (_, message) = &frames(&first)[0];
    let message = wire::WatchResponse::decode(message.as_slice()).unwrap().message.unwrap();
    assert!(matches!(message, wire::watch_response::Message::Checkpoint(_)), "{message:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_pages_of_allowed_origins_can_call() {
    let server = server().await;
    let ask = async |origin: &str| {
        let asking = Http::new(server.address())
            .saying("origin", origin)
            .saying("access-control-request-method", "POST")
            .saying("access-control-request-headers", "content-type,x-grpc-web,roster-actor");
        asking.send("OPTIONS", CREATE, "").await.headers
    };
    let allowed = ask(PAGE).await;
    assert_eq!(allowed["access-control-allow-origin"], PAGE);
    assert!(allowed["access-control-allow-headers"].to_str().unwrap().contains("roster-actor"));
    assert!(!ask("https://evil.example.com").await.contains_key("access-control-allow-origin"));

    // Also when no browser asks first, as under a name that was made to lead here.
    let request = framed(&wire::CreateUserRequest { email: "eve@example.com".into(), ..Default::default() });
    let evil = Http::new(server.address())
        .saying("origin", "https://evil.example.com")
        .saying("content-type", "application/grpc-web+proto");
    assert_eq!(evil.send("POST", CREATE, request).await.status, 403);
    // Nor is there anything but gRPC-Web over HTTP/1.1.
    assert_eq!(Http::new(server.address()).get("/").await.status, 415);
    // Callers that are no browsers go on as they were.
    let email = wire::get_user_request::Key::Email("eve@example.com".into());
    let asked = wire::GetUserRequest { key: Some(email), consistency: None };
    server.service().users().get_user(asked).await.refused(tonic::Code::NotFound, "USER_NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unless_it_is_on_there_is_no_http_1() {
    let server = TestServer::start(Db::Sqlite).await;
    assert!(
        page(server.address()).try_open("POST", CREATE, framed(&wire::CreateUserRequest::default())).await.is_err()
    );
    let asked = wire::ListPermissionsRequest::default();
    server.service().roles().list_permissions(asked).await.done();
}
