//! Message authentication codes for what Roster hands out and must recognise: links and page tokens.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The length of a code in bytes.
pub const MAC_LEN: usize = 32;

/// A secret and the number under which codes made with it say so.
#[derive(Clone)]
struct Key {
    id: u8,
    mac: Hmac<Sha256>,
}

/// The keys that make codes (the first) and check them (all): a new key is put first and the old one stays behind it
/// until what it signed has run out.
#[derive(Clone)]
pub struct Keyring {
    signing: Key,
    retired: Vec<Key>,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring").field("signing", &self.signing.id).finish_non_exhaustive()
    }
}

impl Keyring {
    /// From the signing key and those that were signing keys before it, each a number and a secret.
    pub fn new(signing: (u8, &[u8]), retired: &[(u8, &[u8])]) -> Self {
        let key = |(id, secret): (u8, &[u8])| Key { id, mac: hmac(secret) };
        Self { signing: key(signing), retired: retired.iter().copied().map(key).collect() }
    }

    /// The number of the signing key, and the code of `data` for one purpose: a code for another purpose never fits.
    pub fn sign(&self, purpose: &str, data: &[u8]) -> (u8, [u8; MAC_LEN]) {
        (self.signing.id, keyed(&self.signing, purpose, data).finalize().into_bytes().into())
    }

    /// Whether `code` is the code of `data` for this purpose, made with the key of this number. Takes the same time
    /// whatever the answer.
    pub fn verify(&self, key_id: u8, purpose: &str, data: &[u8], code: &[u8]) -> bool {
        std::iter::once(&self.signing)
            .chain(&self.retired)
            .any(|key| key.id == key_id && keyed(key, purpose, data).verify_slice(code).is_ok())
    }
}

fn keyed(key: &Key, purpose: &str, data: &[u8]) -> Hmac<Sha256> {
    // No purpose holds a NUL, so that purpose and data cannot be cut in another place.
    key.mac.clone().chain_update(purpose).chain_update([0]).chain_update(data)
}

fn hmac(secret: &[u8]) -> Hmac<Sha256> {
    match Hmac::new_from_slice(secret) {
        Ok(mac) => mac,
        Err(never) => unreachable!("HMAC takes a key of any length: {never}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_fits_one_key_one_purpose_and_one_text() {
        let ring = Keyring::new((2, b"new"), &[(1, b"old")]);
        let (id, code) = ring.sign("link", b"data");
        assert!(ring.verify(id, "link", b"data", &code));
        assert!(!ring.verify(id, "page", b"data", &code));
        assert!(!ring.verify(id, "link", b"datb", &code));
        assert!(!ring.verify(1, "link", b"data", &code));
        let (old_id, old) = Keyring::new((1, b"old"), &[]).sign("link", b"data");
        assert!(ring.verify(old_id, "link", b"data", &old));
    }
}
