//! An identity provider: keys, the set in which it publishes them, and tokens that it signs, good ones and bad ones.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use chrono::{DateTime, Utc};
use ring::{
    rand::SystemRandom,
    rsa,
    signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair},
};
use roster::config::{Config, JwtAlgorithm};
use serde_json::{Value, json};

/// What the tokens of these tests bear.
pub const ISSUER: &str = "https://id.example.com/";
pub const AUDIENCE: &str = "roster";

/// A key that signs.
pub struct SigningKey {
    pub kid: String,
    pair: Pair,
}

enum Pair {
    Es256(EcdsaKeyPair),
    Es384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

impl SigningKey {
    pub fn es256(kid: &str) -> Self {
        Self { kid: kid.to_owned(), pair: Pair::Es256(ecdsa(&signature::ECDSA_P256_SHA256_FIXED_SIGNING)) }
    }

    pub fn es384(kid: &str) -> Self {
        Self { kid: kid.to_owned(), pair: Pair::Es384(ecdsa(&signature::ECDSA_P384_SHA384_FIXED_SIGNING)) }
    }

    pub fn ed25519(kid: &str) -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self { kid: kid.to_owned(), pair: Pair::Ed25519(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap()) }
    }

    /// Always the same pair, since making one takes seconds: it was made for these tests and is used nowhere else.
    pub fn rsa(kid: &str) -> Self {
        let text: String = include_str!("issuer_rsa.txt").split_whitespace().collect();
        let pair = RsaKeyPair::from_pkcs8(&STANDARD.decode(text).unwrap()).unwrap();
        Self { kid: kid.to_owned(), pair: Pair::Rsa(pair) }
    }

    /// The public half (RFC 7517).
    pub fn jwk(&self) -> Value {
        let curve = |name: &str, pair: &EcdsaKeyPair| {
            let point = &pair.public_key().as_ref()[1..];
            let (x, y) = point.split_at(point.len() / 2);
            json!({"kty": "EC", "crv": name, "x": encode(x), "y": encode(y)})
        };
        let mut jwk = match &self.pair {
            Pair::Es256(pair) => curve("P-256", pair),
            Pair::Es384(pair) => curve("P-384", pair),
            Pair::Ed25519(pair) => json!({"kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref())}),
            Pair::Rsa(pair) => {
                let public = rsa::PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({"kty": "RSA", "n": encode(&public.n), "e": encode(&public.e)})
            }
        };
        jwk["kid"] = self.kid.as_str().into();
        jwk["use"] = "sig".into();
        jwk
    }

    /// The header of a token by this key.
    pub fn header(&self, algorithm: &str) -> Value {
        json!({"alg": algorithm, "kid": self.kid, "typ": "JWT"})
    }

    /// A token with these claims, signed as is usual with a key of this kind.
    pub fn token(&self, claims: &Value) -> String {
        let algorithm = match self.pair {
            Pair::Es256(_) => "ES256",
            Pair::Es384(_) => "ES384",
            Pair::Ed25519(_) => "EdDSA",
            Pair::Rsa(_) => "RS256",
        };
        self.signed(&self.header(algorithm), claims)
    }

    /// A token with this header and these claims. The signature is of this key, and where there is a choice, of the
    /// algorithm in the header.
    pub fn signed(&self, header: &Value, claims: &Value) -> String {
        self.signed_text(&header.to_string(), claims.to_string())
    }

    /// The same of what need not be JSON.
    pub fn signed_text(&self, header: &str, claims: impl AsRef<[u8]>) -> String {
        self.signed_parts(&encode(header), &encode(claims))
    }

    /// The same of what need not be base64url.
    pub fn signed_parts(&self, header: &str, claims: &str) -> String {
        let message = format!("{header}.{claims}");
        let pss = URL_SAFE_NO_PAD.decode(header).is_ok_and(|h| String::from_utf8_lossy(&h).contains("PS256"));
        format!("{message}.{}", encode(self.sign(message.as_bytes(), pss)))
    }

    fn sign(&self, message: &[u8], pss: bool) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Es256(pair) | Pair::Es384(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let mut made = vec![0; pair.public().modulus_len()];
                let padding: &dyn signature::RsaEncoding =
                    if pss { &signature::RSA_PSS_SHA256 } else { &signature::RSA_PKCS1_SHA256 };
                pair.sign(padding, &random, message, &mut made).unwrap();
                made
            }
        }
    }
}

fn ecdsa(algorithm: &'static signature::EcdsaSigningAlgorithm) -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap()
}

pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The set of some keys.
pub fn key_set(keys: &[Value]) -> String {
    json!({"keys": keys}).to_string()
}

/// The claims of a good token of a person.
pub fn claims_of(user: &str, now: DateTime<Utc>) -> Value {
    let now = now.timestamp();
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": user, "iat": now, "nbf": now, "exp": now + 300,
        "scope": "openid roster.users.read roster.teams.*",
    })
}

/// A configuration that takes tokens of this issuer, and nobody else; where the keys are is still to be said.
pub fn take_tokens(config: &mut Config, algorithms: &[JwtAlgorithm]) {
    config.auth.mode = roster::config::AuthMode::Credentials;
    config.auth.jwt.issuer = ISSUER.to_owned();
    config.auth.jwt.audience = AUDIENCE.to_owned();
    config.auth.jwt.algorithms = algorithms.to_vec();
}
