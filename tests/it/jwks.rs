//! The issuer's keys: where they come from, how they change, and what happens when they cannot be had.

use std::time::Duration;

use chrono::TimeDelta;
use futures::future::join_all;
use roster::config::{Config, JwtAlgorithm::ES256};
use roster_proto::v1::{GetUserRequest, get_user_request::Key};
use serde_json::Value;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::support::{
    Db, TestServer,
    caller::service_token,
    issuer::{SigningKey, claims_of, key_set, take_tokens},
    jwks::Publisher,
    outcome::{assert_says, error_info},
    pki::Authority,
    process::{replace, steady_port},
    scene::create_user,
    server::eventually,
};

/// The longest that the service leaves an unknown key alone.
const PAUSE: TimeDelta = TimeDelta::seconds(30);

fn set(keys: &[&SigningKey]) -> String {
    key_set(&keys.iter().map(|key| key.jwk()).collect::<Vec<Value>>())
}

/// A server that fetches keys, where the user ada is known.
async fn server(url: &str, configure: impl FnOnce(&mut Config)) -> TestServer {
    let server = TestServer::with(Db::Sqlite, |config| {
        take_tokens(config, &[ES256]);
        config.auth.jwt.jwks_url = Some(url.parse().unwrap());
        config.auth.tokens = vec![service_token("setup", &["roster.*"], true)];
        configure(config);
    })
    .await;
    create_user(&server.service().with_token("setup"), "ada").await;
    server
}

async fn fetching_from(publisher: &Publisher) -> TestServer {
    let server = server(&format!("http://{}/keys", publisher.address), |_| {}).await;
    eventually("the first fetch", async || (publisher.asked() == 1).then_some(())).await;
    server
}

/// Whether a token by this key is let in.
async fn enters(server: &TestServer, key: &SigningKey) -> Result<(), Status> {
    let caller = server.service().with_token(&key.token(&claims_of("ada", server.clock.env().now())));
    let ada = GetUserRequest { key: Some(Key::UserId("ada".to_owned())), ..Default::default() };
    caller.users().get_user(ada).await.map(drop)
}

/// The same, many times at once.
async fn enter_at_once(server: &TestServer, key: &SigningKey, count: usize) -> Vec<Result<(), Status>> {
    join_all((0..count).map(|_| enters(server, key))).await
}

