//! Members.

use prost_types::FieldMask;
use roster_proto::v1 as wire;

use super::{Violations, optional_text, texts, timestamp, user};
use crate::{
    application::{context::Etag, members::TeamMember},
    domain::member::Source,
};

const IMMUTABLE: [&str; 8] =
    ["team_id", "user", "user.id", "invited_by_user_id", "source", "join_time", "etag", "subject"];

pub(in crate::grpc) fn message(member: &TeamMember) -> wire::Member {
    let TeamMember { member, user } = member;
    let source = match member.source {
        Source::TeamCreation => wire::MemberSource::TeamCreation,
        Source::Direct => wire::MemberSource::Direct,
        Source::Invitation => wire::MemberSource::Invitation,
    };
    wire::Member {
        team_id: member.team_id.to_string(),
        subject: Some(wire::member::Subject::User(user::message(user))),
        role_ids: texts(&member.roles),
        invited_by_user_id: optional_text(member.invited_by.as_ref()),
        source: source.into(),
        join_time: Some(timestamp(member.join_time)),
        etag: Etag::of(member.changed),
    }
}

/// The id of the user whom a message is about.
pub(in crate::grpc) fn user_id(member: &wire::Member) -> &str {
    match &member.subject {
        Some(wire::member::Subject::User(user)) => &user.id,
        None => "",
    }
}

/// Checks that an update asks for nothing but the roles.
pub(in crate::grpc) fn check_mask(violations: &mut Violations, mask: Option<&FieldMask>) {
    for path in mask.map(|mask| mask.paths.as_slice()).unwrap_or_default() {
        if path != "role_ids" && path != "*" {
            let immutable = IMMUTABLE.contains(&path.as_str());
            let why = if immutable { "cannot be changed" } else { "is no field of a member" };
            violations.add("update_mask", format_args!("{path} {why}"));
        }
    }
}

/// Whether the last to join comes first.
pub(in crate::grpc) fn descending(violations: &mut Violations, order: i32) -> bool {
    let Ok(order) = wire::MemberOrder::try_from(order) else {
        violations.add("order_by", "is no known order");
        return false;
    };
    order == wire::MemberOrder::JoinTimeDesc
}
