//! Changing an invitation, sending it again, and ending it.

use serde::Serialize;

use super::{
    Invite, dispatch, find,
    invite::{check_grants, hold_all},
};
use crate::{
    application::{
        Command, Error, Result, Work,
        authorize::check_also,
        consequence::{change_invitation, close},
        context::Etag,
        limits,
    },
    domain::{
        Authority, Broken, Cause, Invitation, InvitationId, Team, TeamId,
        event::InvitationChange,
        invitation::{InvitationPatch, State},
        permission::{CancelInvitations, CreateInvitations, DeleteInvitations, UpdateInvitations},
    },
    repository::invitations,
};

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
        work.team::<CreateInvitations>(self.team).await?;
        let named = find(work, self.team, self.invitation).await?;
        self.etag.check(named.changed)?;
        match named.check_open(work.now) {
            Ok(()) | Err(Broken::InvitationExpired) => {}
            Err(closed) => return Err(closed.into()),
        }
        let invite = Invite::hold_again(work, &named).await?;
        for verdict in invite.look_at(work, std::slice::from_ref(&named.email), Some(&named)).await? {
            verdict?;
        }
        // Read again, for a membership that was found to have run out may have taken the invitation with it.
        let mut before = find(work, self.team, self.invitation).await?;
        // That it ran out is told of, also when nobody did before it was sent again.
        if before.clone().expire(work.now).is_some() {
            close(work, vec![before], Cause::Expiry).await?;
            before = find(work, self.team, self.invitation).await?;
        }
        let inviter = invite.inviter().cloned();
        limits::spend(work, inviter.as_ref(), self.team, &[&before.email]).await?;
        let ttl = invite.team().policy.invitation_ttl.delta();
        let after = before.clone().resend(inviter, ttl, work.id(), work.now)?;
        let after = change_invitation(work, InvitationChange::Updated, Cause::Direct, before, after).await?;
        dispatch(work, std::slice::from_ref(&after)).await?;
        Ok(after)
    }
}

/// Changes an open invitation.
#[derive(Debug, Serialize)]
pub struct UpdateInvitation {
    /// The team.
    pub team: TeamId,
    /// The invitation.
    pub invitation: InvitationId,
    /// The new values.
    pub patch: InvitationPatch,
    /// As the caller saw it last.
    pub etag: Etag,
}

impl Command for UpdateInvitation {
    const NAME: &'static str = "UpdateInvitation";
    type Answer = Invitation;

    async fn execute(&self, work: &mut Work<'_>) -> Result<Invitation> {
        let (team, _) = work.team::<UpdateInvitations>(self.team).await?;
        let mut before = find(work, self.team, self.invitation).await?;
        self.etag.check(before.changed)?;
        let mut wanted = before.patched(&self.patch, work.now)?;
        // To prolong it is to give what it gives: it could be sent again instead.
        if wanted.grants != before.grants || wanted.expire_time > before.expire_time {
            let inviter = offer_more(work, &team, &before, &wanted).await?.person().cloned();
            // Read again, for a membership that was found to have run out may have taken the invitation with it.
            before = find(work, self.team, self.invitation).await?;
            wanted = Invitation { inviter, ..before.patched(&self.patch, work.now)? };
        }
        if wanted == before {
            return Ok(before);
        }
        change_invitation(work, InvitationChange::Updated, Cause::Direct, before, wanted).await
    }
}

/// Whether the caller may have the invitation grant what is wanted, for as long; answers with whose authority. They come to
/// answer for it, so they could have sent it.
async fn offer_more(work: &mut Work<'_>, team: &Team, before: &Invitation, wanted: &Invitation) -> Result<Authority> {
    if wanted.grants != before.grants {
        team.policy.check_invitee_editable()?;
    }
    let (_, held) = hold_all::<UpdateInvitations>(work, team.id, before.teams().chain(wanted.teams())).await?;
    for (id, (_, by)) in held.iter().filter(|(id, _)| wanted.grants.contains_key(id)) {
        check_also::<CreateInvitations>(work.cx, by, *id)?;
    }
    team.policy.check_teams(wanted.grants.len())?;
    check_grants(work, &held, &wanted.grants).await?;
    let (kept, added): (Vec<_>, Vec<_>) = held
        .iter()
        .filter(|(id, _)| wanted.grants.contains_key(id))
        .partition(|(id, _)| before.grants.contains_key(id));
    let teams = |of: &[(&TeamId, &(Team, Authority))]| of.iter().map(|(_, (team, _))| team.clone()).collect::<Vec<_>>();
    let by = held.get(&team.id).map(|(_, by)| by.clone());
    let by = by.ok_or_else(|| Error::Defect("the team that invites is not held".to_owned()))?;
    super::address::check_added(work, &by, &teams(&kept), &teams(&added), before).await?;
    Ok(by)
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

/// Takes an invitation off the list, and ends it first if it is open.
#[derive(Debug, Serialize)]
pub struct DeleteInvitation {
    /// The team.
    pub team: TeamId,
    /// The invitation.
    pub invitation: InvitationId,
    /// As the caller saw it last.
    pub etag: Etag,
}

impl Command for DeleteInvitation {
    const NAME: &'static str = "DeleteInvitation";
    type Answer = ();

    async fn execute(&self, work: &mut Work<'_>) -> Result<()> {
        work.team::<DeleteInvitations>(self.team).await?;
        let before = find(work, self.team, self.invitation).await?;
        self.etag.check(before.changed)?;
        if before.state == State::Pending {
            close(work, vec![before], Cause::Direct).await?;
        }
        let before = find(work, self.team, self.invitation).await?;
        invitations::delete(work.tx, &before, work.now).await?;
        super::note(work, InvitationChange::Deleted, Cause::Direct, &before);
        Ok(())
    }
}
