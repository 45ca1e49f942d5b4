//! Creating, changing, disabling and deleting teams.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    Command, Error, Missing, Result, Work, authorize, consequence,
    context::Etag,
    invitations::{Invite, Offering, send_one},
    members::{TeamMember, join, joining_user},
    roles::check_below,
};
use crate::{
    domain::{
        Authority, Broken, Cause, Change, Email, Invitation, RoleId, Team, TeamId, TeamPolicy, UserId, Version,
        access::Holdings,
        event::Step,
        invitation::{Channel, Offer, Offers},
        label::Labels,
        member::{Grant, Source},
        permission::{CreateInvitations, CreateTeams, DeleteTeams, DisableTeams, UpdateTeams},
        policy::{Ownership, Rule},
        team::TeamPatch,
        text::{Message, Slug, TeamName},
    },
    repository::{census, invitations, members, roles, teams, users},
};

/// How many rows are read at a time while a team is deleted.
const DELETE_BATCH: u64 = 1000;

/// Creates a team.
#[derive(Debug, Serialize)]
pub struct CreateTeam {
    /// The name.
    pub name: TeamName,
    /// The slug.
    pub slug: Option<Slug>,
    /// The labels.
    pub labels: Labels,
    /// Where.
    pub place: Place,
}

/// Where a new team stands.
#[derive(Debug, Serialize)]
pub enum Place {
    /// As the root of a new tree.
    Root {
        /// The rules of the tree.
        policy: Box<TeamPolicy>,
        /// Who becomes the owner. A person can make only themselves one.
        owner: UserId,
    },
    /// Below another.
    Below {
        /// The team right above.
        parent: TeamId,
        /// Who is to be in charge of it, by invitation.
        in_charge: Option<InCharge>,
    },
}

/// Who is to be in charge of a new team.
#[derive(Debug, Serialize)]
pub struct InCharge {
    /// The address.
    pub email: Email,
    /// The roles to give.
    pub roles: BTreeSet<RoleId>,
    /// Words to the person.
    pub message: Message,
    /// How the link reaches the person.
    pub channel: Channel,
}

/// A new team.
#[derive(Debug, Serialize, Deserialize)]
pub struct CreatedTeam {
    /// The team.
    pub team: Team,
    /// Its owner, if it is a root.
    pub owner: Option<TeamMember>,
    /// The invitation of who is to be in charge, if anybody is.
    pub invitation: Option<Invitation>,
}

impl Command for CreateTeam {
    const NAME: &'static str = "CreateTeam";
    type Answer = CreatedTeam;

    async fn execute(&self, work: &mut Work<'_>) -> Result<CreatedTeam> {
        match &self.place {
            Place::Root { policy, owner } => self.create_root(work, policy, owner).await,
            Place::Below { parent, in_charge } => self.create_below(work, *parent, in_charge.as_ref()).await,
        }
    }
}

impl CreateTeam {
    async fn create_root(&self, work: &mut Work<'_>, policy: &TeamPolicy, owner: &UserId) -> Result<CreatedTeam> {
        authorize::for_self::<CreateTeams>(work.cx, Some(owner))?;
        let team = self.insert(work, Vec::new(), policy.clone(), None).await?;
        let user = joining_user(work, &team, owner).await?;
        let grant = Grant::of_roles(BTreeSet::from([RoleId::owner()]));
        let owner = join(work, &team, user, grant, None, Source::TeamCreation, Cause::Team).await?;
        Ok(CreatedTeam { team: latest(work, team), owner: Some(owner), invitation: None })
    }

    async fn create_below(
        &self,
        work: &mut Work<'_>,
        parent: TeamId,
        in_charge: Option<&InCharge>,
    ) -> Result<CreatedTeam> {
        let (parent, allowed) = work.team::<CreateTeams>(parent).await?;
        let ancestors = parent.ancestors_of_child()?;
        let team = self.insert(work, ancestors, parent.policy.clone(), parent.disabled_by).await?;
        let Some(InCharge { email, roles, message, channel }) = in_charge else {
            return Ok(CreatedTeam { team, owner: None, invitation: None });
        };
        let by = authority_below(allowed.authority());
        check_below::<CreateInvitations>(allowed.authority(), &parent)?;
        authorize::check_scope::<CreateInvitations>(&work.cx.principal)?;
        let offering = Offering {
            team: team.id,
            grants: Offers::from([(team.id, Offer::of_roles(roles.clone()))]),
            message: message.clone(),
            metadata: Labels::default(),
            locale: None,
            channel: *channel,
        };
        let invite = Invite::of_new_team(work, team.clone(), by, &offering.grants).await?;
        let invitation = send_one(work, &invite, &offering, email).await?;
        Ok(CreatedTeam { team: latest(work, team), owner: None, invitation: Some(invitation) })
    }

