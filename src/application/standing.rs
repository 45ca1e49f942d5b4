//! Whether an open invitation still stands: whether it could be accepted, by whomever.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::{Error, Result, admission, authorize, roles::named};
use crate::{
    domain::{
        Authority, Broken, Invitation, Roles, Team, TeamId, User, UserId,
        invitation::Offer,
        membership::Given,
        permission::{CreateInvitations, Permission},
    },
    repository::{Source, members, teams, users},
};

/// What is looked at, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing<'a, S> {
    /// Where to read.
    pub(super) source: &'a S,
    /// The system roles.
    pub(super) system: &'a Roles,
    /// The time of the decision.
    pub(super) now: DateTime<Utc>,
}

impl<S: Source> Standing<'_, S> {
    /// Fails with what stands against accepting the invitation for everybody: it is closed, one of its teams is, or one of
    /// its roles is gone, or whoever sent it could not send it any more.
    pub(super) async fn check(&self, invitation: &Invitation, held: &BTreeMap<TeamId, Team>) -> Result<()> {
        invitation.check_open(self.now)?;
        if let Some(team) = held.values().find_map(|team| team.disabled_by) {
            return Err(Broken::TeamDisabled { team }.into());
        }
        self.check_roles(invitation, held).await?;
        self.check_inviter(invitation, held).await
    }

    /// As [`Standing::check`], and fails also where its address is not admitted any more or no seat is left in a team of
    /// which the invited person is no member yet.
    pub(super) async fn check_room(&self, invitation: &Invitation, held: &BTreeMap<TeamId, Team>) -> Result<()> {
        self.check(invitation, held).await?;
        let joined = self.joined(invitation, held).await?;
        for team in held.values().filter(|team| !joined.contains(&team.id)) {
            if team.policy.require_email_match {
                team.policy.check_domain(&invitation.email)?;
            }
            team.policy.check_seat(members::count(self.source, team.id, self.now).await?)?;
        }
        Ok(())
    }

    /// As [`Standing::check_room`], and fails also with what stands against this person, who is known to be the invited one.
    pub(super) async fn check_person(
        &self,
        invitation: &Invitation,
        held: &BTreeMap<TeamId, Team>,
        user: &User,
    ) -> Result<()> {
        self.check_room(invitation, held).await?;
        if invitation.inviter.as_ref() == Some(&user.id) {
            return Err(Broken::OwnRole.into());
        }
        let theirs = members::of_user_in(self.source, &user.id, held.keys().copied()).await?;
        let live: Vec<_> = theirs.into_iter().filter_map(|member| member.at(self.now)).collect();
        for (id, offer) in &invitation.grants {
            match (live.iter().find(|member| member.team_id == *id), held.get(id)) {
                (Some(member), _) => drop(member.joined_by(offer)?),
                (None, Some(team)) => admission::check_user(self.source, team, user, self.now).await?,
                (None, None) => {}
            }
        }
        Ok(())
    }

    /// The teams of which the person who has the invited address is a member.
    async fn joined(&self, invitation: &Invitation, held: &BTreeMap<TeamId, Team>) -> Result<BTreeSet<TeamId>> {
        let Some(user) = users::get_by_email(self.source, &invitation.email).await? else {
            return Ok(BTreeSet::new());
        };
        let memberships = members::of_user_in(self.source, &user.id, held.keys().copied()).await?;
        let live = memberships.into_iter().filter(|member| !member.has_expired(self.now));
        Ok(live.map(|member| member.team_id).collect())
    }

    /// Fails if this person could not give all that the invitation gives, as who holds its link in effect does.
    pub(super) async fn check_could_give(
        &self,
        invitation: &Invitation,
        held: &BTreeMap<TeamId, Team>,
        person: &UserId,
    ) -> Result<()> {
        self.check_roles(invitation, held).await?;
        for (id, offer) in &invitation.grants {
            let Some(team) = held.get(id) else { continue };
            let authority = self.authority(team, Some(person)).await?;
            self.check_offer(team, &authority, offer).await?;
        }
        Ok(())
    }

    /// Fails if a role of the invitation is gone since it was sent.
    pub(super) async fn check_roles(&self, invitation: &Invitation, held: &BTreeMap<TeamId, Team>) -> Result<()> {
        let team = held.get(&invitation.team_id).ok_or(Broken::InvitationCanceled)?;
        let granted: BTreeSet<_> = invitation.grants.values().flat_map(|offer| offer.roles.iter().cloned()).collect();
        let roles = named(self.source, self.system, team.root(), &granted).await?;
        match roles.check_exist(&granted) {
            Err(Broken::RoleNotFound { role }) => Err(Broken::RoleGone { role }.into()),
            other => Ok(other?),
        }
    }

    /// Fails unless the inviter may still invite to all that the invitation grants.
    pub(super) async fn check_inviter(&self, invitation: &Invitation, held: &BTreeMap<TeamId, Team>) -> Result<()> {
        for (id, offer) in &invitation.grants {
            let team = held.get(id).ok_or(Broken::InviterNoLongerAllowed)?;
            if !self.may_invite(team, invitation.inviter.as_ref(), offer).await? {
                return Err(Broken::InviterNoLongerAllowed.into());
            }
        }
        Ok(())
    }

    /// Whether the inviter may still send this.
    pub(super) async fn is_vouched_for(&self, invitation: &Invitation) -> Result<bool> {
        let held = teams::get_many(self.source, invitation.teams()).await?;
        match self.check_inviter(invitation, &held).await {
            Ok(()) => Ok(true),
            Err(Error::Broken(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn may_invite(&self, team: &Team, inviter: Option<&UserId>, offer: &Offer) -> Result<bool> {
        let authority = self.authority(team, inviter).await?;
        match self.check_offer(team, &authority, offer).await {
            Ok(()) => Ok(authority.covers(CreateInvitations::NAME)),
            Err(Error::Broken(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What a person holds in a team; a service, where there is none.
    async fn authority(&self, team: &Team, person: Option<&UserId>) -> Result<Authority> {
        let Some(user) = person else { return Ok(Authority::Service) };
        let holdings = authorize::holdings_of(self.source, self.system, self.now, team, user).await?;
        Ok(Authority::Person { user: user.clone(), holdings })
    }

    /// Whether somebody may give this in a team.
    async fn check_offer(&self, team: &Team, by: &Authority, offer: &Offer) -> Result<()> {
        let roles = named(self.source, self.system, team.root(), &offer.roles).await?;
        Ok(by.check_grant(&Given { team, roles: &roles, ids: &offer.roles, permissions: &offer.permissions })?)
    }
}
