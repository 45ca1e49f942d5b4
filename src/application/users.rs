//! Recording people.

use serde::Serialize;

use super::{Command, Result, Work, authorize};
use crate::{
    domain::{Cause, Change, Email, User, UserId, permission::CreateUsers, text::DisplayName},
    repository::users,
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
}

impl Command for CreateUser {
    const NAME: &'static str = "CreateUser";
    type Answer = User;

    async fn execute(&self, work: &mut Work<'_>) -> Result<User> {
        authorize::for_self::<CreateUsers>(work.cx, None)?;
        self.record(work).await
    }
}

impl CreateUser {
    /// Adds the person, whoever asks.
    pub(super) async fn record(&self, work: &mut Work<'_>) -> Result<User> {
        let id = self.id.clone().unwrap_or_else(|| UserId::from_uuid(work.id()));
        let slot = work.tx.first(&id);
        let user = User {
            id,
            email: self.email.clone(),
            email_verified: self.email_verified,
            display_name: self.display_name.clone(),
            version: slot.version,
            create_time: work.now,
            update_time: work.now,
        };
        users::insert(work.tx, &user).await?;
        work.tx.record(slot, Cause::Direct, Change::UserCreated(user.clone()));
        Ok(user)
    }
}
