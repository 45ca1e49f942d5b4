//! What an invitation grants.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::Invitation;
use crate::domain::{Broken, PermissionPattern, RoleId, TeamId, label::Labels, member::Grant, text::Message};

/// What accepting gives, by team. Never empty, and all of one tree.
pub type Offers = BTreeMap<TeamId, Offer>;

/// What accepting gives in one team.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The roles.
    pub roles: BTreeSet<RoleId>,
    /// What is given besides the roles, in this team alone.
    pub permissions: BTreeSet<PermissionPattern>,
}

impl Offer {
    /// Roles, and nothing else.
    pub fn of_roles(roles: BTreeSet<RoleId>) -> Self {
        Self { roles, permissions: BTreeSet::new() }
    }

    /// What whoever accepts is to have, without an end.
    pub fn grant(&self) -> Grant {
        Grant { roles: self.roles.clone(), permissions: self.permissions.clone(), ..Grant::default() }
    }
}

/// New values for an open invitation; `None` keeps what is there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct InvitationPatch {
    /// What accepting gives, in all teams.
    pub grants: Option<Offers>,
    /// Until when it is open.
    pub expire_time: Option<DateTime<Utc>>,
    /// Words to the person.
    pub message: Option<Message>,
    /// The caller's data.
    pub metadata: Option<Labels>,
}

/// The longest that an invitation stays open from the moment on that this is decided.
const MAX_OPEN: TimeDelta = TimeDelta::days(90);

impl Invitation {
    /// An open invitation with these values.
    pub fn patched(&self, patch: &InvitationPatch, now: DateTime<Utc>) -> Result<Self, Broken> {
        self.check_open(now)?;
        match patch.expire_time {
            Some(end) if end == self.expire_time => {}
            Some(end) if end <= now => return Err(Broken::ExpireTimePassed),
            Some(end) if end > now + MAX_OPEN => return Err(Broken::ExpireTimeTooLate { days: MAX_OPEN.num_days() }),
            _ => {}
        }
        Ok(Self {
            grants: patch.grants.clone().unwrap_or_else(|| self.grants.clone()),
            expire_time: patch.expire_time.unwrap_or(self.expire_time),
            message: patch.message.clone().unwrap_or_else(|| self.message.clone()),
            metadata: patch.metadata.clone().unwrap_or_else(|| self.metadata.clone()),
            ..self.clone()
        })
    }
}
