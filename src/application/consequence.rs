//! What becomes of open invitations when something else changes.

use super::{Result, Work};
use crate::{
    domain::{
        Authority, Broken, Cause, Change, Invitation, Member, User,
        event::{InvitationChange, Step},
        permission::{CreateInvitations, Permission},
    },
    repository::{invitations, members},
};

/// Somebody is a member no more: what they sent and what is addressed to them is canceled.
pub(super) async fn of_removal(work: &mut Work<'_>, user: &User, member: &Member) -> Result<()> {
    let theirs = invitations::pending_of_person(work.tx, member.team_id, &user.id, Some(&user.email)).await?;
    close(work, theirs, Cause::Removal).await
}

/// Somebody has fewer roles than before: what they sent and could not send any more is canceled.
pub(super) async fn of_demotion(work: &mut Work<'_>, member: &Member, cause: Cause) -> Result<()> {
    let sent = invitations::pending_of_person(work.tx, member.team_id, &member.user_id, None).await?;
    let permissions = work.roles.permissions(&member.roles);
    let authority = Authority::Person { user: member.user_id.clone(), permissions };
    let beyond = sent.into_iter().filter(|invitation| !may_invite(work, &authority, invitation));
    close(work, beyond.collect(), cause).await
}

/// Whether the inviter may still invite to what the invitation grants.
pub(super) async fn check_inviter(work: &Work<'_>, invitation: &Invitation) -> Result<()> {
    let Some(user) = &invitation.inviter else { return Ok(()) };
    let held = members::roles(work.tx, invitation.team_id, user).await?;
    let authority = Authority::Person { user: user.clone(), permissions: work.roles.permissions(&held) };
    if may_invite(work, &authority, invitation) { Ok(()) } else { Err(Broken::InviterNoLongerAllowed.into()) }
}

fn may_invite(work: &Work<'_>, authority: &Authority, invitation: &Invitation) -> bool {
    let invites = match authority {
        Authority::Service => true,
        Authority::Person { permissions, .. } => permissions.covers(CreateInvitations::NAME),
    };
    invites && authority.check_grant(work.roles, invitation.roles()).is_ok()
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
    let slot = work.tx.next(after.team_id);
    let after = Invitation { changed: slot.version, ..after };
    invitations::update(work.tx, &after).await?;
    let step = Box::new(Step { before, after: after.clone() });
    work.tx.record(slot, cause, Change::InvitationChanged(change, step));
    Ok(after)
}
