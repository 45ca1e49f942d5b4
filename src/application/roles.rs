//! The roles of a tree: which there are, and changing those of its own.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Command, Error, Missing, Result, Work, authorize::denied, consequence, context::Etag, members};
use crate::{
    domain::{
        Authority, Broken, Cause, Change, Invitation, Member, PermissionPattern, PermissionSet, Role, RoleId, Roles,
        Team, TeamId,
        event::{InvitationChange, Step},
        id::RoleKey,
        membership::Given,
        permission::{CreateRoles, DeleteRoles, Permission, UpdateRoles},
        role::Custom,
        text::{Description, RoleName},
    },
    repository::{Source, invitations, members as rows, roles},
};

/// The system roles, and those of these that are the tree's own.
pub(super) async fn named<'a>(
    source: &impl Source,
    system: &Roles,
    root: TeamId,
    ids: impl IntoIterator<Item = &'a RoleId>,
) -> Result<Roles> {
    let own: BTreeSet<&RoleId> = ids.into_iter().filter(|id| !system.is_system(id)).collect();
    Ok(system.with(roles::get_many(source, root, own).await?))
}

/// The same for several trees, by root.
pub(super) async fn named_in_trees<'a>(
    source: &impl Source,
    system: &Roles,
    roots: BTreeSet<TeamId>,
    ids: impl IntoIterator<Item = &'a RoleId>,
) -> Result<BTreeMap<TeamId, Roles>> {
    let own: BTreeSet<&RoleId> = ids.into_iter().filter(|id| !system.is_system(id)).collect();
    let mut found: BTreeMap<TeamId, Vec<Role>> = roots.iter().map(|root| (*root, Vec::new())).collect();
    for role in roles::get_in_trees(source, roots, own).await? {
        if let Some(custom) = &role.custom {
            found.entry(custom.root_id).or_default().push(role);
        }
    }
    Ok(found.into_iter().map(|(root, own)| (root, system.with(own))).collect())
}

/// Creates a role of the tree's own.
#[derive(Debug, Serialize)]
pub struct CreateRole {
    /// The root of the tree.
    pub team: TeamId,
    /// The name for machines.
    pub key: RoleKey,
    /// The name for people.
    pub name: RoleName,
    /// What it is for.
    pub description: Description,
    /// What it gives.
    pub permissions: BTreeSet<PermissionPattern>,
    /// Whether it gives the same in every team below.
    pub reaches_descendants: bool,
}

impl Command for CreateRole {
    const NAME: &'static str = "CreateRole";
    type Answer = Role;

    async fn execute(&self, work: &mut Work<'_>) -> Result<Role> {
        let (team, allowed) = work.team::<CreateRoles>(self.team).await?;
        team.check_root()?;
        check_key(work, &self.key)?;
        let slot = work.tx.next(team.id);
        let custom = Custom { root_id: team.id, changed: slot.version, create_time: work.now, update_time: work.now };
        let role = Role {
            id: RoleId::from_uuid(work.id()),
            key: self.key.clone(),
            name: self.name.to_string(),
            description: self.description.to_string(),
            permissions: self.permissions.clone(),
            reaches_descendants: self.reaches_descendants,
            custom: Some(custom.clone()),
        };
        check_gain(allowed.authority(), None, &role, false)?;
        roles::insert(work.tx, &role, &custom).await?;
        work.tx.record(slot, Cause::Direct, Change::RoleCreated(role.clone()));
        Ok(role)
    }
}

/// New values for a role; `None` keeps what is there.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RolePatch {
    /// The name for machines.
    pub key: Option<RoleKey>,
    /// The name for people.
    pub name: Option<RoleName>,
    /// What it is for.
    pub description: Option<Description>,
    /// What it gives.
    pub permissions: Option<BTreeSet<PermissionPattern>>,
    /// Whether it gives the same in every team below.
    pub reaches_descendants: Option<bool>,
}

/// Changes a role of the tree's own.
#[derive(Debug, Serialize)]
pub struct UpdateRole {
    /// The root of the tree.
    pub team: TeamId,
    /// The role.
    pub role: RoleId,
    /// The new values.
    pub patch: RolePatch,
    /// As the caller saw the role last.
    pub etag: Etag,
}

impl Command for UpdateRole {
    const NAME: &'static str = "UpdateRole";
    type Answer = Role;

