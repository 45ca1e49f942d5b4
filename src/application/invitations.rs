//! Inviting: the team's side of an invitation.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use uuid::Uuid;

use super::{
    Command, Error, Missing, Result, Work, admission,
    consequence::{change_invitation, close},
    context::Etag,
    limits,
    members::{check_grant, member},
    roles::named,
};
use crate::{
    domain::{
        Authority, Broken, Cause, Change, Email, Invitation, InvitationId, RoleId, Team, TeamId,
        event::InvitationChange,
        invitation::{Channel, Delivery, State},
        label::Labels,
        member::Grant,
        permission::{CancelInvitations, CreateInvitations},
        text::Message,
    },
    repository::{invitations, mails, teams, users},
};

/// Invites an address.
#[derive(Debug, Serialize)]
pub struct CreateInvitation {
    /// The team.
    pub team: TeamId,
    /// The address.
    pub email: Email,
    /// The roles to give.
    pub roles: BTreeSet<RoleId>,
    /// Words to the person.
    pub message: Message,
    /// The caller's data.
    pub metadata: Labels,
    /// How the link reaches the person.
    pub channel: Channel,
}

impl Command for CreateInvitation {
    const NAME: &'static str = "CreateInvitation";
    type Answer = Invitation;

    async fn execute(&self, work: &mut Work<'_>) -> Result<Invitation> {
        let (team, allowed) = work.team::<CreateInvitations>(self.team).await?;
        self.send(work, &team, allowed.authority()).await
    }
}

impl CreateInvitation {
    /// Invites to a team that this transaction holds, with what `by` may give.
    pub(super) async fn send(&self, work: &mut Work<'_>, team: &Team, by: &Authority) -> Result<Invitation> {
        check_grant(work, team, by, &Grant::of_roles(self.roles.clone())).await?;
        limits::spend(work, by.person(), team.id, &[&self.email]).await?;
        check_address(work, team, &self.email).await?;
        if let Some(pending) = invitations::pending_for(work.tx, team.id, &self.email).await? {
            check_ran_out(&pending, work)?;
            close(work, vec![pending], Cause::Expiry).await?;
        }
        check_pending_limit(work, team).await?;

        let slot = work.tx.next(team.id);
        let invitation = Invitation {
            id: InvitationId(work.id()),
            team_id: team.id,
            email: self.email.clone(),
            grants: BTreeMap::from([(team.id, self.roles.clone())]),
            state: State::Pending,
            link_version: 1,
            inviter: by.person().cloned(),
            message: self.message.clone(),
            metadata: self.metadata.clone(),
            create_time: work.now,
            expire_time: work.now + team.policy.invitation_ttl.delta(),
            delivery: Delivery::new(self.channel),
            changed: slot.version,
        };
        invitations::insert(work.tx, &invitation).await?;
        enqueue_mail(work, &invitation).await?;
        work.tx.record(slot, Cause::Direct, Change::InvitationCreated(invitation.clone()));
        Ok(invitation)
    }
}

/// Sends an open or expired invitation again.
#[derive(Debug, Serialize)]
pub struct ResendInvitation {
    /// The team.
    pub team: TeamId,
    /// The invitation.
    pub invitation: InvitationId,
    /// As the caller saw it last.
    pub etag: Etag,
}

impl Command for ResendInvitation {
    const NAME: &'static str = "ResendInvitation";
    type Answer = Invitation;

    async fn execute(&self, work: &mut Work<'_>) -> Result<Invitation> {
        let (team, allowed) = work.team::<CreateInvitations>(self.team).await?;
        let before = find(work, self.team, self.invitation).await?;
        self.etag.check(before.changed)?;
        let after = before.clone().resend(team.policy.invitation_ttl.delta(), work.now)?;
        check_roles_exist(work, &team, &before).await?;
        check_grant(work, &team, allowed.authority(), &Grant::of_roles(before.roles().clone())).await?;
        limits::spend(work, allowed.authority().person(), team.id, &[&before.email]).await?;
        check_address(work, &team, &before.email).await?;
        if before.check_open(work.now).is_err() {
            // A new one may have been opened since this one ran out.
            let pending = invitations::pending_for(work.tx, team.id, &before.email).await?;
            if let Some(other) = pending.filter(|other| other.id != before.id) {
                check_ran_out(&other, work)?;
                close(work, vec![other], Cause::Expiry).await?;
            }
            check_pending_limit(work, &team).await?;
        }
        let after = change_invitation(work, InvitationChange::Updated, Cause::Direct, before, after).await?;
        enqueue_mail(work, &after).await?;
        Ok(after)
    }
}

