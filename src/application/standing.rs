//! Whether an open invitation still stands: whether it could be accepted, by whomever.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::{Error, Result, authorize, roles::named};
use crate::{
    domain::{
        Authority, Broken, Invitation, Roles, Team, TeamId, UserId,
        invitation::Offer,
        membership::Given,
        permission::{CreateInvitations, Permission},
    },
    repository::{Source, members, teams},
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

    /// As [`Standing::check`], and fails also where its address is not admitted any more or no seat is left for somebody
    /// who is no member yet.
    pub(super) async fn check_room(&self, invitation: &Invitation, held: &BTreeMap<TeamId, Team>) -> Result<()> {
        self.check(invitation, held).await?;
        for team in held.values() {
            if team.policy.require_email_match {
                team.policy.check_domain(&invitation.email)?;
            }
            team.policy.check_seat(members::count(self.source, team.id, self.now).await?)?;
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
        let authority = match inviter {
            None => Authority::Service,
            Some(user) => {
                let holdings = authorize::holdings_of(self.source, self.system, self.now, team, user).await?;
                Authority::Person { user: user.clone(), holdings }
            }
        };
        let roles = named(self.source, self.system, team.root(), &offer.roles).await?;
        let given = Given { team, roles: &roles, ids: &offer.roles, permissions: &offer.permissions };
        Ok(authority.covers(CreateInvitations::NAME) && authority.check_grant(&given).is_ok())
    }
}
