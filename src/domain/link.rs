//! The secret in an invitation's link. It is never stored: it is derived whenever it is needed.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

use super::{
    Invitation, InvitationId,
    keyring::{Keyring, MAC_LEN},
};

const PURPOSE: &str = "invitation-link";
/// Invitation id and link version.
const CLAIM_LEN: usize = 16 + 4;

/// What a token claims: which invitation, and which of its links. Everything else comes from the stored invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Claim {
    /// The invitation.
    pub invitation: InvitationId,
    /// The link.
    pub link_version: u32,
}

/// The token of the link that is alive: base64url of key number, invitation id, link version and code.
pub fn token(keys: &Keyring, invitation: &Invitation) -> String {
    let mut claim = Vec::with_capacity(CLAIM_LEN);
    claim.extend_from_slice(invitation.id.0.as_bytes());
    claim.extend_from_slice(&invitation.link_version.to_be_bytes());
    let (key_id, code) = keys.sign(PURPOSE, &claim);
    let bytes = [&[key_id][..], &claim, &code].concat();
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What a token claims, if it is one of ours.
pub fn verify(keys: &Keyring, token: &str) -> Option<Claim> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (key_id, rest) = bytes.split_first()?;
    let (claim, code) = rest.split_at_checked(CLAIM_LEN)?;
    if code.len() != MAC_LEN || !keys.verify(*key_id, PURPOSE, claim, code) {
        return None;
    }
    let (id, version) = claim.split_at(16);
    Some(Claim {
        invitation: InvitationId(Uuid::from_slice(id).ok()?),
        link_version: u32::from_be_bytes(version.try_into().ok()?),
    })
}

/// The address to open: `accept_url` with the token as its query parameter.
pub fn url(accept_url: &str, token: &str) -> String {
    let separator = if accept_url.contains('?') { '&' } else { '?' };
    format!("{accept_url}{separator}token={token}")
}
