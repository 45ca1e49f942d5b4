//! Recording people, changing what is known of them, and forgetting them.

use serde::Serialize;

use super::{
    Command, Error, Missing, Result, Taken, Work,
    authorize::{self, check_scope, denied},
    context::Etag,
    members::{self, other_owners},
    roles::named,
};
use crate::{
    domain::{
        Authority, Broken, Cause, Change, Email, Member, Team, TeamId, User, UserId, Version,
        event::Step,
        permission::{CreateUsers, DeleteUsers, Permission, UpdateUsers},
        policy::ProfileEditing,
        profile::Notifications,
        text::DisplayName,
        user::{Profile, UserPatch},
    },
    repository::{
        members as memberships, teams,
        users::{self, Former},
    },
};

/// Records a person.
#[derive(Debug, Serialize)]
pub struct CreateUser {
    /// The caller's id; `None` for a new one.
    pub id: Option<UserId>,
    /// The address.
    pub email: Email,
    /// Whether the address is known to belong to the person.
    pub email_verified: bool,
    /// The name to show.
    pub display_name: DisplayName,
    /// What else is known of the person.
    pub profile: Profile,
    /// A root team that the person belongs to; `None` for the first tree that they join by an act of their own.
    pub home: Option<TeamId>,
}

impl Command for CreateUser {
    const NAME: &'static str = "CreateUser";
    type Answer = User;

    async fn execute(&self, work: &mut Work<'_>) -> Result<User> {
        authorize::for_self::<CreateUsers>(work.cx, None)?;
        check_home(work, self.home).await?;
        self.record(work).await
    }
}

impl CreateUser {
    /// Adds the person, whoever asks.
    pub(super) async fn record(&self, work: &mut Work<'_>) -> Result<User> {
        // An id that somebody had before goes on from the version that they left it at.
        let former = match &self.id {
            Some(id) => users::lock_id(work.tx, id).await?,
            None => Former::Nobody,
        };
        let left = match former {
            Former::Nobody => Version(0),
            Former::Deleted(version) => version,
            Former::Present => return Err(Error::Taken(Taken::UserId)),
        };
        let id = self.id.clone().unwrap_or_else(|| UserId::from_uuid(work.id()));
        let slot = work.tx.next_of_user(&id, left);
        let user = User {
            id,
            email: self.email.clone(),
            email_verified: self.email_verified,
            display_name: self.display_name.clone(),
            profile: self.profile.clone(),
            notifications: Notifications::default(),
            home: self.home,
            version: slot.version,
            create_time: work.now,
            update_time: work.now,
        };
        match former {
            Former::Deleted(_) => users::revive(work.tx, &user).await?,
            Former::Nobody | Former::Present => users::insert(work.tx, &user).await?,
        }
        work.tx.record(slot, Cause::Direct, Change::UserCreated(user.clone()));
        Ok(user)
    }
}

async fn check_home(work: &Work<'_>, home: Option<TeamId>) -> Result<()> {
    let Some(home) = home else { return Ok(()) };
    let team = teams::get(work.tx, home).await?.ok_or_else(|| super::teams::missing(home))?;
    Ok(team.check_root()?)
}

/// Changes what is known of a person.
#[derive(Debug, Serialize)]
pub struct UpdateUser {
    /// The person.
    pub id: UserId,
    /// The new values.
    pub patch: UserPatch,
    /// The team by whose rules somebody else edits the profile.
    pub team: Option<TeamId>,
    /// As the caller saw the record last.
    pub etag: Etag,
}

impl Command for UpdateUser {
    const NAME: &'static str = "UpdateUser";
    type Answer = User;

    async fn execute(&self, work: &mut Work<'_>) -> Result<User> {
        let before = if let Some((team, by)) = editor::<UpdateUsers>(work, &self.id, self.team).await? {
            lock_at_home(work, &team, &by, &self.id).await?
        } else {
            if let Some(home) = self.patch.home {
                lock_trees_of(work, &self.id, home).await?;
            }
            lock(work, &self.id).await?
        };
        self.etag.check(before.version)?;
        let wanted = before.patched(&self.patch);
        if wanted == before {
            return Ok(before);
        }
        if wanted.home != before.home {
            check_home(work, wanted.home).await?;
            check_admitted(work, &wanted).await?;
        }
        change(work, before, wanted).await
    }
}

