//! Reading invitations: the invited person's side.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::Queries;
use crate::{
    application::{
        Context, Error, Missing, Result,
        authorize::{check_scope, for_self},
        respond::check_alive,
        revision::Consistency,
        roles,
        standing::Standing,
    },
    domain::{
        Broken, Invitation, Roles, Team, TeamId, User, UserId, invitation::State, link::Claim,
        permission::RespondInvitations,
    },
    repository::{
        invitations::{self, Place},
        teams, users,
    },
};

/// What the invited person may know of an invitation.
#[derive(Debug, Clone)]
pub struct Preview {
    /// The invitation.
    pub invitation: Invitation,
    /// Where it stands.
    pub state: State,
    /// The name of the team that invites; empty if the team is gone.
    pub team_name: String,
    /// The inviter's name.
    pub inviter_name: Option<String>,
    /// The names of the teams that it grants something in, the one that invites first, each with the names of the roles.
    pub grants: Vec<(String, Vec<String>)>,
    /// Whether the link that was followed was replaced by a newer one.
    pub replaced: bool,
    /// What stands against accepting it, although it is open.
    pub blocked_by: Option<Broken>,
}

impl Queries {
    /// What a token claims, if it is one of ours.
    pub fn claim(&self, token: &str) -> Result<Claim> {
        self.links.verify(token).ok_or(Error::TokenInvalid)
    }

    /// Whether a text holds the token of a link, which is never to be kept.
    pub fn quotes_link(&self, text: &str) -> bool {
        self.links.are_quoted_in(text)
    }

    /// What a token stands for.
    pub async fn preview_invitation(&self, cx: &Context, token: &str) -> Result<Preview> {
        self.statements
            .group("PreviewInvitation", async {
                check_scope::<RespondInvitations>(&cx.principal)?;
                let claim = self.claim(token)?;
                let found = invitations::get_any(&self.reader, claim.invitation).await?.ok_or(Error::TokenInvalid)?;
                let replaced = match check_alive(&found, claim) {
                    Ok(()) => false,
                    Err(Error::Broken(_)) => true,
                    Err(error) => return Err(error),
                };
                self.preview(found, replaced, None).await
            })
            .await
    }

    /// A page of the invitations to a person's own address, the newest first.
    pub async fn invitations_of(
        &self,
        cx: &Context,
        user: &UserId,
        after: Option<&Place>,
        limit: u64,
        fresh: &Consistency,
    ) -> Result<Vec<Preview>> {
        self.statements
            .group("ListMyInvitations", async {
                for_self::<RespondInvitations>(cx, Some(user))?;
                fresh.check(&self.reader).await?;
                let found = users::get(&self.reader, user).await?;
                let user = found.ok_or_else(|| Error::Missing(Missing::User(user.to_string())))?;
                if !user.email_verified {
                    return Err(Broken::EmailNotVerified.into());
                }
                let mut previews = Vec::new();
                for invitation in invitations::of_address(&self.reader, &user.email, after, limit, self.now()).await? {
                    previews.push(self.preview(invitation, false, Some(&user)).await?);
                }
                Ok(previews)
            })
            .await
    }

    /// What `user` may know of an invitation, who is known to be the invited person; or else whoever holds its link.
    async fn preview(&self, invitation: Invitation, replaced: bool, user: Option<&User>) -> Result<Preview> {
        let now = self.now();
        let teams = teams::get_many(&self.reader, invitation.teams()).await?;
        let inviter = match &invitation.inviter {
            Some(user) => users::get(&self.reader, user).await?,
            None => None,
        };
        let roles = self.roles_of(&invitation, &teams).await?;
        let own = teams.get(&invitation.team_id);
        let others = teams.values().filter(|team| team.id != invitation.team_id);
        let names = |team: &Team| {
            let offer = invitation.grants.get(&team.id);
            let named = offer.into_iter().flat_map(|offer| &offer.roles).filter_map(|id| roles.get(id));
            (team.name.to_string(), named.map(|role| role.name.clone()).collect())
        };
        Ok(Preview {
            // The invitations of a deleted team were canceled with it.
            state: invitation.state_at(now).clone(),
            team_name: own.map(|team| team.name.to_string()).unwrap_or_default(),
            inviter_name: inviter.map(|user| user.display_name.to_string()).filter(|name| !name.is_empty()),
            grants: own.into_iter().chain(others).map(names).collect(),
            replaced,
            blocked_by: self.blocked_by(&invitation, &teams, user, now).await?,
            invitation,
        })
    }

    async fn roles_of(&self, invitation: &Invitation, teams: &BTreeMap<TeamId, Team>) -> Result<Roles> {
        let granted = invitation.grants.values().flat_map(|offer| &offer.roles);
        match teams.values().next() {
            Some(team) => roles::named(&self.reader, &self.roles, team.root(), granted).await,
            None => Ok(Roles::clone(&self.roles)),
        }
    }

    async fn blocked_by(
        &self,
        invitation: &Invitation,
        teams: &BTreeMap<TeamId, Team>,
        user: Option<&User>,
        now: DateTime<Utc>,
    ) -> Result<Option<Broken>> {
        if invitation.check_open(now).is_err() {
            return Ok(None);
        }
        let standing = Standing { source: &self.reader, system: &self.roles, now };
        let checked = match user {
            Some(user) => standing.check_person(invitation, teams, user).await,
            None => standing.check_room(invitation, teams).await,
        };
        match checked {
            Ok(()) => Ok(None),
            Err(Error::Broken(rule)) => Ok(Some(rule)),
            Err(error) => Err(error),
        }
    }
}
