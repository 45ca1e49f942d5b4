//! Permissions: dotted names, patterns over them, and what a set of patterns covers.

use std::{borrow::Cow, collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};

use super::Invalid;

/// A permission of Roster's own, as a type: a function that takes a proof of it cannot be called without.
pub trait Permission: Send + Sync + 'static {
    /// The dotted name.
    const NAME: &'static str;
}

macro_rules! permissions {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal),+ $(,)?) => {
        $($(#[doc = $doc])+ #[derive(Debug)] pub enum $name {}
        impl Permission for $name { const NAME: &'static str = $text; })+

        /// All of Roster's own permissions: their names and what each is for.
        pub const ALL: &[(&str, &str)] = &[$(($text, concat!($($doc),+))),+];
    };
}

permissions! {
    /// See a team.
    ReadTeams = "roster.teams.read",
    /// Create a team below this one. Root teams are created by services, and by people for themselves.
    CreateTeams = "roster.teams.create",
    /// Change a team's fields and rules.
    UpdateTeams = "roster.teams.update",
    /// Disable a team and enable it again.
    DisableTeams = "roster.teams.disable",
    /// Delete a team. No wildcard gives it: owners hold it, and whoever an owner gives it to by name.
    DeleteTeams = "roster.teams.delete",
    /// See the members.
    ReadMembers = "roster.members.read",
    /// Add a member without an invitation.
    AddMembers = "roster.members.add",
    /// Change what a member holds, and until when.
    UpdateMembers = "roster.members.update",
    /// Suspend a member and have them active again.
    SuspendMembers = "roster.members.suspend",
    /// Remove a member.
    RemoveMembers = "roster.members.remove",
    /// Leave a team. Every member may; services need it among their scopes.
    LeaveTeams = "roster.members.leave",
    /// Pass the ownership on. No wildcard gives it, and only owners have one to pass on.
    TransferOwnership = "roster.ownership.transfer",
    /// See the roles and the permissions that they are made of.
    ReadRoles = "roster.roles.read",
    /// Create a role of the tree's own.
    CreateRoles = "roster.roles.create",
    /// Change a role of the tree's own.
    UpdateRoles = "roster.roles.update",
    /// Delete a role of the tree's own.
    DeleteRoles = "roster.roles.delete",
    /// Ask what somebody may do. Everybody may ask it of themselves; services need it among their scopes.
    CheckAccess = "roster.access.check",
    /// Ask why somebody may do something, or not.
    ExplainAccess = "roster.access.explain",
    /// Record a person. Held by services.
    CreateUsers = "roster.users.create",
    /// See a person's record. Everybody may see their own; services need it among their scopes.
    ReadUsers = "roster.users.read",
    /// Change a person's record. Everybody may change their own; others where the rules of the person's home let them.
    UpdateUsers = "roster.users.update",
    /// Delete a person's record, and with it all of their memberships.
    DeleteUsers = "roster.users.delete",
    /// See the invitations.
    ReadInvitations = "roster.invitations.read",
    /// Invite, and send an invitation again.
    CreateInvitations = "roster.invitations.create",
    /// Change what an invitation grants, its words and until when it is open.
    UpdateInvitations = "roster.invitations.update",
    /// Fetch an invitation's link.
    LinkInvitations = "roster.invitations.link",
    /// Cancel an invitation.
    CancelInvitations = "roster.invitations.cancel",
    /// Take an invitation off the list.
    DeleteInvitations = "roster.invitations.delete",
    /// Report how a mail that somebody else sends ended. Held by mailers.
    ReportDeliveries = "roster.invitations.report_delivery",
    /// Answer an invitation with its token. Held by services.
    RespondInvitations = "roster.invitations.respond",
    /// Read the events.
    ReadEvents = "roster.events.read",
}

/// The permissions that a wildcard never gives: a role has them by name or not at all.
pub const OWNER_ONLY: [&str; 2] = [DeleteTeams::NAME, TransferOwnership::NAME];

/// What a pattern stands for and no wildcard gives.
pub fn beyond_wildcards(pattern: &str) -> impl Iterator<Item = &'static str> {
    let prefix = pattern.strip_suffix('*');
    OWNER_ONLY.into_iter().filter(move |name| prefix.is_some_and(|prefix| name.starts_with(prefix)))
}

/// A permission, or all that begin alike: `catalog.products.write`, `catalog.*`, or `*` for every one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PermissionPattern(Cow<'static, str>);

impl PermissionPattern {
    /// Takes 1 to 8 dotted segments of `a-z`, `0-9`, `_` and `-`, at most 128 characters; the last may be `*`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let segment = |s: &str| {
            !s.is_empty() && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
        };
        let segments: Vec<&str> = text.split('.').collect();
        let good = match segments.split_last() {
            Some((last, rest)) => {
                (*last == "*" || segment(last)) && rest.iter().all(|s| segment(s)) && segments.len() <= 8
            }
            None => false,
        };
        if good && text.len() <= 128 {
            Ok(Self(Cow::Owned(text.to_owned())))
        } else {
            Err(Invalid::new("must be dotted names of a-z, 0-9, _ and -, such as catalog.products.write or catalog.*"))
        }
    }

    /// The pattern that stands for just one of Roster's own permissions.
    pub const fn exact<P: Permission>() -> Self {
        Self(Cow::Borrowed(P::NAME))
    }

    /// The pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether every name that `other` stands for begins as this wildcard asks, or is this name.
    pub fn matches(&self, other: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(prefix) => other.starts_with(prefix),
            None => self.0 == other,
        }
    }
}

