//! What goes wrong: whatever it is, and wherever, the answer has a body, and the body is a `google.rpc.Status`.

use serde_json::json;
use tokio::net::TcpListener;

use super::{Site, text};
use crate::support::{
    Db, TestServer,
    envoy::{Envoy, replaced},
    server::eventually,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_roster_refuses_is_told_in_full() {
    let site = Site::new(Db::Sqlite).await;
    let http = site.http();

    let refused = http.post("/v1/users", json!({"email": "x y"})).await.refused(400, "roster", "INVALID_FIELD");
    assert_eq!(refused["code"], 3);
    assert_eq!(refused["details"][1]["fieldViolations"][0]["field"], "email");
    http.post("/v1/users", json!({"email": "ada@example.com"})).await.refused(409, "roster", "EMAIL_TAKEN");
    http.get("/v1/users/nobody").await.refused(404, "roster", "USER_NOT_FOUND");
    http.clone().acting_for("ada").post(&site.at(":leave"), json!({})).await.refused(400, "roster", "LAST_OWNER");
    http.clone().acting_for("bob").get(&site.at("")).await.refused(403, "roster", "PERMISSION_DENIED");
    http.patch(&site.at("?etag=v99"), json!({"name": "x"})).await.refused(409, "roster", "ETAG_MISMATCH");
    http.get("/v1/events:watch?cursor=x").await.refused(400, "roster", "CURSOR_INVALID");
    let large = json!({"email": "a".repeat(1 << 20)});
    http.post("/v1/users", large).await.refused(429, "roster", "MESSAGE_TOO_LARGE");

    // The id by which the logs know a call: the caller's own, or one made here.
    let named = http.clone().saying("x-request-id", "call-1").get("/v1/users/nobody").await;
    assert_eq!(named.headers["x-request-id"], "call-1");
    assert!(http.get("/v1/users/ada").await.headers.contains_key("x-request-id"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_gateway_refuses_has_the_same_form() {
    let site = Site::new(Db::Sqlite).await;
    let http = site.http();

    for path in ["/", "/v1/nothing", "/roster.v1.TeamService/GetTeam"] {
        let refused = http.get(path).await.refused(404, "gateway", "UNKNOWN_METHOD");
        assert_eq!(refused["code"], 5);
    }
    http.send("PUT", "/v1/users", "{}").await.refused(404, "gateway", "UNKNOWN_METHOD");
    for body in ["{", "[]", r#""x""#, r#"{"email": 5}"#, r#"{"emailVerified": "maybe"}"#, "\u{0}"] {
        http.send("POST", "/v1/users", body).await.refused(400, "gateway", "MESSAGE_MALFORMED");
    }
    for path in ["/v1/users/ada?bogus=1", "/v1/users/ada?consistency.fullyConsistent=maybe", "/v1/users/a%2Fb"] {
        http.get(path).await.refused(400, "gateway", "MESSAGE_MALFORMED");
    }
    // The path says which person is meant, and the body cannot say another.
    let other = json!({"id": "bob", "displayName": "x"});
    http.patch("/v1/users/ada", other).await.refused(400, "gateway", "MESSAGE_MALFORMED");
    assert_eq!(http.get("/v1/users/bob").await.done()["user"]["displayName"], "");
    http.patch("/v1/users/ada", json!({"id": "ada", "displayName": "x"})).await.done();
    let disguised = http.clone().saying("roster_actor", "user:ada").get("/v1/users/ada").await;
    disguised.refused(400, "gateway", "MESSAGE_MALFORMED");
    let long = http.clone().saying("x", &"x".repeat(30_000)).get("/v1/users/ada").await;
    long.refused(431, "gateway", "MESSAGE_TOO_LARGE");
    // Who is outside cannot shorten the gateway's patience.
    http.clone().saying("x-envoy-upstream-rq-timeout-ms", "1").get(&site.at("/roster")).await.done();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_credentials_is_told_so() {
    let token = roster::config::new_service_token().unwrap();
    let secret = secrecy::ExposeSecret::expose_secret(&token).to_owned();
    let server = TestServer::with(Db::Sqlite, |config| {
        config.auth.mode = roster::config::AuthMode::Credentials;
        config.auth.tokens = vec![roster::config::ServiceToken {
            name: "web".to_owned(),
            sha256: roster::config::TokenDigest::of(&secret),
            scopes: vec![roster::domain::PermissionPattern::parse("roster.users.*").unwrap()],
            act_for_users: true,
        }];
    })
    .await;
    let envoy = Envoy::before(server.address()).await;
    let http = envoy.http();
    http.get("/v1/users/ada").await.refused(401, "roster", "CREDENTIALS_MISSING");
    let known = http.saying("authorization", &format!("Bearer {secret}"));
    known.get("/v1/users/ada").await.refused(404, "roster", "USER_NOT_FOUND");
    known.get("/v1/permissions").await.refused(403, "roster", "PERMISSION_DENIED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_takes_too_long_is_told_so() {
    let site = Site::new(Db::Sqlite).await;
    // Callers may say how long they wait.
    let hurried = site.http().saying("grpc-timeout", "0n");
    hurried.get("/v1/users/ada").await.refused(504, "roster", "DEADLINE_EXCEEDED");

    // Something that takes calls and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let shorter = |text: String| text.replace("timeout: 15s", "timeout: 0.3s");
    let envoy = Envoy::start(silent.local_addr().unwrap(), shorter).await;
    let refused = envoy.http().get("/v1/users/ada").await.refused(504, "gateway", "DEADLINE_EXCEEDED");
    assert_eq!(refused["code"], 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_roster_that_is_away_is_told_of() {
    let mut site = Site::new(Db::Sqlite).await;
    let http = site.http();
    let mut watch = http.open("GET", "/v1/events:watch", "").await;
    assert!(watch.next().await.unwrap().contains("checkpoint"));
    site.server.stop().await;
    // The stream ends in order, so that its reader goes on elsewhere.
    while watch.next().await.is_some() {}

    let refused = http.get("/v1/users/ada").await.refused(503, "gateway", "UPSTREAM_UNAVAILABLE");
    assert_eq!(refused["code"], 14);
    assert!(!text(&refused["message"]).contains("refused"), "{refused}");
    http.post("/v1/users", json!({"email": "a@example.com"})).await.refused(503, "gateway", "UPSTREAM_UNAVAILABLE");
    eventually("the gateway says that it is not ready", async || {
        let health = http.get("/healthz").await;
        (health.status == 503).then(|| health.refused(503, "gateway", "UPSTREAM_UNAVAILABLE"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_other_origins_call_when_they_are_allowed() {
    let site = Site::new(Db::Sqlite).await;
    let allowing = r#"allow_origin_string_match: [{exact: "https://app.example.com"}]"#;
    let change = |text: String| replaced(&text, "allow_origin_string_match: []", allowing);
    let envoy = Envoy::start(site.server.address(), change).await;
    let asked = async |envoy: &Envoy, origin: &str| {
        let http = envoy.http().saying("origin", origin).saying("access-control-request-method", "PATCH");
        let answered = http.send("OPTIONS", "/v1/users/ada", "").await;
        answered.headers.get("access-control-allow-origin").map(|value| value.to_str().unwrap().to_owned())
    };
    assert_eq!(asked(&envoy, "https://app.example.com").await.as_deref(), Some("https://app.example.com"));
    assert_eq!(asked(&envoy, "https://evil.example.com").await, None);
    // As delivered, nobody is.
    assert_eq!(asked(&site.envoy, "https://app.example.com").await, None);
}
