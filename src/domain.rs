//! The rules of membership, as pure functions from state to state.
//!
//! Here is what may be decided without asking anyone: newtypes that cannot hold a bad value, permissions and who may
//! grant them, the life of an invitation, and the record of every change. Not here: the database, the network, the
//! clock and randomness; time and new ids come in as arguments. Start at [`invitation`] for a state machine, at
//! [`membership`] for the rules about members, and at [`event`] for what is recorded.

pub mod access;
pub mod actor;
pub mod address_list;
pub mod cursor;
pub mod email;
pub mod event;
pub mod id;
pub mod invitation;
pub mod keyring;
pub mod label;
pub mod link;
pub mod member;
pub mod membership;
pub mod permission;
pub mod policy;
pub mod profile;
#[cfg(test)]
mod properties;
pub mod rate;
pub mod role;
pub mod rule;
pub mod team;
pub mod text;
pub mod user;

pub use actor::{Actor, Principal};
pub use address_list::AddressList;
pub use email::Email;
pub use event::{Cause, Change, Event, Subject};
pub use id::{EventId, InvitationId, RoleId, TeamId, UserId, Version};
pub use invitation::Invitation;
pub use member::Member;
pub use membership::Authority;
pub use permission::{PermissionPattern, PermissionSet};
pub use policy::TeamPolicy;
pub use role::{Role, Roles};
pub use rule::Broken;
pub use team::Team;
pub use user::User;

/// Why a value is refused: one sentence for people, without the value itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, serde::Serialize)]
#[error("{0}")]
pub struct Invalid(pub std::borrow::Cow<'static, str>);

impl Invalid {
    /// From a fixed sentence.
    pub const fn new(why: &'static str) -> Self {
        Self(std::borrow::Cow::Borrowed(why))
    }
}
