//! Who may do what.
//!
//! A call needs two things: the calling service's scopes must cover the permission, and a person that it acts for must
//! hold the permission in the team, by what they are there or above it. A service on its own behalf needs its scopes
//! only. What a person may not see answers like what does not exist.

use std::{collections::BTreeSet, marker::PhantomData};

use chrono::{DateTime, Utc};

use super::{Context, Error, Missing, Result, Work, roles};
use crate::{
    domain::{
        Authority, Broken, Principal, Roles, Team, TeamId, UserId,
        access::{Holdings, Snapshot},
        permission::Permission,
    },
    repository::{Source, members, teams},
};

/// A proof that the caller may do what `P` permits. It can be had from this module only.
#[derive(Debug, Clone)]
pub struct Allowed<P> {
    authority: Authority,
    permission: PhantomData<fn() -> P>,
}

impl<P: Permission> Allowed<P> {
    /// With what authority.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }
}

/// The refusal of a permission in a team.
pub(super) fn denied<P: Permission>(team: Option<TeamId>) -> Error {
    Error::Denied { permission: P::NAME, team }
}

/// Whether the calling service may ask for this at all.
pub fn check_scope<P: Permission>(principal: &Principal) -> Result<()> {
    if principal.scopes.cover(P::NAME) { Ok(()) } else { Err(denied::<P>(None)) }
}

/// The team and the proof, or one and the same refusal for a person who may not and a team that is not there. Who would
/// be allowed is told that the team is disabled.
pub async fn in_team<P: Permission>(
    source: &impl Source,
    cx: &Context,
    system: &Roles,
    now: DateTime<Utc>,
    id: TeamId,
    team: Option<Team>,
) -> Result<(Team, Allowed<P>)> {
    if !cx.principal.scopes.cover(P::NAME) {
        return Err(denied::<P>(Some(id)));
    }
    let Some(user) = &cx.principal.person else {
        let team = team.ok_or_else(|| Error::Missing(Missing::Team(id.to_string())))?;
        return Ok((team, Allowed { authority: Authority::Service, permission: PhantomData }));
    };
    let team = team.ok_or_else(|| denied::<P>(Some(id)))?;
    let holdings = holdings_of(source, system, now, &team, user).await?;
    if !holdings.here.covers(P::NAME) {
        return Err(denied::<P>(Some(id)));
    }
    check_enabled(&team, &holdings)?;
    let authority = Authority::Person { user: user.clone(), holdings };
    Ok((team, Allowed { authority, permission: PhantomData }))
}

/// Fails unless a caller who may do one thing in a team, with this authority, may do what `P` permits there as well.
pub(super) fn check_also<P: Permission>(cx: &Context, by: &Authority, team: TeamId) -> Result<()> {
    if cx.principal.scopes.cover(P::NAME) && by.covers(P::NAME) { Ok(()) } else { Err(denied::<P>(Some(team))) }
}

/// Fails if the team is closed to this person.
pub(super) async fn check_open(work: &Work<'_>, team: &Team, user: &UserId) -> Result<()> {
    check_enabled(team, &holdings_of(work.tx, work.roles, work.now, team, user).await?)
}

/// Fails if another team of the tree is closed to whoever has this authority.
pub(super) fn check_open_to(by: &Authority, team: &Team) -> Result<()> {
    match by {
        Authority::Service => Ok(()),
        Authority::Person { holdings, .. } => check_enabled(team, holdings),
    }
}

/// A disabled team is closed to people, but for the owners of its tree.
fn check_enabled(team: &Team, holdings: &Holdings) -> Result<()> {
    match team.disabled_by {
        Some(team) if !holdings.owner => Err(Broken::TeamDisabled { team }.into()),
        _ => Ok(()),
    }
}

/// The authority of the same caller in another team.
pub(super) async fn authority_in(work: &Work<'_>, by: &Authority, team: &Team) -> Result<Authority> {
    let Some(user) = by.person() else { return Ok(Authority::Service) };
    let holdings = holdings_of(work.tx, work.roles, work.now, team, user).await?;
    Ok(Authority::Person { user: user.clone(), holdings })
}

/// Those of these teams in which the caller may do what `P` permits.
pub(super) async fn teams_open_to<P: Permission>(
    source: &impl Source,
    cx: &Context,
    system: &Roles,
    now: DateTime<Utc>,
    ids: impl IntoIterator<Item = TeamId>,
) -> Result<BTreeSet<TeamId>> {
    let mut open = BTreeSet::new();
    for (id, team) in teams::get_many(source, ids).await? {
        match in_team::<P>(source, cx, system, now, id, Some(team)).await {
            Ok(_) => drop(open.insert(id)),
            Err(Error::Denied { .. } | Error::Broken(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(open)
}

/// What a person holds in a team.
pub(super) async fn holdings_of(
    source: &impl Source,
    system: &Roles,
    now: DateTime<Utc>,
    team: &Team,
    user: &UserId,
) -> Result<Holdings> {
    let memberships = members::of_user_in(source, user, team.lineage()).await?;
    let held = memberships.iter().flat_map(|member| &member.roles);
    let roles = roles::named(source, system, team.root(), held).await?;
    Ok(Snapshot { team, memberships: &memberships, roles: &roles, now }.holdings())
}

/// For what a service may do for anyone and a person for themselves only.
pub fn for_self<P: Permission>(cx: &Context, user: Option<&UserId>) -> Result<()> {
    check_scope::<P>(&cx.principal)?;
    match &cx.principal.person {
        Some(person) if Some(person) != user => Err(denied::<P>(None)),
        _ => Ok(()),
    }
}
