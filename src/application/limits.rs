//! How many invitations may be sent, by whom, to which team and to whom.
//!
//! What was used is counted in the database, in the transaction that uses it: it is the same for all instances, two that
//! use the last of it at once get it one after the other, and what is not done uses nothing.

use std::collections::BTreeMap;

use super::{Error, Result, Work};
use crate::{
    domain::{
        Email, TeamId, UserId,
        rate::{Limit, Wait},
    },
    repository::rate_limits::{self, Key},
};

/// The limits of invitations. Each counts addresses, also those of one call; none means no limit.
#[derive(Debug, Clone, Default)]
pub struct InvitationLimits {
    /// For what one person sends.
    pub per_inviter: Option<Limit>,
    /// For what is sent for one team.
    pub per_team: Option<Limit>,
    /// For what is sent to one address.
    pub per_recipient: Option<Limit>,
}

/// Whose limit it is, with the name under which its use is counted.
const INVITER: (&str, &str) = ("inviter", "invitations_by_inviter");
const TEAM: (&str, &str) = ("team", "invitations_for_team");
const RECIPIENT: (&str, &str) = ("recipient", "invitations_to_recipient");

/// What is used of one limit.
struct Charge {
    scope: &'static str,
    key: Key,
    limit: Limit,
    times: u32,
}

impl Charge {
    fn new((scope, counted): (&'static str, &'static str), key: &str, limit: Limit, times: u32) -> Self {
        Self { scope, key: Key { scope: counted, key: key.to_owned() }, limit, times }
    }
}

/// Uses up what invitations of a team to these addresses take, or fails with the limit that lasts the longest. A service
/// that acts for nobody has no limit of its own.
///
/// Called for the addresses that an offer goes out to: whoever is not invited costs nothing.
pub(super) async fn spend(
    work: &Work<'_>,
    inviter: Option<&UserId>,
    team: TeamId,
    recipients: &[&Email],
) -> Result<()> {
    let charges = charges(work.limits, inviter, team, recipients);
    let costs = charges.values().map(|one| (one.key.clone(), one.limit.cost(one.times))).collect();
    let after = rate_limits::charge(work.tx, &costs, work.now).await?;
    let now = work.now.timestamp_micros();
    let refused = after.iter().filter_map(|(key, after)| {
        let one = charges.get(key)?;
        one.limit.check(one.times, *after, now).err().map(|wait| (wait, one))
    });
    let Some((wait, Charge { scope, key, limit, .. })) = refused.max_by_key(|(wait, _)| *wait) else {
        return Ok(());
    };
    let retry_after = match wait {
        Wait::For(time) => Some(time),
        Wait::Forever => None,
    };
    // Of many, whoever asked is to know which one to leave out.
    let recipient = (*scope == RECIPIENT.0).then(|| key.key.clone());
    Err(Error::InvitationRateLimited { scope, recipient, limit: limit.count(), retry_after })
}

fn charges(
    limits: &InvitationLimits,
    inviter: Option<&UserId>,
    team: TeamId,
    recipients: &[&Email],
) -> BTreeMap<Key, Charge> {
    let times = u32::try_from(recipients.len()).unwrap_or(u32::MAX);
    let of_inviter = limits.per_inviter.zip(inviter).map(|(limit, id)| Charge::new(INVITER, id.as_str(), limit, times));
    let of_team = limits.per_team.map(|limit| Charge::new(TEAM, &team.to_string(), limit, times));
    let mut charges: BTreeMap<Key, Charge> =
        of_inviter.into_iter().chain(of_team).map(|one| (one.key.clone(), one)).collect();
    if let Some(limit) = limits.per_recipient {
        for email in recipients {
            let one = Charge::new(RECIPIENT, email.as_str(), limit, 0);
            charges.entry(one.key.clone()).or_insert(one).times += 1;
        }
    }
    charges
}
