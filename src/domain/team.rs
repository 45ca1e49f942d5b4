//! Teams: the tenants.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    TeamId, TeamPolicy, Version,
    label::Labels,
    text::{Slug, TeamName},
};

/// A team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Team {
    /// The id.
    pub id: TeamId,
    /// The root of the tree that the team is in; itself for a root.
    pub root_id: TeamId,
    /// The name.
    pub name: TeamName,
    /// The name for machines.
    pub slug: Option<Slug>,
    /// The caller's labels.
    pub labels: Labels,
    /// The rules that it chose.
    pub policy: TeamPolicy,
    /// The version of the latest change in the team.
    pub version: Version,
    /// The version of the latest change of the team's own fields.
    pub changed: Version,
    /// When it was created.
    pub create_time: DateTime<Utc>,
    /// When its own fields changed last.
    pub update_time: DateTime<Utc>,
}

/// New values for a team's own fields; `None` keeps what is there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TeamPatch {
    /// The name.
    pub name: Option<TeamName>,
    /// The slug; `Some(None)` takes it away.
    pub slug: Option<Option<Slug>>,
    /// The labels, all of them.
    pub labels: Option<Labels>,
    /// How long invitations stay open.
    pub invitation_ttl: Option<super::policy::InvitationTtl>,
    /// Which e-mail domains may join.
    pub allowed_email_domains: Option<super::policy::AllowedDomains>,
    /// The most members.
    pub max_members: Option<Option<u32>>,
    /// The most open invitations.
    pub max_pending_invitations: Option<Option<u32>>,
    /// Whether only the invited address can accept.
    pub require_email_match: Option<bool>,
}

impl Team {
    /// The team with these values. Who is in it already stays, whatever the new rules say.
    pub fn patched(&self, patch: &TeamPatch) -> Self {
        let policy = &self.policy;
        Self {
            name: patch.name.clone().unwrap_or_else(|| self.name.clone()),
            slug: patch.slug.clone().unwrap_or_else(|| self.slug.clone()),
            labels: patch.labels.clone().unwrap_or_else(|| self.labels.clone()),
            policy: TeamPolicy {
                invitation_ttl: patch.invitation_ttl.unwrap_or(policy.invitation_ttl),
                allowed_email_domains: patch
                    .allowed_email_domains
                    .clone()
                    .unwrap_or_else(|| policy.allowed_email_domains.clone()),
                max_members: patch.max_members.unwrap_or(policy.max_members),
                max_pending_invitations: patch.max_pending_invitations.unwrap_or(policy.max_pending_invitations),
                require_email_match: patch.require_email_match.unwrap_or(policy.require_email_match),
            },
            ..self.clone()
        }
    }
}
