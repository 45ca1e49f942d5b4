//! What becomes of open invitations when something else changes.

use super::{Result, Work};
use crate::{
    domain::{
        Cause, Change, Invitation, Team, User, UserId,
        event::{InvitationChange, Step},
    },
    repository::{invitations, members},
};

/// Somebody was removed from the team, demoted or suspended in it: what is addressed to them there is canceled, or else it
/// would give back what was taken; and what they sent and could not send any more.
pub(super) async fn of_demotion(work: &mut Work<'_>, team: &Team, user: &User, cause: Cause) -> Result<()> {
    let theirs = invitations::pending_for(work.tx, [team.id], [&user.email]).await?;
    close(work, theirs, cause).await?;
    of_lost_authority(work, team, &user.id, cause).await
}

/// Somebody may do less in the team, and perhaps below it: what they sent and could not send any more is canceled.
pub(super) async fn of_lost_authority(work: &mut Work<'_>, team: &Team, user: &UserId, cause: Cause) -> Result<()> {
    let sent = invitations::pending_sent_by(work.tx, team, user).await?;
    of_doubt(work, sent, cause).await
}

/// Of pending invitations, those whose inviters could not send them any more are canceled.
pub(super) async fn of_doubt(work: &mut Work<'_>, pending: Vec<Invitation>, cause: Cause) -> Result<()> {
    let mut beyond = Vec::new();
    for invitation in pending {
        if !work.standing().is_vouched_for(&invitation).await? {
            beyond.push(invitation);
        }
    }
    close(work, beyond, cause).await
}

/// Somebody became a member of the team: an open invitation to their address that has nothing more to give a membership
/// of is as good as accepted.
pub(super) async fn of_joining(work: &mut Work<'_>, team: &Team, user: &User, cause: Cause) -> Result<()> {
    for pending in invitations::pending_for(work.tx, [team.id], [&user.email]).await? {
        let memberships = members::of_user_in(work.tx, &user.id, pending.teams()).await?;
        let joined = memberships.iter().filter(|member| !member.has_expired(work.now)).count();
        if pending.check_open(work.now).is_ok() && joined == pending.grants.len() {
            let after = pending.clone().accept(user.id.clone(), work.now)?;
            change_invitation(work, InvitationChange::Accepted, cause, pending, after).await?;
        }
    }
    Ok(())
}

/// Ends pending invitations: those that ran out before are recorded as expired, the others as canceled.
pub(super) async fn close(work: &mut Work<'_>, pending: Vec<Invitation>, cause: Cause) -> Result<()> {
    for before in pending {
        let (change, cause, after) = match before.clone().expire(work.now) {
            Some(expired) => (InvitationChange::Expired, Cause::Expiry, expired),
            None => (InvitationChange::Canceled, cause, before.clone().cancel(work.now)?),
        };
        change_invitation(work, change, cause, before, after).await?;
    }
    Ok(())
}

/// Writes a change of an invitation and records it. Answers the invitation as it is now.
pub(super) async fn change_invitation(
    work: &mut Work<'_>,
    change: InvitationChange,
    cause: Cause,
    before: Invitation,
    after: Invitation,
) -> Result<Invitation> {
    work.ensure_held(after.team_id).await?;
    let slot = work.tx.next(after.team_id);
    let after = Invitation { changed: slot.version, ..after };
    invitations::update(work.tx, &before, &after).await?;
    let step = Box::new(Step { before, after: after.clone() });
    work.tx.record(slot, cause, Change::InvitationChanged(change, step));
    Ok(after)
}
