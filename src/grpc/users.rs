//! `UserService`.

use roster_proto::v1::{self as wire, user_service_server::UserService};
use tonic::{Request, Response, Status, async_trait};

use super::{
    call::{Api, serve},
    convert::{self, Violations, user},
};
use crate::{
    application::{
        context::Etag,
        users::{CreateUser, DeleteUser, UpdateUser},
    },
    domain::{Email, text::DisplayName},
};

/// Serves people.
#[derive(Debug, Clone)]
pub struct Users(pub Api);

#[async_trait]
impl UserService for Users {
    async fn create_user(
        &self,
        request: Request<wire::CreateUserRequest>,
    ) -> Result<Response<wire::CreateUserResponse>, Status> {
        serve(request, async |cx, request| {
            let mut v = Violations::default();
            let options = convert::write_options(&mut v, &request.request_id, request.validate_only);
            let id = v.optional_id("user_id", &request.user_id);
            let email = v.field("email", Email::parse(&request.email));
            let display_name = v.field("display_name", DisplayName::parse(&request.display_name));
            let home = v.optional_id("home_team_id", &request.home_team_id);
            let profile = user::profile(&mut v, &request);
            let (id, email, display_name, profile, home) = v.all((id, email, display_name, profile, home))?;
            let email_verified = request.email_verified;
            let command = CreateUser { id, email, email_verified, display_name, profile, home };
            let written = self.0.store.write(cx, options, command).await?;
            Ok(wire::CreateUserResponse {
                user: Some(user::message(&written.answer)),
                revision: self.0.revision(&written),
            })
        })
        .await
    }

    async fn get_user(
        &self,
        request: Request<wire::GetUserRequest>,
    ) -> Result<Response<wire::GetUserResponse>, Status> {
        use wire::get_user_request::Key;

        serve(request, async |cx, request| {
            let mut v = Violations::default();
            let fresh = self.0.consistency(&mut v, request.consistency.as_ref());
            let found = match request.key {
                Some(Key::Email(email)) => {
                    let email = v.field("email", Email::parse(&email));
                    let (email, fresh) = v.all((email, fresh))?;
                    self.0.queries.user_by_email(cx, &email, &fresh).await?
                }
                key => {
                    let id = v.id("user_id", if let Some(Key::UserId(id)) = &key { id } else { "" });
                    let (id, fresh) = v.all((id, fresh))?;
                    self.0.queries.user(cx, &id, &fresh).await?
                }
            };
            Ok(wire::GetUserResponse { user: Some(user::message(&found)) })
        })
        .await
    }

    async fn update_user(
        &self,
        request: Request<wire::UpdateUserRequest>,
    ) -> Result<Response<wire::UpdateUserResponse>, Status> {
        serve(request, async |cx, request| {
            let mut v = Violations::default();
            let options = convert::write_options(&mut v, &request.request_id, request.validate_only);
            let message = request.user.unwrap_or_default();
            let id = v.id("user.id", &message.id);
            let by_person = cx.principal.person.is_some();
            let patch = user::patch(&mut v, request.update_mask.as_ref(), &message, by_person);
            let team = v.optional_id("team_id", &request.team_id);
            let (id, team) = v.all((id, team))?;
            let command = UpdateUser { id, patch, team, etag: Etag::parse(&request.etag) };
            let written = self.0.store.write(cx, options, command).await?;
            Ok(wire::UpdateUserResponse {
                user: Some(user::message(&written.answer)),
                revision: self.0.revision(&written),
            })
        })
        .await
    }

    async fn delete_user(
        &self,
        request: Request<wire::DeleteUserRequest>,
    ) -> Result<Response<wire::DeleteUserResponse>, Status> {
        serve(request, async |cx, request| {
            let mut v = Violations::default();
            let options = convert::write_options(&mut v, &request.request_id, request.validate_only);
            let id = v.id("user_id", &request.user_id);
            let team = v.optional_id("team_id", &request.team_id);
            let (id, team) = v.all((id, team))?;
            let command = DeleteUser { id, team, etag: Etag::parse(&request.etag) };
            let written = self.0.store.write(cx, options, command).await?;
            Ok(wire::DeleteUserResponse { revision: self.0.revision(&written) })
        })
        .await
    }

    async fn get_notification_preferences(
        &self,
        request: Request<wire::GetNotificationPreferencesRequest>,
    ) -> Result<Response<wire::GetNotificationPreferencesResponse>, Status> {
        serve(request, async |cx, request| {
            let mut v = Violations::default();
            let fresh = self.0.consistency(&mut v, request.consistency.as_ref());
            let id = v.id("user_id", &request.user_id);
            let (id, fresh) = v.all((id, fresh))?;
            let found = self.0.queries.user(cx, &id, &fresh).await?;
            Ok(wire::GetNotificationPreferencesResponse { notification_preferences: Some(user::preferences(&found)) })
        })
        .await
    }

    async fn update_notification_preferences(
        &self,
        request: Request<wire::UpdateNotificationPreferencesRequest>,
    ) -> Result<Response<wire::UpdateNotificationPreferencesResponse>, Status> {
        serve(request, async |cx, request| {
            let mut v = Violations::default();
            let options = convert::write_options(&mut v, &request.request_id, request.validate_only);
            let message = request.notification_preferences.unwrap_or_default();
            let command = user::preferences_update(&mut v, request.update_mask.as_ref(), message, &request.etag);
            let (command,) = v.all((command,))?;
            let written = self.0.store.write(cx, options, command).await?;
            Ok(wire::UpdateNotificationPreferencesResponse {
                notification_preferences: Some(user::preferences(&written.answer)),
                revision: self.0.revision(&written),
            })
        })
        .await
    }
}
