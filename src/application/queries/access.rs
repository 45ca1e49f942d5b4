//! Asking what somebody may do.

use std::collections::{BTreeMap, BTreeSet};

use super::Queries;
use crate::{
    application::{Context, Result, authorize, revision::Consistency, roles},
    domain::{
        Member, Roles, Team, TeamId, UserId,
        access::{Snapshot, Verdict},
        permission,
    },
    repository::{members, teams},
};

/// One question: whether a person may do something in a team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The person.
    pub user: UserId,
    /// The team.
    pub team: TeamId,
    /// A permission, or a pattern for all that it stands for.
    pub permission: String,
}

/// What answers questions about a team and the people who were asked about.
struct Known {
    team: Team,
    roles: Roles,
    memberships: BTreeMap<UserId, Vec<Member>>,
}

impl Queries {
    /// Whether people may do things, in the order of the questions. A person can ask about themselves only. What does
    /// not exist gives nobody anything.
    pub async fn check_access(&self, cx: &Context, checks: &[Check], fresh: &Consistency) -> Result<Vec<bool>> {
        for check in checks {
            authorize::for_self::<permission::CheckAccess>(cx, Some(&check.user))?;
        }
        fresh.check(&self.reader).await?;
        let verdicts = self.verdicts(checks).await?;
        Ok(verdicts.into_iter().map(|verdict| matches!(verdict, Verdict::Allowed(_))).collect())
    }

    /// Whether a person may do something, and why. A person can ask about themselves, and about others in teams where
    /// they hold the permission to.
    pub async fn explain_access(&self, cx: &Context, check: Check, fresh: &Consistency) -> Result<Verdict> {
        if cx.principal.person.as_ref().is_none_or(|person| *person != check.user) {
            self.authorize::<permission::ExplainAccess>(cx, check.team, fresh).await?;
        } else {
            authorize::check_scope::<permission::ExplainAccess>(&cx.principal)?;
            fresh.check(&self.reader).await?;
        }
        Ok(self.verdicts(&[check]).await?.pop().unwrap_or(Verdict::NotAMember))
    }

    /// Loads what the questions are about, in a few reads however many they are, and answers them.
    async fn verdicts(&self, checks: &[Check]) -> Result<Vec<Verdict>> {
        let now = self.now();
        let known = self.load(checks).await?;
        let none = Vec::new();
        let verdict = |check: &Check| {
            let Some(known) = known.get(&check.team) else { return Verdict::NotAMember };
            let memberships = known.memberships.get(&check.user).unwrap_or(&none);
            Snapshot { team: &known.team, memberships, roles: &known.roles, now }.verdict(&check.permission)
        };
        Ok(checks.iter().map(verdict).collect())
    }

    async fn load(&self, checks: &[Check]) -> Result<BTreeMap<TeamId, Known>> {
        let asked: BTreeSet<TeamId> = checks.iter().map(|check| check.team).collect();
        let teams = teams::get_many(&self.reader, asked).await?;
        let users: BTreeSet<&UserId> = checks.iter().map(|check| &check.user).collect();
        let lineages: BTreeSet<TeamId> = teams.values().flat_map(Team::lineage).collect();
        let memberships = members::of_users_in(&self.reader, users, lineages).await?;
        let mut own = BTreeMap::new();
        for root in teams.values().map(Team::root).collect::<BTreeSet<_>>() {
            let held = memberships.iter().flat_map(|member| &member.roles);
            own.insert(root, roles::named(&self.reader, &self.roles, root, held).await?);
        }
        let mut by_user: BTreeMap<UserId, Vec<Member>> = BTreeMap::new();
        for member in memberships {
            by_user.entry(member.user_id.clone()).or_default().push(member);
        }
        let known = |team: Team| {
            let roles = own.get(&team.root()).cloned().unwrap_or_default();
            (team.id, Known { team, roles, memberships: by_user.clone() })
        };
        Ok(teams.into_values().map(known).collect())
    }
}
