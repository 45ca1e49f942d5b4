//! Inviting addresses: the one way by which an offer goes out.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{address::Addressees, dispatch};
use crate::{
    application::{Result, Work, authorize, limits, members::check_grant},
    domain::{
        Authority, Broken, Cause, Change, Email, Invitation, InvitationId, Team, TeamId, UserId,
        invitation::{Channel, Delivery, Offer, Offers, State},
        label::Labels,
        permission::{CreateInvitations, Permission},
        profile::Locale,
        text::Message,
    },
    repository::{invitations, teams},
};

/// What is offered to whoever is invited.
#[derive(Debug, Clone, Serialize)]
pub struct Offering {
    /// The team that invites.
    pub team: TeamId,
    /// What accepting gives, in this team and in others of its tree.
    pub grants: Offers,
    /// Words to the person.
    pub message: Message,
    /// The caller's data.
    pub metadata: Labels,
    /// The language of the mails.
    pub locale: Option<Locale>,
    /// How the link reaches the person.
    pub channel: Channel,
}

/// Teams that this transaction holds, each with the authority that somebody has there.
pub(super) type Authorized = BTreeMap<TeamId, (Team, Authority)>;

/// An offer that may be made: its teams are held, and whoever makes it may give what it gives.
#[derive(Debug)]
pub struct Invite {
    team: Team,
    held: Authorized,
}

/// Takes the rows of teams of one tree, and authorizes the caller in each: first in the one that is asked.
pub(super) async fn hold_all<P: Permission>(
    work: &mut Work<'_>,
    first: TeamId,
    all: impl Iterator<Item = TeamId>,
) -> Result<(Team, Authorized)> {
    let (team, allowed) = work.team::<P>(first).await?;
    let mut held = Authorized::from([(first, (team.clone(), allowed.authority().clone()))]);
    for id in all.filter(|id| *id != first) {
        // A team of another tree is looked at and not held: two writers of several trees would wait for each other.
        let found = teams::get(work.tx, id).await?;
        if found.as_ref().is_some_and(|other| other.root() != team.root()) {
            authorize::in_team::<P>(work.tx, work.cx, work.roles, work.now, id, found).await?;
            return Err(Broken::AnotherTree { team: id }.into());
        }
        let (other, allowed) = work.team::<P>(id).await?;
        held.insert(id, (other, allowed.authority().clone()));
    }
    Ok((team, held))
}

impl Invite {
    /// Of what the caller may offer.
    pub(super) async fn hold(work: &mut Work<'_>, team: TeamId, grants: &Offers) -> Result<Self> {
        let (team, held) = hold_all::<CreateInvitations>(work, team, grants.keys().copied()).await?;
        let invite = Self { team, held };
        invite.check_grants(work, grants).await?;
        Ok(invite)
    }

    /// As [`Invite::hold`], for what was offered before: a role that is gone since is told apart from one that never was.
    pub(super) async fn hold_again(work: &mut Work<'_>, offered: &Invitation) -> Result<Self> {
        let (team, held) = hold_all::<CreateInvitations>(work, offered.team_id, offered.teams()).await?;
        let teams = held.iter().map(|(id, (team, _))| (*id, team.clone())).collect();
        work.standing().check_roles(offered, &teams).await?;
        let invite = Self { team, held };
        invite.check_grants(work, &offered.grants).await?;
        Ok(invite)
    }

    /// Of what `by` may offer in a team that this transaction has just made.
    pub(in crate::application) async fn of_new_team(
        work: &Work<'_>,
        team: Team,
        by: Authority,
        grants: &Offers,
    ) -> Result<Self> {
        let invite = Self { held: Authorized::from([(team.id, (team.clone(), by))]), team };
        invite.check_grants(work, grants).await?;
        Ok(invite)
    }

    async fn check_grants(&self, work: &Work<'_>, grants: &Offers) -> Result<()> {
        self.team.policy.check_teams(grants.len())?;
        check_grants(work, &self.held, grants).await
    }

    /// The team that invites.
    pub(super) fn team(&self) -> &Team {
        &self.team
    }

    /// The person who answers for the offer; `None` for a service.
    pub(super) fn inviter(&self) -> Option<&UserId> {
        self.authority(self.team.id).and_then(Authority::person)
    }

    /// The authority in a team.
    pub(super) fn authority(&self, team: TeamId) -> Option<&Authority> {
        self.held.get(&team).map(|(_, by)| by)
    }

    /// What stands against inviting each of these addresses, if anything; `again` names an invitation that is sent again.
    pub(in crate::application) async fn look_at(
        &self,
        work: &mut Work<'_>,
        emails: &[Email],
        again: Option<&Invitation>,
    ) -> Result<Vec<std::result::Result<(), Broken>>> {
        let teams: Vec<&Team> = self.held.values().map(|(team, _)| team).collect();
        Addressees::find(work, self.authority(self.team.id), &teams, emails, again.map(|again| again.id))
            .await?
            .judge(work, &teams, emails, again)
            .await
    }

    /// Sends the offer to addresses that nothing stands against.
    pub(in crate::application) async fn send(
        &self,
        work: &mut Work<'_>,
        offering: &Offering,
        emails: Vec<Email>,
    ) -> Result<Vec<Invitation>> {
        let inviter = self.inviter().cloned();
        limits::spend(work, inviter.as_ref(), self.team.id, &emails.iter().collect::<Vec<_>>()).await?;
        let mut slots = Vec::new();
        let mut sent = Vec::new();
        for email in emails {
            let slot = work.tx.next(self.team.id);
            sent.push(Invitation {
                id: InvitationId(work.id()),
                team_id: self.team.id,
                email,
                grants: offering.grants.clone(),
                state: State::Pending,
                link_version: 1,
                inviter: inviter.clone(),
                message: offering.message.clone(),
                locale: offering.locale.clone(),
                metadata: offering.metadata.clone(),
                create_time: work.now,
                expire_time: work.now + self.team.policy.invitation_ttl.delta(),
                delivery: Delivery::new(offering.channel, work.id()),
                renewal_request_time: None,
                changed: slot.version,
            });
            slots.push(slot);
        }
        invitations::insert(work.tx, &sent).await?;
        for (slot, invitation) in slots.into_iter().zip(&sent) {
            work.tx.record(slot, Cause::Direct, Change::InvitationCreated(invitation.clone()));
        }
        dispatch(work, &sent).await?;
        Ok(sent)
    }
}

/// Whether these authorities may give these grants, each in its team.
pub(super) async fn check_grants(work: &Work<'_>, held: &Authorized, grants: &Offers) -> Result<()> {
    for (id, offer) in grants {
        let Some((team, by)) = held.get(id) else { continue };
        check_grant(work, team, by, &Offer::grant(offer)).await?;
    }
    Ok(())
}
