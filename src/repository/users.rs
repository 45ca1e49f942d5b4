//! Users in the database.

use std::collections::BTreeMap;

use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};

use super::{
    Result, Source, Tx,
    entity::user::{ActiveModel, Column, Entity, Model},
    row::At,
};
use crate::domain::{Email, User, UserId, Version, text::DisplayName};

/// The user with this id.
pub async fn get(source: &impl Source, id: &UserId) -> Result<Option<User>> {
    let found = Entity::find_by_id(id.as_str()).one(source.connection()).await?;
    found.map(User::try_from).transpose()
}

/// The user with this address.
pub async fn get_by_email(source: &impl Source, email: &Email) -> Result<Option<User>> {
    let found = Entity::find().filter(Column::Email.eq(email.as_str())).one(source.connection()).await?;
    found.map(User::try_from).transpose()
}

/// Those of these users that exist.
pub async fn get_many(source: &impl Source, ids: impl Iterator<Item = &UserId>) -> Result<BTreeMap<UserId, User>> {
    let found = Entity::find().filter(Column::Id.is_in(ids.map(UserId::as_str))).all(source.connection()).await?;
    found.into_iter().map(|row| User::try_from(row).map(|user| (user.id.clone(), user))).collect()
}

/// Adds a user.
pub async fn insert(tx: &Tx, user: &User) -> Result<()> {
    let row = ActiveModel {
        id: Set(user.id.to_string()),
        email: Set(user.email.to_string()),
        email_verified: Set(user.email_verified),
        display_name: Set(user.display_name.to_string()),
        version: Set(user.version.0),
        create_time: Set(user.create_time),
        update_time: Set(user.update_time),
    };
    Entity::insert(row).exec_without_returning(tx.connection()).await?;
    Ok(())
}

impl TryFrom<Model> for User {
    type Error = super::Error;

    fn try_from(row: Model) -> Result<Self> {
        let at = At::new("users", &row.id);
        Ok(Self {
            id: at.check("id", row.id.parse())?,
            email: at.check("email", Email::parse(&row.email))?,
            email_verified: row.email_verified,
            display_name: at.check("display_name", DisplayName::parse(&row.display_name))?,
            version: Version(row.version),
            create_time: row.create_time,
            update_time: row.update_time,
        })
    }
}
