//! Tokens that must not get in, and a few that must.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::issuer::{AUDIENCE, ISSUER, SigningKey, claims_of, encode, key_set};

const INVALID: &str = "CREDENTIALS_INVALID";
const EXPIRED: &str = "CREDENTIALS_EXPIRED";

/// A token that must not get in.
pub struct Hostile {
    pub way: String,
    pub token: String,
    /// What its sender is told.
    pub reason: &'static str,
}

/// The issuer's keys, and those of somebody else.
pub struct Corpus {
    /// The one that tokens are signed with.
    pub key: SigningKey,
    /// Another of the same kind.
    second: SigningKey,
    /// Published for something else.
    for_encryption: SigningKey,
    for_signing_only: SigningKey,
    of_another_algorithm: SigningKey,
    rsa: SigningKey,
    ed25519: SigningKey,
    /// Published with its private half.
    betrayed: SigningKey,
    /// Nobody published it.
    forger: SigningKey,
}

/// What is wrong with one member of good claims.
const CLAIMS: [(&str, &str, &str); 45] = [
    ("iss", "null", "no issuer"),
    ("iss", r#""https://evil.example.com/""#, "another issuer"),
    ("iss", r#""https://id.example.com""#, "the issuer without its last sign"),
    ("iss", r#""https://id.example.com/ ""#, "the issuer and a space"),
    ("iss", r#""HTTPS://ID.EXAMPLE.COM/""#, "the issuer in capitals"),
    ("iss", r#"["https://id.example.com/"]"#, "the issuer in a list"),
    ("iss", r#"{"https://id.example.com/":1}"#, "the issuer in an object"),
    ("aud", "null", "no audience"),
    ("aud", r#""billing""#, "another audience"),
    ("aud", r#""roster2""#, "an audience that begins alike"),
    ("aud", r#""Roster""#, "the audience in other letters"),
    ("aud", "[]", "an empty list of audiences"),
    ("aud", r#"["billing","mail"]"#, "a list of other audiences"),
    ("aud", r#"["roster",7]"#, "a list of the audience and a number"),
    ("aud", r#"[["roster"]]"#, "the audience in two lists"),
    ("aud", r#"{"roster":true}"#, "the audience in an object"),
    ("exp", "null", "no end"),
    ("exp", r#""1999999999""#, "an end that is a text"),
    ("exp", "true", "an end that is true"),
    ("exp", "[1999999999]", "an end in a list"),
    ("exp", "9223372036854775807", "the last end of all"),
    ("exp", "18446744073709551615", "an end beyond that"),
    ("exp", "1e300", "an end beyond all numbers"),
    ("exp", "-1e300", "an end before all numbers"),
    ("exp", r#"{"$gt":0}"#, "an end that is a query"),
    ("nbf", r#""0""#, "a beginning that is a text"),
    ("nbf", "1e300", "a beginning beyond all numbers"),
    ("nbf", "1999999999", "a beginning far ahead"),
    ("iat", r#""0""#, "a birth that is a text"),
    ("iat", "1999999999", "a birth far ahead"),
    ("sub", "null", "nobody's"),
    ("sub", r#""""#, "of a user without an id"),
    ("sub", "7", "of a user who is a number"),
    ("sub", r#"["ada"]"#, "of a list of users"),
    ("sub", r#"{"id":"ada"}"#, "of a user who is an object"),
    ("sub", r#""a b""#, "of a user with a space"),
    ("sub", r#""ada\n""#, "of a user with a line break"),
    ("sub", r#""ada\u0000""#, "of a user with a zero"),
    ("azp", "7", "by a service that is a number"),
    ("azp", r#""""#, "by a service without a name"),
    ("azp", r#""web/ada""#, "by a service with a slash in its name"),
    ("azp", r#""web\nname=billing""#, "by a service with a line break in its name"),
    ("scope", "7", "scopes that are a number"),
    ("scope", r#"["roster.users.read",7]"#, "scopes and a number"),
    ("scope", r#"{"roster.users.read":true}"#, "scopes in an object"),
];

/// What a header says that no good one does.
const HEADERS: [(&str, &str, &str); 33] = [
    ("alg", "null", "no algorithm"),
    ("alg", r#""none""#, "none, yet signed"),
    ("alg", r#""es256""#, "the algorithm in small letters"),
    ("alg", r#""ES256 ""#, "the algorithm and a space"),
    ("alg", r#""ES384""#, "another algorithm of the family"),
    ("alg", r#""ES256K""#, "another curve"),
    ("alg", r#""RS256""#, "another family"),
    ("alg", r#""EdDSA""#, "a third family"),
    ("alg", r#""HS256""#, "a symmetric algorithm"),
    ("alg", r#"["ES256"]"#, "a list of algorithms"),
    ("alg", r#"{"ES256":null}"#, "the algorithm in an object"),
    ("alg", "256", "an algorithm that is a number"),
    ("kid", r#""unknown""#, "an unknown key"),
    ("kid", r#""""#, "a key without a name"),
    ("kid", r#""K1""#, "the key in capitals"),
    ("kid", r#""k1\u0000""#, "the key and a zero"),
    ("kid", r#""../../../../dev/null""#, "a key that is a path"),
    ("kid", r#""k1' OR '1'='1""#, "a key that is a query"),
    ("kid", r#""|/usr/bin/id""#, "a key that is a command"),
    ("kid", r#""https://evil.example.com/jwks.json""#, "a key that is an address"),
    ("kid", "1", "a key that is a number"),
    ("kid", r#"["k1"]"#, "a list of keys"),
    ("jku", r#""https://evil.example.com/jwks.json""#, "keys from elsewhere"),
    ("x5u", r#""https://evil.example.com/cert.pem""#, "a certificate from elsewhere"),
    ("x5c", r#"["MIIB"]"#, "a certificate of its own"),
    ("crit", r#"["exp"]"#, "an extension to be understood"),
    ("crit", "[]", "no extension to be understood"),
    ("b64", "false", "contents that are not encoded"),
    ("cty", r#""JWT""#, "a token within"),
    ("zip", r#""DEF""#, "contents that are compressed"),
    ("enc", r#""A256GCM""#, "contents that are encrypted"),
    ("typ", r#""logout+jwt""#, "a token that ends a session"),
    ("typ", "7", "a type that is a number"),
];

impl Corpus {
    pub fn new() -> Self {
        Self {
            key: SigningKey::es256("k1"),
            second: SigningKey::es256("k2"),
            for_encryption: SigningKey::es256("enc"),
            for_signing_only: SigningKey::es256("ops"),
            of_another_algorithm: SigningKey::es256("alg"),
            rsa: SigningKey::rsa("rsa"),
            ed25519: SigningKey::ed25519("ed"),
            betrayed: SigningKey::es256("betrayed"),
            forger: SigningKey::es256("k1"),
        }
    }

    /// What the issuer publishes.
    pub fn key_set(&self) -> String {
        let with = |key: &SigningKey, name: &str, value: Value| {
            let mut jwk = key.jwk();
            jwk[name] = value;
            jwk
        };
        key_set(&[
            json!({"kty": "oct", "kid": "oct", "k": encode("secret"), "alg": "ES256"}),
            json!({"kty": "EC", "kid": "broken", "crv": "P-256", "x": "AA", "y": "AA"}),
            json!("a key"),
            self.key.jwk(),
            self.second.jwk(),
            with(&self.for_encryption, "use", "enc".into()),
            with(&self.for_signing_only, "key_ops", json!(["sign"])),
            with(&self.of_another_algorithm, "alg", "ECDH-ES".into()),
            with(&self.betrayed, "d", encode([7; 32]).into()),
            self.rsa.jwk(),
            self.ed25519.jwk(),
        ])
    }

    /// Tokens that must not get in.
    pub fn hostile(&self, now: DateTime<Utc>) -> Vec<Hostile> {
        let good = claims_of("ada", now);
        let mut all = Vec::new();
        let mut add = |way: &str, token: String, reason| all.push(Hostile { way: way.to_owned(), token, reason });
        for (name, value, way) in CLAIMS {
            add(way, self.key.token(&changed(&good, name, value)), INVALID);
        }
        for (name, value, way) in HEADERS {
            add(way, self.key.signed(&changed(&self.key.header("ES256"), name, value), &good), INVALID);
        }
        for (way, token) in self.malformed(&good).into_iter().chain(self.forged(&good)) {
            add(&way, token, INVALID);
        }
        let at = |seconds: i64| now.timestamp() + seconds;
        for (way, name, value, reason) in [
            ("over for 31 s", "exp", json!(at(-31)), EXPIRED),
            ("over for 31.5 s", "exp", json!(format!("{}.5", now.timestamp() - 32).parse::<f64>().unwrap()), EXPIRED),
            ("over since 1970", "exp", json!(0), EXPIRED),
            ("over before 1970", "exp", json!(-1), EXPIRED),
            ("not yet for 32 s", "nbf", json!(at(32)), INVALID),
            ("made in 32 s", "iat", json!(at(32)), INVALID),
        ] {
            let mut claims = good.clone();
            claims[name] = value;
            add(way, self.key.token(&claims), reason);
        }
        // Over, and not good either: of a token that is not good, nothing more is told.
        let over = changed(&changed(&good, "exp", "0"), "aud", r#""billing""#);
        add("over, and for another audience", self.key.token(&over), INVALID);
        add("over, and forged", self.forger.token(&changed(&good, "exp", "0")), INVALID);
        all
    }

    /// Tokens whose form is wrong, all with a good signature if they have one.
    fn malformed(&self, good: &Value) -> Vec<(String, String)> {
        let (key, header) = (&self.key, self.key.header("ES256").to_string());
        let token = key.token(good);
        let [head, body, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("{token}") };
        let text = good.to_string();
        let twice = |name: &str, value: &str| text.replacen('{', &format!("{{\"{name}\":{value},"), 1);
        let with = |claims: &str| key.signed_text(&header, claims);
        let deep = |n: usize| format!("{{\"a\":{}{},{}", "[".repeat(n), "]".repeat(n), &text[1..]);
        let header_twice = format!("{{\"alg\":\"none\",{}", &header[1..]);
        let kid_twice = format!("{{\"kid\":\"unknown\",{}", &header[1..]);
        let long = |n: usize| key.token(&changed(good, "padding", &format!("\"{}\"", "x".repeat(n))));
        let cases = [
            ("nothing", String::new()),
            ("one part", "abc".to_owned()),
            ("two parts", format!("{head}.{body}")),
            ("three empty parts", "..".to_owned()),
            ("four parts", format!("{token}.{signature}")),
            ("five parts, as if encrypted", format!("{token}.{body}.{signature}")),
            ("a dot before", format!(".{token}")),
            ("no header", format!(".{body}.{signature}")),
            ("no claims", format!("{head}..{signature}")),
            ("a signature that is padded", format!("{token}==")),
            ("a signature with more behind it", format!("{token}AAAA")),
            ("a signature with a space", format!("{head}.{body}.{} {}", &signature[..8], &signature[8..])),
            ("claims that are padded", key.signed_parts(head, &format!("{body}="))),
            ("claims in the other base64", key.signed_parts(head, &STANDARD.encode(format!("{text}   ")))),
            ("claims that are not encoded", key.signed_parts(head, "{}")),
            ("a header that is no JSON", key.signed_text("alg=ES256", &text)),
            ("a header that is a list", key.signed_text(&format!("[{header}]"), &text)),
            ("a header with more behind it", key.signed_text(&format!("{header}{{}}"), &text)),
            ("a header with two algorithms", key.signed_text(&header_twice, &text)),
            ("a header with two keys", key.signed_text(&kid_twice, &text)),
            ("claims that are no JSON", with("sub=ada")),
            ("claims that are a list", with(&format!("[{text}]"))),
            ("claims that are a text", with(&json!(text).to_string())),
            ("claims with more behind them", with(&format!("{text}{text}"))),
            ("claims after a byte order mark", with(&format!("\u{feff}{text}"))),
            ("claims that are not UTF-8", key.signed_text(&header, latin1(&text.replace("ada", "ad\u{e4}")))),
            ("two users", with(&twice("sub", "\"bob\""))),
            ("two users, one of them escaped", with(&twice("s\\u0075b", "\"bob\""))),
            ("two ends", with(&twice("exp", "1"))),
            ("two issuers", with(&twice("iss", "\"https://evil.example.com/\""))),
            ("two audiences", with(&twice("aud", "\"billing\""))),
            ("two of the same within a claim", with(&twice("act", r#"{"sub":"a","sub":"b"}"#))),
            ("nested deeper than can be read", with(&deep(1000))),
            ("nested deeper than is read", with(&deep(200))),
            ("huge", long(8 << 10)),
            ("a little too long", long(6 << 10)),
            ("a token as the claims of a token", with(&json!(token).to_string())),
            ("a token as the contents of a token", key.signed_parts(head, &encode(&token))),
        ];
        cases.map(|(way, token)| (way.to_owned(), token)).into()
    }

    /// Tokens that somebody else signed, or nobody.
    fn forged(&self, good: &Value) -> Vec<(String, String)> {
        let (key, header) = (&self.key, self.key.header("ES256"));
        let token = key.token(good);
        let [head, body, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("{token}") };
        let unsigned = |algorithm: &str| {
            let header = changed(&header, "alg", &json!(algorithm).to_string()).to_string();
            format!("{}.{body}.", encode(header))
        };
        let symmetric = |secret: &[u8]| {
            let header = json!({"alg": "HS256", "kid": "k1", "typ": "JWT"}).to_string();
            let message = format!("{}.{body}", encode(header));
            format!("{message}.{}", encode(hmac_sha256(secret, message.as_bytes())))
        };
        let own_key = |own: &SigningKey, kid: &str| {
            let mut header = own.header("ES256");
            (header["kid"], header["jwk"]) = (kid.into(), own.jwk());
            own.signed(&header, good)
        };
        let by = |other: &SigningKey| other.signed(&other.header("ES256"), good);
        let nameless = |by: &SigningKey| by.signed(&json!({"alg": "ES256", "typ": "JWT"}), good);
        let raw: Vec<u8> = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(signature).unwrap();
        let with_signature = |bytes: &[u8]| format!("{head}.{body}.{}", encode(bytes));
        let flipped: Vec<u8> = raw.iter().enumerate().map(|(i, b)| if i == 63 { b ^ 1 } else { *b }).collect();
        let public = key.jwk();
        let admin = encode(changed(good, "sub", "\"root\"").to_string());
        let cases = [
            ("none", unsigned("none")),
            ("None", unsigned("None")),
            ("NONE", unsigned("NONE")),
            ("not signed", format!("{head}.{body}.")),
            ("symmetric, with the public key as the secret", symmetric(public.to_string().as_bytes())),
            ("symmetric, with a coordinate as the secret", symmetric(public["x"].as_str().unwrap().as_bytes())),
            ("symmetric, with the published secret", symmetric(b"secret")),
            ("symmetric, with no secret", symmetric(b"")),
            ("signed by somebody else", by(&self.forger)),
            ("signed by the other key", self.second.signed(&header, good)),
            ("signed by a key that is sent along", own_key(&self.forger, "k1")),
            ("signed by a key that is sent along, under no known name", own_key(&self.forger, "mine")),
            ("without a key's name, where there are two", nameless(key)),
            ("without a key's name, by somebody else", nameless(&self.forger)),
            ("signed by a key for encryption", by(&self.for_encryption)),
            ("signed by a key that is not for checking", by(&self.for_signing_only)),
            ("signed by a key for another algorithm", by(&self.of_another_algorithm)),
            ("signed by a key whose private half is known", by(&self.betrayed)),
            ("signed with RSA, which is published and not configured", self.rsa.token(good)),
            ("signed with Ed25519, which is published and not configured", self.ed25519.token(good)),
            ("signed with RSA, and called ES256", by(&self.rsa)),
            ("signed with Ed25519, and called ES256", by(&self.ed25519)),
            ("by a symmetric key of the set", key.signed(&changed(&header, "kid", "\"oct\""), good)),
            ("by a broken key of the set", key.signed(&changed(&header, "kid", "\"broken\""), good)),
            ("other claims under the signature", format!("{head}.{admin}.{signature}")),
            (
                "another header over the signature",
                format!("{}.{body}.{signature}", encode(json!({"kid": "k1", "alg": "ES256"}).to_string())),
            ),
            ("a signature with a bit flipped", with_signature(&flipped)),
            ("a signature of zeros", with_signature(&[0; 64])),
            ("a signature that is cut", with_signature(&raw[..63])),
            ("a signature that is doubled", with_signature(&[raw.clone(), raw.clone()].concat())),
            ("a signature in the form of certificates", with_signature(&der(&raw))),
            ("a digest for a signature", with_signature(&Sha256::digest(format!("{head}.{body}")))),
        ];
        cases.map(|(way, token)| (way.to_owned(), token)).into()
    }

    /// Tokens that differ from a plain good one, and get in all the same.
    pub fn good(&self, now: DateTime<Utc>) -> Vec<(&'static str, String)> {
        let good = claims_of("ada", now);
        let at = |seconds: i64| json!(now.timestamp() + seconds).to_string();
        let claims = |name: &str, value: &str| self.key.token(&changed(&good, name, value));
        let header = |name: &str, value: &str| self.key.signed(&changed(&self.key.header("ES256"), name, value), &good);
        vec![
            ("a plain one", self.key.token(&good)),
            ("one by the other key", self.second.token(&good)),
            ("one of an untold type", header("typ", "null")),
            ("an access token", header("typ", "\"at+JWT\"")),
            ("an access token, in full", header("typ", "\"application/at+jwt\"")),
            ("one with a thumbprint", header("x5t", "\"AAAA\"")),
            ("one for several", claims("aud", &json!(["billing", AUDIENCE]).to_string())),
            ("one by a service", claims("azp", "\"0oa1-Web.App:7@clients\"")),
            ("one with scopes in a list", claims("scope", r#"["profile","roster.users.read"]"#)),
            ("one that was over 28 s ago", claims("exp", &at(-28))),
            ("one that begins in 28 s", claims("nbf", &at(28))),
            ("one that is made in 28 s", claims("iat", &at(28))),
            ("one with parts of seconds", claims("exp", &format!("{}.5", now.timestamp() + 1))),
            ("one without a beginning", claims("nbf", "null")),
            ("one with claims of others", claims("realm", &json!({"roles": [ISSUER, null, 1.5]}).to_string())),
        ]
    }
}

/// A text of which each character is a byte.
fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(c).unwrap()).collect()
}

/// A copy in which one member is another, or is missing for `null`.
fn changed(object: &Value, name: &str, value: &str) -> Value {
    let mut copy = object.clone();
    match serde_json::from_str(value).unwrap() {
        Value::Null => drop(copy.as_object_mut().unwrap().remove(name)),
        value => copy[name] = value,
    }
    copy
}

fn hmac_sha256(secret: &[u8], message: &[u8]) -> Vec<u8> {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
    ring::hmac::sign(&key, message).as_ref().to_vec()
}

/// The two numbers of a signature as a certificate holds them (RFC 3279, 2.2.3).
fn der(raw: &[u8]) -> Vec<u8> {
    let number = |bytes: &[u8]| [&[2, 33, 0], bytes].concat();
    let numbers = [number(&raw[..32]), number(&raw[32..])].concat();
    [&[0x30, u8::try_from(numbers.len()).unwrap()], numbers.as_slice()].concat()
}
