//! Users in the database.
//!
//! A deleted user leaves a row without anything of theirs: its version goes on when somebody with the same id is recorded
//! again.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::LockType,
};

use super::{
    Result, Source, Tx,
    entity::user::{ActiveModel, Column, Entity, Model},
    expirations,
    row::{At, to_json},
};
use crate::domain::{
    Email, TeamId, User, UserId, Version,
    profile::{Country, ExternalId, Locale, Notifications, Phone, TimeZone},
    text::DisplayName,
    user::Profile,
};

/// The user with this id.
pub async fn get(source: &impl Source, id: &UserId) -> Result<Option<User>> {
    let found = present().filter(Column::Id.eq(id.as_str())).one(source.connection()).await?;
    found.map(User::try_from).transpose()
}

/// Takes the user's row until the transaction ends: from here on the changes of the record are serial, and nobody joins a
/// team with it meanwhile. Lock teams first.
pub async fn lock(tx: &Tx, id: &UserId) -> Result<Option<User>> {
    take(tx, id, LockType::NoKeyUpdate).await
}

/// As [`lock`], beside others who only look at the record.
pub async fn hold(tx: &Tx, id: &UserId) -> Result<Option<User>> {
    take(tx, id, LockType::Share).await
}

async fn take(tx: &Tx, id: &UserId, how: LockType) -> Result<Option<User>> {
    let row = present().filter(Column::Id.eq(id.as_str())).lock(how);
    row.one(tx.connection()).await?.map(User::try_from).transpose()
}

/// Takes the rows of those whose home is this tree, in the order of their ids: from here on none of them joins a team.
pub async fn lock_at_home(tx: &Tx, home: TeamId) -> Result<()> {
    let rows = Entity::find().select_only().column(Column::Id).filter(Column::HomeTeamId.eq(home.0));
    let rows = rows.order_by_asc(Column::Id).lock(LockType::NoKeyUpdate);
    rows.into_tuple::<String>().all(tx.connection()).await?;
    Ok(())
}

/// The user with this address.
pub async fn get_by_email(source: &impl Source, email: &Email) -> Result<Option<User>> {
    let found = present().filter(Column::Email.eq(email.as_str())).one(source.connection()).await?;
    found.map(User::try_from).transpose()
}

/// The users with these addresses.
pub async fn get_by_emails(source: &impl Source, emails: &[Email]) -> Result<BTreeMap<Email, User>> {
    let query = present().filter(Column::Email.is_in(emails.iter().map(Email::as_str)));
    let found = query.all(source.connection()).await?;
    found.into_iter().map(|row| User::try_from(row).map(|user| (user.email.clone(), user))).collect()
}

/// Those of these users that exist.
pub async fn get_many(source: &impl Source, ids: impl Iterator<Item = &UserId>) -> Result<BTreeMap<UserId, User>> {
    let found = present().filter(Column::Id.is_in(ids.map(UserId::as_str))).all(source.connection()).await?;
    found.into_iter().map(|row| User::try_from(row).map(|user| (user.id.clone(), user))).collect()
}

/// The version of a user's record, deleted ones included.
pub async fn version(source: &impl Source, id: &UserId) -> Result<Option<Version>> {
    Ok(Entity::find_by_id(id.as_str()).one(source.connection()).await?.map(|row| Version(row.version)))
}

/// What an id stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Former {
    /// For nobody so far.
    Nobody,
    /// For a user.
    Present,
    /// For a user who was deleted, with the version that they left.
    Deleted(Version),
}

/// What an id stands for; the row that a deleted user left is taken until the transaction ends.
pub async fn lock_id(tx: &Tx, id: &UserId) -> Result<Former> {
    let row = Entity::find_by_id(id.as_str()).lock(LockType::NoKeyUpdate).one(tx.connection()).await?;
    Ok(match row {
        None => Former::Nobody,
        Some(row) if row.delete_time.is_none() => Former::Present,
        Some(row) => Former::Deleted(Version(row.version)),
    })
}

