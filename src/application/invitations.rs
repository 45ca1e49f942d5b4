//! Inviting: the team's side of an invitation.
//!
//! Every address takes one way: [`Invite`] locks the teams and checks what is offered, looks at all addresses together,
//! and writes those that can be invited with a few statements, be it one or a thousand.

mod address;
mod change;
mod create;
mod delivery;
mod invite;
mod renewal;

use super::{Error, Missing, Result, Work};
use crate::{
    domain::{
        Cause, Change, Invitation, InvitationId, TeamId,
        event::{InvitationChange, Step},
        invitation::Channel,
    },
    repository::{invitations, mails},
};

pub use change::{CancelInvitation, DeleteInvitation, ResendInvitation, UpdateInvitation};
pub(super) use create::send_one;
pub use create::{BatchCreateInvitations, CreateInvitation, Outcome, Refusal, Tried};
pub use delivery::{RecordDelivery, Recorded, ReportDelivery, SettleInvitation};
pub use invite::{Invite, Offering};
pub(super) use renewal::request_renewal;

/// The team's invitation.
async fn find(work: &Work<'_>, team: TeamId, id: InvitationId) -> Result<Invitation> {
    let found = invitations::get(work.tx, team, id).await?;
    found.ok_or_else(|| Error::Missing(Missing::Invitation(id.to_string())))
}

/// Has the link of invitations brought to the person, by whichever way was chosen.
async fn dispatch(work: &mut Work<'_>, invitations: &[Invitation]) -> Result<()> {
    let mut wanted = Vec::new();
    for invitation in invitations {
        let Some(id) = invitation.delivery.id else { continue };
        match invitation.delivery.channel {
            Channel::Email => wanted.push((id, invitation.id, mails::Kind::Invitation)),
            Channel::External => note(work, InvitationChange::DeliveryRequested, Cause::Direct, invitation),
            Channel::LinkOnly => {}
        }
    }
    Ok(mails::enqueue(work.tx, &wanted, work.now, work.cx.traceparent.as_deref()).await?)
}

/// Records something about an invitation that changes nothing of it. Its team is held.
fn note(work: &mut Work<'_>, what: InvitationChange, cause: Cause, invitation: &Invitation) {
    let slot = work.tx.next(invitation.team_id);
    let step = Step { before: invitation.clone(), after: invitation.clone() };
    work.tx.record(slot, cause, Change::InvitationChanged(what, Box::new(step)));
}