#[track_caller]
fn assert_unknown(result: Result<(), Status>) {
    assert_says(&result.unwrap_err(), Code::Unauthenticated, "CREDENTIALS_INVALID");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_key_is_found_when_it_is_used_and_an_unknown_one_costs_little() {
    let [old, new, unknown] = ["old", "new", "unknown"].map(SigningKey::es256);
    let publisher = Publisher::start(0, &set(&[&old])).await;
    let server = fetching_from(&publisher).await;
    eventually("the first keys", async || enters(&server, &old).await.ok()).await;

    // Soon after a fetch nothing is fetched for an unknown key, not even for one that there is by now.
    publisher.publish(&set(&[&old, &new]));
    for result in enter_at_once(&server, &unknown, 20).await {
        assert_unknown(result);
    }
    assert_unknown(enters(&server, &new).await);
    assert_eq!(publisher.asked(), 1);

    // Later it is fetched once, however many wait for it.
    server.clock.advance(PAUSE);
    publisher.hold(true);
    let entering = enter_at_once(&server, &new, 50);
    let releasing = async {
        eventually("the second fetch", async || (publisher.asked() == 2).then_some(())).await;
        // Who has a known key waits for nothing.
        enters(&server, &old).await.unwrap();
        publisher.hold(false);
    };
    let (entered, ()) = tokio::join!(entering, releasing);
    entered.into_iter().for_each(|result| result.unwrap());
    assert_eq!(publisher.asked(), 2);

    // What anybody can make up leads to one fetch in 30 seconds.
    for round in 0..3 {
        for _ in 0..3 {
            for result in enter_at_once(&server, &unknown, 10).await {
                assert_unknown(result);
            }
        }
        assert_eq!(publisher.asked(), 2 + round);
        server.clock.advance(PAUSE);
    }

    // A key that is withdrawn is not good any more once that is known.
    publisher.publish(&set(&[&new]));
    assert_unknown(enters(&server, &unknown).await);
    enters(&server, &new).await.unwrap();
    assert_unknown(enters(&server, &old).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_fetched_now_and_then_without_being_asked_for() {
    let [old, new] = ["old", "new"].map(SigningKey::es256);
    let publisher = Publisher::start(0, &set(&[&old])).await;
    let url = format!("http://{}/keys", publisher.address);
    let every = std::time::Duration::from_millis(50);
    let server = server(&url, |config| config.auth.jwt.refresh_interval = every).await;
    eventually("the first keys", async || enters(&server, &old).await.ok()).await;
    // The clock stands still: no unknown key leads to a fetch.
    publisher.publish(&set(&[&new]));
    eventually("the new keys", async || enters(&server, &new).await.ok()).await;
    assert_unknown(enters(&server, &old).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_starts_without_the_issuer_and_refuses_its_tokens_until_it_is_there() {
    let key = SigningKey::es256("k");
    let port = steady_port();
    let server = server(&format!("http://127.0.0.1:{port}/keys"), |_| {}).await;
    let away = enters(&server, &key).await.unwrap_err();
    assert_says(&away, Code::Unavailable, "KEYS_UNAVAILABLE");
    assert!(away.get_details_retry_info().unwrap().retry_delay.is_some());
    // Others come in meanwhile.
    create_user(&server.service().with_token("setup"), "bob").await;

    let _publisher = Publisher::start(port, &set(&[&key])).await;
    server.clock.advance(PAUSE);
    enters(&server, &key).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_good_keys_stay() {
    let [key, new] = ["k", "new"].map(SigningKey::es256);
    let publisher = Publisher::start(0, &set(&[&key])).await;
    let server = fetching_from(&publisher).await;
    eventually("the first keys", async || enters(&server, &key).await.ok()).await;
    let elsewhere = Publisher::start(0, &set(&[&new])).await;
    let redirect = format!("302 Found\r\nLocation: http://{}/keys", elsewhere.address);
    let good = set(&[&new]);
    let huge = format!("{}{good}", " ".repeat(300 << 10));
    let twice = good.replacen('{', "{\"keys\":[],", 1);
    for (status, body) in [
        ("500 Internal Server Error", good.as_str()),
        ("404 Not Found", &good),
        (&redirect, ""),
        ("200 OK", ""),
        ("200 OK", "<html>"),
        ("200 OK", "{}"),
        ("200 OK", "{\"keys\":{}}"),
        ("200 OK", "{\"keys\":[]}"),
        ("200 OK", "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"k\",\"k\":\"AAAA\"}]}"),
        ("200 OK", &twice),
        ("200 OK", &huge),
    ] {
        let before = publisher.asked();
        publisher.answer(status, body);
        server.clock.advance(PAUSE);
        assert_unknown(enters(&server, &new).await);
        assert_eq!(publisher.asked(), before + 1, "{status} {body:.40}");
        enters(&server, &key).await.unwrap();
    }
    assert_eq!(elsewhere.asked(), 0, "redirects are not followed");
    publisher.publish(&good);
    server.clock.advance(PAUSE);
    enters(&server, &new).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_goes_away_does_not_end_the_fetch_that_others_wait_for() {
    let [old, new] = ["old", "new"].map(SigningKey::es256);
    let publisher = Publisher::start(0, &set(&[&old])).await;
    let server = fetching_from(&publisher).await;
    publisher.publish(&set(&[&new]));
    publisher.hold(true);
    server.clock.advance(PAUSE);
    let first = enters(&server, &new);
    let begun = eventually("the second fetch", async || (publisher.asked() == 2).then_some(()));
    tokio::select! {
        result = first => panic!("it should wait: {result:?}"),
        () = begun => {}
    }
    // The first has gone away.
    let second = enters(&server, &new);
    let (entered, ()) = tokio::join!(second, async { publisher.hold(false) });
    entered.unwrap();
    assert_eq!(publisher.asked(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_fetched_from_whom_the_authority_knows() {
    let key = SigningKey::es256("k");
    let [good, evil] = [Authority::new(), Authority::new()];
    let publisher = Publisher::secure(&set(&[&key]), &good.server()).await;
    let url = format!("https://localhost:{}/keys", publisher.address.port());
    let trusting = async |authority: &Authority| {
        let pem = authority.pem().to_owned();
        server(&url, |config| {
            let path = config.data_dir.join("ca.pem");
            std::fs::write(&path, pem).unwrap();
            config.auth.jwt.jwks_ca_file = Some(path);
            config.auth.reload_interval = Duration::from_millis(20);
        })
        .await
    };
    enters(&trusting(&good).await, &key).await.unwrap();
    let asked = publisher.asked();
    let server = trusting(&evil).await;
    let refused = enters(&server, &key).await.unwrap_err();
    assert_eq!(error_info(&refused).reason, "KEYS_UNAVAILABLE");
    assert_eq!(publisher.asked(), asked, "who is not trusted is not asked");
    // The authorities are exchanged like any other file.
    replace(&server.folder().join("ca.pem"), good.pem());
    eventually("the keys", async || {
        server.clock.advance(PAUSE);
        enters(&server, &key).await.ok()
    })
    .await;
}
