//! Answering: the invited person's side of an invitation. The token shows that they may.

use serde::{Deserialize, Serialize};

use super::{
    Command, Error, Result, Work, authorize,
    consequence::{change_invitation, check_inviter},
    invitations::check_roles_exist,
    members::{TeamMember, change, join, joining_user, known_user, member},
    users::CreateUser,
};
use crate::{
    domain::{
        Broken, Cause, Email, Invitation, Team, User, UserId,
        event::InvitationChange,
        link::Claim,
        member::{Grant, Source},
        permission::RespondInvitations,
        text::DisplayName,
        user::Profile,
    },
    repository::{invitations, teams},
};

/// Accepts an invitation.
#[derive(Debug, Serialize)]
pub struct AcceptInvitation {
    /// What the verified token claims.
    pub claim: Claim,
    /// Who accepts.
    pub accepter: Accepter,
}

/// Who accepts an invitation.
#[derive(Debug, Clone, Serialize)]
pub enum Accepter {
    /// A known user.
    Known(UserId),
    /// A user to record.
    New {
        /// The caller's id; `None` for a new one.
        id: Option<UserId>,
        /// The address; `None` for the invited one.
        email: Option<Email>,
        /// Whether the address is known to belong to the person.
        email_verified: bool,
        /// The name to show.
        display_name: DisplayName,
    },
}

impl Accepter {
    fn id(&self) -> Option<&UserId> {
        match self {
            Self::Known(id) => Some(id),
            Self::New { id, .. } => id.as_ref(),
        }
    }
}

/// An accepted invitation.
#[derive(Debug, Serialize, Deserialize)]
pub struct Accepted {
    /// The invitation.
    pub invitation: Invitation,
    /// The membership it gave.
    pub member: TeamMember,
}

impl Command for AcceptInvitation {
    const NAME: &'static str = "AcceptInvitation";
    type Answer = Accepted;

    async fn execute(&self, work: &mut Work<'_>) -> Result<Accepted> {
        authorize::for_self::<RespondInvitations>(work.cx, self.accepter.id())?;
        let (team, before) = lock_claimed(work, self.claim).await?;
        if let Some(answer) = self.answer_again(work, &team, &before).await? {
            return Ok(answer);
        }
        before.check_open(work.now)?;
        if let Some(team) = team.disabled_by {
            return Err(Broken::TeamDisabled { team }.into());
        }
        check_roles_exist(work, &team, &before).await?;
        check_inviter(work, &team, &before).await?;
        let user = self.user(work, &team, &before).await?;
        let after = before.clone().accept(user.id.clone(), work.now)?;
        let after = change_invitation(work, InvitationChange::Accepted, Cause::Direct, before, after).await?;
        let member = admit(work, &team, user, &after).await?;
        Ok(Accepted { invitation: after, member })
    }
}

impl AcceptInvitation {
    /// What the first acceptance answered, for the same user and as long as they are a member.
    async fn answer_again(
        &self,
        work: &mut Work<'_>,
        team: &Team,
        invitation: &Invitation,
    ) -> Result<Option<Accepted>> {
        let Some(by) = invitation.accepted_by().filter(|by| Some(*by) == self.accepter.id()) else { return Ok(None) };
        let Some(member) = member(work, team, by).await? else { return Ok(None) };
        let user = known_user(work, by).await?;
        Ok(Some(Accepted { invitation: invitation.clone(), member: TeamMember { member, user } }))
    }

    /// The user who accepts, recorded if they are new.
    async fn user(&self, work: &mut Work<'_>, team: &Team, invitation: &Invitation) -> Result<User> {
        match &self.accepter {
            Accepter::Known(id) => {
                let user = joining_user(work, team, id).await?;
                check_address(team, invitation, &user.email)?;
                Ok(user)
            }
            Accepter::New { id, email, email_verified, display_name } => {
                let email = email.clone().unwrap_or_else(|| invitation.email.clone());
                check_address(team, invitation, &email)?;
                let new = CreateUser {
                    id: id.clone(),
                    email,
                    email_verified: *email_verified,
                    display_name: display_name.clone(),
                    profile: Profile::default(),
                    home: Some(team.root()),
                };
                new.record(work).await
            }
        }
    }
}

/// Declines an invitation.
#[derive(Debug, Serialize)]
pub struct DeclineInvitation {
    /// What the verified token claims.
    pub claim: Claim,
}

impl Command for DeclineInvitation {
    const NAME: &'static str = "DeclineInvitation";
    type Answer = Invitation;

    async fn execute(&self, work: &mut Work<'_>) -> Result<Invitation> {
        authorize::check_scope::<RespondInvitations>(&work.cx.principal)?;
        let (_, before) = lock_claimed(work, self.claim).await?;
        let after = before.clone().decline(work.now)?;
        change_invitation(work, InvitationChange::Declined, Cause::Direct, before, after).await
    }
}

/// Takes the row of the team whose invitation a token claims, and reads the invitation under that lock.
async fn lock_claimed(work: &mut Work<'_>, claim: Claim) -> Result<(Team, Invitation)> {
    let named = invitations::get_any(work.tx, claim.invitation).await?.ok_or(Error::TokenInvalid)?;
    // The invitations of a deleted team were canceled with it.
    let team = teams::lock(work.tx, named.team_id).await?.ok_or(Broken::InvitationCanceled)?;
    let invitation = invitations::get(work.tx, team.id, claim.invitation).await?.ok_or(Error::TokenInvalid)?;
    if invitation.link_version != claim.link_version {
        return Err(Error::TokenInvalid);
    }
    Ok((team, invitation))
}

fn check_address(team: &Team, invitation: &Invitation, email: &Email) -> Result<()> {
    if team.policy.require_email_match && *email != invitation.email {
        return Err(Broken::EmailMismatch { masked_email: invitation.email.masked() }.into());
    }
    Ok(())
}

/// Gives what the invitation grants: to a new member just that, to an existing one in addition.
async fn admit(work: &mut Work<'_>, team: &Team, user: User, invitation: &Invitation) -> Result<TeamMember> {
    let Some(before) = member(work, team, &user.id).await? else {
        let (grant, by) = (Grant::of_roles(invitation.roles().clone()), invitation.inviter.clone());
        return join(work, team, user, grant, by, Source::Invitation, Cause::Invitation).await;
    };
    let wanted = before.joined_by(invitation.roles());
    if wanted == before {
        return Ok(TeamMember { member: before, user });
    }
    let member = change(work, before, wanted, Cause::Invitation).await?;
    Ok(TeamMember { member, user })
}
