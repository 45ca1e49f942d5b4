//! The secret in an invitation's link. It is never stored: it is derived whenever it is needed.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use url::Url;
use uuid::Uuid;

use super::{
    Invitation, InvitationId,
    keyring::{Keyring, MAC_LEN},
};

const PURPOSE: &str = "invitation-link";
/// Invitation id and link version.
const CLAIM_LEN: usize = 16 + 4;

/// Makes links and recognises their tokens.
#[derive(Debug, Clone)]
pub struct Links {
    keys: Keyring,
    accept_url: Url,
}

/// What a token claims: which invitation, and which of its links. Everything else comes from the stored invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Claim {
    /// The invitation.
    pub invitation: InvitationId,
    /// The link.
    pub link_version: u32,
}

impl Links {
    /// Links to `accept_url` whose tokens are signed with `keys`.
    pub fn new(keys: Keyring, accept_url: Url) -> Self {
        Self { keys, accept_url }
    }

    /// The token of the link that is alive: base64url of key number, invitation id, link version and code.
    pub fn token(&self, invitation: &Invitation) -> String {
        let mut claim = Vec::with_capacity(CLAIM_LEN);
        claim.extend_from_slice(invitation.id.0.as_bytes());
        claim.extend_from_slice(&invitation.link_version.to_be_bytes());
        let (key_id, code) = self.keys.sign(PURPOSE, &claim);
        URL_SAFE_NO_PAD.encode([&[key_id][..], &claim, &code].concat())
    }

    /// The address to open: the accept URL with the token as its query parameter `token`.
    pub fn url(&self, token: &str) -> String {
        let mut url = self.accept_url.clone();
        url.query_pairs_mut().append_pair("token", token);
        url.into()
    }

    /// Whether a text quotes a token of ours.
    pub fn are_quoted_in(&self, text: &str) -> bool {
        let apart = |c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_');
        text.split(apart).any(|word| self.verify(word).is_some())
    }

    /// What a token claims, if it is one of ours.
    pub fn verify(&self, token: &str) -> Option<Claim> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (key_id, rest) = bytes.split_first()?;
        let (claim, code) = rest.split_at_checked(CLAIM_LEN)?;
        if code.len() != MAC_LEN || !self.keys.verify(*key_id, PURPOSE, claim, code) {
            return None;
        }
        let (id, version) = claim.split_at(16);
        Some(Claim {
            invitation: InvitationId(Uuid::from_slice(id).ok()?),
            link_version: u32::from_be_bytes(version.try_into().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::invitation::fixture::pending;

    fn links() -> Links {
        Links::new(Keyring::new((1, b"secret"), &[]), "https://app.example.com/join?lang=en#top".parse().unwrap())
    }

    #[test]
    fn a_quoted_token_is_found() {
        let token = links().token(&pending());
        assert!(links().are_quoted_in(&format!("550 spam: <{}>", links().url(&token))));
        assert!(links().are_quoted_in(&token));
        assert!(!links().are_quoted_in("550 5.7.1 spam: https://app.example.com/join?lang=en&token=AbC_"));
    }

    #[test]
    fn a_token_names_its_link() {
        let token = links().token(&pending());
        let claim = links().verify(&token).unwrap();
        assert_eq!((claim.invitation, claim.link_version), (pending().id, 1));
        assert_eq!(links().url(&token), format!("https://app.example.com/join?lang=en&token={token}#top"));
    }

    #[test]
    fn a_token_with_any_bit_changed_is_none_of_ours() {
        let bytes = URL_SAFE_NO_PAD.decode(links().token(&pending())).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(links().verify(&URL_SAFE_NO_PAD.encode(changed)), None, "bit {bit}");
        }
        for text in ["", "x", "a.b.c", &URL_SAFE_NO_PAD.encode(&bytes[1..])] {
            assert_eq!(links().verify(text), None, "{text}");
        }
    }
}
