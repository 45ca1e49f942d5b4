//! Teams: the tenants. They form trees, and stay where they were created.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    Broken, TeamId, TeamPolicy, Version,
    label::Labels,
    policy::PolicyPatch,
    text::{Slug, TeamName},
};

/// The most teams from a root down to any team below it, both included.
pub const MAX_DEPTH: usize = 8;

/// A team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Team {
    /// The id.
    pub id: TeamId,
    /// The teams above it, the root first; none for a root.
    pub ancestors: Vec<TeamId>,
    /// The name.
    pub name: TeamName,
    /// The name for machines.
    pub slug: Option<Slug>,
    /// The caller's labels.
    pub labels: Labels,
    /// The rules in force: those that the root of the tree chose.
    pub policy: TeamPolicy,
    /// The version of the latest change in the team.
    pub version: Version,
    /// The version of the latest change of the team's own fields.
    pub changed: Version,
    /// When it was created.
    pub create_time: DateTime<Utc>,
    /// When its own fields changed last.
    pub update_time: DateTime<Utc>,
    /// Since when it is disabled itself.
    pub disable_time: Option<DateTime<Utc>>,
    /// The disabled team that closes this one: itself, or the one above it that is nearest to the root.
    pub disabled_by: Option<TeamId>,
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
    /// The rules.
    pub policy: PolicyPatch,
}

impl Team {
    /// The root of the team's tree; itself for a root.
    pub fn root(&self) -> TeamId {
        self.ancestors.first().copied().unwrap_or(self.id)
    }

    /// The team right above.
    pub fn parent(&self) -> Option<TeamId> {
        self.ancestors.last().copied()
    }

    /// Whether the team is the root of its tree.
    pub fn is_root(&self) -> bool {
        self.ancestors.is_empty()
    }

    /// The team itself and those above it, up to the root.
    pub fn lineage(&self) -> impl Iterator<Item = TeamId> {
        std::iter::once(self.id).chain(self.ancestors.iter().rev().copied())
    }

    /// The teams above a new child, unless the tree would become too deep.
    pub fn ancestors_of_child(&self) -> Result<Vec<TeamId>, Broken> {
        if self.ancestors.len() + 2 > MAX_DEPTH {
            return Err(Broken::TreeTooDeep { limit: MAX_DEPTH });
        }
        Ok(self.ancestors.iter().copied().chain([self.id]).collect())
    }

    /// Fails unless the team is the root of its tree, which alone has rules and roles of its own.
    pub fn check_root(&self) -> Result<(), Broken> {
        if self.is_root() { Ok(()) } else { Err(Broken::NotARootTeam { root: self.root() }) }
    }

    /// The team with these values. Who is in it already stays, whatever the new rules say.
    pub fn patched(&self, patch: &TeamPatch) -> Result<Self, Broken> {
        if !patch.policy.is_empty() {
            self.check_root()?;
        }
        Ok(Self {
            name: patch.name.clone().unwrap_or_else(|| self.name.clone()),
            slug: patch.slug.clone().unwrap_or_else(|| self.slug.clone()),
            labels: patch.labels.clone().unwrap_or_else(|| self.labels.clone()),
            policy: self.policy.patched(&patch.policy),
            ..self.clone()
        })
    }

    /// The team, disabled since `now` or enabled again, as far as its own state goes.
    pub fn with_disabled(&self, disabled: bool, now: DateTime<Utc>) -> Self {
        let above = self.disabled_by.filter(|team| *team != self.id);
        let disable_time = disabled.then(|| self.disable_time.unwrap_or(now));
        Self { disable_time, disabled_by: above.or_else(|| disabled.then_some(self.id)), ..self.clone() }
    }
}

/// The last of these teams, each below the one before.
#[cfg(test)]
pub(super) fn fixture(path: &[u128]) -> Team {
    let ids: Vec<TeamId> = path.iter().map(|n| TeamId(uuid::Uuid::from_u128(*n))).collect();
    let (id, ancestors) = ids.split_last().unwrap();
    Team {
        id: *id,
        ancestors: ancestors.to_vec(),
        name: TeamName::parse("Acme").unwrap(),
        slug: None,
        labels: Labels::default(),
        policy: TeamPolicy::default(),
        version: Version(1),
        changed: Version(1),
        create_time: DateTime::<Utc>::UNIX_EPOCH,
        update_time: DateTime::<Utc>::UNIX_EPOCH,
        disable_time: None,
        disabled_by: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_has_an_end() {
        let path: Vec<u128> = (1..=8).collect();
        assert_eq!(fixture(&path[..7]).ancestors_of_child().unwrap().len(), 7);
        assert_eq!(fixture(&path).ancestors_of_child(), Err(Broken::TreeTooDeep { limit: 8 }));
    }

    #[test]
    fn only_roots_have_rules_of_their_own() {
        let policy = PolicyPatch { max_members: Some(Some(1)), ..PolicyPatch::default() };
        let patch = TeamPatch { policy, ..TeamPatch::default() };
        assert_eq!(fixture(&[1]).patched(&patch).unwrap().policy.max_members, Some(1));
        let (child, root) = (fixture(&[1, 2]), fixture(&[1]).id);
        assert_eq!(child.patched(&patch), Err(Broken::NotARootTeam { root }));
        assert_eq!(child.patched(&TeamPatch::default()), Ok(child));
    }

    #[test]
    fn what_is_disabled_above_stays_so_whatever_happens_below() {
        let now = DateTime::<Utc>::UNIX_EPOCH;
        let disabled = fixture(&[1]).with_disabled(true, now);
        assert_eq!((disabled.disabled_by, disabled.disable_time), (Some(disabled.id), Some(now)));
        assert_eq!(disabled.with_disabled(false, now), fixture(&[1]));
        let below = Team { disabled_by: Some(disabled.id), ..fixture(&[1, 2]) };
        assert_eq!(below.with_disabled(true, now).disabled_by, Some(disabled.id));
        assert_eq!(below.with_disabled(false, now).disabled_by, Some(disabled.id));
    }
}
