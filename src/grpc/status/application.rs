//! What use cases say, explained to callers.

use roster_proto::v1::ErrorReason as Reason;

use super::{
    detail::{Explained, later},
    domain,
};
use crate::{
    application::{Error, Missing, Taken},
    causes::on_one_line,
    repository,
};

pub(super) fn explain(error: &Error, call_id: &str) -> Explained {
    let because = |reason| Explained::new(reason, error);
    match error {
        Error::Denied { permission, team } => {
            let denied = because(Reason::PermissionDenied).with("permission", permission);
            match team {
                Some(team) => denied.with("team", team),
                None => denied,
            }
        }
        Error::Missing(what) => missing(what),
        Error::Taken(what) => taken(what),
        Error::Broken(rule) => domain::explain(rule),
        Error::InTeam { team, error } => self::explain(error, call_id).with_default("team", team),
        Error::InvitationRateLimited { scope, recipient, limit, retry_after } => {
            let limited = because(Reason::InvitationRateLimited).with("scope", scope).quota(scope, *limit);
            let limited = match recipient {
                Some(address) => limited.with("recipient", address),
                None => limited,
            };
            match retry_after {
                Some(time) => limited.retry_after(*time),
                None => limited,
            }
        }
        Error::EtagMismatch => because(Reason::EtagMismatch).retry_after(later::AT_ONCE),
        Error::RequestIdReused => because(Reason::RequestIdReused),
        Error::TokenInvalid => {
            because(Reason::TokenInvalid).with("hint", "open the link in the mail again, or ask whoever invited")
        }
        Error::RevisionInvalid => because(Reason::RevisionInvalid),
        Error::RevisionNotReached => because(Reason::RevisionNotReached).retry_after(later::CONTENTION),
        Error::CursorInvalid => because(Reason::CursorInvalid),
        Error::CursorExpired => because(Reason::CursorExpired),
        Error::ShuttingDown => because(Reason::ShuttingDown).retry_after(later::ELSEWHERE),
        Error::Storage(failure) => storage(error, failure, call_id),
        Error::Defect(_) => Explained::internal(error, call_id),
    }
}

fn missing(what: &Missing) -> Explained {
    let (reason, kind, key, name) = match what {
        Missing::Team(name) => (Reason::TeamNotFound, "Team", "team", name),
        Missing::User(name) => (Reason::UserNotFound, "User", "user", name),
        Missing::Member(name) => (Reason::MemberNotFound, "Member", "user", name),
        Missing::Role(name) => (Reason::RoleNotFound, "Role", "role", name),
        Missing::Invitation(name) => (Reason::InvitationNotFound, "Invitation", "invitation", name),
    };
    Explained::new(reason, what).with(key, name).resource(kind, name)
}

fn taken(what: &Taken) -> Explained {
    let (reason, kind, hint) = match what {
        Taken::Slug => (Reason::SlugTaken, "Team", None),
        Taken::UserId => (Reason::UserIdTaken, "User", Some("name another id, or the known user")),
        Taken::Email => (Reason::EmailTaken, "User", Some("name the known user who has this address")),
        Taken::RoleKey => (Reason::RoleKeyTaken, "Role", None),
    };
    let explained = Explained::new(reason, what).resource(kind, "");
    match hint {
        Some(hint) => explained.with("hint", hint),
        None => explained,
    }
}

fn storage(error: &Error, failure: &repository::Error, call_id: &str) -> Explained {
    match failure {
        // A rule that callers can break has become an answer of its own; what is left are races that were lost too often.
        repository::Error::Conflict(_) | repository::Error::Duplicate(_) => {
            Explained::new(Reason::ConcurrentModification, &"other writes kept getting in the way")
                .retry_after(later::CONTENTION)
        }
        // A statement that ran out of time has done nothing, and a database that is this slow is as good as away.
        repository::Error::Unavailable(_) | repository::Error::Timeout(_) => {
            tracing::warn!(call_id, cause = on_one_line(error), "the database did not serve a call");
            Explained::new(Reason::StorageUnavailable, &"the database is not available").retry_after(later::STORAGE)
        }
        repository::Error::TooLarge { size, limit } => {
            Explained::new(Reason::MessageTooLarge, failure).with("size", size).with("limit", limit)
        }
        repository::Error::Corrupt { .. } | repository::Error::Locked(_) | repository::Error::Other(_) => {
            Explained::internal(error, call_id)
        }
    }
}
