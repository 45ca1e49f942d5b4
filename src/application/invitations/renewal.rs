//! Passing on that the holder of an expired invitation asks for a new one.

use crate::{
    application::{Result, Work, consequence},
    domain::{Cause, Invitation, Team, UserId, event::InvitationChange, invitation::Channel},
    repository::{
        mails::{self, Kind},
        members,
    },
};

/// Records the request and has a person told of it who can send the invitation again.
pub(in crate::application) async fn request_renewal(
    work: &mut Work<'_>,
    team: &Team,
    before: Invitation,
) -> Result<()> {
    let Some(after) = before.clone().request_renewal(work.now)? else { return Ok(()) };
    let recipient = recipient(work, team, &after).await?;
    let change = InvitationChange::RenewalRequested { recipient: recipient.clone() };
    let after = consequence::change_invitation(work, change, Cause::Direct, before, after).await?;
    // Where an outside mailer sends the mails, it hears of this one by the event too.
    let Some(to) = recipient.filter(|_| after.delivery.channel != Channel::External) else { return Ok(()) };
    let wanted = [(work.id(), after.id, Kind::Renewal { to })];
    Ok(mails::enqueue(work.tx, &wanted, work.now, work.cx.traceparent.as_deref()).await?)
}

/// Who answers for the invitation, if they may still send it; otherwise the owner of the tree who has been one longest.
async fn recipient(work: &Work<'_>, team: &Team, invitation: &Invitation) -> Result<Option<UserId>> {
    if let Some(inviter) = &invitation.inviter
        && work.standing().is_vouched_for(invitation).await?
    {
        return Ok(Some(inviter.clone()));
    }
    Ok(members::owner(work.tx, team.root(), work.now).await?.map(|owner| owner.user_id))
}
