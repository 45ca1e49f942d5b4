//! Reading invitations.

use chrono::{DateTime, Utc};

use super::Queries;
use crate::{
    application::{Context, Error, Missing, Result, authorize::check_scope, revision::Consistency, roles},
    domain::{
        Invitation, InvitationId, TeamId,
        invitation::State,
        link::Claim,
        permission::{LinkInvitations, ReadInvitations, RespondInvitations},
    },
    repository::{invitations, teams, users},
};

/// The link of an open invitation.
#[derive(Debug, Clone)]
pub struct Link {
    /// The token alone.
    pub token: String,
    /// The address to open.
    pub url: String,
    /// Until when it can be accepted.
    pub expire_time: DateTime<Utc>,
}

/// What the holder of a token may know.
#[derive(Debug, Clone)]
pub struct Preview {
    /// Where the invitation stands.
    pub state: State,
    /// The team's name; empty if the team is gone.
    pub team_name: String,
    /// The inviter's name.
    pub inviter_name: Option<String>,
    /// The invited address, masked.
    pub masked_email: String,
    /// The names of the roles it gives.
    pub role_names: Vec<String>,
    /// Until when it can be accepted.
    pub expire_time: DateTime<Utc>,
}

impl Queries {
    /// An invitation.
    pub async fn invitation(
        &self,
        cx: &Context,
        team: TeamId,
        id: InvitationId,
        fresh: &Consistency,
    ) -> Result<Invitation> {
        self.authorize::<ReadInvitations>(cx, team, fresh).await?;
        self.find_invitation(team, id).await
    }

    /// A page of invitations.
    pub async fn invitations(
        &self,
        cx: &Context,
        team: TeamId,
        page: &invitations::Page<'_>,
        fresh: &Consistency,
    ) -> Result<Vec<Invitation>> {
        self.authorize::<ReadInvitations>(cx, team, fresh).await?;
        Ok(invitations::list(&self.reader, team, page).await?)
    }

    /// The link of an open invitation: the same one that its mail holds.
    pub async fn invitation_link(
        &self,
        cx: &Context,
        team: TeamId,
        id: InvitationId,
        fresh: &Consistency,
    ) -> Result<Link> {
        self.authorize::<LinkInvitations>(cx, team, fresh).await?;
        let invitation = self.find_invitation(team, id).await?;
        invitation.check_open(self.now())?;
        let token = self.links.token(&invitation);
        Ok(Link { url: self.links.url(&token), token, expire_time: invitation.expire_time })
    }

    /// What a token claims, if it is one of ours.
    pub fn claim(&self, token: &str) -> Result<Claim> {
        self.links.verify(token).ok_or(Error::TokenInvalid)
    }

    /// What a token stands for.
    pub async fn preview_invitation(&self, cx: &Context, token: &str) -> Result<Preview> {
        check_scope::<RespondInvitations>(&cx.principal)?;
        let claim = self.claim(token)?;
        let found = invitations::get_any(&self.reader, claim.invitation).await?;
        let invitation = found.filter(|i| i.link_version == claim.link_version).ok_or(Error::TokenInvalid)?;
        // The invitations of a deleted team were canceled with it.
        let team = teams::get(&self.reader, invitation.team_id).await?;
        let inviter = match &invitation.inviter {
            Some(user) => users::get(&self.reader, user).await?,
            None => None,
        };
        let roles = match &team {
            Some(team) => roles::named(&self.reader, &self.roles, team.root(), invitation.roles()).await?,
            None => crate::domain::Roles::clone(&self.roles),
        };
        let names = invitation.roles().iter().filter_map(|id| roles.get(id));
        Ok(Preview {
            state: invitation.state_at(self.now()).clone(),
            team_name: team.map(|team| team.name.to_string()).unwrap_or_default(),
            inviter_name: inviter.map(|user| user.display_name.to_string()).filter(|name| !name.is_empty()),
            masked_email: invitation.email.masked(),
            role_names: names.map(|role| role.name.clone()).collect(),
            expire_time: invitation.expire_time,
        })
    }

    async fn find_invitation(&self, team: TeamId, id: InvitationId) -> Result<Invitation> {
        let found = invitations::get(&self.reader, team, id).await?;
        found.ok_or_else(|| Error::Missing(Missing::Invitation(id.to_string())))
    }
}
