//! Answering: the invited person's side of an invitation. The token shows that they may, or the invited address does when
//! it is known to be theirs.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    Command, Error, Missing, Result, Work, authorize,
    consequence::{change_invitation, close},
    invitations::request_renewal,
    members::{TeamMember, change, join, joining_user, known_user, member},
    users::CreateUser,
};
use crate::{
    domain::{
        Broken, Cause, Email, Invitation, InvitationId, Team, TeamId, User, UserId, event::InvitationChange,
        invitation::Offer, link::Claim, member::Source, permission::RespondInvitations, text::DisplayName,
        user::Profile,
    },
    repository::{invitations, teams},
};

/// Which invitation is answered.
#[derive(Debug, Clone, Copy, Serialize)]
pub enum Named {
    /// That of a link, by what its verified token claims.
    Link(Claim),
    /// That with this id, if it is addressed to the verified address of who answers.
    Id(InvitationId),
}

impl Named {
    /// A link shows by itself that its holder may answer; who names an id has to be the person.
    fn authorize(self, work: &Work<'_>, user: Option<&UserId>) -> Result<()> {
        match self {
            Self::Link(_) => authorize::check_scope::<RespondInvitations>(&work.cx.principal),
            Self::Id(_) => authorize::for_self::<RespondInvitations>(work.cx, user),
        }
    }
}

/// Accepts an invitation.
#[derive(Debug, Serialize)]
pub struct AcceptInvitation {
    /// Which.
    pub invitation: Named,
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

    fn known(&self) -> Option<&UserId> {
        match self {
            Self::Known(id) => Some(id),
            Self::New { .. } => None,
        }
    }
}

/// An accepted invitation.
#[derive(Debug, Serialize, Deserialize)]
pub struct Accepted {
    /// The invitation.
    pub invitation: Invitation,
    /// The membership that it gave in the team that invites.
    pub member: TeamMember,
    /// Those that it gave in other teams.
    pub others: Vec<TeamMember>,
}

impl Command for AcceptInvitation {
    const NAME: &'static str = "AcceptInvitation";
    type Answer = Accepted;

    async fn execute(&self, work: &mut Work<'_>) -> Result<Accepted> {
        authorize::for_self::<RespondInvitations>(work.cx, self.accepter.id())?;
        let (held, before) = lock_named(work, self.invitation, self.accepter.known()).await?;
        if let Some(answer) = self.answer_again(work, &held, &before).await? {
            return Ok(answer);
        }
        work.standing().check(&before, &held.0).await?;
        let user = self.user(work, held.inviting(&before)?, &before).await?;
        // Nobody gives themselves anything, not even what they hold.
        if before.inviter.as_ref() == Some(&user.id) {
            return Err(Broken::OwnRole.into());
        }
        let after = before.clone().accept(user.id.clone(), work.now)?;
        let after = change_invitation(work, InvitationChange::Accepted, Cause::Direct, before, after).await?;
        held.admit(work, user, after).await
    }
}

impl AcceptInvitation {
    /// What the first acceptance answered, for the same user and as long as they are a member.
    async fn answer_again(
        &self,
        work: &mut Work<'_>,
        held: &Held,
        invitation: &Invitation,
    ) -> Result<Option<Accepted>> {
        let Some(by) = invitation.accepted_by().filter(|by| Some(*by) == self.accepter.id()) else { return Ok(None) };
        let user = known_user(work, by).await?;
        let mut members = BTreeMap::new();
        for team in held.0.values() {
            let found = member(work, team, by).await?;
            members.extend(found.map(|member| (team.id, TeamMember { member, user: user.clone() })));
        }
        let Some(member) = members.remove(&invitation.team_id) else { return Ok(None) };
        Ok(Some(Accepted { invitation: invitation.clone(), member, others: members.into_values().collect() }))
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
    /// Which.
    pub invitation: Named,
    /// Who declines; needed only where the invitation is named by its id.
    pub user: Option<UserId>,
}

impl Command for DeclineInvitation {
    const NAME: &'static str = "DeclineInvitation";
    type Answer = Invitation;

    async fn execute(&self, work: &mut Work<'_>) -> Result<Invitation> {
        self.invitation.authorize(work, self.user.as_ref())?;
        let (_, before) = lock_named(work, self.invitation, self.user.as_ref()).await?;
        let after = before.clone().decline(work.now)?;
        change_invitation(work, InvitationChange::Declined, Cause::Direct, before, after).await
    }
}

/// Asks for a new invitation in place of one that ran out.
#[derive(Debug, Serialize)]
pub struct RequestNewInvitation {
    /// Which.
    pub invitation: Named,
    /// Who asks; needed only where the invitation is named by its id.
    pub user: Option<UserId>,
}

impl Command for RequestNewInvitation {
    const NAME: &'static str = "RequestNewInvitation";
    /// When the request was made that was passed on.
    type Answer = DateTime<Utc>;