/// The user, who has to exist, and whose record this transaction is about to change.
async fn lock(work: &Work<'_>, id: &UserId) -> Result<User> {
    let found = users::lock(work.tx, id).await?;
    found.ok_or_else(|| Error::Missing(Missing::User(id.to_string())))
}

async fn change(work: &mut Work<'_>, before: User, wanted: User) -> Result<User> {
    let slot = work.tx.next_of_user(&before.id, before.version);
    let after = User { version: slot.version, update_time: work.now, ..wanted };
    users::update(work.tx, &after).await?;
    memberships::mirror_user(work.tx, &after).await?;
    work.tx.record(slot, Cause::Direct, Change::UserUpdated(Step { before, after: after.clone() }));
    Ok(after)
}

/// Changes what a person wants to be told.
#[derive(Debug, Serialize)]
pub struct UpdateNotifications {
    /// The person.
    pub id: UserId,
    /// The new settings; `None` keeps what is there.
    pub desktop: Option<bool>,
    /// Whether the browser shows a badge.
    pub badges: Option<bool>,
    /// Whether there is a sound.
    pub sounds: Option<bool>,
    /// The application's own settings, all of them.
    pub custom: Option<crate::domain::label::Labels>,
    /// As the caller saw the settings last.
    pub etag: Etag,
}

impl Command for UpdateNotifications {
    const NAME: &'static str = "UpdateNotifications";
    type Answer = User;

    async fn execute(&self, work: &mut Work<'_>) -> Result<User> {
        authorize::for_self::<UpdateUsers>(work.cx, Some(&self.id))?;
        let before = lock(work, &self.id).await?;
        self.etag.check(before.version)?;
        let set = &before.notifications;
        let notifications = Notifications {
            desktop: self.desktop.unwrap_or(set.desktop),
            badges: self.badges.unwrap_or(set.badges),
            sounds: self.sounds.unwrap_or(set.sounds),
            custom: self.custom.clone().unwrap_or_else(|| set.custom.clone()),
        };
        if notifications == *set {
            return Ok(before);
        }
        let wanted = User { notifications, ..before.clone() };
        change(work, before, wanted).await
    }
}

/// Forgets a person: their record, and with it every membership.
#[derive(Debug, Serialize)]
pub struct DeleteUser {
    /// The person.
    pub id: UserId,
    /// The team by whose rules somebody else deletes them.
    pub team: Option<TeamId>,
    /// As the caller saw the record last.
    pub etag: Etag,
}

impl Command for DeleteUser {
    const NAME: &'static str = "DeleteUser";
    type Answer = ();

    async fn execute(&self, work: &mut Work<'_>) -> Result<()> {
        check_scope::<DeleteUsers>(&work.cx.principal)?;
        if work.cx.principal.person.as_ref() == Some(&self.id) {
            return Err(Broken::OwnUser.into());
        }
        // Nobody has trees locked that they have nothing to do with: who may not is refused before that. What was found
        // then may have changed meanwhile, so it is looked at again.
        if work.cx.principal.person.is_some() {
            check_editor_unlocked::<DeleteUsers>(work, &self.id, self.team).await?;
        }
        lock_trees_of(work, &self.id, self.team).await?;
        let user = match editor::<DeleteUsers>(work, &self.id, self.team).await? {
            Some((team, by)) => lock_at_home(work, &team, &by, &self.id).await?,
            None => lock(work, &self.id).await?,
        };
        self.etag.check(user.version)?;
        // Read again: with the record held, nobody joins a team with it.
        for recorded in memberships::of_user(work.tx, &self.id).await? {
            let team = work.hold(recorded.team_id).await?;
            let Some(member) = members::settle(work, &team, recorded).await? else { continue };
            let left = member.check_leave(other_owners(work, &team, &member).await?);
            left.map_err(|rule| self.refused(work, &team, rule))?;
            members::end(work, &team, &user, member, Cause::User).await?;
        }
        let slot = work.tx.next_of_user(&user.id, user.version);
        users::delete(work.tx, &user.id, slot.version, work.now).await?;
        work.tx.record(slot, Cause::Direct, Change::UserDeleted(user));
        Ok(())
    }
}

impl DeleteUser {
    /// What forbids it in one of the person's teams. A person is not told which, if it is none that they named.
    fn refused(&self, work: &Work<'_>, team: &Team, rule: Broken) -> Error {
        let told = work.cx.principal.person.is_none() || self.team == Some(team.id);
        if told { Error::from(rule).in_team(team.id) } else { rule.into() }
    }
}