/// Cancels an open invitation.
#[derive(Debug, Serialize)]
pub struct CancelInvitation {
    /// The team.
    pub team: TeamId,
    /// The invitation.
    pub invitation: InvitationId,
    /// As the caller saw it last.
    pub etag: Etag,
}

impl Command for CancelInvitation {
    const NAME: &'static str = "CancelInvitation";
    type Answer = Invitation;

    async fn execute(&self, work: &mut Work<'_>) -> Result<Invitation> {
        work.team::<CancelInvitations>(self.team).await?;
        let before = find(work, self.team, self.invitation).await?;
        self.etag.check(before.changed)?;
        let after = before.clone().cancel(work.now)?;
        change_invitation(work, InvitationChange::Canceled, Cause::Direct, before, after).await
    }
}

/// How the sending of a mail ended.
#[derive(Debug, Clone, Serialize)]
pub enum DeliveryOutcome {
    /// The mail server took it.
    Sent,
    /// It will not be tried again.
    Failed {
        /// What the mail server said last.
        error: String,
    },
    /// It was not sent, because the invitation is closed.
    Dropped,
}

/// Records how the sending of a mail ended. Roster's own mail worker calls it.
#[derive(Debug, Serialize)]
pub struct RecordDelivery {
    /// The team.
    pub team: TeamId,
    /// The invitation.
    pub invitation: InvitationId,
    /// The mail.
    pub mail: Uuid,
    /// How often it was tried.
    pub attempts: u32,
    /// How it ended.
    pub outcome: DeliveryOutcome,
}

impl Command for RecordDelivery {
    const NAME: &'static str = "RecordDelivery";
    type Answer = ();

    async fn execute(&self, work: &mut Work<'_>) -> Result<()> {
        let team = teams::lock(work.tx, self.team).await?;
        // A mail that was replaced by a resend in the meantime says nothing about the new one, and with a deleted team
        // its invitations were closed.
        if !mails::remove(work.tx, self.mail).await? || team.is_none() {
            return Ok(());
        }
        let Some(before) = invitations::get(work.tx, self.team, self.invitation).await? else { return Ok(()) };
        let (change, after) = match &self.outcome {
            DeliveryOutcome::Sent => (InvitationChange::Sent, before.clone().sent(self.attempts, work.now)),
            DeliveryOutcome::Failed { error } => {
                (InvitationChange::DeliveryFailed, before.clone().delivery_failed(self.attempts, error.clone()))
            }
            DeliveryOutcome::Dropped => return Ok(()),
        };
        change_invitation(work, change, Cause::Delivery, before, after).await?;
        Ok(())
    }
}

async fn find(work: &Work<'_>, team: TeamId, id: InvitationId) -> Result<Invitation> {
    let found = invitations::get(work.tx, team, id).await?;
    found.ok_or_else(|| Error::Missing(Missing::Invitation(id.to_string())))
}

/// Whether the address may be invited: the rules would let whoever has it in, and they are not in yet.
async fn check_address(work: &mut Work<'_>, team: &Team, email: &Email) -> Result<()> {
    let user = users::get_by_email(work.tx, email).await?;
    if let Some(user) = &user
        && member(work, team, &user.id).await?.is_some()
    {
        return Err(Broken::AlreadyMember.into());
    }
    admission::check_address(work, team, email, user.as_ref()).await
}

fn check_ran_out(pending: &Invitation, work: &Work<'_>) -> Result<()> {
    match pending.check_open(work.now) {
        Ok(()) => Err(Broken::InvitationPending { invitation: pending.id }.into()),
        Err(_) => Ok(()),
    }
}

async fn check_pending_limit(work: &Work<'_>, team: &Team) -> Result<()> {
    if team.policy.max_pending_invitations.is_some() {
        team.policy.check_pending(invitations::count_open(work.tx, team.id, work.now).await?)?;
    }
    Ok(())
}

/// Fails if a role of the invitation is gone since it was sent.
pub(super) async fn check_roles_exist(work: &Work<'_>, team: &Team, invitation: &Invitation) -> Result<()> {
    let roles = named(work.tx, work.roles, team.root(), invitation.roles()).await?;
    match roles.check_exist(invitation.roles()) {
        Err(Broken::RoleNotFound { role }) => Err(Broken::RoleGone { role }.into()),
        other => Ok(other?),
    }
}

async fn enqueue_mail(work: &Work<'_>, invitation: &Invitation) -> Result<()> {
    if invitation.delivery.channel == Channel::Email {
        mails::enqueue(work.tx, work.id(), invitation.id, work.now).await?;
    }
    Ok(())
}