impl fmt::Display for PermissionPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What somebody may do: a set of patterns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PermissionSet(BTreeSet<PermissionPattern>);

impl PermissionSet {
    /// Adds what another set holds.
    pub fn add(&mut self, other: &Self) {
        self.0.extend(other.0.iter().cloned());
    }

    /// Whether the set gives this permission, or a wildcard that is at least as wide as this one.
    pub fn covers(&self, wanted: &str) -> bool {
        if OWNER_ONLY.contains(&wanted) {
            return self.0.iter().any(|pattern| pattern.as_str() == wanted);
        }
        self.0.iter().any(|pattern| pattern.matches(wanted))
    }

    /// The first pattern of `other` that this set does not cover: what a granter would give beyond their own.
    pub fn missing<'a>(&self, other: &'a PermissionSet) -> Option<&'a PermissionPattern> {
        other.0.iter().find(|pattern| !self.covers(pattern.as_str()))
    }
}

impl<'a> Extend<&'a PermissionPattern> for PermissionSet {
    fn extend<I: IntoIterator<Item = &'a PermissionPattern>>(&mut self, patterns: I) {
        self.0.extend(patterns.into_iter().cloned());
    }
}

impl<'a> FromIterator<&'a PermissionPattern> for PermissionSet {
    fn from_iter<I: IntoIterator<Item = &'a PermissionPattern>>(patterns: I) -> Self {
        Self(patterns.into_iter().cloned().collect())
    }
}

/// What a service may ask for at all. Here a wildcard covers every permission: a scope bounds which calls a service can
/// make, and whom it acts for decides what those calls may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scopes(Vec<PermissionPattern>);

impl Scopes {
    /// Every call.
    pub fn all() -> Self {
        Self(vec![PermissionPattern(Cow::Borrowed("*"))])
    }

    /// Whether a service with these scopes may make calls that need this permission.
    pub fn cover(&self, permission: &str) -> bool {
        self.0.iter().any(|pattern| pattern.matches(permission))
    }
}

impl FromIterator<PermissionPattern> for Scopes {
    fn from_iter<I: IntoIterator<Item = PermissionPattern>>(patterns: I) -> Self {
        Self(patterns.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(patterns: &[&str]) -> PermissionSet {
        patterns.iter().map(|p| PermissionPattern::parse(p).unwrap()).collect::<Vec<_>>().iter().collect()
    }

    #[test]
    fn a_wildcard_covers_what_begins_alike() {
        let check = |patterns: &[&str], wanted: &str, covered: bool| {
            assert_eq!(set(patterns).covers(wanted), covered, "{patterns:?} {wanted}");
        };
        check(&["catalog.read"], "catalog.read", true);
        check(&["catalog.read"], "catalog.readers", false);
        check(&["catalog.*"], "catalog.products.write", true);
        check(&["catalog.*"], "catalogue.read", false);
        check(&["catalog.*"], "catalog", false);
        check(&["catalog.*"], "catalog.*", true);
        check(&["catalog.*"], "catalog.products.*", true);
        check(&["catalog.products.*"], "catalog.*", false);
        check(&["catalog.*"], "*", false);
        check(&["*"], "*", true);
        check(&[], "catalog.read", false);
    }

    #[test]
    fn a_wildcard_never_gives_what_only_owners_hold() {
        for wildcard in ["*", "roster.*", "roster.teams.*"] {
            assert!(!set(&[wildcard]).covers("roster.teams.delete"), "{wildcard}");
        }
        assert!(set(&["*", "roster.teams.delete"]).covers("roster.teams.delete"));
        let owner = set(&["*", "roster.teams.delete"]);
        assert_eq!(set(&["*"]).missing(&owner).unwrap().as_str(), "roster.teams.delete");
        assert_eq!(owner.missing(&set(&["*"])), None);
    }

    #[test]
    fn patterns_are_checked() {
        for good in ["*", "a", "a.b", "a.*", "roster.teams.read", "a_b.c-d"] {
            assert!(PermissionPattern::parse(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "a.", ".a", "a..b", "a.*.b", "**", "a*", "A.b", "a b", &"a.".repeat(9)] {
            assert!(PermissionPattern::parse(bad).is_err(), "{bad}");
        }
    }
}
