//! What credentials are checked with is exchanged while the program runs, and none of them is told to anybody.

use std::path::Path;

use roster::config::TokenDigest;
use tonic::Code;

use super::get;
use crate::support::{
    Outcome as _,
    issuer::{AUDIENCE, ISSUER, SigningKey, claims_of, key_set},
    process::{Served, replace},
    scene::create_user,
    server::eventually,
};

/// `roster serve` that takes what the files of a folder say.
async fn served(folder: &Path) -> Served {
    let variables = [
        ("ROSTER_AUTH__MODE", "credentials"),
        ("ROSTER_AUTH__CALLERS_FILE", "callers.toml"),
        ("ROSTER_AUTH__RELOAD_INTERVAL", "20ms"),
        ("ROSTER_AUTH__JWT__ISSUER", ISSUER),
        ("ROSTER_AUTH__JWT__AUDIENCE", AUDIENCE),
        ("ROSTER_AUTH__JWT__ALGORITHMS", "[\"ES256\"]"),
        ("ROSTER_AUTH__JWT__JWKS_FILE", "keys.json"),
        ("ROSTER_TELEMETRY__LOG_FILTER", "trace"),
    ];
    Served::start(folder, &variables).await
}

/// The entry of a service whose token is its name.
fn entry(name: &str) -> String {
    entry_with(name, name)
}

/// The entry of a service with this token.
fn entry_with(name: &str, token: &str) -> String {
    let digest = TokenDigest::of(token);
    format!("[[tokens]]\nname = \"{name}\"\nsha256 = \"{digest}\"\nscopes = [\"roster.*\"]\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_and_keys_are_read_again_and_the_last_good_ones_stay() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| replace(&folder.path().join(name), text);
    let [old, new] = ["old", "new"].map(SigningKey::es256);
    write("callers.toml", &entry("first"));
    write("keys.json", &key_set(&[old.jwk()]));
    let served = served(folder.path()).await;
    let caller = |token: &str| served.caller().with_token(token);
    let by = |key: &SigningKey| {
        #[expect(clippy::disallowed_methods, reason = "the process lives by the real clock")]
        let now = chrono::Utc::now();
        key.token(&claims_of("ada", now))
    };
    create_user(&caller("first"), "ada").await;
    get(&caller(&by(&old)), "ada").await.done();
    get(&caller("second"), "ada").await.refused(Code::Unauthenticated, "CREDENTIALS_INVALID");

    // Each is exchanged, without a restart.
    write("callers.toml", &entry("second"));
    write("keys.json", &key_set(&[new.jwk()]));
    eventually("the second list", async || get(&caller("second"), "ada").await.ok()).await;
    eventually("the new key", async || get(&caller(&by(&new)), "ada").await.ok()).await;
    get(&caller("first"), "ada").await.refused(Code::Unauthenticated, "CREDENTIALS_INVALID");
    get(&caller(&by(&old)), "ada").await.refused(Code::Unauthenticated, "CREDENTIALS_INVALID");

    // What cannot be used leaves everything as it was.
    let refused = async |what: &str| {
        eventually(what, async || {
            let lines = served.process.lines();
            lines.iter().any(|line| line.contains("ERROR") && line.contains(what)).then_some(())
        })
        .await;
    };
    for (text, told) in [
        ("", "it lists nobody"),
        ("[[tokens]", "line 1"),
        ("[[tokens]]\nname = \"third\"\nscopes = [\"roster.*\"]", "tokens[0].sha256: is required"),
        ("[[tokens]]\nname = \"third\"\nsecret = \"x\"", "unknown field `secret`"),
        (&(entry("third") + &entry("third")), "tokens[1].sha256: is the hash of another entry's token"),
        (
            "[[certificates]]\nname = \"a\"\nsan = \"*.internal\"\nscopes = [\"*\"]",
            "expected a DNS name without wildcards",
        ),
    ] {
        write("callers.toml", text);
        refused(told).await;
        get(&caller("second"), "ada").await.done();
        get(&caller("third"), "ada").await.refused(Code::Unauthenticated, "CREDENTIALS_INVALID");
    }
    write("keys.json", "{\"keys\":[]}");
    refused("none of its keys is for auth.jwt.algorithms").await;
    get(&caller(&by(&new)), "ada").await.done();

    // And what can be used again is taken over again.
    write("callers.toml", &(entry("first") + &entry("second")));
    write("keys.json", &key_set(&[old.jwk(), new.jwk()]));
    eventually("the first again", async || get(&caller("first"), "ada").await.ok()).await;
    eventually("the old key again", async || get(&caller(&by(&old)), "ada").await.ok()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_credential_is_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let [key, forger] = ["k", "k"].map(SigningKey::es256);
    std::fs::write(folder.path().join("callers.toml"), entry_with("bird", "rst_canary-of-a-service")).unwrap();
    std::fs::write(folder.path().join("keys.json"), key_set(&[key.jwk()])).unwrap();
    let mut served = served(folder.path()).await;
    #[expect(clippy::disallowed_methods, reason = "the process lives by the real clock")]
    let claims = claims_of("ada", chrono::Utc::now());
    let mut over = claims.clone();
    over["exp"] = 0.into();
    let tokens = [
        "rst_canary-of-a-service",
        "rst_canary-of-nobody",
        &key.token(&claims),
        &key.token(&over),
        &forger.token(&claims),
    ]
    .map(str::to_owned);
    for token in &tokens {
        let answer = get(&served.caller().with_token(token), "ada").await;
        assert!(!format!("{answer:?}").contains(token.as_str()));
    }
    served.process.signal("TERM");
    assert!(served.process.end().await.success());
    let log = served.process.lines().join("\n");
    assert!(log.contains("a JWT is refused") && log.contains("its signature is not good"), "{log}");
    for token in &tokens {
        // Neither as a whole nor any part of it that could not be guessed.
        for secret in token.split('.').skip(usize::from(token.contains('.'))) {
            assert!(!log.contains(secret), "{secret}");
        }
    }
}
