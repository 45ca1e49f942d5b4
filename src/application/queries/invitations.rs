//! Reading invitations: the team's side.

use chrono::{DateTime, Utc};

use super::Queries;
use crate::{
    application::{Context, Error, Missing, Result, revision::Consistency, roles::check_below, standing::Standing},
    domain::{
        Invitation, InvitationId, TeamId,
        invitation::DeliveryState,
        permission::{LinkInvitations, ReadInvitations},
    },
    repository::{invitations, mails, teams},
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

impl Queries {
    /// An invitation.
    pub async fn invitation(
        &self,
        cx: &Context,
        team: TeamId,
        id: InvitationId,
        fresh: &Consistency,
    ) -> Result<Invitation> {
        self.statements
            .group("GetInvitation", async {
                self.authorize::<ReadInvitations>(cx, team, fresh).await?;
                let found = vec![self.find_invitation(team, id).await?];
                let found = self.with_progress(found).await?.pop();
                found.ok_or_else(|| Error::Missing(Missing::Invitation(id.to_string())))
            })
            .await
    }

    /// A page of invitations.
    pub async fn invitations(
        &self,
        cx: &Context,
        team: TeamId,
        page: &invitations::Page<'_>,
        fresh: &Consistency,
    ) -> Result<Vec<Invitation>> {
        self.statements
            .group("ListInvitations", async {
                let (team, allowed) = self.authorize::<ReadInvitations>(cx, team, fresh).await?;
                if page.filter.descendants {
                    check_below::<ReadInvitations>(allowed.authority(), &team)?;
                }
                let found = invitations::list(&self.reader, &team, page).await?;
                self.with_progress(found).await
            })
            .await
    }

    /// The link of an open invitation: the same one that its mail holds. Whoever has it can have what it gives, so it is
    /// shown to who could give that.
    pub async fn invitation_link(
        &self,
        cx: &Context,
        team: TeamId,
        id: InvitationId,
        fresh: &Consistency,
    ) -> Result<Link> {
        self.statements
            .group("GetInvitationLink", async {
                let (_, allowed) = self.authorize::<LinkInvitations>(cx, team, fresh).await?;
                let invitation = self.find_invitation(team, id).await?;
                let now = self.now();
                invitation.check_open(now)?;
                if let Some(person) = allowed.authority().person() {
                    let standing = Standing { source: &self.reader, system: &self.roles, now };
                    let teams = teams::get_many(&self.reader, invitation.teams()).await?;
                    standing.check_could_give(&invitation, &teams, person).await?;
                }
                let token = self.links.token(&invitation);
                Ok(Link { url: self.links.url(&token), token, expire_time: invitation.expire_time })
            })
            .await
    }

    async fn find_invitation(&self, team: TeamId, id: InvitationId) -> Result<Invitation> {
        let found = invitations::get(&self.reader, team, id).await?;
        found.ok_or_else(|| Error::Missing(Missing::Invitation(id.to_string())))
    }

    /// These invitations with how far their waiting mails came, which stands with the mails until they end.
    pub(super) async fn with_progress(&self, mut found: Vec<Invitation>) -> Result<Vec<Invitation>> {
        let waiting = |invitation: &&mut Invitation| invitation.delivery.state == DeliveryState::Queued;
        let ids: Vec<InvitationId> = found.iter_mut().filter(waiting).map(|invitation| invitation.id).collect();
        if ids.is_empty() {
            return Ok(found);
        }
        let mut progress = mails::progress(&self.reader, ids).await?;
        for invitation in &mut found {
            if let Some((attempts, error)) = progress.remove(&invitation.id) {
                invitation.delivery.attempts = attempts;
                invitation.delivery.last_error = error;
            }
        }
        Ok(found)
    }
}
