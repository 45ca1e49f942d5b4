//! The rules that a root team chose for its tree.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::{Broken, Email, Invalid, email::normal_domain};

/// How long an invitation stays open: whole seconds, 1 hour to 90 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InvitationTtl(i64);

impl InvitationTtl {
    const HOUR: i64 = 3600;
    const DAY: i64 = 24 * Self::HOUR;

    /// From a number of seconds.
    pub fn from_seconds(seconds: i64) -> Result<Self, Invalid> {
        if (Self::HOUR..=90 * Self::DAY).contains(&seconds) {
            Ok(Self(seconds))
        } else {
            Err(Invalid::new("must be between 1 hour and 90 days"))
        }
    }

    /// The number of seconds.
    pub fn seconds(self) -> i64 {
        self.0
    }

    /// As a difference of times.
    pub fn delta(self) -> TimeDelta {
        TimeDelta::seconds(self.0)
    }
}

impl Default for InvitationTtl {
    /// 14 days.
    fn default() -> Self {
        Self(14 * Self::DAY)
    }
}

/// The e-mail domains that may join; empty means any. Sorted, without duplicates, at most 100.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AllowedDomains(Vec<String>);

impl AllowedDomains {
    /// Normalises each domain.
    pub fn parse(domains: &[String]) -> Result<Self, Invalid> {
        if domains.len() > 100 {
            return Err(Invalid::new("must hold at most 100 domains"));
        }
        let mut normal = domains.iter().map(|d| normal_domain(d)).collect::<Result<Vec<_>, _>>()?;
        normal.sort();
        normal.dedup();
        Ok(Self(normal))
    }

    /// The domains.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

/// How many owners a tree has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ownership {
    /// Exactly one, who passes the ownership on.
    #[default]
    Single,
    /// One or more; owners make others owners too.
    Shared,
}

/// Who edits a person's profile.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProfileEditing {
    /// The person alone.
    #[default]
    SelfOnly,
    /// Also those who may in the person's home.
    Admins,
}

/// A tree's rules. They bind from the moment they are set; who is in already stays in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "rules that have nothing to do with each other, each on or off")]
pub struct TeamPolicy {
    /// How long invitations stay open.
    pub invitation_ttl: InvitationTtl,
    /// Whether what an open invitation grants can be changed.
    pub invitee_roles_editable: bool,
    /// Which e-mail domains may join.
    pub allowed_email_domains: AllowedDomains,
    /// The most members; `None` means unlimited.
    pub max_members: Option<u32>,
    /// The most open invitations; `None` means unlimited.
    pub max_pending_invitations: Option<u32>,
    /// Whether only the invited address can accept.
    pub require_email_match: bool,
    /// How many owners the tree has.
    pub ownership: Ownership,
    /// Whether a person can be a member of one team of the tree only.
    pub exclusive_membership: bool,
    /// Whether people whose home is another tree can be members.
    pub allow_external_members: bool,
    /// Who edits the profiles of those who are at home here.
    pub profile_editing: ProfileEditing,
}

/// New values for a tree's rules; `None` keeps what is there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PolicyPatch {
    /// How long invitations stay open.
    pub invitation_ttl: Option<InvitationTtl>,
    /// Whether what an open invitation grants can be changed.
    pub invitee_roles_editable: Option<bool>,
    /// Which e-mail domains may join.
    pub allowed_email_domains: Option<AllowedDomains>,
    /// The most members of a team.
    pub max_members: Option<Option<u32>>,
    /// The most open invitations of a team.
    pub max_pending_invitations: Option<Option<u32>>,
    /// Whether only the invited address can accept.
    pub require_email_match: Option<bool>,
    /// How many owners the tree has.
    pub ownership: Option<Ownership>,
    /// Whether a person can be a member of one team of the tree only.
    pub exclusive_membership: Option<bool>,
    /// Whether people whose home is another tree can be members.
    pub allow_external_members: Option<bool>,
    /// Who edits the profiles of those who are at home here.
    pub profile_editing: Option<ProfileEditing>,
}

/// A rule that something recorded can be at odds with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rule {
    /// Which e-mail domains may join.
    AllowedEmailDomains,
    /// The most members of a team.
    MaxMembers,
    /// The most open invitations of a team.
    MaxPendingInvitations,
    /// Whether a person can be a member of one team only.
    ExclusiveMembership,
    /// Whether people whose home is another tree can be members.
    AllowExternalMembers,
    /// Which e-mail domains may join, for those who are invited.
    InvitedEmailDomains,
    /// Whether a person can be a member of one team only, for those who are invited to several.
    InvitedToSeveral,
    /// Whether a person can be a member of one team only, for those who are invited and members of another.
    InvitedElsewhere,
    /// How many owners the tree has, for those who are invited to be one.
    InvitedOwners,
}

