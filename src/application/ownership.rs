//! Passing the ownership on.

use serde::{Deserialize, Serialize};

use super::{
    Command, Result, Work,
    authorize::denied,
    consequence,
    members::{TeamMember, member_of},
};
use crate::{
    domain::{Cause, Change, Member, TeamId, UserId, event::Step, permission::TransferOwnership as MayTransfer},
    repository::members,
};

/// Makes another member the owner.
#[derive(Debug, Serialize)]
pub struct TransferOwnership {
    /// The team.
    pub team: TeamId,
    /// The member who becomes the owner.
    pub new_owner: UserId,
}

/// The two members after the ownership has passed on.
#[derive(Debug, Serialize, Deserialize)]
pub struct Transferred {
    /// The new owner.
    pub owner: TeamMember,
    /// The former owner.
    pub former: TeamMember,
}

impl Command for TransferOwnership {
    const NAME: &'static str = "TransferOwnership";
    type Answer = Transferred;

    async fn execute(&self, work: &mut Work<'_>) -> Result<Transferred> {
        let (team, allowed) = work.team::<MayTransfer>(self.team).await?;
        team.check_root()?;
        // Only the owner may: a service has to act for them, and a permission alone does not make an owner.
        let refuse = || denied::<MayTransfer>(Some(self.team));
        let person = allowed.authority().person().ok_or_else(refuse)?;
        let (former, former_user) = member_of(work, &team, person).await?;
        if !former.is_owner() {
            return Err(refuse());
        }
        let (new, new_user) = member_of(work, &team, &self.new_owner).await?;
        let (former_after, new_after) = former.transfer_to(&new)?;

        let slot = work.tx.next(self.team);
        let former_after = Member { changed: slot.version, ..former_after };
        let new_after = Member { changed: slot.version, ..new_after };
        members::update(work.tx, &former, &former_after).await?;
        members::update(work.tx, &new, &new_after).await?;
        let change = Change::OwnershipTransferred {
            former: Step { before: former, after: former_after.clone() },
            new: Step { before: new, after: new_after.clone() },
        };
        work.tx.record(slot, Cause::Transfer, change);
        consequence::of_lost_authority(work, &team, &former_after.user_id, Cause::Transfer).await?;
        Ok(Transferred {
            owner: TeamMember { member: new_after, user: new_user },
            former: TeamMember { member: former_after, user: former_user },
        })
    }
}
