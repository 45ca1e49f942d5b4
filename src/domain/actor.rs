//! Who is calling, and on whose behalf.

use serde::{Deserialize, Serialize};

use super::{UserId, permission::Scopes};

/// Who makes a call, as established by its credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The program that calls.
    pub caller: Caller,
    /// What it may ask for.
    pub scopes: Scopes,
    /// The person it acts for.
    pub person: Option<UserId>,
}

/// A program that calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// A service, by its configured name.
    Service(String),
    /// What a person uses with a token of their own, by what the token calls it. It vouches for nothing: what it says of the
    /// person is what the person says. There is always a person with it.
    Client(String),
    /// A part of Roster itself.
    System(&'static str),
}

impl Principal {
    /// A part of Roster itself, which may do what it is there for.
    pub fn system(name: &'static str) -> Self {
        Self { caller: Caller::System(name), scopes: Scopes::all(), person: None }
    }

    /// On whose behalf a change by this principal is made.
    pub fn actor(&self) -> Actor {
        match (&self.person, &self.caller) {
            (Some(user), caller) => Actor::User { id: user.clone(), via: caller.name().to_owned() },
            (None, Caller::Service(name) | Caller::Client(name)) => Actor::Service { name: name.clone() },
            (None, Caller::System(name)) => Actor::System { name: (*name).to_owned() },
        }
    }
}

impl Caller {
    /// The program's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Service(name) | Self::Client(name) => name,
            Self::System(name) => name,
        }
    }
}

/// On whose behalf a change is made; recorded in every event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Actor {
    /// A person, through a service.
    User {
        /// The person.
        id: UserId,
        /// The service's name.
        via: String,
    },
    /// A service on its own behalf.
    Service {
        /// The service's name.
        name: String,
    },
    /// A part of Roster itself.
    System {
        /// Which part.
        name: String,
    },
}
