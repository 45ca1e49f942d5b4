//! The outside of a token: three parts (RFC 7515, 7.1), and what its header says. Nothing in it is believed here; the header
//! only tells which key may have signed it.
//!
//! Everything is refused that would let a token choose how it is checked: keys of its own, extensions, other contents.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use super::{Why, json};
use crate::config::JwtAlgorithm;

/// The most bytes of a token.
const LENGTH: usize = 8 << 10;
/// The most bytes of a key's id.
const KID_LENGTH: usize = 256;

/// Members of a header that no token has that is meant for us. Keys and where to get them: they would be the sender's own.
/// Extensions that have to be understood, and contents that are not plain claims.
const REFUSED: [&str; 9] = ["jwk", "jku", "x5c", "x5u", "crit", "b64", "cty", "enc", "zip"];

/// What a token may call itself (RFC 7519, 5.1; RFC 9068, 2.1). Other kinds of tokens of the same issuer, such as those
/// that end a session, are signed with the same keys.
const TYPES: [&str; 4] = ["jwt", "at+jwt", "application/jwt", "application/at+jwt"];

/// A token taken apart.
#[derive(Debug)]
pub(super) struct Jws<'a> {
    /// How it says that it is signed.
    pub(super) algorithm: JwtAlgorithm,
    /// Which key it names.
    pub(super) kid: Option<String>,
    /// What is signed.
    pub(super) signed: &'a [u8],
    /// The claims, as JSON.
    pub(super) claims: Vec<u8>,
    /// The signature.
    pub(super) signature: Vec<u8>,
}

impl<'a> Jws<'a> {
    /// Takes a token apart.
    pub(super) fn parse(token: &'a str) -> Result<Self, Why> {
        if token.len() > LENGTH {
            return Err(Why::Malformed("it is longer than 8 KiB"));
        }
        let parts: Vec<&str> = token.split('.').collect();
        let [header, claims, signature] = parts[..] else {
            return Err(Why::Malformed("it does not have three parts"));
        };
        let decode = |part| URL_SAFE_NO_PAD.decode(part).map_err(|_| Why::Malformed("a part is not base64url"));
        let (algorithm, kid) = read_header(&decode(header)?)?;
        let signed = &token.as_bytes()[..header.len() + 1 + claims.len()];
        Ok(Self { algorithm, kid, signed, claims: decode(claims)?, signature: decode(signature)? })
    }
}

fn read_header(header: &[u8]) -> Result<(JwtAlgorithm, Option<String>), Why> {
    let header = json::object(header).ok_or(Why::Malformed("the header is no unambiguous JSON object"))?;
    if REFUSED.iter().any(|name| header.contains_key(*name)) {
        return Err(Why::Malformed("the header asks for something that is not done"));
    }
    match header.get("typ") {
        None => {}
        Some(Value::String(kind)) if TYPES.iter().any(|known| kind.eq_ignore_ascii_case(known)) => {}
        Some(_) => return Err(Why::Malformed("it is of another type")),
    }
    let kid = match header.get("kid") {
        None => None,
        Some(Value::String(kid)) if kid.len() <= KID_LENGTH => Some(kid.clone()),
        Some(_) => return Err(Why::Malformed("the id of its key is none")),
    };
    let algorithm = header.get("alg").and_then(Value::as_str).and_then(JwtAlgorithm::named);
    algorithm.map(|algorithm| (algorithm, kid)).ok_or(Why::Algorithm)
}
