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

/// What answers questions: the teams asked about, the roles of their trees by root, and the memberships of the people
/// asked about, of all these teams and of those above them.
struct Known {
    teams: BTreeMap<TeamId, Team>,
    roles: BTreeMap<TeamId, Roles>,
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
        let verdict = |check: &Check| {
            let found = known.teams.get(&check.team).and_then(|team| Some((team, known.roles.get(&team.root())?)));
            let Some((team, roles)) = found else { return Verdict::NotAMember };
            let memberships = known.memberships.get(&check.user).map(Vec::as_slice).unwrap_or_default();
            Snapshot { team, memberships, roles, now }.verdict(&check.permission)
        };
        Ok(checks.iter().map(verdict).collect())
    }

    async fn load(&self, checks: &[Check]) -> Result<Known> {
        let asked: BTreeSet<TeamId> = checks.iter().map(|check| check.team).collect();
        let teams = teams::get_many(&self.reader, asked).await?;
        let users: BTreeSet<&UserId> = checks.iter().map(|check| &check.user).collect();
        let lineages: BTreeSet<TeamId> = teams.values().flat_map(Team::lineage).collect();
        let found = members::of_users_in(&self.reader, users, lineages).await?;
        let mut roles = BTreeMap::new();
        for root in teams.values().map(Team::root).collect::<BTreeSet<_>>() {
            let held = found.iter().flat_map(|member| &member.roles);
            roles.insert(root, roles::named(&self.reader, &self.roles, root, held).await?);
        }
        let mut memberships: BTreeMap<UserId, Vec<Member>> = BTreeMap::new();
        for member in found {
            memberships.entry(member.user_id.clone()).or_default().push(member);
        }
        Ok(Known { teams, roles, memberships })
    }
}