    async fn execute(&self, work: &mut Work<'_>) -> Result<Role> {
        let (team, allowed) = work.team::<UpdateRoles>(self.team).await?;
        let (before, custom) = own_role(work, &team, &self.role).await?;
        self.etag.check(custom.changed)?;
        let patch = &self.patch;
        let wanted = Role {
            key: patch.key.clone().unwrap_or_else(|| before.key.clone()),
            name: patch.name.as_ref().map_or_else(|| before.name.clone(), ToString::to_string),
            description: patch.description.as_ref().map_or_else(|| before.description.clone(), ToString::to_string),
            permissions: patch.permissions.clone().unwrap_or_else(|| before.permissions.clone()),
            reaches_descendants: patch.reaches_descendants.unwrap_or(before.reaches_descendants),
            ..before.clone()
        };
        if wanted == before {
            return Ok(before);
        }
        if wanted.key != before.key {
            check_key(work, &wanted.key)?;
        }
        let holders = holders(work, &before.id).await?;
        let invited = invitations::pending_to_role(work.tx, &team, &before.id, work.now).await?;
        check_gain(allowed.authority(), Some(&before), &wanted, is_below(&team, &before.id, &holders, &invited))?;
        if (&wanted.permissions, wanted.reaches_descendants) != (&before.permissions, before.reaches_descendants) {
            check_not_own(allowed.authority(), &holders)?;
        }
        let slot = work.tx.next(team.id);
        let custom = Custom { changed: slot.version, update_time: work.now, ..custom };
        let after = Role { custom: Some(custom.clone()), ..wanted };
        roles::update(work.tx, &after, &custom).await?;
        let step = Step { before: before.clone(), after: after.clone() };
        work.tx.record(slot, Cause::Direct, Change::RoleUpdated(step));
        // Who invited to it may not hold what it gives now.
        consequence::of_doubt(work, invited, Cause::Role).await?;
        if gives_less(&before, &after) {
            for holder in holders {
                let of = work.hold(holder.team_id).await?;
                consequence::of_lost_authority(work, &of, &holder.user_id, Cause::Role).await?;
            }
        }
        Ok(after)
    }
}

/// Deletes a role of the tree's own.
#[derive(Debug, Serialize)]
pub struct DeleteRole {
    /// The root of the tree.
    pub team: TeamId,
    /// The role.
    pub role: RoleId,
    /// What its holders get in its place, and those who are invited to it.
    pub replacement: Option<RoleId>,
    /// As the caller saw the role last.
    pub etag: Etag,
}

impl Command for DeleteRole {
    const NAME: &'static str = "DeleteRole";
    type Answer = ();

    async fn execute(&self, work: &mut Work<'_>) -> Result<()> {
        let (team, allowed) = work.team::<DeleteRoles>(self.team).await?;
        let (role, custom) = own_role(work, &team, &self.role).await?;
        self.etag.check(custom.changed)?;
        let holders = settled_holders(work, &role.id).await?;
        let invited = invitations::pending_to_role(work.tx, &team, &role.id, work.now).await?;
        match &self.replacement {
            Some(replacement) => {
                check_not_own(allowed.authority(), &holders)?;
                let below = is_below(&team, &role.id, &holders, &invited);
                self.check_replacement(work, &team, allowed.authority(), replacement, below).await?;
                self.replace(work, replacement, holders, invited).await?;
            }
            None if holders.is_empty() && invited.is_empty() => {}
            None => {
                let (members, invitations) = (holders.len() as u64, invited.len() as u64);
                return Err(Broken::RoleInUse { members, invitations }.into());
            }
        }
        roles::delete(work.tx, team.id, &role.id).await?;
        let slot = work.tx.next(team.id);
        work.tx.record(slot, Cause::Direct, Change::RoleDeleted(role));
        Ok(())
    }
}

impl DeleteRole {
    /// Fails if those who get the replacement would get what the one who names it lacks. Nobody becomes an owner this
    /// way: the role `owner` is held in roots alone, and has no end.
    async fn check_replacement(
        &self,
        work: &Work<'_>,
        team: &Team,
        by: &Authority,
        replacement: &RoleId,
        below: bool,
    ) -> Result<()> {
        if *replacement == self.role {
            return Err(Broken::RoleNotFound { role: replacement.clone() }.into());
        }
        if replacement.as_str() == RoleId::OWNER {
            return Err(Broken::OwnerRoleNotGrantable.into());
        }
        let known = named(work.tx, work.roles, team.id, [replacement]).await?;
        let (ids, permissions) = (BTreeSet::from([replacement.clone()]), BTreeSet::new());
        by.check_grant(&Given { team, roles: &known, ids: &ids, permissions: &permissions })?;
        let here = known.permissions(&ids);
        if below {
            by.check_holds(&here, &here)?;
        }
        Ok(())
    }

