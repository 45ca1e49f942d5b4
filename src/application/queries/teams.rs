//! Reading teams.

use chrono::{DateTime, Utc};

use super::Queries;
use crate::{
    application::{Context, Error, Missing, Result, authorize, revision::Consistency, roles},
    domain::{
        Authority, Member, Roles, Team, TeamId, UserId,
        access::{Origin, Snapshot},
        permission::{Permission, ReadTeams},
        text::Slug,
    },
    repository::{
        members,
        teams::{self, Place},
    },
};

/// Which teams below another to list.
#[derive(Debug, Clone)]
pub struct Below {
    /// All of them, a team before those below it; otherwise only those right below.
    pub all: bool,
    /// After this place.
    pub after: Option<Place>,
    /// How many at the most.
    pub limit: u64,
}

/// A team that a person is a member of.
#[derive(Debug, Clone)]
pub struct TeamOf {
    /// The team.
    pub team: Team,
    /// The roles in force there, each with where it is held; none while the team is closed to them.
    pub roles: Vec<Origin>,
}

impl Queries {
    /// A team by its id.
    pub async fn team(&self, cx: &Context, id: TeamId, fresh: &Consistency) -> Result<Team> {
        self.statements.group("GetTeam", async { Ok(self.authorize::<ReadTeams>(cx, id, fresh).await?.0) }).await
    }

    /// A team by its slug. For a person who may not see it, no slug belongs to a team.
    pub async fn team_by_slug(&self, cx: &Context, slug: &Slug, fresh: &Consistency) -> Result<Team> {
        self.statements
            .group("GetTeamBySlug", async {
                fresh.check(&self.reader).await?;
                authorize::check_scope::<ReadTeams>(&cx.principal)?;
                let refuse = || match &cx.principal.person {
                    None => Error::Missing(Missing::Team(slug.as_str().to_owned())),
                    Some(_) => authorize::denied::<ReadTeams>(None),
                };
                let team = teams::get_by_slug(&self.reader, slug).await?.ok_or_else(refuse)?;
                match authorize::in_team::<ReadTeams>(&self.reader, cx, &self.roles, self.now(), team.id, Some(team))
                    .await
                {
                    Err(Error::Denied { .. }) => Err(refuse()),
                    found => Ok(found?.0),
                }
            })
            .await
    }

    /// A page of a user's teams, and the place after which there are more.
    pub async fn teams_of(
        &self,
        cx: &Context,
        user: &UserId,
        after: Option<&(DateTime<Utc>, TeamId)>,
        limit: u64,
        fresh: &Consistency,
    ) -> Result<(Vec<TeamOf>, Option<(DateTime<Utc>, TeamId)>)> {
        self.statements
            .group("ListUserTeams", async {
                authorize::for_self::<ReadTeams>(cx, Some(user))?;
                fresh.check(&self.reader).await?;
                let now = self.now();
                let (page, next) = members::teams_of(&self.reader, user, after, limit, now).await?;
                let lineages = page.iter().flat_map(|(_, team)| team.lineage());
                let memberships = members::of_user_in(&self.reader, user, lineages).await?;
                let roots = page.iter().map(|(_, team)| team.root()).collect();
                let held = memberships.iter().flat_map(|member| &member.roles);
                let known = roles::named_in_trees(&self.reader, &self.roles, roots, held).await?;
                let of = |(_, team): (Member, Team)| {
                    let roles = known.get(&team.root()).map_or_else(Vec::new, |roles: &Roles| {
                        Snapshot { team: &team, memberships: &memberships, roles, now }.roles_in_force()
                    });
                    TeamOf { team, roles }
                };
                Ok((page.into_iter().map(of).collect(), next))
            })
            .await
    }

    /// A page of the teams below a team, as far as the caller may see them, and the place after which there are more. A
    /// person who does not see all of them sees some by memberships below, and not by each of these, and disabled ones are
    /// closed to all but owners; so a page may come out short.
    pub async fn teams_below(
        &self,
        cx: &Context,
        id: TeamId,
        page: &Below,
        fresh: &Consistency,
    ) -> Result<(Vec<Team>, Option<Place>)> {
        self.statements
            .group("ListTeams", async {
                let (team, allowed) = self.authorize::<ReadTeams>(cx, id, fresh).await?;
                let by = allowed.authority();
                let sees_all = match by {
                    Authority::Person { holdings, .. } => holdings.below.covers(ReadTeams::NAME),
                    Authority::Service => true,
                };
                let member = cx.principal.person.as_ref().filter(|_| !sees_all);
                let rows = teams::Page { all: page.all, member, after: page.after.as_ref(), limit: page.limit + 1 };
                let mut found = teams::list_below(&self.reader, &team, &rows).await?;
                let more = found.len() as u64 > page.limit;
                found.truncate(usize::try_from(page.limit).unwrap_or(usize::MAX));
                let next = found.last().filter(|_| more).map(Place::of);
                found.retain(|team| authorize::check_open_to(by, team).is_ok());
                let Some(person) = member else { return Ok((found, next)) };
                let mut seen = Vec::new();
                for team in found {
                    let holdings = authorize::holdings_of(&self.reader, &self.roles, self.now(), &team, person).await?;
                    if holdings.here.covers(ReadTeams::NAME) {
                        seen.push(team);
                    }
                }
                Ok((seen, next))
            })
            .await
    }
}
