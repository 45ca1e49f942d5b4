//! What a failure says beyond its code.

use std::collections::HashMap;
use std::time::Duration;

use roster_proto::v1::ErrorReason;
use tonic::Status;
use tonic_types::{ErrorInfo, FieldViolation, StatusExt as _};

/// The domain of Roster's reasons.
const DOMAIN: &str = "roster";

/// Reads the details that every failure from Roster carries.
pub trait Details {
    /// Why the call failed. `None` if Roster did not say it, as when it was not reached; for a reason that this version of
    /// the client does not know, `Some(ErrorReason::Unspecified)`.
    fn reason(&self) -> Option<ErrorReason>;

    /// What the reason is about, by name: `permission`, `team`, `limit`; `error_reason.proto` says which has what.
    fn facts(&self) -> HashMap<String, String>;

    /// The fields that break their rules, and how.
    fn field_violations(&self) -> Vec<FieldViolation>;

    /// How long the server asks to wait before the call is tried again. `None`: it does not help to try again, or the
    /// server did not say.
    fn retry_delay(&self) -> Option<Duration>;
}

impl Details for Status {
    fn reason(&self) -> Option<ErrorReason> {
        let info = info(self)?;
        Some(ErrorReason::from_str_name(&info.reason).unwrap_or(ErrorReason::Unspecified))
    }

    fn facts(&self) -> HashMap<String, String> {
        info(self).map(|info| info.metadata).unwrap_or_default()
    }

    fn field_violations(&self) -> Vec<FieldViolation> {
        self.get_details_bad_request().map(|request| request.field_violations).unwrap_or_default()
    }

    fn retry_delay(&self) -> Option<Duration> {
        self.get_details_retry_info()?.retry_delay
    }
}

fn info(status: &Status) -> Option<ErrorInfo> {
    status.get_details_error_info().filter(|info| info.domain == DOMAIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Code;
    use tonic_types::ErrorDetails;

    #[test]
    fn reasons_are_roster_s() {
        let with = |reason: &str, domain: &str| {
            let details = ErrorDetails::with_error_info(reason, domain, [("team".to_owned(), "t".to_owned())]);
            Status::with_error_details(Code::NotFound, "", details)
        };
        let status = with("TEAM_NOT_FOUND", "roster");
        assert_eq!(status.reason(), Some(ErrorReason::TeamNotFound));
        assert_eq!(status.facts()["team"], "t");
        assert_eq!(with("NEWS", "roster").reason(), Some(ErrorReason::Unspecified));
        assert_eq!(with("TEAM_NOT_FOUND", "elsewhere").reason(), None);
        assert_eq!(Status::unavailable("").reason(), None);
    }
}
