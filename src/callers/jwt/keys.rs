//! The issuer's public keys (RFC 7517), and whether one of them signed something.
//!
//! A key that is of no use here is left out, and the others stay good: issuers publish keys for other purposes beside those
//! that sign tokens.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{self, EcdsaVerificationAlgorithm, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey};
use serde_json::{Map, Value};

use super::json;
use crate::config::JwtAlgorithm;

/// The least bytes of an RSA modulus: 2048 bits (RFC 7518, 3.3).
const RSA_LEAST: usize = 256;
/// Members that only a private or a symmetric key has. One that was published is no secret any more.
const PRIVATE: [&str; 2] = ["d", "k"];

/// The keys that tokens may be signed with.
#[derive(Debug, Default)]
pub(super) struct KeySet(Vec<Key>);

/// A public key.
#[derive(Debug)]
pub(super) struct Key {
    kid: Option<String>,
    /// The algorithm that the issuer uses it with, if it says so.
    algorithm: Option<JwtAlgorithm>,
    public: Public,
}

#[derive(Debug)]
enum Public {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// A point of this curve, uncompressed.
    Ec(&'static str, Vec<u8>),
    Ed25519(Vec<u8>),
}

impl KeySet {
    /// Reads a key set.
    ///
    /// # Errors
    /// If it is none, or none of its keys is for any of these algorithms.
    pub(super) fn parse(text: &[u8], algorithms: &[JwtAlgorithm]) -> Result<Self, &'static str> {
        let set = json::object(text).ok_or("it is no unambiguous JSON object")?;
        let Some(Value::Array(keys)) = set.get("keys") else { return Err("it has no list of keys") };
        let of_use = |key: &Key| algorithms.iter().any(|algorithm| key.suits(*algorithm));
        let keys: Vec<Key> = keys.iter().filter_map(|key| Key::read(key.as_object()?)).filter(of_use).collect();
        if keys.is_empty() { Err("none of its keys is for auth.jwt.algorithms") } else { Ok(Self(keys)) }
    }

    /// The keys that may have signed something in this way. Who names no key means the only one.
    pub(super) fn find(&self, algorithm: JwtAlgorithm, kid: Option<&str>) -> Vec<&Key> {
        let suiting = self.0.iter().filter(|key| key.suits(algorithm));
        match kid {
            Some(kid) => suiting.filter(|key| key.kid.as_deref() == Some(kid)).collect(),
            None => Some(suiting.collect::<Vec<_>>()).filter(|keys| keys.len() == 1).unwrap_or_default(),
        }
    }
}

impl Key {
    fn read(jwk: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
        let usable = jwk.get("use").is_none_or(|purpose| purpose == "sig")
            && jwk
                .get("key_ops")
                .is_none_or(|ops| ops.as_array().is_some_and(|ops| ops.iter().any(|op| op == "verify")))
            && !PRIVATE.iter().any(|name| jwk.contains_key(*name));
        let algorithm = match jwk.get("alg") {
            None => None,
            // One that is not known here is for something else.
            Some(name) => Some(JwtAlgorithm::named(name.as_str()?)?),
        };
        let kid = match jwk.get("kid") {
            None => None,
            Some(kid) => Some(kid.as_str()?.to_owned()),
        };
        let public = match (text("kty")?, text("crv")) {
            ("RSA", _) => {
                let n: Vec<u8> = bytes("n")?.into_iter().skip_while(|byte| *byte == 0).collect();
                let e: Vec<u8> = bytes("e")?.into_iter().skip_while(|byte| *byte == 0).collect();
                Some(Public::Rsa { n, e }).filter(|key| matches!(key, Public::Rsa { n, .. } if n.len() >= RSA_LEAST))?
            }
            ("EC", Some("P-256")) => Public::Ec("P-256", point(&bytes("x")?, &bytes("y")?, 32)?),
            ("EC", Some("P-384")) => Public::Ec("P-384", point(&bytes("x")?, &bytes("y")?, 48)?),
            ("OKP", Some("Ed25519")) => Public::Ed25519(bytes("x").filter(|x| x.len() == 32)?),
            _ => return None,
        };
        usable.then_some(Self { kid, algorithm, public })
    }

    fn suits(&self, algorithm: JwtAlgorithm) -> bool {
        use JwtAlgorithm::{ES256, ES384, Ed25519, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};

        let kind = match algorithm {
            RS256 | RS384 | RS512 | PS256 | PS384 | PS512 => matches!(self.public, Public::Rsa { .. }),
            ES256 => matches!(self.public, Public::Ec("P-256", _)),
            ES384 => matches!(self.public, Public::Ec("P-384", _)),
            EdDSA | Ed25519 => matches!(self.public, Public::Ed25519(_)),
        };
        // The last two are two names of one thing.
        let same = |own| own == algorithm || matches!((own, algorithm), (EdDSA, Ed25519) | (Ed25519, EdDSA));
        kind && self.algorithm.is_none_or(same)
    }

    /// Whether this key signed the message in this way.
    pub(super) fn has_signed(&self, algorithm: JwtAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        match &self.public {
            Public::Rsa { n, e } => rsa(algorithm).is_some_and(|parameters| {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature).is_ok()
            }),
            Public::Ec(_, point) => ecdsa(algorithm)
                .is_some_and(|ecdsa| UnparsedPublicKey::new(ecdsa, point).verify(message, signature).is_ok()),
            Public::Ed25519(key) => UnparsedPublicKey::new(&signature::ED25519, key).verify(message, signature).is_ok(),
        }
    }
}

/// A point in its uncompressed form (SEC 1, 2.3.3). Whether it lies on the curve is seen when it is used.
fn point(x: &[u8], y: &[u8], length: usize) -> Option<Vec<u8>> {
    (x.len() == length && y.len() == length).then(|| [&[4], x, y].concat())
}

fn rsa(algorithm: JwtAlgorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        JwtAlgorithm::RS256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        JwtAlgorithm::RS384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        JwtAlgorithm::RS512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        JwtAlgorithm::PS256 => &signature::RSA_PSS_2048_8192_SHA256,
        JwtAlgorithm::PS384 => &signature::RSA_PSS_2048_8192_SHA384,
        JwtAlgorithm::PS512 => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

fn ecdsa(algorithm: JwtAlgorithm) -> Option<&'static EcdsaVerificationAlgorithm> {
    match algorithm {
        JwtAlgorithm::ES256 => Some(&signature::ECDSA_P256_SHA256_FIXED),
        JwtAlgorithm::ES384 => Some(&signature::ECDSA_P384_SHA384_FIXED),
        _ => None,
    }
}
