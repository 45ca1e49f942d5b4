//! Recording people, changing what is known of them, and forgetting them.

use serde::Serialize;

use super::{
    Command, Error, Missing, Result, Taken, Work,
    authorize::{self, check_scope, denied},
    context::Etag,
    members::{self, other_owners},
};
use crate::{
    domain::{
        Broken, Cause, Change, Email, TeamId, User, UserId, Version,
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
    /// A root team that the person belongs to; `None` for the first tree that they join.
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
        check_editor::<UpdateUsers>(work, &self.id, self.team).await?;
        let before = lock(work, &self.id).await?;
        self.etag.check(before.version)?;
        let wanted = before.patched(&self.patch);
        if wanted == before {
            return Ok(before);
        }
        if wanted.home != before.home {
            check_home(work, wanted.home).await?;
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
        let of_user: Vec<TeamId> =
            memberships::of_user(work.tx, &self.id).await?.into_iter().map(|member| member.team_id).collect();
        let found = teams::get_many(work.tx, of_user.into_iter().chain(self.team)).await?;
        teams::lock_roots(work.tx, found.values()).await?;
        check_editor::<DeleteUsers>(work, &self.id, self.team).await?;
        let user = lock(work, &self.id).await?;
        self.etag.check(user.version)?;
        // Read again: with the record held, nobody joins a team with it.
        for recorded in memberships::of_user(work.tx, &self.id).await? {
            let team = work.hold(recorded.team_id).await?;
            let Some(member) = members::settle(work, &team, recorded).await? else { continue };
            member.check_leave(other_owners(work, &team, &member).await?)?;
            members::end(work, &team, &user, member, Cause::User).await?;
        }
        let slot = work.tx.next_of_user(&user.id, user.version);
        users::delete(work.tx, &user.id, slot.version, work.now).await?;
        work.tx.record(slot, Cause::Direct, Change::UserDeleted(user));
        Ok(())
    }
}

/// Whether the caller may edit this person's record: a service, the person, or by the rules of the person's home somebody
/// who holds the permission in a team there that the person is a member of.
async fn check_editor<P: Permission>(work: &mut Work<'_>, id: &UserId, team: Option<TeamId>) -> Result<()> {
    check_scope::<P>(&work.cx.principal)?;
    match &work.cx.principal.person {
        None => return Ok(()),
        Some(person) if person == id => return Ok(()),
        Some(_) => {}
    }
    let team = team.ok_or_else(|| denied::<P>(None))?;
    let (team, _) = work.team::<P>(team).await?;
    let missing = || Error::Missing(Missing::Member(id.to_string()));
    members::member(work, &team, id).await?.ok_or_else(missing)?;
    let user = users::get(work.tx, id).await?.ok_or_else(missing)?;
    let at_home = user.home == Some(team.root());
    if at_home && team.policy.profile_editing == ProfileEditing::Admins {
        Ok(())
    } else {
        Err(Broken::ProfileNotEditable.into())
    }
}
