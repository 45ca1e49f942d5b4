//! `limits`: how often callers may do what others get to feel.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::error::Problems;
use super::text::HumanTime;
use crate::domain::rate::Limit;

/// Limits. Those of invitations hold for all instances on a database together, that of calls for each instance.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Addresses that one person may invite. A service that acts for nobody has no such limit.
    #[serde(deserialize_with = "per_inviter")]
    pub invitations_per_inviter: RateLimit,
    /// Addresses that may be invited to one team.
    #[serde(deserialize_with = "per_team")]
    pub invitations_per_team: RateLimit,
    /// How often one address may be invited, by whomever and to whichever team.
    #[serde(deserialize_with = "per_recipient")]
    pub invitations_per_recipient: RateLimit,
    /// Calls of one service, whomever it acts for, or of one person with a token of their own, to each instance.
    #[serde(deserialize_with = "per_caller")]
    pub calls_per_caller: RateLimit,
}

/// So many at once, and one more each time that the period, divided by the count, has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RateLimit {
    /// How many at once; after that, one more each time that `period` divided by `count` has passed. 0 means that there
    /// is no limit.
    pub count: u32,
    /// Per how long, up to 366 days.
    #[serde(with = "HumanTime")]
    pub period: Duration,
}

/// A limit of which any part may be left as it is by default.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    count: Option<u32>,
    #[serde(default, with = "humantime_serde")]
    period: Option<Duration>,
}

const PER_INVITER: RateLimit = RateLimit { count: 2_000, period: Duration::from_hours(1) };
const PER_TEAM: RateLimit = RateLimit { count: 10_000, period: Duration::from_hours(1) };
const PER_RECIPIENT: RateLimit = RateLimit { count: 20, period: Duration::from_hours(24) };
const PER_CALLER: RateLimit = RateLimit { count: 0, period: Duration::from_secs(1) };

impl Default for Limits {
    fn default() -> Self {
        Self {
            invitations_per_inviter: PER_INVITER,
            invitations_per_team: PER_TEAM,
            invitations_per_recipient: PER_RECIPIENT,
            calls_per_caller: PER_CALLER,
        }
    }
}

impl Limits {
    pub(super) fn check(&self, problems: &mut Problems) {
        for (key, limit) in [
            ("limits.invitations_per_inviter.period", self.invitations_per_inviter),
            ("limits.invitations_per_team.period", self.invitations_per_team),
            ("limits.invitations_per_recipient.period", self.invitations_per_recipient),
            ("limits.calls_per_caller.period", self.calls_per_caller),
        ] {
            problems.positive(limit.period, key);
            problems.require(limit.period <= Limit::MAX_PERIOD, key, "must be at most 366days");
        }
    }
}

impl RateLimit {
    /// The limit, if there is one.
    pub fn limit(self) -> Option<Limit> {
        Limit::new(self.count, self.period)
    }

    fn read<'de, D: Deserializer<'de>>(from: D, default: Self) -> Result<Self, D::Error> {
        let Part { count, period } = Part::deserialize(from)?;
        Ok(Self { count: count.unwrap_or(default.count), period: period.unwrap_or(default.period) })
    }
}

fn per_inviter<'de, D: Deserializer<'de>>(from: D) -> Result<RateLimit, D::Error> {
    RateLimit::read(from, PER_INVITER)
}

fn per_team<'de, D: Deserializer<'de>>(from: D) -> Result<RateLimit, D::Error> {
    RateLimit::read(from, PER_TEAM)
}

fn per_recipient<'de, D: Deserializer<'de>>(from: D) -> Result<RateLimit, D::Error> {
    RateLimit::read(from, PER_RECIPIENT)
}

fn per_caller<'de, D: Deserializer<'de>>(from: D) -> Result<RateLimit, D::Error> {
    RateLimit::read(from, PER_CALLER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(toml: &str) -> Limits {
        toml::from_str(toml).unwrap()
    }

    #[test]
    fn each_part_has_a_default_of_its_own() {
        let limits = read("invitations_per_recipient = { count = 5 }\ninvitations_per_team = { period = '1min' }");
        assert_eq!(limits.invitations_per_inviter, PER_INVITER);
        assert_eq!(limits.invitations_per_recipient, RateLimit { count: 5, ..PER_RECIPIENT });
        assert_eq!(limits.invitations_per_team, RateLimit { period: Duration::from_mins(1), ..PER_TEAM });
    }

    #[test]
    fn nothing_is_no_limit() {
        assert_eq!(read("invitations_per_team = { count = 0 }").invitations_per_team.limit(), None);
        let mut problems = Problems::default();
        read("invitations_per_team = { period = '0s' }\ninvitations_per_inviter = { period = '367days' }")
            .check(&mut problems);
        let problems: Vec<_> = problems.as_slice().iter().map(|problem| problem.key.as_str()).collect();
        assert_eq!(problems, ["limits.invitations_per_inviter.period", "limits.invitations_per_team.period"]);
    }
}
