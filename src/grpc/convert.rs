//! Messages into commands, and what use cases answer into messages.
//!
//! A request is checked as a whole: every field that breaks its rule is reported, not only the first. What a field may
//! hold is said by the domain type that it becomes; here is only which field becomes what.

pub(super) mod access;
pub(super) mod event;
pub(super) mod invitation;
mod mask;
pub(super) mod member;
pub(super) mod preview;
pub(super) mod role;
pub(super) mod team;
pub(super) mod user;

use std::{collections::BTreeSet, fmt::Display, str::FromStr};

use super::status::{EdgeError, Failure};
use crate::{
    application::{Error, WriteOptions},
    domain::{Invalid, RoleId, member::MAX_ROLES},
};
use chrono::{DateTime, Utc};
use prost_types::Timestamp;

/// The field that has a reason of its own, where it is all that is wrong with a request.
pub(super) const REVISION: &str = "consistency.at_least_as_fresh";

/// The fields of a request that break their rules.
#[derive(Debug, Default)]
pub(super) struct Violations(Vec<(String, String)>);

impl std::fmt::Display for Violations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lines: Vec<String> = self.0.iter().map(|(field, why)| format!("{field} {why}")).collect();
        f.write_str(&lines.join("; "))
    }
}

impl Violations {
    /// The field's value, or a note of why it has none.
    pub(super) fn field<T, E: Display>(&mut self, path: &str, value: Result<T, E>) -> Option<T> {
        value.map_err(|why| self.add(path, why)).ok()
    }

    /// The id that a field holds.
    pub(super) fn id<T: FromStr<Err = Invalid>>(&mut self, path: &str, text: &str) -> Option<T> {
        if text.is_empty() {
            self.add(path, "must not be empty");
            return None;
        }
        self.field(path, text.parse())
    }

    /// The id that a field holds, or `None` within for an empty one.
    pub(super) fn optional_id<T: FromStr<Err = Invalid>>(&mut self, path: &str, text: &str) -> Option<Option<T>> {
        if text.is_empty() { Some(None) } else { self.field(path, text.parse()).map(Some) }
    }

    /// The roles that a field names: at least one, each once.
    pub(super) fn roles(&mut self, path: &str, ids: &[String]) -> Option<BTreeSet<RoleId>> {
        if ids.is_empty() || ids.len() > MAX_ROLES {
            self.add(path, format_args!("must name 1 to {MAX_ROLES} roles"));
            return None;
        }
        let parsed = ids.iter().enumerate().map(|(i, id)| self.id(&format!("{path}[{i}]"), id));
        parsed.collect::<Vec<_>>().into_iter().collect()
    }

    /// Whether no field breaks its rule, as far as is known.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Notes that a field breaks its rule.
    pub(super) fn add(&mut self, path: &str, why: impl Display) {
        self.0.push((path.to_owned(), why.to_string()));
    }

    /// The values of all fields, or all that is wrong with the request.
    pub(super) fn all<T: Options>(self, options: T) -> Result<T::Values, Failure> {
        match options.values() {
            Some(values) if self.0.is_empty() => Ok(values),
            _ if self.0.iter().all(|(path, _)| path == REVISION) => Err(Error::RevisionInvalid.into()),
            _ => Err(EdgeError::InvalidFields(self.0).into()),
        }
    }
}

/// Several values of which each may be missing.
pub(super) trait Options {
    /// The values.
    type Values;
    /// The values, if none is missing.
    fn values(self) -> Option<Self::Values>;
}

macro_rules! options {
    ($($name:ident),+) => {
        impl<$($name),+> Options for ($(Option<$name>,)+) {
            type Values = ($($name,)+);
            #[expect(non_snake_case, reason = "one binding for each type")]
            fn values(self) -> Option<Self::Values> {
                let ($($name,)+) = self;
                Some(($($name?,)+))
            }
        }
    };
}

impl Options for () {
    type Values = ();
    fn values(self) -> Option<()> {
        Some(())
    }
}

options!(A);
options!(A, B);
options!(A, B, C);
options!(A, B, C, D);
options!(A, B, C, D, E);
options!(A, B, C, D, E, F);
options!(A, B, C, D, E, F, G);

/// How a write is to be done.
pub(super) fn write_options(violations: &mut Violations, request_id: &str, validate_only: bool) -> WriteOptions {
    let fits = request_id.len() <= 128 && request_id.chars().all(|c| c.is_ascii_graphic());
    if !fits {
        violations.add("request_id", "must be at most 128 visible ASCII characters");
    }
    WriteOptions { request_id: (!request_id.is_empty()).then(|| request_id.to_owned()), validate_only }
}

/// How many items a page holds at the most.
pub(super) fn page_size(violations: &mut Violations, size: i32) -> u64 {
    match u64::try_from(size) {
        Ok(0) => 50,
        Ok(size) => size.min(500),
        Err(_) => {
            violations.add("page_size", "must not be negative");
            0
        }
    }
}

/// A point in time.
pub(super) fn timestamp(time: DateTime<Utc>) -> Timestamp {
    // Below 2^31 even in a leap second.
    let nanos = i32::try_from(time.timestamp_subsec_nanos()).unwrap_or(i32::MAX);
    Timestamp { seconds: time.timestamp(), nanos }
}

/// A point in time that a field holds: to the microsecond, which is what the databases keep.
pub(super) fn time(stamp: &Timestamp) -> Result<DateTime<Utc>, Invalid> {
    const WHY: Invalid = Invalid::new("must be a time between the years 1 and 9999, in whole microseconds");
    let valid = (-62_135_596_800..253_402_300_800).contains(&stamp.seconds) && stamp.nanos % 1000 == 0;
    let nanos = u32::try_from(stamp.nanos).ok().filter(|nanos| valid && *nanos < 1_000_000_000).ok_or(WHY)?;
    DateTime::from_timestamp(stamp.seconds, nanos).ok_or(WHY)
}

/// How the beginning of a name or address may look; empty for any.
pub(super) fn prefix(violations: &mut Violations, path: &str, text: &str) -> Option<Option<String>> {
    if text.chars().count() > 200 || text.chars().any(char::is_control) {
        violations.add(path, "must be at most 200 characters, without control characters");
        return None;
    }
    Some((!text.is_empty()).then(|| text.to_owned()))
}

/// Ids as text.
pub(super) fn texts<T: Display>(ids: impl IntoIterator<Item = T>) -> Vec<String> {
    ids.into_iter().map(|id| id.to_string()).collect()
}

/// An id as text, or nothing.
pub(super) fn optional_text<T: Display>(id: Option<T>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}
