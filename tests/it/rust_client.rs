//! The Rust client against a real server, over a way that loses answers.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use opentelemetry::trace::{SpanKind, Status, TraceContextExt as _, TracerProvider as _};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{SdkTracerProvider, SpanData, SpanExporter},
};
use roster::{
    config::{AuthMode, ServiceToken, TokenDigest},
    domain::PermissionPattern,
};
use roster_client::{Details as _, Roster};
use roster_proto::v1::{
    AddMemberRequest, CreateTeamRequest, CreateUserRequest, ErrorReason, GetTeamRequest, WatchRequest,
    get_team_request::Key,
};
use tonic::Code;
use tracing::{Instrument as _, instrument::WithSubscriber as _};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::{
    both,
    support::{Db, Scene, TestServer, pki::Authority, proxy::Proxy, scene::create_user, server::eventually},
};

fn client(server: &TestServer) -> Roster {
    Roster::at(format!("http://{}", server.address())).connect_lazy().unwrap()
}

fn team(name: &str) -> CreateTeamRequest {
    CreateTeamRequest { name: name.to_owned(), owner_user_id: "ada".to_owned(), ..Default::default() }
}

/// The spans of a client, when they are over.
#[derive(Debug, Clone, Default)]
struct Spans(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Spans {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().append(&mut batch);
        Ok(())
    }
}