    async fn replace(
        &self,
        work: &mut Work<'_>,
        replacement: &RoleId,
        holders: Vec<Member>,
        invited: Vec<Invitation>,
    ) -> Result<()> {
        let mut offered = Vec::new();
        for before in invited {
            let mut after = before.clone();
            for offer in after.grants.values_mut() {
                if offer.roles.remove(&self.role) {
                    offer.roles.insert(replacement.clone());
                }
            }
            let change = InvitationChange::Updated;
            offered.push(consequence::change_invitation(work, change, Cause::Role, before, after).await?);
        }
        let mut former = Vec::new();
        for before in holders {
            let of = work.hold(before.team_id).await?;
            let wanted = before.with_replaced(&self.role, replacement);
            let user = wanted.user_id.clone();
            members::change(work, before, wanted, Cause::Role).await?;
            former.push((of, user));
        }
        // Looked at when everybody has the replacement: who invited to the role may be one who held it.
        consequence::of_doubt(work, offered, Cause::Role).await?;
        for (of, user) in former {
            consequence::of_lost_authority(work, &of, &user, Cause::Role).await?;
        }
        Ok(())
    }
}

/// A role of the tree's own, in its root.
async fn own_role(work: &Work<'_>, team: &Team, id: &RoleId) -> Result<(Role, Custom)> {
    team.check_root()?;
    if work.roles.is_system(id) {
        return Err(Broken::SystemRole { role: id.clone() }.into());
    }
    let found = roles::get_many(work.tx, team.id, [id]).await?.pop();
    let own = found.and_then(|role| role.custom.clone().map(|custom| (role, custom)));
    own.ok_or_else(|| Error::Missing(Missing::Role(id.to_string())))
}

fn check_key(work: &Work<'_>, key: &RoleKey) -> Result<()> {
    if work.roles.is_reserved(key) { Err(Error::Taken(super::Taken::RoleKey)) } else { Ok(()) }
}

/// Fails if holders of the role would get, by this change, what the one who makes it lacks: in the root, and in the teams
/// below where the role reaches or is held.
fn check_gain(by: &Authority, before: Option<&Role>, after: &Role, held_below: bool) -> Result<()> {
    let gave: PermissionSet = before.iter().flat_map(|role| &role.permissions).collect();
    let new = |pattern: &&PermissionPattern| !gave.covers(pattern.as_str());
    let here = after.permissions.iter().filter(new).collect();
    let reached = before.is_some_and(|role| role.reaches_descendants);
    let reaches_newly = after.reaches_descendants && !reached;
    let below = after.permissions.iter().filter(|pattern| reaches_newly || new(pattern));
    let below = if after.reaches_descendants || held_below { below.collect() } else { PermissionSet::default() };
    Ok(by.check_holds(&here, &below)?)
}

fn gives_less(before: &Role, after: &Role) -> bool {
    !before.permissions.is_subset(&after.permissions) || before.reaches_descendants && !after.reaches_descendants
}

/// Who holds the role at this moment, whatever is recorded.
async fn holders(work: &Work<'_>, role: &RoleId) -> Result<Vec<Member>> {
    let recorded = rows::of_role(work.tx, role).await?;
    let holds = |member: &Member| member.clone().at(work.now).is_some_and(|left| left.roles.contains(role));
    Ok(recorded.into_iter().filter(holds).collect())
}

/// As [`holders`], with what has run out ended and recorded as such.
async fn settled_holders(work: &mut Work<'_>, role: &RoleId) -> Result<Vec<Member>> {
    let mut holders = Vec::new();
    for recorded in rows::of_role(work.tx, role).await? {
        let team = work.hold(recorded.team_id).await?;
        holders.extend(members::settle(work, &team, recorded).await?.filter(|left| left.roles.contains(role)));
    }
    Ok(holders)
}

/// Whether somebody holds the role below the root, or is invited to it there.
fn is_below(root: &Team, role: &RoleId, holders: &[Member], invited: &[Invitation]) -> bool {
    let offers = invited.iter().flat_map(|invitation| &invitation.grants);
    let invited = offers.filter(|(_, offer)| offer.roles.contains(role)).map(|(team, _)| *team);
    holders.iter().map(|holder| holder.team_id).chain(invited).any(|team| team != root.id)
}

/// Nobody changes what they hold themselves, also not by a change of the role that gives it.
fn check_not_own(by: &Authority, holders: &[Member]) -> Result<()> {
    if holders.iter().any(|holder| by.person() == Some(&holder.user_id)) { Err(Broken::OwnRole.into()) } else { Ok(()) }
}

/// The refusal of a permission that a caller lacks in the teams below.
pub(super) fn check_below<P: Permission>(authority: &Authority, team: &Team) -> Result<()> {
    match authority {
        Authority::Person { holdings, .. } if !holdings.below.covers(P::NAME) => Err(denied::<P>(Some(team.id))),
        _ => Ok(()),
    }
}