impl PolicyPatch {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for TeamPolicy {
    fn default() -> Self {
        Self {
            invitation_ttl: InvitationTtl::default(),
            invitee_roles_editable: true,
            allowed_email_domains: AllowedDomains::default(),
            max_members: None,
            max_pending_invitations: None,
            require_email_match: true,
            ownership: Ownership::Single,
            exclusive_membership: false,
            allow_external_members: true,
            profile_editing: ProfileEditing::SelfOnly,
        }
    }
}

impl TeamPolicy {
    /// The rules that differ from those before and that something may be at odds with from now on.
    pub fn tightened(&self, before: &Self) -> Vec<Rule> {
        let rules = [
            (Rule::AllowedEmailDomains, self.allowed_email_domains != before.allowed_email_domains),
            (Rule::MaxMembers, self.max_members != before.max_members),
            (Rule::MaxPendingInvitations, self.max_pending_invitations != before.max_pending_invitations),
            (Rule::ExclusiveMembership, self.exclusive_membership && !before.exclusive_membership),
            (Rule::AllowExternalMembers, !self.allow_external_members && before.allow_external_members),
            (Rule::InvitedEmailDomains, self.allowed_email_domains != before.allowed_email_domains),
            (Rule::InvitedToSeveral, self.exclusive_membership && !before.exclusive_membership),
            (Rule::InvitedElsewhere, self.exclusive_membership && !before.exclusive_membership),
            (Rule::InvitedOwners, self.ownership == Ownership::Single && before.ownership == Ownership::Shared),
        ];
        rules.into_iter().filter_map(|(rule, changed)| changed.then_some(rule)).collect()
    }

    /// The rules with these values.
    pub fn patched(&self, patch: &PolicyPatch) -> Self {
        let domains = patch.allowed_email_domains.as_ref().unwrap_or(&self.allowed_email_domains);
        Self {
            invitation_ttl: patch.invitation_ttl.unwrap_or(self.invitation_ttl),
            invitee_roles_editable: patch.invitee_roles_editable.unwrap_or(self.invitee_roles_editable),
            allowed_email_domains: domains.clone(),
            max_members: patch.max_members.unwrap_or(self.max_members),
            max_pending_invitations: patch.max_pending_invitations.unwrap_or(self.max_pending_invitations),
            require_email_match: patch.require_email_match.unwrap_or(self.require_email_match),
            ownership: patch.ownership.unwrap_or(self.ownership),
            exclusive_membership: patch.exclusive_membership.unwrap_or(self.exclusive_membership),
            allow_external_members: patch.allow_external_members.unwrap_or(self.allow_external_members),
            profile_editing: patch.profile_editing.unwrap_or(self.profile_editing),
        }
    }

    /// Whether what an open invitation grants may be changed.
    pub fn check_invitee_editable(&self) -> Result<(), Broken> {
        if self.invitee_roles_editable { Ok(()) } else { Err(Broken::InviteeRoleLocked) }
    }

    /// Whether an invitation to so many teams of the tree could be accepted.
    pub fn check_teams(&self, teams: usize) -> Result<(), Broken> {
        if self.exclusive_membership && teams > 1 { Err(Broken::OneTeamOnly) } else { Ok(()) }
    }

    /// Whether this address may join.
    pub fn check_domain(&self, email: &Email) -> Result<(), Broken> {
        let allowed = self.allowed_email_domains.as_slice();
        if allowed.is_empty() || allowed.iter().any(|domain| domain == email.domain()) {
            Ok(())
        } else {
            Err(Broken::DomainNotAllowed { domain: email.domain().to_owned() })
        }
    }

    /// Whether one more has a seat beside the `taken` ones.
    pub fn check_seat(&self, taken: u64) -> Result<(), Broken> {
        match self.max_members {
            Some(limit) if taken >= u64::from(limit) => Err(Broken::SeatsExhausted { limit }),
            _ => Ok(()),
        }
    }

    /// Whether one more invitation may be open beside the `pending` ones that there are.
    pub fn check_pending(&self, pending: u64) -> Result<(), Broken> {
        match self.max_pending_invitations {
            Some(limit) if pending >= u64::from(limit) => Err(Broken::PendingInvitationsExhausted { limit }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_inclusive() {
        let policy = TeamPolicy { max_members: Some(2), ..TeamPolicy::default() };
        assert!(policy.check_seat(1).is_ok());
        assert_eq!(policy.check_seat(2), Err(Broken::SeatsExhausted { limit: 2 }));
        assert!(InvitationTtl::from_seconds(3600).is_ok());
        assert!(InvitationTtl::from_seconds(3599).is_err());
        assert!(InvitationTtl::from_seconds(90 * 86_400 + 1).is_err());
    }

    #[test]
    fn a_domain_does_not_admit_its_subdomains() {
        let domains = AllowedDomains::parse(&["Example.com".into(), "example.com".into()]).unwrap();
        assert_eq!(domains.as_slice(), ["example.com"]);
        let policy = TeamPolicy { allowed_email_domains: domains, ..TeamPolicy::default() };
        assert!(policy.check_domain(&Email::parse("ada@example.com").unwrap()).is_ok());
        assert!(policy.check_domain(&Email::parse("ada@sub.example.com").unwrap()).is_err());
    }
}
