//! Reading: nothing here takes a lock or changes anything.

mod events;
mod invitations;

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{
    Context, Error, Missing, Result,
    authorize::{self, Allowed},
    members::TeamMember,
    revision::Consistency,
};
use crate::{
    domain::{
        Email, Member, Role, RoleId, Roles, Team, TeamId, User, UserId,
        link::Links,
        permission::{Permission, ReadMembers, ReadRoles, ReadTeams, ReadUsers},
        text::Slug,
    },
    env::Env,
    repository::{Database, Reader, members, teams, users},
};

pub use events::{EventPage, Start};
pub use invitations::{Link, Preview};

/// The way to read.
#[derive(Debug, Clone)]
pub struct Queries {
    reader: Reader,
    env: Env,
    roles: Arc<Roles>,
    links: Arc<Links>,
}

impl Queries {
    /// Reads from this database.
    pub fn new(database: &Database, env: Env, roles: Arc<Roles>, links: Arc<Links>) -> Self {
        Self { reader: database.reader(), env, roles, links }
    }

    /// The time that this read takes for now.
    pub fn now(&self) -> DateTime<Utc> {
        self.env.now()
    }

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
        match authorize::in_team::<ReadTeams>(&self.reader, cx, &self.roles, team.id, Some(team)).await {
            Err(Error::Denied { .. }) => Err(refuse()),
            found => Ok(found?.0),
        }
    }

    /// A page of a user's teams, each with when they joined it.
    pub async fn teams_of(
        &self,
        cx: &Context,
        user: &UserId,
        after: Option<&members::Place<TeamId>>,
        limit: u64,
        fresh: &Consistency,
    ) -> Result<Vec<(DateTime<Utc>, Team)>> {
        authorize::for_self::<ReadTeams>(cx, Some(user))?;
        fresh.check(&self.reader).await?;
        Ok(members::teams_of(&self.reader, user, after, limit).await?)
    }

    /// A member.
    pub async fn member(&self, cx: &Context, team: TeamId, user: &UserId, fresh: &Consistency) -> Result<TeamMember> {
        self.authorize::<ReadMembers>(cx, team, fresh).await?;
        let missing = || Error::Missing(Missing::Member(user.to_string()));
        let member = members::get(&self.reader, team, user).await?.ok_or_else(missing)?;
        let user = users::get(&self.reader, user).await?.ok_or_else(missing)?;
        Ok(TeamMember { member, user })
    }

    /// A page of members.
    pub async fn members(
        &self,
        cx: &Context,
        team: TeamId,
        page: &members::Page<'_>,
        fresh: &Consistency,
    ) -> Result<Vec<TeamMember>> {
        self.authorize::<ReadMembers>(cx, team, fresh).await?;
        let found = members::list(&self.reader, team, page).await?;
        let users = users::get_many(&self.reader, found.iter().map(|member| &member.user_id)).await?;
        let pair = |member: Member| Some(TeamMember { user: users.get(&member.user_id)?.clone(), member });
        Ok(found.into_iter().filter_map(pair).collect())
    }

    /// A role that can be held in the team.
    pub async fn role(&self, cx: &Context, team: TeamId, id: &RoleId, fresh: &Consistency) -> Result<Role> {
        self.authorize::<ReadRoles>(cx, team, fresh).await?;
        self.roles.get(id).cloned().ok_or_else(|| Error::Missing(Missing::Role(id.to_string())))
    }

    /// The roles that can be held in the team.
    pub async fn roles(&self, cx: &Context, team: TeamId, fresh: &Consistency) -> Result<Arc<Roles>> {
        self.authorize::<ReadRoles>(cx, team, fresh).await?;
        Ok(self.roles.clone())
    }

    /// A user by id.
    pub async fn user(&self, cx: &Context, id: &UserId, fresh: &Consistency) -> Result<User> {
        authorize::for_self::<ReadUsers>(cx, Some(id))?;
        fresh.check(&self.reader).await?;
        let found = users::get(&self.reader, id).await?;
        found.ok_or_else(|| Error::Missing(Missing::User(id.to_string())))
    }

    /// A user by e-mail address. For a person, only their own belongs to anyone.
    pub async fn user_by_email(&self, cx: &Context, email: &Email, fresh: &Consistency) -> Result<User> {
        authorize::check_scope::<ReadUsers>(&cx.principal)?;
        fresh.check(&self.reader).await?;
        let found = users::get_by_email(&self.reader, email).await?;
        authorize::for_self::<ReadUsers>(cx, found.as_ref().map(|user| &user.id))?;
        found.ok_or_else(|| Error::Missing(Missing::User(email.to_string())))
    }

    async fn authorize<P: Permission>(
        &self,
        cx: &Context,
        id: TeamId,
        fresh: &Consistency,
    ) -> Result<(Team, Allowed<P>)> {
        fresh.check(&self.reader).await?;
        let team = teams::get(&self.reader, id).await?;
        authorize::in_team::<P>(&self.reader, cx, &self.roles, id, team).await
    }
}
