//! Members, and what they are given.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use prost_types::{FieldMask, Timestamp};
use roster_proto::v1 as wire;

use super::{Violations, mask, optional_text, role, texts, time, timestamp, user};
use crate::{
    application::{context::Etag, members::TeamMember},
    domain::{
        RoleId,
        member::{Grant, GrantPatch, MAX_PERMISSIONS, Source, State},
    },
    repository::members::Order,
};

const MUTABLE: [&str; 4] = ["role_ids", "permissions", "expire_time", "role_expire_times"];
const IMMUTABLE: [&str; 10] =
    ["team_id", "user", "user.id", "invited_by_user_id", "source", "join_time", "etag", "subject", "state", "external"];

pub(in crate::grpc) fn message(member: &TeamMember) -> wire::Member {
    let TeamMember { member, user } = member;
    let source = match member.source {
        Source::TeamCreation => wire::MemberSource::TeamCreation,
        Source::Direct => wire::MemberSource::Direct,
        Source::Invitation => wire::MemberSource::Invitation,
    };
    let state = match member.state {
        State::Active => wire::MemberState::Active,
        State::Suspended => wire::MemberState::Suspended,
    };
    let ends = member.role_expire_times.iter();
    wire::Member {
        team_id: member.team_id.to_string(),
        subject: Some(wire::member::Subject::User(user::message(user))),
        role_ids: texts(&member.roles),
        invited_by_user_id: optional_text(member.invited_by.as_ref()),
        source: source.into(),
        join_time: Some(timestamp(member.join_time)),
        etag: Etag::of(member.changed),
        permissions: texts(&member.permissions),
        state: state.into(),
        external: member.external,
        expire_time: member.expire_time.map(timestamp),
        role_expire_times: ends.map(|(role, end)| (role.to_string(), timestamp(*end))).collect(),
    }
}

/// The id of the user whom a message is about.
pub(in crate::grpc) fn user_id(member: &wire::Member) -> &str {
    match &member.subject {
        Some(wire::member::Subject::User(user)) => &user.id,
        None => "",
    }
}

/// What a request gives: fields of it, which stand below `prefix`.
#[derive(Debug, Clone, Copy)]
pub(in crate::grpc) struct Given<'a> {
    pub(in crate::grpc) prefix: &'a str,
    pub(in crate::grpc) role_ids: &'a [String],
    pub(in crate::grpc) permissions: &'a [String],
    pub(in crate::grpc) expire_time: Option<&'a Timestamp>,
    pub(in crate::grpc) role_expire_times: &'a BTreeMap<String, Timestamp>,
}

impl Given<'_> {
    /// All of it.
    pub(in crate::grpc) fn grant(self, violations: &mut Violations) -> Option<Grant> {
        let roles = self.roles(violations);
        let permissions = self.permissions(violations);
        let expire_time = self.expire_time(violations);
        let role_expire_times = self.role_expire_times(violations);
        Some(Grant {
            roles: roles?,
            permissions: permissions?,
            expire_time: expire_time?,
            role_expire_times: role_expire_times?,
        })
    }

    fn path(self, field: &str) -> String {
        format!("{}{field}", self.prefix)
    }

    /// At least one, unless permissions are given.
    fn roles(self, violations: &mut Violations) -> Option<BTreeSet<RoleId>> {
        if self.role_ids.is_empty() && !self.permissions.is_empty() {
            return Some(BTreeSet::new());
        }
        violations.roles(&self.path("role_ids"), self.role_ids)
    }

    fn permissions(self, violations: &mut Violations) -> Option<BTreeSet<crate::domain::PermissionPattern>> {
        role::patterns(violations, &self.path("permissions"), self.permissions, MAX_PERMISSIONS)
    }

    fn expire_time(self, violations: &mut Violations) -> Option<Option<DateTime<Utc>>> {
        match self.expire_time {
            None => Some(None),
            Some(end) => violations.field(&self.path("expire_time"), time(end)).map(Some),
        }
    }

    fn role_expire_times(self, violations: &mut Violations) -> Option<BTreeMap<RoleId, DateTime<Utc>>> {
        let path = self.path("role_expire_times");
        let end = |(role, end): (&String, &Timestamp)| {
            let path = format!("{path}[{role:?}]");
            Some((violations.id(&path, role)?, violations.field(&path, time(end))?))
        };
        let ends: Vec<_> = self.role_expire_times.iter().map(end).collect();
        ends.into_iter().collect()
    }
}

/// The new values that an update asks for.
pub(in crate::grpc) fn patch(
    violations: &mut Violations,
    asked: Option<&FieldMask>,
    member: &wire::Member,
) -> GrantPatch {
    let populated = [
        !member.role_ids.is_empty(),
        !member.permissions.is_empty(),
        member.expire_time.is_some(),
        !member.role_expire_times.is_empty(),
    ];
    let given = Given {
        prefix: "member.",
        role_ids: &member.role_ids,
        permissions: &member.permissions,
        expire_time: member.expire_time.as_ref(),
        role_expire_times: &member.role_expire_times,
    };
    let mut patch = GrantPatch::default();
    let mut paths = mask::paths(violations, asked, &MUTABLE, &IMMUTABLE, &populated, "a member");
    if paths.is_empty() && asked.is_none_or(|mask| mask.paths.is_empty()) {
        // Whoever names nothing to change has forgotten the roles.
        paths.push("role_ids");
    }
    for path in paths {
        match path {
            "role_ids" => patch.roles = given.roles(violations),
            "permissions" => patch.permissions = given.permissions(violations),
            "expire_time" => patch.expire_time = given.expire_time(violations),
            _ => patch.role_expire_times = given.role_expire_times(violations),
        }
    }
    patch
}

pub(in crate::grpc) fn order(violations: &mut Violations, order: i32) -> Option<Order> {
    match wire::MemberOrder::try_from(order) {
        Ok(wire::MemberOrder::Unspecified | wire::MemberOrder::JoinTime) => Some(Order::JoinTime),
        Ok(wire::MemberOrder::JoinTimeDesc) => Some(Order::JoinTimeDescending),
        Ok(wire::MemberOrder::DisplayName) => Some(Order::Name),
        Ok(wire::MemberOrder::Email) => Some(Order::Email),
        Err(_) => {
            violations.add("order_by", "is no known order");
            None
        }
    }
}

/// The state to filter by; `None` within for all.
pub(in crate::grpc) fn state(violations: &mut Violations, state: i32) -> Option<Option<State>> {
    match wire::MemberState::try_from(state) {
        Ok(wire::MemberState::Unspecified) => Some(None),
        Ok(wire::MemberState::Active) => Some(Some(State::Active)),
        Ok(wire::MemberState::Suspended) => Some(Some(State::Suspended)),
        Err(_) => {
            violations.add("state", "is no known state");
            None
        }
    }
}
