//! How answers and refusals are looked at.

use std::collections::HashMap;

use tonic::{Code, Response, Status};
use tonic_types::{ErrorInfo, StatusExt as _};

/// What a call came to.
pub trait Outcome<T> {
    /// The answer; a refusal fails the test.
    #[track_caller]
    fn done(self) -> T;

    /// The refusal, which must have this code and this reason.
    #[track_caller]
    fn refused(self, code: Code, reason: &str) -> Refusal;
}

/// A refusal and what it says to programs.
#[derive(Debug)]
pub struct Refusal {
    pub status: Status,
    pub metadata: HashMap<String, String>,
}

impl<T: std::fmt::Debug> Outcome<T> for Result<Response<T>, Status> {
    #[track_caller]
    fn done(self) -> T {
        match self {
            Ok(response) => response.into_inner(),
            Err(status) => panic!("refused: {status:?} {:?}", status.get_error_details()),
        }
    }

    #[track_caller]
    fn refused(self, code: Code, reason: &str) -> Refusal {
        match self {
            Ok(response) => panic!("expected {reason}, answered {:?}", response.into_inner()),
            Err(status) => {
                let info = error_info(&status);
                assert_eq!((status.code(), info.reason.as_str()), (code, reason), "{status:?}");
                Refusal { metadata: info.metadata, status }
            }
        }
    }
}

/// The one `ErrorInfo` that every refusal carries.
#[track_caller]
pub fn error_info(status: &Status) -> ErrorInfo {
    let details = status.get_error_details_vec();
    let mut infos = details.into_iter().filter_map(|detail| match detail {
        tonic_types::ErrorDetail::ErrorInfo(info) => Some(info),
        _ => None,
    });
    let info = infos.next().unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"));
    assert!(infos.next().is_none(), "more than one ErrorInfo: {status:?}");
    assert_eq!(info.domain, "roster", "{status:?}");
    info
}

/// Checks the code and the reason of a refusal that came in the middle of something.
#[track_caller]
pub fn assert_says(status: &Status, code: Code, reason: &str) {
    assert_eq!((status.code(), error_info(status).reason.as_str()), (code, reason), "{status:?}");
}

/// The fields that a request was refused for, each with why.
pub fn violations(status: &Status) -> Vec<(String, String)> {
    let details = status.get_error_details();
    let violations = details.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default();
    violations.into_iter().map(|violation| (violation.field, violation.description)).collect()
}

/// The kind of an event: the name of its payload field.
pub fn kind(event: &roster_proto::events::v1::Event) -> &'static str {
    use roster_proto::events::v1::event::Payload;

    match event.payload.as_ref().unwrap() {
        Payload::TeamCreated(_) => "team_created",
        Payload::TeamUpdated(_) => "team_updated",
        Payload::TeamDisabled(_) => "team_disabled",
        Payload::TeamEnabled(_) => "team_enabled",
        Payload::TeamDeleted(_) => "team_deleted",
        Payload::MemberAdded(_) => "member_added",
        Payload::MemberUpdated(_) => "member_updated",
        Payload::MemberRemoved(_) => "member_removed",
        Payload::MemberSuspended(_) => "member_suspended",
        Payload::MemberReactivated(_) => "member_reactivated",
        Payload::MemberExpired(_) => "member_expired",
        Payload::OwnershipTransferred(_) => "ownership_transferred",
        Payload::InvitationCreated(_) => "invitation_created",
        Payload::InvitationSent(_) => "invitation_sent",
        Payload::InvitationUpdated(_) => "invitation_updated",
        Payload::InvitationAccepted(_) => "invitation_accepted",
        Payload::InvitationDeclined(_) => "invitation_declined",
        Payload::InvitationCanceled(_) => "invitation_canceled",
        Payload::InvitationExpired(_) => "invitation_expired",
        Payload::InvitationDeliveryFailed(_) => "invitation_delivery_failed",
        Payload::InvitationDeliveryRequested(_) => "invitation_delivery_requested",
        Payload::InvitationRenewalRequested(_) => "invitation_renewal_requested",
        Payload::InvitationDeleted(_) => "invitation_deleted",
        Payload::RoleCreated(_) => "role_created",
        Payload::RoleUpdated(_) => "role_updated",
        Payload::RoleDeleted(_) => "role_deleted",
        Payload::UserCreated(_) => "user_created",
        Payload::UserUpdated(_) => "user_updated",
        Payload::UserDeleted(_) => "user_deleted",
    }
}
