//! What becomes of open invitations when something else changes.

use super::{Result, Work, authorize};
use crate::{
    domain::{
        Authority, Broken, Cause, Change, Invitation, Team, User, UserId,
        event::{InvitationChange, Step},
        membership::Given,
        permission::{CreateInvitations, Permission},
    },
    repository::{invitations, teams},
};

/// Somebody is a member of the team no more: what is addressed to them there is canceled, and what they sent and could
/// not send any more.
pub(super) async fn of_removal(work: &mut Work<'_>, team: &Team, user: &User, cause: Cause) -> Result<()> {
    if let Some(theirs) = invitations::pending_for(work.tx, team.id, &user.email).await? {
        close(work, vec![theirs], cause).await?;
    }
    of_lost_authority(work, team, &user.id, cause).await
}

/// Somebody may do less in the team, and perhaps below it: what they sent and could not send any more is canceled.
pub(super) async fn of_lost_authority(work: &mut Work<'_>, team: &Team, user: &UserId, cause: Cause) -> Result<()> {
    let mut beyond = Vec::new();
    for invitation in invitations::pending_sent_by(work.tx, team, user).await? {
        let Some(of) = teams::get(work.tx, invitation.team_id).await? else { continue };
        if check_inviter(work, &of, &invitation).await.is_err() {
            beyond.push(invitation);
        }
    }
    close(work, beyond, cause).await
}

/// Fails unless the inviter may still invite to what the invitation grants.
pub(super) async fn check_inviter(work: &Work<'_>, team: &Team, invitation: &Invitation) -> Result<()> {
    let (authority, invites) = match &invitation.inviter {
        None => (Authority::Service, true),
        Some(user) => {
            let holdings = authorize::holdings_of(work.tx, work.roles, work.now, team, user).await?;
            let invites = holdings.here.covers(CreateInvitations::NAME);
            (Authority::Person { user: user.clone(), holdings }, invites)
        }
    };
    let roles = super::roles::named(work.tx, work.roles, team.root(), invitation.roles()).await?;
    let given = Given { team, roles: &roles, ids: invitation.roles(), permissions: &std::collections::BTreeSet::new() };
    if invites && authority.check_grant(&given).is_ok() { Ok(()) } else { Err(Broken::InviterNoLongerAllowed.into()) }
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
    invitations::update(work.tx, &after).await?;
    let step = Box::new(Step { before, after: after.clone() });
    work.tx.record(slot, cause, Change::InvitationChanged(change, step));
    Ok(after)
}
