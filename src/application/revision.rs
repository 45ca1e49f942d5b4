//! Consistency tokens: which versions a write made.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::{Error, Result};
use crate::{
    domain::{Subject, TeamId, UserId, Version},
    repository::{self, Source},
};

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

    /// As callers get it.
    pub fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// From what a caller sent.
    pub fn decode(text: &str) -> Result<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| Error::RevisionInvalid)?;
        serde_json::from_slice(&bytes).map_err(|_| Error::RevisionInvalid)
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
            if repository::users::get(source, user).await?.map(|user| user.version) < Some(*wanted) {
                return Err(Error::RevisionNotReached);
            }
        }
        Ok(())
    }
}
