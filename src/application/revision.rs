//! Consistency tokens: which versions a write made.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::{Error, Result};
use crate::{
    domain::{
        Subject, TeamId, UserId, Version,
        keyring::{Keyring, MAC_LEN},
    },
    repository::{self, Source},
};

const PURPOSE: &str = "revision";

/// The versions that a write made. Opaque to callers; it works across instances, caches and replicas without a common
/// clock, for a read compares them with the versions of what it reads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    #[serde(rename = "t", default, skip_serializing_if = "Vec::is_empty")]
    teams: Vec<(TeamId, Version)>,
    #[serde(rename = "u", default, skip_serializing_if = "Vec::is_empty")]
    users: Vec<(UserId, Version)>,
}

impl Revision {
    pub(super) fn new(versions: Vec<(Subject, Version)>) -> Self {
        let mut revision = Self::default();
        for (subject, version) in versions {
            match subject {
                Subject::Team { id, .. } => revision.teams.push((id, version)),
                Subject::User(id) => revision.users.push((id, version)),
            }
        }
        revision
    }

    /// As callers get it: signed, or a made-up revision would tell how far somebody else's team has come.
    pub fn encode(&self, keys: &Keyring) -> String {
        let versions = serde_json::to_vec(self).unwrap_or_default();
        let (key_id, code) = keys.sign(PURPOSE, &versions);
        URL_SAFE_NO_PAD.encode([&[key_id][..], &code, &versions].concat())
    }

    /// From what a caller sent.
    pub fn decode(keys: &Keyring, text: &str) -> Result<Self> {
        Self::read(keys, text).ok_or(Error::RevisionInvalid)
    }

    fn read(keys: &Keyring, text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (key_id, rest) = bytes.split_first()?;
        let (code, versions) = rest.split_at_checked(MAC_LEN)?;
        if !keys.verify(*key_id, PURPOSE, versions, code) {
            return None;
        }
        serde_json::from_slice(versions).ok()
    }
}

/// How fresh a read has to be.
#[derive(Debug, Clone, Default)]
pub enum Consistency {
    /// At most one second stale.
    #[default]
    BoundedStaleness,
    /// As fresh as a write.
    AtLeastAsFresh(Revision),
    /// As fresh as can be.
    Full,
}

impl Consistency {
    /// Fails if the source is not as fresh as asked. Roster reads from the database that it writes to, so every read is
    /// as fresh as can be, and only a revision of another database, or of a restored one, is out of reach.
    pub(super) async fn check(&self, source: &impl Source) -> Result<()> {
        let Self::AtLeastAsFresh(revision) = self else { return Ok(()) };
        for (team, wanted) in &revision.teams {
            if repository::teams::version(source, *team).await? < Some(*wanted) {
                return Err(Error::RevisionNotReached);
            }
        }
        for (user, wanted) in &revision.users {
            if repository::users::version(source, user).await? < Some(*wanted) {
                return Err(Error::RevisionNotReached);
            }
        }
        Ok(())
    }
}