    async fn insert(
        &self,
        work: &mut Work<'_>,
        ancestors: Vec<TeamId>,
        policy: TeamPolicy,
        disabled_by: Option<TeamId>,
    ) -> Result<Team> {
        let team = Team {
            id: TeamId(work.id()),
            ancestors,
            name: self.name.clone(),
            slug: self.slug.clone(),
            labels: self.labels.clone(),
            policy,
            version: Version(1),
            changed: Version(1),
            create_time: work.now,
            update_time: work.now,
            disable_time: None,
            disabled_by,
        };
        teams::insert(work.tx, &team).await?;
        let slot = work.tx.next(team.id);
        work.tx.record(slot, Cause::Team, Change::TeamCreated(team.clone()));
        Ok(team)
    }
}

/// What a person holds in a new team is what they hold below the one it stands under.
fn authority_below(above: &Authority) -> Authority {
    match above {
        Authority::Service => Authority::Service,
        Authority::Person { user, holdings } => {
            let (here, below) = (holdings.below.clone(), holdings.below.clone());
            Authority::Person { user: user.clone(), holdings: Holdings { here, below, owner: holdings.owner } }
        }
    }
}

/// The team with the version that this transaction made.
fn latest(work: &Work<'_>, team: Team) -> Team {
    Team { version: work.tx.version(team.id).unwrap_or(team.version), ..team }
}

/// Changes a team's own fields.
#[derive(Debug, Serialize)]
pub struct UpdateTeam {
    /// The team.
    pub team: TeamId,
    /// The new values.
    pub patch: TeamPatch,
    /// As the caller saw the team last.
    pub etag: Etag,
}

/// A changed team.
#[derive(Debug, Serialize, Deserialize)]
pub struct UpdatedTeam {
    /// The team.
    pub team: Team,
    /// The changed rules that something is at odds with, which stays as it is, and how many there are.
    pub grandfathered: Vec<(Rule, u64)>,
}

impl Command for UpdateTeam {
    const NAME: &'static str = "UpdateTeam";
    type Answer = UpdatedTeam;

    async fn execute(&self, work: &mut Work<'_>) -> Result<UpdatedTeam> {
        let (before, _) = work.team::<UpdateTeams>(self.team).await?;
        self.etag.check(before.changed)?;
        let wanted = before.patched(&self.patch)?;
        if wanted == before {
            return Ok(UpdatedTeam { team: before, grandfathered: Vec::new() });
        }
        if wanted.policy.ownership == Ownership::Single && before.policy.ownership == Ownership::Shared {
            let owners = members::count_owners(work.tx, before.id).await?;
            if owners > 1 {
                return Err(Broken::SeveralOwners { owners }.into());
            }
        }
        let grandfathered = grandfathered(work, &before, &wanted).await?;
        let team = change(work, before, wanted, Change::TeamUpdated).await?;
        Ok(UpdatedTeam { team, grandfathered })
    }
}

/// What new rules would not let in and that stays as it is.
async fn grandfathered(work: &Work<'_>, before: &Team, after: &Team) -> Result<Vec<(Rule, u64)>> {
    let (tx, root, now, policy) = (&*work.tx, after.id, work.now, &after.policy);
    let mut found = Vec::new();
    for rule in policy.tightened(&before.policy) {
        let count = match (rule, policy.max_members, policy.max_pending_invitations) {
            (Rule::AllowedEmailDomains | Rule::InvitedEmailDomains, ..)
                if policy.allowed_email_domains.as_slice().is_empty() =>
            {
                0
            }
            (Rule::AllowedEmailDomains, ..) => {
                census::members_of_other_domains(tx, root, policy.allowed_email_domains.as_slice(), now).await?
            }
            (Rule::MaxMembers, Some(limit), _) => census::teams_over_seats(tx, root, limit, now).await?,
            (Rule::MaxPendingInvitations, _, Some(limit)) => census::teams_over_pending(tx, root, limit, now).await?,
            (Rule::MaxMembers, None, _) | (Rule::MaxPendingInvitations, _, None) => 0,
            (Rule::ExclusiveMembership, ..) => census::people_in_several_teams(tx, root, now).await?,
            (Rule::AllowExternalMembers, ..) => census::external_members(tx, root, now).await?,
            (Rule::InvitedEmailDomains, ..) => {
                census::invitations_to_other_domains(tx, root, policy.allowed_email_domains.as_slice(), now).await?
            }
            (Rule::InvitedToSeveral, ..) => census::invitations_to_several_teams(tx, root, now).await?,
            (Rule::InvitedElsewhere, ..) => census::invitations_to_members_elsewhere(tx, root, now).await?,
            (Rule::InvitedOwners, ..) => {
                invitations::pending_to_role(tx, after, &RoleId::owner(), now).await?.len() as u64
            }
        };
        found.extend((count > 0).then_some((rule, count)));
    }
    Ok(found)
}

