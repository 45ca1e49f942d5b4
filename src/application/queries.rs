//! Reading: nothing here takes a lock or changes anything.

mod access;
mod events;
mod invitations;
mod members;
mod received;
mod teams;

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{
    Context, Error, Missing, Result,
    authorize::{self, Allowed},
    revision::Consistency,
    roles,
    statements::Statements,
};
use crate::{
    domain::{
        Email, Role, RoleId, Roles, Team, TeamId, User, UserId,
        link::Links,
        permission::{Permission, ReadRoles, ReadUsers},
    },
    env::Env,
    metrics::Metrics,
    repository::{self, Database, Reader, teams as rows, users},
};

pub use access::Check;
pub use events::{EventPage, Start};
pub use invitations::Link;
pub use received::Preview;
pub use teams::{Below, TeamOf};

/// The way to read.
#[derive(Debug, Clone)]
pub struct Queries {
    reader: Reader,
    env: Env,
    roles: Arc<Roles>,
    links: Arc<Links>,
    statements: Statements,
}

impl Queries {
    /// Reads from this database.
    pub fn new(database: &Database, env: Env, roles: Arc<Roles>, links: Arc<Links>, metrics: Metrics) -> Self {
        Self { reader: database.reader(), env, roles, links, statements: Statements::new(database, metrics) }
    }

    /// The time that this read takes for now.
    pub fn now(&self) -> DateTime<Utc> {
        self.env.now()
    }

    /// A role that can be held in the team.
    pub async fn role(&self, cx: &Context, team: TeamId, id: &RoleId, fresh: &Consistency) -> Result<Role> {
        self.statements
            .group("GetRole", async {
                let (team, _) = self.authorize::<ReadRoles>(cx, team, fresh).await?;
                let roles = roles::named(&self.reader, &self.roles, team.root(), [id]).await?;
                roles.get(id).cloned().ok_or_else(|| Error::Missing(Missing::Role(id.to_string())))
            })
            .await
    }

    /// The roles that can be held in the team: those of the configuration, then the tree's own.
    pub async fn roles(&self, cx: &Context, team: TeamId, fresh: &Consistency) -> Result<Roles> {
        self.statements
            .group("ListRoles", async {
                let (team, _) = self.authorize::<ReadRoles>(cx, team, fresh).await?;
                Ok(self.roles.with(repository::roles::list(&self.reader, team.root()).await?))
            })
            .await
    }

    /// Fails unless the caller may know of Roster's own permissions, which are no secret of any team.
    pub fn check_permissions(cx: &Context) -> Result<()> {
        authorize::check_scope::<ReadRoles>(&cx.principal)
    }

    /// A user by id.
    pub async fn user(&self, cx: &Context, id: &UserId, fresh: &Consistency) -> Result<User> {
        self.statements
            .group("GetUser", async {
                authorize::for_self::<ReadUsers>(cx, Some(id))?;
                fresh.check(&self.reader).await?;
                let found = users::get(&self.reader, id).await?;
                found.ok_or_else(|| Error::Missing(Missing::User(id.to_string())))
            })
            .await
    }

    /// A user by e-mail address. For a person, only their own belongs to anyone.
    pub async fn user_by_email(&self, cx: &Context, email: &Email, fresh: &Consistency) -> Result<User> {
        self.statements
            .group("GetUserByEmail", async {
                authorize::check_scope::<ReadUsers>(&cx.principal)?;
                fresh.check(&self.reader).await?;
                let found = users::get_by_email(&self.reader, email).await?;
                authorize::for_self::<ReadUsers>(cx, found.as_ref().map(|user| &user.id))?;
                found.ok_or_else(|| Error::Missing(Missing::User(email.to_string())))
            })
            .await
    }

    async fn authorize<P: Permission>(
        &self,
        cx: &Context,
        id: TeamId,
        fresh: &Consistency,
    ) -> Result<(Team, Allowed<P>)> {
        fresh.check(&self.reader).await?;
        let team = rows::get(&self.reader, id).await?;
        authorize::in_team::<P>(&self.reader, cx, &self.roles, self.now(), id, team).await
    }
}