impl Spans {
    /// What each says of its call, in the order in which they ended.
    fn told(&self) -> Vec<String> {
        let told = |span: &SpanData| {
            assert_eq!(span.span_kind, SpanKind::Client);
            let named = |key: &str| span.attributes.iter().find(|attribute| attribute.key.as_str() == key);
            let text = |key| named(key).map_or_else(String::new, |attribute| attribute.value.to_string());
            assert_eq!((text("rpc.system.name"), text("rpc.method")), ("grpc".to_owned(), span.name.to_string()));
            let code = text("rpc.response.status_code");
            let failed = code != "OK";
            assert_eq!(text("error.type"), if failed { code.clone() } else { String::new() }, "{span:#?}");
            assert_eq!(matches!(span.status, Status::Error { .. }), failed, "{span:#?}");
            let (_, method) = span.name.split_once('/').unwrap();
            format!("{method} {code} {}", text("roster.client.attempts"))
        };
        self.0.lock().unwrap().iter().map(told).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_calls_over_tls_whom_it_trusts() {
    let [ours, theirs] = [Authority::new(), Authority::new()];
    let server =
        TestServer::with(Db::Sqlite, |config| config.server.tls = ours.server().served_from(&config.data_dir)).await;
    let address = || Roster::at(format!("https://{}", server.address())).deadline(Some(Duration::from_secs(2)));
    let new = || CreateUserRequest { email: "ada@example.com".to_owned(), ..Default::default() };
    // The system's authorities do not know it, nor do others.
    for stranger in [address(), address().tls(theirs.trusting())] {
        let refused = stranger.connect_lazy().unwrap().users().create_user(new()).await.unwrap_err();
        assert!([Code::Unavailable, Code::DeadlineExceeded].contains(&refused.code()), "{refused:?}");
    }
    let roster = address().tls(ours.trusting()).connect_lazy().unwrap();
    assert_eq!(roster.users().create_user(new()).await.unwrap().into_inner().user.unwrap().email, "ada@example.com");
}

both! {
    async fn a_write_whose_answer_is_lost_is_done_once(db: Db) {
        let server = TestServer::start(db).await;
        create_user(&server.service(), "ada").await;
        let proxy = Proxy::before(server.address(), Duration::ZERO).await;
        let roster = Roster::at(proxy.endpoint()).connect_lazy().unwrap();
        // The connection is there; from now on nothing comes back.
        roster.teams().create_team(team("First")).await.unwrap();
        proxy.swallow_answers();
        let create = async { roster.teams().create_team(team("Second")).await };
        let lose = async {
            let events = server.service();
            eventually("the team is made", async || {
                let events = events.events_of("", 1).await;
                (events.iter().filter(|event| event.team_version == 1).count() == 2).then_some(())
            })
            .await;
            proxy.cut();
            proxy.mend();
        };
        let (created, ()) = tokio::join!(create, lose);
        let created = created.unwrap().into_inner().team.unwrap();
        let events = server.service().events_of("", 1).await;
        let made: Vec<_> = events.iter().filter(|event| event.team_version == 1).collect();
        assert_eq!(made.len(), 2, "not a third one: {made:?}");
        assert_eq!(made[1].team_id, created.id);
    }

    async fn failures_say_what_they_are(db: Db) {
        let s = Scene::new(db).await;
        let roster = client(&s.server);
        let add = |user: &str| AddMemberRequest {
            team_id: s.team.clone(),
            user_id: user.to_owned(),
            role_ids: vec!["member".to_owned()],
            ..Default::default()
        };
        let failure = roster.teams().add_member(add("bob")).await.unwrap_err();
        assert_eq!((failure.code(), failure.reason()), (Code::AlreadyExists, Some(ErrorReason::AlreadyMember)));
        let failure = roster.acting_for("carol").teams().add_member(add("eve")).await.unwrap_err();
        assert_eq!(failure.reason(), Some(ErrorReason::PermissionDenied));
        assert_eq!(failure.facts()["team"], s.team);
        let failure = roster.users().create_user(CreateUserRequest::default()).await.unwrap_err();
        assert_eq!(failure.reason(), Some(ErrorReason::InvalidField));
        assert!(failure.field_violations().iter().any(|violation| violation.field == "email"), "{failure:?}");
    }

    async fn a_call_shows_its_token_and_its_trace(db: Db) {
        let server = TestServer::with(db, |config| {
            config.auth.mode = AuthMode::Credentials;
            config.auth.tokens = vec![ServiceToken {
                name: "web".to_owned(),
                sha256: TokenDigest::of("rst_web"),
                scopes: vec![PermissionPattern::parse("*").unwrap()],
                act_for_users: true,
            }];
        })
        .await;
        let address = format!("http://{}", server.address());
        let nobody = Roster::at(&address).connect_lazy().unwrap();
        let refused = nobody.teams().create_team(team("Acme")).await.unwrap_err();
        assert_eq!(refused.reason(), Some(ErrorReason::CredentialsMissing));

        let provider = SdkTracerProvider::builder().build();
        let traces = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let subscriber = tracing_subscriber::registry().with(traces);
        let roster = Roster::at(&address).token_from(|| async { Ok("rst_web".to_owned()) }).connect_lazy().unwrap();
        let trace = async {
            let ada = CreateUserRequest { user_id: "ada".into(), email: "ada@example.com".into(), ..Default::default() };
            roster.users().create_user(ada).await.unwrap();
            roster.acting_for("ada").teams().create_team(team("Acme")).await.unwrap();
            tracing::Span::current().context().span().span_context().trace_id().to_string()
        };
        let trace = async { trace.instrument(tracing::info_span!("test")).await }.with_subscriber(subscriber).await;
        let web = server.service().with_token("rst_web");
        let made = web.events_of("", 3).await.into_iter().find(|event| event.team_version == 1).unwrap();
        assert!(made.traceparent.contains(&trace), "{} in {}", trace, made.traceparent);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_span_says_how_its_call_ended_and_after_how_many_attempts() {
    let mut server = TestServer::start(Db::Sqlite).await;
    create_user(&server.service(), "ada").await;
    let (spans, roster) = (Spans::default(), client(&server));
    let provider = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
    let traces = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let only_ours = tracing_subscriber::EnvFilter::new("off,roster_client=info");
    let subscriber = tracing_subscriber::registry().with(only_ours).with(traces);
    // While there is only one subscriber, `tracing` takes what another thread, which has none, is not interested in for what
    // nobody is interested in.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let calls = async {
        roster.teams().create_team(team("Acme")).await.unwrap();
        roster.users().create_user(CreateUserRequest::default()).await.unwrap_err();
        let nobody = Roster::at("http://127.0.0.1:1").connect_lazy().unwrap();
        nobody.teams().create_team(team("Acme")).await.unwrap_err();
        // Somebody who has heard enough, and somebody who listens to the end.
        for until_the_end in [false, true] {
            let mut stream = roster.events().watch(WatchRequest::default()).await.unwrap().into_inner();
            stream.message().await.unwrap();
            if until_the_end {
                server.stop().await;
                while stream.message().await.is_ok() {}
            }
        }
    };
    calls.with_subscriber(subscriber).await;
    let told = [
        "CreateTeam OK 1",
        "CreateUser INVALID_ARGUMENT 1",
        "CreateTeam UNAVAILABLE 5",
        "Watch CANCELLED 1",
        "Watch UNAVAILABLE 1",
    ];
    assert_eq!(spans.told(), told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_there_is_told_before_the_deadline() {
    let roster = Roster::at("http://127.0.0.1:1").deadline(Some(Duration::from_secs(20))).connect_lazy().unwrap();
    let request = GetTeamRequest { key: Some(Key::TeamId("x".to_owned())), ..Default::default() };
    let failure = roster.teams().get_team(request).await.unwrap_err();
    assert_eq!((failure.code(), failure.reason()), (Code::Unavailable, None), "{failure:?}");
}
