//! Asking what somebody may do.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::Queries;
use crate::{
    application::{Context, Result, authorize, revision::Consistency, roles},
    domain::{
        Member, Roles, Team, TeamId, UserId,
        access::{self, Lapsed, Verdict},
        permission,
    },
    repository::{Snapshot, expirations, members, teams},
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
        self.statements
            .group("CheckAccess", async {
                for check in checks {
                    authorize::for_self::<permission::CheckAccess>(cx, Some(&check.user))?;
                }
                fresh.check(&self.reader).await?;
                let verdicts = self.verdicts(checks).await?;
                Ok(verdicts.into_iter().map(|verdict| matches!(verdict, Verdict::Allowed(_))).collect())
            })
            .await
    }

    /// Whether a person may do something, and why. A person can ask about themselves, and about others in teams where
    /// they hold the permission to.
    pub async fn explain_access(&self, cx: &Context, check: Check, fresh: &Consistency) -> Result<Verdict> {
        self.statements
            .group("ExplainAccess", async {
                if cx.principal.person.as_ref().is_none_or(|person| *person != check.user) {
                    self.authorize::<permission::ExplainAccess>(cx, check.team, fresh).await?;
                } else {
                    authorize::check_scope::<permission::ExplainAccess>(&cx.principal)?;
                    fresh.check(&self.reader).await?;
                }
                let snapshot = self.reader.snapshot().await?;
                let mut known = self.load(&snapshot, std::slice::from_ref(&check)).await?;
                self.recall(&snapshot, &check, &mut known).await?;
                snapshot.end().await?;
                Ok(known.verdicts(&[check], self.now()).pop().unwrap_or(Verdict::NotAMember))
            })
            .await
    }

    /// Loads what the questions are about as it is at one moment, and answers them.
    async fn verdicts(&self, checks: &[Check]) -> Result<Vec<Verdict>> {
        let snapshot = self.reader.snapshot().await?;
        let known = self.load(&snapshot, checks).await?;
        snapshot.end().await?;
        Ok(known.verdicts(checks, self.now()))
    }

    /// Adds what the person held in the team, and above it, until it ran out.
    async fn recall(&self, source: &Snapshot, check: &Check, known: &mut Known) -> Result<()> {
        let Some(team) = known.teams.get(&check.team) else { return Ok(()) };
        let lapsed = expirations::of_user_in(source, &check.user, team.lineage()).await?;
        if lapsed.is_empty() {
            return Ok(());
        }
        let memberships = known.memberships.entry(check.user.clone()).or_default();
        *memberships = Lapsed::recalled(lapsed, std::mem::take(memberships));
        let held = memberships.iter().flat_map(|member| &member.roles);
        known.roles = roles::named_in_trees(source, &self.roles, [team.root()].into(), held).await?;
        Ok(())
    }

    /// In a few reads, however many questions there are.
    async fn load(&self, source: &Snapshot, checks: &[Check]) -> Result<Known> {
        let asked: BTreeSet<TeamId> = checks.iter().map(|check| check.team).collect();
        let teams = teams::get_many(source, asked).await?;
        let users: BTreeSet<&UserId> = checks.iter().map(|check| &check.user).collect();
        let lineages: BTreeSet<TeamId> = teams.values().flat_map(Team::lineage).collect();
        let found = members::of_users_in(source, users, lineages).await?;
        let held = found.iter().flat_map(|member| &member.roles);
        let roots = teams.values().map(Team::root).collect();
        let roles = roles::named_in_trees(source, &self.roles, roots, held).await?;
        let mut memberships: BTreeMap<UserId, Vec<Member>> = BTreeMap::new();
        for member in found {
            memberships.entry(member.user_id.clone()).or_default().push(member);
        }
        Ok(Known { teams, roles, memberships })
    }
}

impl Known {
    /// The answers, in the order of the questions.
    fn verdicts(&self, checks: &[Check], now: DateTime<Utc>) -> Vec<Verdict> {
        let verdict = |check: &Check| {
            let found = self.teams.get(&check.team).and_then(|team| Some((team, self.roles.get(&team.root())?)));
            let Some((team, roles)) = found else { return Verdict::NotAMember };
            let memberships = self.memberships.get(&check.user).map(Vec::as_slice).unwrap_or_default();
            access::Snapshot { team, memberships, roles, now }.verdict(&check.permission)
        };
        checks.iter().map(verdict).collect()
    }
}
