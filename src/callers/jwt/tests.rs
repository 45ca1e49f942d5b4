//! Claims to the microsecond, and keys one by one. How whole tokens fare is tested from outside (`e20_hostile_jwts`).

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{Claims, KeySet, Why};
use crate::{
    callers::{Holder, Identity},
    config::{
        Jwt,
        JwtAlgorithm::{self, ES256, Ed25519, EdDSA, RS256},
    },
};

fn config() -> Jwt {
    let (issuer, audience) = ("https://id.example.com/".to_owned(), "roster".to_owned());
    Jwt { issuer, audience, ..Jwt::default() }
}

fn claims(more: &Value) -> Claims {
    let mut all = json!({"iss": "https://id.example.com/", "aud": "roster", "exp": 1000, "sub": "ada"});
    for (name, value) in more.as_object().unwrap() {
        all[name] = value.clone();
    }
    Claims::parse(all.to_string().as_bytes()).unwrap()
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

#[test]
fn times_are_taken_to_the_microsecond() {
    let check = |more: Value, now| claims(&more).check(&config(), now);
    let tick = TimeDelta::microseconds(1);
    assert_eq!(check(json!({}), at(1030) - tick), Ok(()));
    assert_eq!(check(json!({}), at(1030)), Err(Why::Expired));
    assert_eq!(check(json!({"exp": 1000.5}), at(1030)), Ok(()));
    for begins in ["nbf", "iat"] {
        assert_eq!(check(json!({begins: 500}), at(470)), Ok(()));
        assert_eq!(check(json!({begins: 500}), at(470) - tick), Err(Why::TooEarly));
        assert_eq!(check(json!({begins: "500"}), at(500)), Err(Why::Date));
    }
    // Of a token that is not good otherwise it is not told that it has expired.
    assert_eq!(check(json!({"aud": "billing"}), at(2000)), Err(Why::Audience));
    assert_eq!(check(json!({"iss": ["https://id.example.com/"]}), at(2000)), Err(Why::Issuer));
}

#[test]
fn a_token_is_a_persons_or_a_services() {
    let mut config = config();
    config.claims.service = Some("client_id".to_owned());
    let identity = |more: Value, certified: Option<&str>| {
        claims(&more).identity(&config, certified.map(str::to_owned)).map(|Identity { service, of, .. }| (service, of))
    };
    let ada = Holder::Person("ada".parse().unwrap());
    let service = Holder::Service { act_for_users: false };
    assert_eq!(identity(json!({}), None), Ok(("direct".to_owned(), ada.clone())));
    assert_eq!(identity(json!({}), Some("gateway")), Ok(("gateway".to_owned(), ada.clone())));
    assert_eq!(identity(json!({"client_id": "web"}), Some("gateway")), Ok(("web".to_owned(), ada)));
    assert_eq!(identity(json!({"client_id": "ada"}), Some("gateway")), Ok(("ada".to_owned(), service)));
    assert_eq!(identity(json!({"client_id": 7}), None), Err(Why::Claim));
    assert_eq!(identity(json!({"sub": "a b"}), None), Err(Why::Claim));
}

#[test]
fn keys_that_are_of_no_use_are_left_out() {
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    let good = json!({"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": x});
    let found = |jwk: &Value, algorithms: &[JwtAlgorithm], with| {
        let set = json!({"keys": [jwk]}).to_string();
        KeySet::parse(set.as_bytes(), algorithms).map(|set| set.find(with, Some("k")).len()).unwrap_or_default()
    };
    assert_eq!(found(&good, &[EdDSA], EdDSA), 1);
    // Two names of one thing.
    assert_eq!(found(&good, &[Ed25519], Ed25519), 1);
    let mut named = good.clone();
    named["alg"] = "EdDSA".into();
    assert_eq!(found(&named, &[Ed25519], Ed25519), 1);
    assert_eq!(found(&good, &[ES256], ES256), 0);
    assert_eq!(found(&good, &[EdDSA, Ed25519], ES256), 0);
    let long = "A".repeat(340);
    for (name, value) in [
        ("use", json!("enc")),
        ("use", json!(7)),
        ("key_ops", json!(["sign"])),
        ("key_ops", json!("verify")),
        ("alg", json!("ES256")),
        ("alg", json!("X25519")),
        ("crv", json!("X25519")),
        ("crv", json!("Ed448")),
        ("kty", json!("oct")),
        ("kid", json!(7)),
        ("d", json!("AAAA")),
        ("k", json!("AAAA")),
        ("x", json!("AAAA")),
        ("x", json!(format!("{x}="))),
    ] {
        let mut bad = good.clone();
        bad[name] = value.clone();
        assert_eq!(found(&bad, &[EdDSA], EdDSA), 0, "{name} {value}");
    }
    // 2048 bits, and one byte less; zeros before it do not make a number longer.
    let rsa = |n: &str| json!({"kty": "RSA", "kid": "k", "n": n, "e": "AQAB"});
    assert_eq!(found(&rsa(&format!("_{}", &long[..339])), &[RS256], RS256), 0);
    assert_eq!(found(&rsa(&format!("_w{long}")), &[RS256], RS256), 1);
    assert_eq!(found(&rsa(&format!("AP{long}")), &[RS256], RS256), 0);
}
