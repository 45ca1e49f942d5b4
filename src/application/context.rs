//! What is known of a call besides what it asks.

use std::{any::Any, sync::Arc};

use crate::domain::{Principal, Version};

use super::{Error, Result};

/// A call: who makes it, and how it can be found again.
#[derive(Debug, Clone)]
pub struct Context {
    /// Who calls.
    pub principal: Principal,
    /// The id under which the log tells of this call.
    pub call_id: String,
    /// The W3C trace context that came with it.
    pub traceparent: Option<String>,
    /// What it occupies of what there is for calls: given back when nothing is done for it any more, which for a write
    /// may be after its caller has gone.
    pub slot: Option<Slot>,
}

/// Kept, and never looked at.
pub type Slot = Arc<dyn Any + Send + Sync>;

/// How a write is to be done.
#[derive(Debug, Clone, Default)]
pub struct WriteOptions {
    /// The caller's id for retries.
    pub request_id: Option<String>,
    /// Whether to undo everything in the end.
    pub validate_only: bool,
}

/// The state in which the caller last saw what they want to change; `None` means any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct Etag(Option<Version>);

impl Etag {
    /// From what a caller sent: empty means any state. What is no etag of ours matches no state.
    pub fn parse(text: &str) -> Self {
        if text.is_empty() {
            return Self(None);
        }
        let number = text.strip_prefix("v").and_then(|digits| digits.parse().ok());
        Self(Some(Version(number.unwrap_or(-1))))
    }

    /// The etag of something that this version changed last.
    pub fn of(version: Version) -> String {
        format!("v{version}")
    }

    /// Fails unless the caller saw nothing in particular, where there is nothing to see any more.
    pub(super) fn check_gone(self) -> Result<()> {
        self.0.map_or(Ok(()), |_| Err(Error::EtagMismatch))
    }

    /// Fails unless the caller saw this version, or does not care.
    pub(super) fn check(self, version: Version) -> Result<()> {
        match self.0 {
            Some(seen) if seen != version => Err(Error::EtagMismatch),
            _ => Ok(()),
        }
    }
}