async fn change(
    work: &mut Work<'_>,
    before: Team,
    wanted: Team,
    what: impl FnOnce(Step<Team>) -> Change,
) -> Result<Team> {
    let slot = work.tx.next(before.id);
    let after = Team { version: slot.version, changed: slot.version, update_time: work.now, ..wanted };
    teams::update(work.tx, &after).await?;
    work.tx.record(slot, Cause::Direct, what(Step { before, after: after.clone() }));
    Ok(after)
}

/// Closes a team and those below it to people, or opens it again.
#[derive(Debug, Serialize)]
pub struct SetTeamDisabled {
    /// The team.
    pub team: TeamId,
    /// Whether to close it.
    pub disabled: bool,
    /// As the caller saw the team last.
    pub etag: Etag,
}

impl Command for SetTeamDisabled {
    const NAME: &'static str = "SetTeamDisabled";
    type Answer = Team;

    async fn execute(&self, work: &mut Work<'_>) -> Result<Team> {
        let (before, _) = work.team::<DisableTeams>(self.team).await?;
        self.etag.check(before.changed)?;
        let wanted = before.with_disabled(self.disabled, work.now);
        if wanted == before {
            return Ok(before);
        }
        change(work, before, wanted, if self.disabled { Change::TeamDisabled } else { Change::TeamEnabled }).await
    }
}

/// Deletes a team with everything in it.
#[derive(Debug, Serialize)]
pub struct DeleteTeam {
    /// The team.
    pub team: TeamId,
    /// Whether to delete the teams below it too.
    pub cascade: bool,
    /// As the caller saw the team last.
    pub etag: Etag,
}

impl Command for DeleteTeam {
    const NAME: &'static str = "DeleteTeam";
    type Answer = ();

    async fn execute(&self, work: &mut Work<'_>) -> Result<()> {
        let (team, allowed) = work.team::<DeleteTeams>(self.team).await?;
        self.etag.check(team.changed)?;
        let children = teams::count_below(work.tx, &team).await?;
        if children > 0 && !self.cascade {
            return Err(Broken::TeamHasChildren { children }.into());
        }
        if children > 0 {
            check_below::<DeleteTeams>(allowed.authority(), &team)?;
            let page = teams::Page { all: true, member: None, after: None, limit: children };
            // Those furthest down first, so that no team is ever without the ones above it.
            for below in teams::list_below(work.tx, &team, &page).await?.iter().rev() {
                let below = work.hold(below.id).await?;
                authorize::check_open_to(allowed.authority(), &below)?;
                delete(work, below).await?;
            }
        }
        delete(work, team).await
    }
}

async fn delete(work: &mut Work<'_>, team: Team) -> Result<()> {
    let pending = invitations::all_granting(work.tx, team.id).await?;
    consequence::close(work, pending, Cause::Team).await?;
    invitations::delete_all(work.tx, team.id, work.now).await?;
    loop {
        let page = members::all(work.tx, team.id, DELETE_BATCH).await?;
        if page.is_empty() {
            break;
        }
        members::delete_many(work.tx, team.id, page.iter().map(|member| &member.user_id)).await?;
        for member in page {
            let slot = work.tx.next(team.id);
            work.tx.record(slot, Cause::Team, Change::MemberRemoved(member));
        }
    }
    if team.is_root() {
        for role in roles::list(work.tx, team.id).await? {
            let slot = work.tx.next(team.id);
            work.tx.record(slot, Cause::Team, Change::RoleDeleted(role));
        }
        roles::delete_all(work.tx, team.id).await?;
        // A home that was deleted is none: whose home it was is external nowhere any more.
        users::lock_at_home(work.tx, team.id).await?;
        members::forget_home(work.tx, team.id).await?;
    }
    teams::delete(work.tx, team.id, work.now).await?;
    let slot = work.tx.next(team.id);
    work.tx.record(slot, Cause::Team, Change::TeamDeleted(team));
    Ok(())
}

/// The refusal of a team that is not there, for who may know.
pub(super) fn missing(id: TeamId) -> Error {
    Error::Missing(Missing::Team(id.to_string()))
}
