//! `UserService`.

use roster_proto::v1::{self as wire, user_service_server::UserService};
use tonic::{Request, Response, Status, async_trait};

use super::{
    call::{Api, serve},
    convert::{self, Violations, user},
};
use crate::{
    application::users::CreateUser,
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
            let (id, email, display_name) = v.all((id, email, display_name))?;
            let command = CreateUser { id, email, email_verified: request.email_verified, display_name };
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
            let fresh = self.0.consistency(request.consistency.as_ref())?;
            let mut v = Violations::default();
            let found = match request.key {
                Some(Key::Email(email)) => {
                    let email = v.field("email", Email::parse(&email));
                    let (email,) = v.all((email,))?;
                    self.0.queries.user_by_email(cx, &email, &fresh).await?
                }
                key => {
                    let id = v.id("user_id", if let Some(Key::UserId(id)) = &key { id } else { "" });
                    let (id,) = v.all((id,))?;
                    self.0.queries.user(cx, &id, &fresh).await?
                }
            };
            Ok(wire::GetUserResponse { user: Some(user::message(&found)) })
        })
        .await
    }
}
