//! What a mail says, looked up when it is sent: of the invitation, its teams and the people as they are then.

use std::sync::Arc;

use super::{GrantedTeam, InvitationMail, RenewalMail};
use crate::{
    domain::{Invitation, Roles, Team, User, UserId, invitation::Offer, link::Links},
    repository::{Reader, Result, mails::Mail, roles, teams, users},
};

/// Looks up what mails say.
#[derive(Debug)]
pub struct Letters {
    /// Where to look.
    pub reader: Reader,
    /// The system roles, for their names.
    pub roles: Arc<Roles>,
    /// Makes the links.
    pub links: Arc<Links>,
}

impl Letters {
    /// The mail to the invited person; `team` is the one that invites.
    pub(super) async fn invitation(&self, mail: &Mail, invitation: &Invitation, team: &Team) -> Result<InvitationMail> {
        let message = invitation.message.to_string();
        Ok(InvitationMail {
            message_id_seed: mail.id,
            // The same for every try, so that every try makes the same bytes.
            date: mail.create_time,
            to: invitation.email.to_string(),
            locale: self.locale(invitation).await?,
            grants: self.grants(invitation, team).await?,
            inviter_name: self.inviter_name(invitation).await?,
            message: Some(message).filter(|message| !message.is_empty()),
            link: self.links.url(&self.links.token(invitation)).into(),
            login_email: invitation.email.to_string(),
            expire_time: invitation.expire_time,
        })
    }

    /// The mail to somebody who can send the invitation again; `None` when they are gone.
    pub(super) async fn renewal(
        &self,
        mail: &Mail,
        to: &UserId,
        invitation: &Invitation,
        team: &Team,
    ) -> Result<Option<RenewalMail>> {
        let Some(user) = users::get(&self.reader, to).await? else { return Ok(None) };
        Ok(Some(RenewalMail {
            message_id_seed: mail.id,
            date: mail.create_time,
            to: user.email.to_string(),
            locale: user.profile.locale.as_ref().map(ToString::to_string),
            team_id: team.id,
            invitation_id: invitation.id,
            team: team.name.to_string(),
            invited_address: invitation.email.to_string(),
            expired_time: invitation.expire_time,
            request_time: invitation.renewal_request_time.unwrap_or(mail.create_time),
        }))
    }

    /// That of the invitation, or else of whoever has the address.
    async fn locale(&self, invitation: &Invitation) -> Result<Option<String>> {
        if let Some(locale) = &invitation.locale {
            return Ok(Some(locale.to_string()));
        }
        let of = |user: User| user.profile.locale.map(|locale| locale.to_string());
        Ok(users::get_by_email(&self.reader, &invitation.email).await?.and_then(of))
    }

    async fn inviter_name(&self, invitation: &Invitation) -> Result<Option<String>> {
        let Some(id) = &invitation.inviter else { return Ok(None) };
        let name = users::get(&self.reader, id).await?.map(|user| user.display_name.to_string());
        Ok(name.filter(|name| !name.is_empty()))
    }

    /// The teams that the invitation grants something in, the one that invites first.
    async fn grants(&self, invitation: &Invitation, team: &Team) -> Result<Vec<GrantedTeam>> {
        let granted = invitation.grants.values().flat_map(|offer| &offer.roles);
        let own = roles::get_many(&self.reader, team.root(), granted).await?;
        let roles = self.roles.with(own);
        let teams = teams::get_many(&self.reader, invitation.teams()).await?;
        let others = teams.values().filter(|other| other.id != team.id);
        let told = |team: &Team| {
            let none = Offer::default();
            let offer = invitation.grants.get(&team.id).unwrap_or(&none);
            GrantedTeam {
                team: team.name.to_string(),
                roles: offer.roles.iter().filter_map(|id| roles.get(id)).map(|role| role.name.clone()).collect(),
                permissions: offer.permissions.len(),
            }
        };
        Ok([team].into_iter().chain(others).map(told).collect())
    }
}
