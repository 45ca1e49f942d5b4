//! How mails ended, and that invitations ran out.

use serde::Serialize;
use uuid::Uuid;

use super::find;
use crate::{
    application::{
        Command, Result, Work,
        consequence::{change_invitation, close},
    },
    domain::{
        Broken, Cause, Invitation, InvitationId, TeamId,
        event::InvitationChange,
        invitation::{Channel, DeliveryState, Outcome},
        permission::ReportDeliveries,
    },
    repository::{invitations, mails, teams},
};

/// Records how the sending of one of Roster's own mails ended. Roster's mail worker calls it.
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
    pub outcome: Recorded,
}

/// What is recorded of a mail that is off the list.
#[derive(Debug, Clone, Serialize)]
pub enum Recorded {
    /// How the invitation's own mail ended.
    Ended(Outcome),
    /// Nothing: it was not sent, for it was needed no more, or it was for somebody else than the invited person.
    Nothing,
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
        let Recorded::Ended(outcome) = &self.outcome else { return Ok(()) };
        let Some(before) = invitations::get(work.tx, self.team, self.invitation).await? else { return Ok(()) };
        end(work, before, self.attempts, outcome).await.map(drop)
    }
}

/// Tells how a mail ended that somebody else sends, or that one of Roster's own came back.
#[derive(Debug, Serialize)]
pub struct ReportDelivery {
    /// The team.
    pub team: TeamId,
    /// The invitation.
    pub invitation: InvitationId,
    /// The mail; `None` for the latest.
    pub mail: Option<Uuid>,
    /// How often it was tried.
    pub attempts: u32,
    /// How it ended.
    pub outcome: Outcome,
}

impl Command for ReportDelivery {
    const NAME: &'static str = "ReportDelivery";
    type Answer = Invitation;

    async fn execute(&self, work: &mut Work<'_>) -> Result<Invitation> {
        work.team::<ReportDeliveries>(self.team).await?;
        let before = find(work, self.team, self.invitation).await?;
        self.check(&before)?;
        end(work, before, self.attempts, &self.outcome).await
    }
}

impl ReportDelivery {
    fn check(&self, invitation: &Invitation) -> Result<(), Broken> {
        let delivery = &invitation.delivery;
        let bounced = matches!(self.outcome, Outcome::Bounced { .. });
        match delivery.channel {
            Channel::External => {}
            Channel::Email if bounced => {}
            Channel::Email | Channel::LinkOnly => return Err(Broken::DeliveryNotReportable),
        }
        // Of Roster's own mails one that waits, or was called off, cannot have come back: it was an earlier one.
        let unsent = matches!(delivery.state, DeliveryState::Queued | DeliveryState::None);
        let waits = delivery.channel == Channel::Email && unsent;
        if waits || self.mail.is_some() && self.mail != delivery.id {
            return Err(Broken::DeliverySuperseded);
        }
        Ok(())
    }
}

async fn end(work: &mut Work<'_>, before: Invitation, attempts: u32, outcome: &Outcome) -> Result<Invitation> {
    let after = before.clone().delivered(attempts, outcome.clone(), work.now);
    if after == before {
        return Ok(before);
    }
    let change = match outcome {
        Outcome::Sent => InvitationChange::Sent,
        Outcome::Failed { .. } | Outcome::Bounced { .. } => InvitationChange::DeliveryFailed,
    };
    change_invitation(work, change, Cause::Delivery, before, after).await
}

/// Records that an invitation has run out. Roster's own sweeper calls it.
#[derive(Debug, Serialize)]
pub struct SettleInvitation {
    /// The team.
    pub team: TeamId,
    /// The invitation.
    pub invitation: InvitationId,
}

impl Command for SettleInvitation {
    const NAME: &'static str = "SettleInvitation";
    type Answer = ();

    async fn execute(&self, work: &mut Work<'_>) -> Result<()> {
        if teams::lock(work.tx, self.team).await?.is_none() {
            return Ok(());
        }
        let found = invitations::get(work.tx, self.team, self.invitation).await?;
        let over = found.filter(|invitation| invitation.clone().expire(work.now).is_some());
        close(work, over.into_iter().collect(), Cause::Expiry).await
    }
}