/// Adds a user.
pub async fn insert(tx: &Tx, user: &User) -> Result<()> {
    let row = ActiveModel {
        id: Set(user.id.to_string()),
        create_time: Set(user.create_time),
        delete_time: Set(None),
        ..changing_fields(user)
    };
    Entity::insert(row).exec_without_returning(tx.connection()).await?;
    Ok(())
}

/// Records a user again whose row is held as that of a deleted one.
pub async fn revive(tx: &Tx, user: &User) -> Result<()> {
    let row = ActiveModel { create_time: Set(user.create_time), delete_time: Set(None), ..changing_fields(user) };
    write(tx, &user.id, row).await
}

/// Writes what can change of a user.
pub async fn update(tx: &Tx, user: &User) -> Result<()> {
    write(tx, &user.id, changing_fields(user)).await
}

/// Takes everything out of a user's row but the id and this last version.
pub async fn delete(tx: &Tx, id: &UserId, version: Version, now: DateTime<Utc>) -> Result<()> {
    let row = ActiveModel {
        // No address looks like this, so that the real one is free.
        email: Set(format!("deleted:{id}")),
        email_verified: Set(false),
        display_name: Set(String::new()),
        phone: Set(None),
        locale: Set(None),
        time_zone: Set(None),
        sending_country: Set(None),
        external_id: Set(None),
        notifications: Set(to_json(&Notifications::default())),
        home_team_id: Set(None),
        version: Set(version.0),
        update_time: Set(now),
        delete_time: Set(Some(now)),
        id: NotSet,
        create_time: NotSet,
    };
    write(tx, id, row).await?;
    expirations::forget_user(tx, id).await
}

async fn write(tx: &Tx, id: &UserId, row: ActiveModel) -> Result<()> {
    Entity::update_many().set(row).filter(Column::Id.eq(id.as_str())).exec(tx.connection()).await?;
    Ok(())
}

fn present() -> Select<Entity> {
    Entity::find().filter(Column::DeleteTime.is_null())
}

fn changing_fields(user: &User) -> ActiveModel {
    let profile = &user.profile;
    ActiveModel {
        email: Set(user.email.to_string()),
        email_verified: Set(user.email_verified),
        display_name: Set(user.display_name.to_string()),
        phone: Set(profile.phone.as_ref().map(ToString::to_string)),
        locale: Set(profile.locale.as_ref().map(ToString::to_string)),
        time_zone: Set(profile.time_zone.as_ref().map(ToString::to_string)),
        sending_country: Set(profile.default_sending_country.as_ref().map(ToString::to_string)),
        external_id: Set(profile.external_id.as_ref().map(ToString::to_string)),
        notifications: Set(to_json(&user.notifications)),
        home_team_id: Set(user.home.map(|id| id.0)),
        version: Set(user.version.0),
        update_time: Set(user.update_time),
        id: NotSet,
        create_time: NotSet,
        delete_time: NotSet,
    }
}

impl TryFrom<Model> for User {
    type Error = super::Error;

    fn try_from(row: Model) -> Result<Self> {
        let at = At::new("users", &row.id);
        let profile = Profile {
            phone: at.check("phone", row.phone.as_deref().map(Phone::parse).transpose())?,
            locale: at.check("locale", row.locale.as_deref().map(Locale::parse).transpose())?,
            time_zone: at.check("time_zone", row.time_zone.as_deref().map(TimeZone::parse).transpose())?,
            default_sending_country: at
                .check("sending_country", row.sending_country.as_deref().map(Country::parse).transpose())?,
            external_id: at.check("external_id", row.external_id.as_deref().map(ExternalId::parse).transpose())?,
        };
        Ok(Self {
            id: at.check("id", row.id.parse())?,
            email: at.check("email", Email::parse(&row.email))?,
            email_verified: row.email_verified,
            display_name: at.check("display_name", DisplayName::parse(&row.display_name))?,
            profile,
            notifications: at.json("notifications", row.notifications)?,
            home: row.home_team_id.map(TeamId),
            version: Version(row.version),
            create_time: row.create_time,
            update_time: row.update_time,
        })
    }
}
