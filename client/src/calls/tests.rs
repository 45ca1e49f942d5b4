//! Calls against a scripted server, in a time that passes only where something waits.

use std::collections::VecDeque;
use std::sync::Mutex;

use prost::Message as _;
use roster_proto::v1::{CreateTeamRequest, CreateTeamResponse, GetTeamRequest, team_service_client::TeamServiceClient};
use tokio::time::Instant;
use tonic_types::{ErrorDetails, StatusExt as _};

use super::*;

/// What the server does with one attempt.
type Answer = Box<dyn FnOnce() -> Result<Response<Body>, Failure> + Send>;

/// What the server saw of one attempt.
#[derive(Clone)]
struct Seen {
    headers: http::HeaderMap,
    body: Bytes,
}

#[derive(Default)]
struct Server {
    answers: Mutex<VecDeque<Answer>>,
    seen: Mutex<Vec<Seen>>,
}

impl Server {
    fn that(answers: impl IntoIterator<Item = Answer>) -> Arc<Self> {
        Arc::new(Self { answers: Mutex::new(answers.into_iter().collect()), seen: Mutex::default() })
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    fn request_ids(&self) -> Vec<String> {
        let id = |seen: Seen| CreateTeamRequest::decode(&seen.body[5..]).unwrap().request_id;
        self.seen().into_iter().map(id).collect()
    }
}

fn client(
    server: &Arc<Server>,
    settings: Settings,
) -> TeamServiceClient<
    Calls<
        impl Service<Request<Body>, Response = Response<Body>, Error = Failure, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
    >,
> {
    let server = server.clone();
    let channel = tower::service_fn(move |request: Request<Body>| {
        let server = server.clone();
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            server.seen.lock().unwrap().push(Seen { headers: head.headers, body });
            tokio::time::sleep(Duration::from_secs(1)).await;
            let answer = server.answers.lock().unwrap().pop_front();
            answer.expect("one attempt too many")()
        }
    });
    TeamServiceClient::new(Calls { channel, identity: Identity::default(), settings: Arc::new(settings) })
}

fn patient() -> Settings {
    Settings { deadline: Some(Duration::from_mins(1)), ..Settings::default() }
}

fn done() -> Answer {
    Box::new(|| {
        let message = CreateTeamResponse::default().encode_to_vec();
        let frame = [&[0][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), &message].concat();
        let mut trailers = http::HeaderMap::new();
        trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
        let body = Full::new(Bytes::from(frame)).with_trailers(async { Some(Ok(trailers)) });
        Ok(Response::builder().header("content-type", "application/grpc").body(Body::new(body)).unwrap())
    })
}

fn fails(code: Code, reason: &'static str, delay: Option<u64>) -> Answer {
    Box::new(move || {
        let mut details = ErrorDetails::with_error_info(reason, "roster", []);
        if let Some(seconds) = delay {
            details.set_retry_info(Some(Duration::from_secs(seconds)));
        }
        Ok(Status::with_error_details(code, "", details).into_http())
    })
}

fn breaks() -> Answer {
    Box::new(|| Err("connection reset".into()))
}

/// The answer ends before it says whether the call succeeded.
fn stops_short() -> Answer {
    Box::new(|| Ok(Response::new(Body::empty())))
}

fn create() -> CreateTeamRequest {
    CreateTeamRequest { name: "Acme".to_owned(), ..Default::default() }
}

#[tokio::test(start_paused = true)]
async fn a_write_keeps_its_id_over_all_attempts() {
    let server = Server::that([breaks(), stops_short(), fails(Code::Unavailable, "STORAGE_UNAVAILABLE", None), done()]);
    client(&server, patient()).create_team(create()).await.unwrap();
    let ids = server.request_ids();
    assert_eq!(ids.len(), 4);
    assert!(ids[0].len() == 32 && ids.iter().all(|id| *id == ids[0]), "{ids:?}");

    let server = Server::that([breaks(), done(), done()]);
    let mut client = client(&server, patient());
    client.create_team(CreateTeamRequest { request_id: "mine".to_owned(), ..create() }).await.unwrap();
    client.create_team(create()).await.unwrap();
    assert_eq!(server.request_ids()[..2], ["mine", "mine"]);
    assert!(!ids.contains(&server.request_ids()[2]), "another call is another write");
}

#[tokio::test(start_paused = true)]
async fn the_deadline_holds_for_all_attempts_and_shrinks_with_each() {
    let server = Server::that((0..5).map(|_| breaks()));
    let mut request = tonic::Request::new(create());
    request.set_timeout(Duration::from_millis(2500));
    let began = Instant::now();
    let failure = client(&server, patient()).create_team(request).await.unwrap_err();
    assert_eq!(failure.code(), Code::DeadlineExceeded);
    assert_eq!(began.elapsed().as_millis() / 10, 250);
    let told = |seen: Seen| -> u32 {
        seen.headers["grpc-timeout"].to_str().unwrap().strip_suffix('m').unwrap().parse().unwrap()
    };
    let told: Vec<u32> = server.seen().into_iter().map(told).collect();
    assert!(told[0] == 2500 && told[1] <= 1500 && told[2] <= 500, "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_for_patience_gets_it() {
    let server = Server::that([fails(Code::ResourceExhausted, "OVERLOADED", Some(7)), done()]);
    let began = Instant::now();
    client(&server, patient()).create_team(create()).await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(9), "{:?}", began.elapsed());

    // An hour is more than there is: the caller learns it at once.
    let server = Server::that([fails(Code::ResourceExhausted, "INVITATION_RATE_LIMITED", Some(3600))]);
    let began = Instant::now();
    let failure = client(&server, patient()).create_team(create()).await.unwrap_err();
    assert_eq!(crate::Details::retry_delay(&failure), Some(Duration::from_hours(1)));
    assert_eq!(began.elapsed().as_secs(), 1);
}

#[tokio::test(start_paused = true)]
async fn reads_are_repeated_and_refusals_are_not() {
    let server = Server::that([breaks(), done()]);
    client(&server, patient()).get_team(GetTeamRequest::default()).await.unwrap();
    let server = Server::that([fails(Code::AlreadyExists, "SLUG_TAKEN", None)]);
    let failure = client(&server, patient()).create_team(create()).await.unwrap_err();
    assert_eq!(crate::Details::reason(&failure), Some(roster_proto::v1::ErrorReason::SlugTaken));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_knows_is_never_repeated() {
    let server = Server::that([breaks()]);
    let calls = client(&server, patient());
    // A method that takes no request id, and of which nobody says that it is idempotent.
    assert_eq!(named(Bytes::from_static(b"\0\0\0\0\0"), Method::default()), (Bytes::from_static(b"\0\0\0\0\0"), false));
    drop(calls);
    let server = server.clone();
    let channel = tower::service_fn(move |_: Request<Body>| {
        let answer = server.answers.lock().unwrap().pop_front();
        async move { answer.expect("one attempt too many")() }
    });
    let calls = Calls { channel, identity: Identity::default(), settings: Arc::new(patient()) };
    let request = Request::builder().uri("http://h/elsewhere.Service/Write").body(Body::empty()).unwrap();
    let failure = calls.oneshot(request).await.unwrap_err();
    assert!(failure.to_string().contains("connection reset"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_not_made_worse() {
    let server = Server::that((0..1000).map(|_| breaks()));
    let mut client = client(&server, patient());
    for _ in 0..100 {
        client.create_team(create()).await.unwrap_err();
    }
    let attempts = server.seen().len();
    assert!((101..=115).contains(&attempts), "{attempts} attempts for 100 calls");
}
