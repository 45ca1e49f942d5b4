//! How often a caller may call.

use std::time::Duration;

use chrono::TimeDelta;
use roster::config::{AuthMode, Config, JwtAlgorithm::ES256, RateLimit};
use roster_proto::v1::{ListPermissionsRequest, ListPermissionsResponse};
use tonic::{Code, Response, Status};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_types::StatusExt as _;

use crate::support::{
    Caller, Db, Outcome as _, TestServer,
    caller::service_token,
    issuer::{SigningKey, claims_of, key_set, take_tokens},
};

fn limit(config: &mut Config, count: u32, seconds: u64) {
    config.limits.calls_per_caller = RateLimit { count, period: Duration::from_secs(seconds) };
}

fn services(config: &mut Config) {
    config.auth.mode = AuthMode::Credentials;
    config.auth.tokens = vec![
        service_token("shop", &["roster.roles.*"], true),
        service_token("mail", &["roster.roles.*"], false),
        service_token("none", &["catalog.*"], false),
    ];
}

async fn call(caller: &Caller) -> Result<Response<ListPermissionsResponse>, Status> {
    caller.roles().list_permissions(ListPermissionsRequest::default()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_service_has_its_own_share_whomever_it_acts_for() {
    let server = TestServer::with(Db::Sqlite, |config| {
        services(config);
        limit(config, 3, 30);
    })
    .await;
    let [shop, mail] = ["shop", "mail"].map(|name| server.service().with_token(name));
    call(&shop).await.done();
    call(&shop.clone().acting_for("ada")).await.done();
    call(&shop.clone().acting_for("bob")).await.done();
    for caller in [&shop, &shop.clone().acting_for("carol")] {
        let refused = call(caller).await.refused(Code::ResourceExhausted, "RATE_LIMITED");
        let wait = refused.status.get_details_retry_info().unwrap().retry_delay.unwrap();
        // The clock goes on by a microsecond with every look.
        assert!(wait <= Duration::from_secs(10) && wait > Duration::from_millis(9_990), "{wait:?}");
    }
    // Others have theirs; and health has none.
    call(&mail).await.done();
    HealthClient::new(server.channel()).check(HealthCheckRequest::default()).await.done();
    // After that time there is one more.
    server.clock.advance(TimeDelta::seconds(10));
    call(&shop).await.done();
    call(&shop).await.refused(Code::ResourceExhausted, "RATE_LIMITED");
    server.clock.advance(TimeDelta::seconds(30));
    for _ in 0..3 {
        call(&shop).await.done();
    }
    call(&shop).await.refused(Code::ResourceExhausted, "RATE_LIMITED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_denied_counts_and_what_nobody_asks_does_not() {
    let server = TestServer::with(Db::Sqlite, |config| {
        services(config);
        limit(config, 2, 60);
    })
    .await;
    let none = server.service().with_token("none");
    for _ in 0..2 {
        call(&none).await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
    }
    call(&none).await.refused(Code::ResourceExhausted, "RATE_LIMITED");
    // Who is not known takes nothing from who is, and is told to show who they are however often they ask.
    for _ in 0..10 {
        call(&server.service()).await.refused(Code::Unauthenticated, "CREDENTIALS_MISSING");
        call(&server.service().with_token("shop ")).await.refused(Code::Unauthenticated, "CREDENTIALS_INVALID");
    }
    call(&server.service().with_token("shop")).await.done();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_person_with_a_token_has_their_own_share_whatever_they_use() {
    let key = SigningKey::es256("k");
    let server = TestServer::with(Db::Sqlite, |config| {
        services(config);
        take_tokens(config, &[ES256]);
        let path = config.data_dir.join("keys.json");
        std::fs::write(&path, key_set(&[key.jwk()])).unwrap();
        config.auth.jwt.jwks_file = Some(path);
        config.auth.jwt.claims.service = Some("azp".to_owned());
        limit(config, 2, 60);
    })
    .await;
    let with = |user: &str, service: &str| {
        let mut claims = claims_of(user, server.clock.env().now());
        claims["scope"] = "roster.roles.read".into();
        claims["azp"] = service.into();
        server.service().with_token(&key.token(&claims))
    };
    // A service that is called like a person is somebody else.
    call(&with("shop", "web")).await.done();
    call(&with("shop", "app")).await.done();
    call(&with("shop", "tv")).await.refused(Code::ResourceExhausted, "RATE_LIMITED");
    call(&with("ada", "web")).await.done();
    call(&server.service().with_token("shop")).await.done();
    call(&server.service().with_token("shop").acting_for("ada")).await.done();
    call(&server.service().with_token("shop").acting_for("bob")).await.refused(Code::ResourceExhausted, "RATE_LIMITED");
    call(&with("ada", "web")).await.done();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_limit_nobody_is_refused() {
    let server = TestServer::start(Db::Sqlite).await;
    for _ in 0..200 {
        call(&server.service()).await.done();
    }
}