/// By what authority, and in which team, the caller may edit somebody else's record, as far as the team that they name goes;
/// its tree is locked. `None` for a service, and for the person whose record it is.
async fn editor<P: Permission>(
    work: &mut Work<'_>,
    id: &UserId,
    team: Option<TeamId>,
) -> Result<Option<(Team, Authority)>> {
    check_scope::<P>(&work.cx.principal)?;
    match &work.cx.principal.person {
        None => return Ok(None),
        Some(person) if person == id => return Ok(None),
        Some(_) => {}
    }
    let team = team.ok_or_else(|| denied::<P>(None))?;
    let (team, allowed) = work.team::<P>(team).await?;
    Ok(Some((team, allowed.authority().clone())))
}

/// Takes the record of somebody else, which `by` may edit.
async fn lock_at_home(work: &Work<'_>, team: &Team, by: &Authority, id: &UserId) -> Result<User> {
    let user = users::lock(work.tx, id).await?;
    check_at_home(work, team, by, id, user).await
}

/// The refusal of [`DeleteUser`], before anything is locked.
async fn check_editor_unlocked<P: Permission>(work: &Work<'_>, id: &UserId, team: Option<TeamId>) -> Result<()> {
    let named = team.ok_or_else(|| denied::<P>(None))?;
    let team = teams::get(work.tx, named).await?;
    let (team, allowed) = authorize::in_team::<P>(work.tx, work.cx, work.roles, work.now, named, team).await?;
    let user = users::get(work.tx, id).await?;
    check_at_home(work, &team, allowed.authority(), id, user).await.map(drop)
}

/// Whether `by` may edit the record of this person: the team is the person's home, its rules let others edit, and whoever
/// edits holds all that the person holds in the tree. For who sets an address can become whom they gave it to.
async fn check_at_home(work: &Work<'_>, team: &Team, by: &Authority, id: &UserId, user: Option<User>) -> Result<User> {
    team.check_root()?;
    let missing = || Error::Missing(Missing::Member(id.to_string()));
    let held = held_in_tree(work, team, id).await?;
    let user = user.filter(|_| !held.is_empty()).ok_or_else(missing)?;
    if user.home != Some(team.id) || team.policy.profile_editing != ProfileEditing::Admins {
        return Err(Broken::ProfileNotEditable.into());
    }
    for (team, member) in &held {
        let roles = named(work.tx, work.roles, team.root(), &member.roles).await?;
        authorize::authority_in(work, by, team).await?.check_covers(member, &roles)?;
    }
    Ok(user)
}

/// A person's memberships of the teams of a tree, each with its team. What has run out is none.
async fn held_in_tree(work: &Work<'_>, root: &Team, id: &UserId) -> Result<Vec<(Team, Member)>> {
    let recorded = memberships::of_user(work.tx, id).await?;
    let mut teams = teams::get_many(work.tx, recorded.iter().map(|member| member.team_id)).await?;
    teams.retain(|_, team| team.root() == root.id);
    let left = recorded.into_iter().filter_map(|member| member.at(work.now));
    Ok(left.filter_map(|member| teams.remove(&member.team_id).map(|team| (team, member))).collect())
}

/// Takes the roots of the trees that a person is in, and of that of one more team, in the order of their ids: teams are
/// locked before people.
async fn lock_trees_of(work: &Work<'_>, id: &UserId, besides: Option<TeamId>) -> Result<()> {
    let theirs = memberships::of_user(work.tx, id).await?;
    let teams = teams::get_many(work.tx, theirs.iter().map(|member| member.team_id).chain(besides)).await?;
    Ok(teams::lock_roots(work.tx, teams.values()).await?)
}

/// Fails if another home would make the person external where the rules of a tree that they are in admit nobody external.
async fn check_admitted(work: &Work<'_>, user: &User) -> Result<()> {
    let theirs = memberships::of_user(work.tx, &user.id).await?;
    let live = theirs.iter().filter(|member| !member.has_expired(work.now) && !member.external);
    let teams = teams::get_many(work.tx, live.map(|member| member.team_id)).await?;
    let refuses = |team: &Team| user.is_external_to(team.root()) && !team.policy.allow_external_members;
    if teams.values().any(refuses) { Err(Broken::ExternalNotAllowed.into()) } else { Ok(()) }
}
