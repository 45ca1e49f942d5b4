use std::{collections::BTreeMap, time::Duration};

use prost::Message as _;
use tonic_types::{StatusExt as _, pb};
use uuid::Uuid;

use super::*;
use crate::{
    application::{Missing, Taken},
    domain::{Broken, InvitationId, PermissionPattern, RoleId, TeamId, permission},
    repository::{self, Constraint},
};

/// The status in one line: code, reason, metadata, further details. Fails unless there is exactly one `ErrorInfo`.
fn line(failure: impl Into<Failure>) -> String {
    let status = status(&failure.into(), "call-1");
    let rich = pb::Status::decode(status.details()).unwrap();
    assert_eq!((rich.code, rich.message.as_str()), (status.code() as i32, status.message()));
    let names: Vec<_> = rich.details.iter().map(|any| any.type_url.rsplit('.').next().unwrap()).collect();
    assert_eq!(names.iter().filter(|name| **name == "ErrorInfo").count(), 1, "{names:?}");
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.domain, "roster");
    let metadata: BTreeMap<_, _> = info.metadata.into_iter().collect();
    format!("{:?} {} {metadata:?} {}", status.code(), info.reason, names[1..].join(" "))
}

fn lines(failures: Vec<impl Into<Failure>>) -> String {
    failures.into_iter().map(line).map(|line| line.trim_end().to_owned() + "\n").collect()
}

