//! E-20: no token gets in that was not made by the issuer, for this service, for now. What is tried is in `corpus`.

mod corpus;

use std::collections::BTreeSet;

use chrono::TimeDelta;
use roster::config::JwtAlgorithm::{self, ES256, ES384, EdDSA, PS256, RS256};
use roster_proto::v1::{GetUserRequest, GetUserResponse};
use serde_json::json;
use tonic::{Code, Response, Status};

use self::corpus::{Corpus, Hostile};
use crate::support::{
    Caller, Db, Outcome as _, TestServer,
    caller::service_token,
    issuer::{SigningKey, claims_of, key_set, take_tokens},
    outcome::error_info,
    scene::create_user,
};

/// A server that takes tokens by these keys.
async fn server(algorithms: &[JwtAlgorithm], keys: &str) -> TestServer {
    TestServer::with(Db::Sqlite, |config| {
        take_tokens(config, algorithms);
        let path = config.data_dir.join("keys.json");
        std::fs::write(&path, keys).unwrap();
        config.auth.jwt.jwks_file = Some(path);
        config.auth.jwt.claims.service = Some("azp".to_owned());
        config.auth.tokens = vec![service_token("setup", &["roster.*"], true)];
    })
    .await
}

/// Reads the record of the person whose token it is.
async fn get_user(caller: &Caller, user: &str) -> Result<Response<GetUserResponse>, Status> {
    use roster_proto::v1::get_user_request::Key;

    caller.users().get_user(GetUserRequest { key: Some(Key::UserId(user.to_owned())), ..Default::default() }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_hostile_token_gets_in() {
    let corpus = Corpus::new();
    let server = server(&[ES256], &corpus.key_set()).await;
    create_user(&server.service().with_token("setup"), "ada").await;
    let now = server.clock.env().now();

    let hostile = corpus.hostile(now);
    let ways: BTreeSet<&str> = hostile.iter().map(|hostile| hostile.way.as_str()).collect();
    assert_eq!(ways.len(), hostile.len(), "each way has a name of its own");
    assert!(ways.len() >= 40, "{} ways", ways.len());
    let tokens: BTreeSet<&str> = hostile.iter().map(|hostile| hostile.token.as_str()).collect();
    assert_eq!(tokens.len(), hostile.len(), "each way has a token of its own");
    for Hostile { way, token, reason } in &hostile {
        let refused = match get_user(&server.service().with_token(token), "ada").await {
            Ok(answer) => panic!("{way} gets in: {answer:?}\n{token}"),
            Err(status) => status,
        };
        let told = (refused.code(), error_info(&refused).reason);
        assert_eq!(told, (Code::Unauthenticated, (*reason).to_owned()), "{way}: {refused:?}\n{token}");
        // All are told the same, so that nobody learns how far they came.
        let metadata = error_info(&refused).metadata;
        assert!(metadata.is_empty(), "{way}: {metadata:?}");
        assert!(token.len() < 8 || !format!("{refused:?}").contains(token.as_str()), "{way}: {refused:?}");
    }

    for (way, token) in corpus.good(now) {
        let answer = get_user(&server.service().with_token(&token), "ada").await;
        assert!(answer.is_ok(), "{way} does not get in: {answer:?}\n{token}");
    }
    println!("{} hostile tokens refused, {} good ones let in", hostile.len(), corpus.good(now).len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_are_given_once_and_as_a_bearer() {
    let corpus = Corpus::new();
    let server = server(&[ES256], &corpus.key_set()).await;
    let token = corpus.key.token(&claims_of("ada", server.clock.env().now()));
    create_user(&server.service().with_token("setup"), "ada").await;
    for value in [
        format!("Basic {token}"),
        format!("DPoP {token}"),
        format!("Bearer  {token}"),
        format!("Bearer {token} "),
        format!("Bearer {token},{token}"),
        token.clone(),
    ] {
        let wrong = server.service().saying("authorization", &value);
        get_user(&wrong, "ada").await.refused(Code::Unauthenticated, "CREDENTIALS_INVALID");
    }
    get_user(&server.service().saying("authorization", &format!("bearer {token}")), "ada").await.done();
}

/// To the second, by the service's clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_good_for_its_time_and_thirty_seconds() {
    let corpus = Corpus::new();
    let server = server(&[ES256], &corpus.key_set()).await;
    create_user(&server.service().with_token("setup"), "ada").await;
    let now = server.clock.env().now();
    let at = |seconds: i64| now.timestamp() + seconds;
    let mut claims = claims_of("ada", now);
    claims["nbf"] = at(100).into();
    claims["iat"] = at(100).into();
    claims["exp"] = at(200).into();
    let bearer = server.service().with_token(&corpus.key.token(&claims));
    let ask = async || get_user(&bearer, "ada").await;
    server.clock.advance(TimeDelta::seconds(69));
    ask().await.refused(Code::Unauthenticated, "CREDENTIALS_INVALID");
    server.clock.advance(TimeDelta::seconds(1));
    ask().await.done();
    // 200 and almost 30.
    server.clock.advance(TimeDelta::milliseconds(159_900));
    ask().await.done();
    server.clock.advance(TimeDelta::milliseconds(100));
    ask().await.refused(Code::Unauthenticated, "CREDENTIALS_EXPIRED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_family_signs_with_its_own_keys() {
    let rsa = SigningKey::rsa("r");
    let pss = rsa.header("PS256");
    for (algorithms, key, header) in [
        (&[RS256, PS256][..], &rsa, rsa.header("RS256")),
        (&[RS256, PS256], &rsa, pss),
        (&[ES256, ES384], &SigningKey::es384("e"), json!({"alg": "ES384", "kid": "e"})),
        (&[EdDSA], &SigningKey::ed25519("o"), json!({"alg": "EdDSA", "kid": "o"})),
    ] {
        let others = [SigningKey::es256("x"), SigningKey::es384("y"), SigningKey::ed25519("z")];
        let keys: Vec<_> = [key].into_iter().chain(&others).map(SigningKey::jwk).collect();
        let server = server(algorithms, &key_set(&keys)).await;
        create_user(&server.service().with_token("setup"), "ada").await;
        let claims = claims_of("ada", server.clock.env().now());
        get_user(&server.service().with_token(&key.signed(&header, &claims)), "ada").await.done();
        for wrong in ["HS256", "RS512", "none", "EdDSA "] {
            let mut header = header.clone();
            header["alg"] = wrong.into();
            let token = key.signed(&header, &claims);
            let told = get_user(&server.service().with_token(&token), "ada").await;
            told.refused(Code::Unauthenticated, "CREDENTIALS_INVALID");
        }
    }
}
