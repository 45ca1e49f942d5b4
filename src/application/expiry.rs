//! Recording what has run out. The clock has ended it already; this only tells of it.

use serde::Serialize;

use super::{Command, Result, Work, members};
use crate::{
    domain::{TeamId, UserId},
    repository::teams,
};

/// The part of Roster on whose behalf it is recorded that something has run out.
pub const EXPIRY: &str = "expiry";

/// Records that a membership, or roles of it, have run out. Roster's own sweeper calls it.
#[derive(Debug, Serialize)]
pub struct SettleMember {
    /// The team.
    pub team: TeamId,
    /// The member.
    pub user: UserId,
}

impl Command for SettleMember {
    const NAME: &'static str = "SettleMember";
    type Answer = ();

    async fn execute(&self, work: &mut Work<'_>) -> Result<()> {
        let Some(team) = teams::lock(work.tx, self.team).await? else { return Ok(()) };
        members::member(work, &team, &self.user).await.map(drop)
    }
}
