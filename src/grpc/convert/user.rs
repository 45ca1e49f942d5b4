//! Users.

use roster_proto::v1 as wire;

use super::timestamp;
use crate::{application::context::Etag, domain::User};

pub(in crate::grpc) fn message(user: &User) -> wire::User {
    wire::User {
        id: user.id.to_string(),
        email: user.email.to_string(),
        email_verified: user.email_verified,
        display_name: user.display_name.to_string(),
        create_time: Some(timestamp(user.create_time)),
        update_time: Some(timestamp(user.update_time)),
        etag: Etag::of(user.version),
    }
}
