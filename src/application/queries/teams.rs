//! Reading teams.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::Queries;
use crate::{
    application::{Context, Error, Missing, Result, authorize, revision::Consistency, roles},
    domain::{
        Member, Roles, Team, TeamId, UserId,
        access::{Origin, Snapshot},
        permission::{Permission, ReadTeams},
        text::Slug,
    },
    repository::{members, teams},
};

/// Which teams below another to list.
#[derive(Debug, Clone)]
pub struct Below {
    /// All of them, a team before those below it; otherwise only those right below.
    pub all: bool,
    /// After this one.
    pub after: Option<TeamId>,
    /// How many at the most.
    pub limit: u64,
}

/// A team that a person is a member of.
#[derive(Debug, Clone)]
pub struct TeamOf {
    /// The team.
    pub team: Team,
    /// When they joined it.
    pub joined: DateTime<Utc>,
    /// The roles in force there, each with where it is held.
    pub roles: Vec<Origin>,
}

impl Queries {
    /// A team by its id.
    pub async fn team(&self, cx: &Context, id: TeamId, fresh: &Consistency) -> Result<Team> {
        Ok(self.authorize::<ReadTeams>(cx, id, fresh).await?.0)
    }

    /// A team by its slug. For a person who may not see it, no slug belongs to a team.
    pub async fn team_by_slug(&self, cx: &Context, slug: &Slug, fresh: &Consistency) -> Result<Team> {
        fresh.check(&self.reader).await?;
        authorize::check_scope::<ReadTeams>(&cx.principal)?;
        let refuse = || match &cx.principal.person {
            None => Error::Missing(Missing::Team(slug.as_str().to_owned())),
            Some(_) => authorize::denied::<ReadTeams>(None),
        };
        let team = teams::get_by_slug(&self.reader, slug).await?.ok_or_else(refuse)?;
        match authorize::in_team::<ReadTeams>(&self.reader, cx, &self.roles, self.now(), team.id, Some(team)).await {
            Err(Error::Denied { .. }) => Err(refuse()),
            found => Ok(found?.0),
        }
    }

    /// A page of a user's teams.
    pub async fn teams_of(
        &self,
        cx: &Context,
        user: &UserId,
        after: Option<&(DateTime<Utc>, TeamId)>,
        limit: u64,
        fresh: &Consistency,
    ) -> Result<Vec<TeamOf>> {
        authorize::for_self::<ReadTeams>(cx, Some(user))?;
        fresh.check(&self.reader).await?;
        let now = self.now();
        let page = members::teams_of(&self.reader, user, after, limit, now).await?;
        let lineages = page.iter().flat_map(|(_, team)| team.lineage());
        let memberships = members::of_user_in(&self.reader, user, lineages).await?;
        let mut known = BTreeMap::new();
        for root in page.iter().map(|(_, team)| team.root()) {
            if let std::collections::btree_map::Entry::Vacant(entry) = known.entry(root) {
                let held = memberships.iter().flat_map(|member| &member.roles);
                entry.insert(roles::named(&self.reader, &self.roles, root, held).await?);
            }
        }
        let of = |(member, team): (Member, Team)| {
            let roles = known.get(&team.root()).map_or_else(Vec::new, |roles: &Roles| {
                Snapshot { team: &team, memberships: &memberships, roles, now }.roles_in_force()
            });
            TeamOf { joined: member.join_time, roles, team }
        };
        Ok(page.into_iter().map(of).collect())
    }

    /// A page of the teams below a team, as far as the caller may see them. A person who does not see all of them sees some
    /// by memberships below, and not by each of these; so a page may come out short.
    pub async fn teams_below(
        &self,
        cx: &Context,
        id: TeamId,
        page: &Below,
        fresh: &Consistency,
    ) -> Result<(Vec<Team>, Option<TeamId>)> {
        let (team, allowed) = self.authorize::<ReadTeams>(cx, id, fresh).await?;
        let after = match page.after {
            None => None,
            Some(after) => teams::get(&self.reader, after).await?,
        };
        let sees_all = match allowed.authority() {
            crate::domain::Authority::Person { holdings, .. } => holdings.below.covers(ReadTeams::NAME),
            crate::domain::Authority::Service => true,
        };
        let member = cx.principal.person.as_ref().filter(|_| !sees_all);
        let rows = teams::Page { all: page.all, member, after: after.as_ref(), limit: page.limit + 1 };
        let mut found = teams::list_below(&self.reader, &team, &rows).await?;
        let more = found.len() as u64 > page.limit;
        found.truncate(usize::try_from(page.limit).unwrap_or(usize::MAX));
        let next = found.last().filter(|_| more).map(|team| team.id);
        let Some(person) = member else { return Ok((found, next)) };
        let mut seen = Vec::new();
        for team in found {
            let holdings = authorize::holdings_of(&self.reader, &self.roles, self.now(), &team, person).await?;
            if holdings.here.covers(ReadTeams::NAME) && (team.disabled_by.is_none() || holdings.owner) {
                seen.push(team);
            }
        }
        Ok((seen, next))
    }
}
