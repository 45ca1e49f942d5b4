//! Who may do what.
//!
//! A call needs two things: the calling service's scopes must cover the permission, and a person that it acts for must
//! hold the permission in the team. A service on its own behalf needs its scopes only. What a person may not see answers
//! like what does not exist.

use std::marker::PhantomData;

use super::{Context, Error, Missing, Result};
use crate::{
    domain::{Authority, Principal, Roles, Team, TeamId, UserId, permission::Permission},
    repository::{Source, members},
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

/// The team and the proof, or one and the same refusal for a person who may not and a team that is not there.
pub async fn in_team<P: Permission>(
    source: &impl Source,
    cx: &Context,
    roles: &Roles,
    id: TeamId,
    team: Option<Team>,
) -> Result<(Team, Allowed<P>)> {
    if !cx.principal.scopes.cover(P::NAME) {
        return Err(denied::<P>(Some(id)));
    }
    let authority = match &cx.principal.person {
        None => Authority::Service,
        Some(user) => {
            let held = authority_of(source, roles, id, user).await?;
            if team.is_none() || !held.covers(P::NAME) {
                return Err(denied::<P>(Some(id)));
            }
            Authority::Person { user: user.clone(), permissions: held }
        }
    };
    let team = team.ok_or_else(|| Error::Missing(Missing::Team(id.to_string())))?;
    Ok((team, Allowed { authority, permission: PhantomData }))
}

/// What a person holds in a team.
pub(super) async fn authority_of(
    source: &impl Source,
    roles: &Roles,
    team: TeamId,
    user: &UserId,
) -> Result<crate::domain::PermissionSet> {
    Ok(roles.permissions(&members::roles(source, team, user).await?))
}

/// For what a service may do for anyone and a person for themselves only.
pub fn for_self<P: Permission>(cx: &Context, user: Option<&UserId>) -> Result<()> {
    check_scope::<P>(&cx.principal)?;
    match &cx.principal.person {
        Some(person) if Some(person) != user => Err(denied::<P>(None)),
        _ => Ok(()),
    }
}