    async fn execute(&self, work: &mut Work<'_>) -> Result<DateTime<Utc>> {
        self.invitation.authorize(work, self.user.as_ref())?;
        let (held, before) = lock_named(work, self.invitation, self.user.as_ref()).await?;
        let Some(_) = before.clone().request_renewal(work.now)? else {
            return Ok(before.renewal_request_time.unwrap_or(work.now));
        };
        if before.clone().expire(work.now).is_some() {
            close(work, vec![before], Cause::Expiry).await?;
        }
        let (_, before) = lock_named(work, self.invitation, self.user.as_ref()).await?;
        request_renewal(work, held.inviting(&before)?, before.clone()).await?;
        Ok(work.now)
    }
}

/// The teams of an invitation that are there, all of them held.
struct Held(BTreeMap<TeamId, Team>);

/// Takes the rows of the teams of the invitation that is named, and reads it under that lock.
async fn lock_named(work: &mut Work<'_>, named: Named, user: Option<&UserId>) -> Result<(Held, Invitation)> {
    let id = match named {
        Named::Link(claim) => claim.invitation,
        Named::Id(id) => id,
    };
    let missing = || match named {
        Named::Link(_) => Error::TokenInvalid,
        Named::Id(_) => Error::Missing(Missing::Invitation(id.to_string())),
    };
    let found = invitations::get_any(work.tx, id).await?.ok_or_else(missing)?;
    if let Named::Id(_) = named {
        check_addressed(work, &found, user).await?;
    }
    // The invitations of a deleted team were canceled with it.
    let team = teams::lock(work.tx, found.team_id).await?.ok_or(Broken::InvitationCanceled)?;
    let invitation = match named {
        Named::Link(_) => invitations::get_any(work.tx, id).await?,
        Named::Id(_) => invitations::get(work.tx, team.id, id).await?,
    };
    let invitation = invitation.ok_or_else(missing)?;
    if let Named::Link(claim) = named {
        check_alive(&invitation, claim)?;
    }
    let mut held = BTreeMap::from([(team.id, team)]);
    for id in invitation.teams().filter(|id| *id != invitation.team_id) {
        held.extend(teams::lock(work.tx, id).await?.map(|team| (id, team)));
    }
    Ok((Held(held), invitation))
}

/// Links of other versions are dead. One that was replaced says so, for its holder has a newer one.
pub(super) fn check_alive(invitation: &Invitation, claim: Claim) -> Result<()> {
    match claim.link_version.cmp(&invitation.link_version) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Less => Err(Broken::LinkReplaced.into()),
        std::cmp::Ordering::Greater => Err(Error::TokenInvalid),
    }
}

/// Whether the invitation is addressed to this person, by an address that is known to be theirs. To anybody else it is not
/// there.
async fn check_addressed(work: &Work<'_>, invitation: &Invitation, user: Option<&UserId>) -> Result<()> {
    let user = match user {
        Some(id) => Some(known_user(work, id).await?),
        None => None,
    };
    match user.filter(|user| user.email_verified && user.email == invitation.email) {
        Some(_) => Ok(()),
        None => Err(Error::Missing(Missing::Invitation(invitation.id.to_string()))),
    }
}

fn check_address(team: &Team, invitation: &Invitation, email: &Email) -> Result<()> {
    if team.policy.require_email_match && *email != invitation.email {
        return Err(Broken::EmailMismatch { masked_email: invitation.email.masked() }.into());
    }
    Ok(())
}

impl Held {
    /// The team that invites.
    fn inviting(&self, invitation: &Invitation) -> Result<&Team> {
        self.0.get(&invitation.team_id).ok_or_else(|| Broken::InvitationCanceled.into())
    }

    /// Gives what the invitation grants, in all of its teams.
    async fn admit(&self, work: &mut Work<'_>, mut user: User, invitation: Invitation) -> Result<Accepted> {
        let mut members = BTreeMap::new();
        for (id, offer) in &invitation.grants {
            let team = self.0.get(id).ok_or(Broken::InvitationCanceled)?;
            let admitted = admit(work, team, user, &invitation, offer).await?;
            user = admitted.user.clone();
            members.insert(*id, admitted);
        }
        let member = members.remove(&invitation.team_id);
        let member = member.ok_or_else(|| Error::Defect("an invitation grants nothing in its team".to_owned()))?;
        Ok(Accepted { invitation, member, others: members.into_values().collect() })
    }
}

/// Gives what an invitation grants in one team: to a new member just that, to an existing one in addition.
async fn admit(
    work: &mut Work<'_>,
    team: &Team,
    user: User,
    invitation: &Invitation,
    offer: &Offer,
) -> Result<TeamMember> {
    let Some(before) = member(work, team, &user.id).await? else {
        let by = invitation.inviter.clone();
        return join(work, team, user, offer.grant(), by, Source::Invitation, Cause::Invitation).await;
    };
    let wanted = before.joined_by(offer)?;
    if wanted == before {
        return Ok(TeamMember { member: before, user });
    }
    let member = change(work, before, wanted, Cause::Invitation).await?;
    Ok(TeamMember { member, user })
}