#[test]
fn broken_rules() {
    let role = RoleId::admin();
    let broken = vec![
        Broken::RoleNotFound { role: role.clone() },
        Broken::GrantExceedsOwn { permission: PermissionPattern::exact::<permission::DeleteTeams>() },
        Broken::OwnerRoleNotGrantable,
        Broken::LastOwner,
        Broken::OwnRole,
        Broken::OwnMembership,
        Broken::AlreadyOwner,
        Broken::AlreadyMember,
        Broken::InvitationPending { invitation: InvitationId(Uuid::nil()) },
        Broken::InvitationExpired,
        Broken::InvitationCanceled,
        Broken::InvitationDeclined,
        Broken::InvitationAccepted,
        Broken::EmailMismatch { masked_email: "a***@example.com".to_owned() },
        Broken::InviterNoLongerAllowed,
        Broken::RoleGone { role },
        Broken::DomainNotAllowed { domain: "example.com".to_owned() },
        Broken::SeatsExhausted { limit: 5 },
        Broken::PendingInvitationsExhausted { limit: 7 },
    ];
    insta::assert_snapshot!(lines(broken.into_iter().map(Error::from).collect()), @r#"
    NotFound ROLE_NOT_FOUND {"role": "admin"} ResourceInfo
    PermissionDenied GRANT_EXCEEDS_OWN {"permission": "roster.teams.delete"}
    FailedPrecondition OWNER_ROLE_NOT_GRANTABLE {} PreconditionFailure
    FailedPrecondition LAST_OWNER {} PreconditionFailure
    FailedPrecondition OWN_ROLE {"hint": "ask another owner or admin of the team to do it"} PreconditionFailure
    FailedPrecondition OWN_MEMBERSHIP {} PreconditionFailure
    FailedPrecondition ALREADY_OWNER {} PreconditionFailure
    AlreadyExists ALREADY_MEMBER {} ResourceInfo
    AlreadyExists INVITATION_PENDING {"invitation": "00000000-0000-0000-0000-000000000000"} ResourceInfo
    FailedPrecondition INVITATION_EXPIRED {"hint": "ask for a new invitation with RequestNewInvitation"} PreconditionFailure
    FailedPrecondition INVITATION_CANCELED {"hint": "ask whoever invited to send another invitation"} PreconditionFailure
    FailedPrecondition INVITATION_DECLINED {"hint": "ask whoever invited to send another invitation"} PreconditionFailure
    FailedPrecondition INVITATION_ACCEPTED {"hint": "the invitation was used; log in"} PreconditionFailure
    FailedPrecondition EMAIL_MISMATCH {"hint": "log in with the invited address, or ask whoever invited to invite yours", "masked_email": "a***@example.com"} PreconditionFailure
    FailedPrecondition INVITER_NO_LONGER_ALLOWED {"hint": "ask an owner or admin of the team to send another invitation"} PreconditionFailure
    FailedPrecondition ROLE_GONE {"hint": "ask an owner or admin of the team to send another invitation", "role": "admin"} PreconditionFailure
    FailedPrecondition DOMAIN_NOT_ALLOWED {"domain": "example.com", "hint": "ask an owner of the team to admit the domain, or to invite another address"} PreconditionFailure
    ResourceExhausted SEATS_EXHAUSTED {"hint": "ask an owner of the team for a seat; an open invitation stays open meanwhile", "limit": "5"} QuotaFailure
    ResourceExhausted PENDING_INVITATIONS_EXHAUSTED {"limit": "7"} QuotaFailure
    "#);
}

#[test]
fn use_cases() {
    let denied = |team| Error::Denied { permission: "roster.teams.read", team };
    let in_team = |error| Error::InTeam { team: TeamId(Uuid::nil()), error: Box::new(error) };
    let failures = vec![
        denied(None),
        denied(Some(TeamId(Uuid::nil()))),
        Error::Missing(Missing::Team("acme".to_owned())),
        Error::Missing(Missing::User("ada".to_owned())),
        Error::Missing(Missing::Member("ada".to_owned())),
        Error::Missing(Missing::Role("editor".to_owned())),
        Error::Missing(Missing::Invitation("i".to_owned())),
        Error::Taken(Taken::Slug),
        Error::Taken(Taken::UserId),
        Error::Taken(Taken::Email),
        Error::InvitationRateLimited {
            scope: "team",
            recipient: None,
            limit: 5,
            retry_after: Some(Duration::from_secs(3)),
        },
        Error::InvitationRateLimited {
            scope: "recipient",
            recipient: Some("bob@example.com".to_owned()),
            limit: 5,
            retry_after: None,
        },
        in_team(Error::Missing(Missing::Member("ada".to_owned()))),
        in_team(Broken::LastOwner.into()),
        in_team(Broken::TeamDisabled { team: TeamId(Uuid::max()) }.into()),
        Error::EtagMismatch,
        Error::RequestIdReused,
        Error::TokenInvalid,
        Error::RevisionInvalid,
        Error::RevisionNotReached,
        Error::CursorInvalid,
        Error::CursorExpired,
        Error::ShuttingDown,
        Error::Defect("a secret of the inside".to_owned()),
    ];
    insta::assert_snapshot!(lines(failures), @r#"
    PermissionDenied PERMISSION_DENIED {"permission": "roster.teams.read"}
    PermissionDenied PERMISSION_DENIED {"permission": "roster.teams.read", "team": "00000000-0000-0000-0000-000000000000"}
    NotFound TEAM_NOT_FOUND {"team": "acme"} ResourceInfo
    NotFound USER_NOT_FOUND {"user": "ada"} ResourceInfo
    NotFound MEMBER_NOT_FOUND {"user": "ada"} ResourceInfo
    NotFound ROLE_NOT_FOUND {"role": "editor"} ResourceInfo
    NotFound INVITATION_NOT_FOUND {"invitation": "i"} ResourceInfo
    AlreadyExists SLUG_TAKEN {} ResourceInfo
    AlreadyExists USER_ID_TAKEN {"hint": "name another id, or the known user"} ResourceInfo
    AlreadyExists EMAIL_TAKEN {"hint": "name the known user who has this address"} ResourceInfo
    ResourceExhausted INVITATION_RATE_LIMITED {"limit": "5", "scope": "team"} QuotaFailure RetryInfo
    ResourceExhausted INVITATION_RATE_LIMITED {"limit": "5", "recipient": "bob@example.com", "scope": "recipient"} QuotaFailure
    NotFound MEMBER_NOT_FOUND {"team": "00000000-0000-0000-0000-000000000000", "user": "ada"} ResourceInfo
    FailedPrecondition LAST_OWNER {"team": "00000000-0000-0000-0000-000000000000"} PreconditionFailure
    FailedPrecondition TEAM_DISABLED {"hint": "wait until the team is enabled again; an open invitation stays open meanwhile", "team": "ffffffff-ffff-ffff-ffff-ffffffffffff"} PreconditionFailure
    Aborted ETAG_MISMATCH {} RetryInfo
    InvalidArgument REQUEST_ID_REUSED {}
    InvalidArgument TOKEN_INVALID {"hint": "open the link in the mail again, or ask whoever invited"}
    InvalidArgument REVISION_INVALID {}
    Unavailable REVISION_NOT_REACHED {} RetryInfo
    InvalidArgument CURSOR_INVALID {}
    OutOfRange CURSOR_EXPIRED {}
    Unavailable SHUTTING_DOWN {} RetryInfo
    Internal INTERNAL {"request_id": "call-1"}
    "#);
}

/// How the database refuses to open where there can be no file; the text of the cause names the place.
async fn unavailable() -> repository::Error {
    let options = repository::database::Options {
        url: "sqlite:///dev/null/hunter2.db".to_owned(),
        max_connections: 1,
        acquire_timeout: Duration::from_secs(1),
        statement_timeout: Duration::from_secs(1),
    };
    repository::Database::open(options).await.unwrap_err()
}

#[tokio::test]
async fn the_database() {
    let repository::Error::Unavailable(why) = unavailable().await else { panic!("it is open") };
    assert!(why.to_string().contains("hunter2"));
    let why = || why.clone();
    let corrupt =
        repository::Error::Corrupt { table: "teams", column: "slug", row: "1".to_owned(), why: "no slug".to_owned() };
    let failures = vec![
        repository::Error::Duplicate(Constraint::TeamSlug),
        repository::Error::Duplicate(Constraint::Membership),
        repository::Error::Duplicate(Constraint::PendingInvitation),
        repository::Error::Duplicate(Constraint::EventVersion),
        repository::Error::Conflict(why()),
        repository::Error::Unavailable(why()),
        repository::Error::Timeout(why()),
        repository::Error::TooLarge { size: 9, limit: 8 },
        corrupt,
        repository::Error::Locked("roster.db".to_owned()),
        repository::Error::Other(why()),
    ];
    insta::assert_snapshot!(lines(failures.into_iter().map(Error::Storage).collect()), @r#"
    Aborted CONCURRENT_MODIFICATION {} RetryInfo
    Aborted CONCURRENT_MODIFICATION {} RetryInfo
    Aborted CONCURRENT_MODIFICATION {} RetryInfo
    Aborted CONCURRENT_MODIFICATION {} RetryInfo
    Aborted CONCURRENT_MODIFICATION {} RetryInfo
    Unavailable STORAGE_UNAVAILABLE {} RetryInfo
    Unavailable STORAGE_UNAVAILABLE {} RetryInfo
    ResourceExhausted MESSAGE_TOO_LARGE {"limit": "8", "size": "9"}
    Internal INTERNAL {"request_id": "call-1"}
    Internal INTERNAL {"request_id": "call-1"}
    Internal INTERNAL {"request_id": "call-1"}
    "#);
}

#[test]
fn the_edge() {
    let failures = vec![
        EdgeError::InvalidFields(vec![("name".to_owned(), "must not be empty".to_owned())]),
        EdgeError::PageTokenInvalid,
        EdgeError::CredentialsMissing,
        EdgeError::CredentialsInvalid,
        EdgeError::CredentialsUnexpected,
        EdgeError::PermissionDenied { permission: "roster.teams.read".to_owned() },
        EdgeError::MayNotAct,
        EdgeError::Overloaded,
        EdgeError::DeadlineExceeded,
        EdgeError::ShuttingDown,
        EdgeError::UnknownMethod { method: "/roster.v1.TeamService/No".to_owned() },
        EdgeError::MessageMalformed,
        EdgeError::MessageTooLarge { limit: 8 },
        EdgeError::CompressionUnsupported,
        EdgeError::UnknownName,
        EdgeError::Defect("a secret of the inside".to_owned()),
    ];
    insta::assert_snapshot!(lines(failures), @r#"
    InvalidArgument INVALID_FIELD {"fields": "name"} BadRequest
    InvalidArgument PAGE_TOKEN_INVALID {}
    Unauthenticated CREDENTIALS_MISSING {}
    Unauthenticated CREDENTIALS_INVALID {}
    Unauthenticated CREDENTIALS_INVALID {}
    PermissionDenied PERMISSION_DENIED {"permission": "roster.teams.read"}
    PermissionDenied PERMISSION_DENIED {"permission": "act_for_users"}
    ResourceExhausted OVERLOADED {} RetryInfo
    DeadlineExceeded DEADLINE_EXCEEDED {}
    Unavailable SHUTTING_DOWN {} RetryInfo
    Unimplemented UNKNOWN_METHOD {"method": "/roster.v1.TeamService/No"}
    InvalidArgument MESSAGE_MALFORMED {}
    ResourceExhausted MESSAGE_TOO_LARGE {"limit": "8"}
    Unimplemented COMPRESSION_UNSUPPORTED {}
    NotFound UNKNOWN_NAME {}
    Internal INTERNAL {"request_id": "call-1"}
    "#);
}

#[tokio::test]
async fn the_inside_stays_inside() {
    let repository::Error::Unavailable(why) = unavailable().await else { panic!("it is open") };
    for failure in [
        Failure::from(Error::Defect("hunter2".to_owned())),
        Error::Storage(repository::Error::Other(why.clone())).into(),
        Error::Storage(repository::Error::Unavailable(why)).into(),
        EdgeError::Defect("hunter2".to_owned()).into(),
    ] {
        let status = status(&failure, "call-1");
        let shown = format!("{status:?} {}", String::from_utf8_lossy(status.details()));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn equal_failures_are_equal_byte_for_byte() {
    let denied = || Error::Denied { permission: "roster.teams.read", team: Some(TeamId(Uuid::nil())) };
    let first = status(&denied().into(), "one");
    let second = status(&denied().into(), "two");
    assert_eq!((first.code(), first.message(), first.details()), (second.code(), second.message(), second.details()));
}

#[test]
fn a_status_fits_into_headers_whatever_the_request() {
    let violation = |i| (format!("role_ids[{i}]-{}", "x".repeat(1000)), "y".repeat(1000));
    let status = status(&EdgeError::InvalidFields((0..1000).map(violation).collect()).into(), "call-1");
    assert!(status.details().len() < 6000, "{}", status.details().len());
    assert!(!status.get_details_bad_request().unwrap().field_violations.is_empty());
}
