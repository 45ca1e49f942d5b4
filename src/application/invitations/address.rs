//! Whether addresses may be invited, many at a time.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    application::{Result, Work, consequence, members},
    domain::{Authority, Broken, Cause, Email, Invitation, InvitationId, Team, TeamId, User, UserId},
    repository::{invitations, members as rows, teams, users},
};

/// What is known of the addresses that are to be invited to some teams of a tree.
#[derive(Debug)]
pub(super) struct Addressees {
    users: BTreeMap<Email, User>,
    /// Who is a member of which of the teams.
    members: BTreeSet<(UserId, TeamId)>,
    /// Who is a member of another team of the tree, where its rules allow one.
    elsewhere: BTreeSet<UserId>,
    /// The open invitation of an address for one of the teams.
    open: BTreeMap<Email, InvitationId>,
    /// Who invites, if it is a person.
    inviter: Option<UserId>,
}

impl Addressees {
    /// Looks the addresses up. What has run out is recorded as such on the way.
    pub(super) async fn find(
        work: &mut Work<'_>,
        by: Option<&Authority>,
        teams: &[&Team],
        emails: &[Email],
        own: Option<InvitationId>,
    ) -> Result<Self> {
        let users = users::get_by_emails(work.tx, emails).await?;
        let ids: Vec<&UserId> = users.values().map(|user| &user.id).collect();
        let mut members = BTreeSet::new();
        for recorded in rows::of_users_in(work.tx, ids.iter().copied(), teams.iter().map(|team| team.id)).await? {
            let Some(team) = teams.iter().find(|team| team.id == recorded.team_id) else { continue };
            members.extend(members::settle(work, team, recorded).await?.map(|member| (member.user_id, member.team_id)));
        }
        let elsewhere = members_elsewhere(work, teams, &ids).await?;
        let mut open = BTreeMap::new();
        for pending in invitations::pending_for(work.tx, teams.iter().map(|team| team.id), emails).await? {
            if own == Some(pending.id) {
                continue;
            }
            match pending.check_open(work.now) {
                Ok(()) => {
                    open.insert(pending.email.clone(), pending.id);
                }
                Err(_) => consequence::close(work, vec![pending], Cause::Expiry).await?,
            }
        }
        let inviter = by.and_then(Authority::person).cloned();
        Ok(Self { users, members, elsewhere, open, inviter })
    }

    /// What stands against inviting each of the addresses, if anything. Each that can be invited takes its room.
    pub(super) async fn judge(
        &self,
        work: &Work<'_>,
        teams: &[&Team],
        emails: &[Email],
        again: Option<&Invitation>,
    ) -> Result<Vec<std::result::Result<(), Broken>>> {
        // What is open already has its room, in each of its teams.
        let has_room = again.is_some_and(|again| again.check_open(work.now).is_ok());
        let mut rooms = if has_room { Rooms::default() } else { Rooms::of(work, teams).await? };
        Ok(emails.iter().map(|email| self.check(teams, email).and_then(|()| rooms.take(self, email))).collect())
    }

    fn check(&self, teams: &[&Team], email: &Email) -> std::result::Result<(), Broken> {
        for team in teams {
            team.policy.check_domain(email)?;
        }
        if let Some(user) = self.users.get(email) {
            if teams.iter().all(|team| self.members.contains(&(user.id.clone(), team.id))) {
                return Err(Broken::AlreadyMember);
            }
            // Nobody accepts what they offered themselves.
            if self.inviter.as_ref() == Some(&user.id) {
                return Err(Broken::OwnRole);
            }
            if self.elsewhere.contains(&user.id) {
                return Err(Broken::MemberElsewhere);
            }
        }
        match self.open.get(email) {
            Some(&invitation) => Err(Broken::InvitationPending { invitation }),
            None => Ok(()),
        }
    }

    fn is_member(&self, email: &Email, team: TeamId) -> bool {
        self.users.get(email).is_some_and(|user| self.members.contains(&(user.id.clone(), team)))
    }
}

/// Those of these people who are members of another team of the tree, where its rules allow one.
async fn members_elsewhere(work: &Work<'_>, teams: &[&Team], users: &[&UserId]) -> Result<BTreeSet<UserId>> {
    let Some(team) = teams.first().filter(|team| team.policy.exclusive_membership && !users.is_empty()) else {
        return Ok(BTreeSet::new());
    };
    let mut memberships = rows::of_users(work.tx, users.iter().copied()).await?;
    memberships.retain(|member| !member.has_expired(work.now) && member.team_id != team.id);
    let others = teams::get_many(work.tx, memberships.iter().map(|member| member.team_id)).await?;
    let in_tree = |id| others.get(&id).is_some_and(|other| other.root() == team.root());
    Ok(memberships.into_iter().filter(|member| in_tree(member.team_id)).map(|member| member.user_id).collect())
}

/// The room that is left in each of the teams.
#[derive(Debug, Default)]
struct Rooms(Vec<Room>);

/// How much has its place in a team, and how much may have.
#[derive(Debug)]
struct Room {
    team: Team,
    members: u64,
    open: u64,
}

impl Room {
    async fn of(work: &Work<'_>, team: &Team) -> Result<Self> {
        let limited = team.policy.max_members.is_some() || team.policy.max_pending_invitations.is_some();
        let (members, open) = if limited {
            let members = rows::count(work.tx, team.id, work.now).await?;
            (members, invitations::count_open(work.tx, team.id, None, work.now).await?)
        } else {
            (0, 0)
        };
        Ok(Self { team: team.clone(), members, open })
    }
}

impl Rooms {
    async fn of(work: &Work<'_>, teams: &[&Team]) -> Result<Self> {
        let mut rooms = Vec::new();
        for team in teams {
            rooms.push(Room::of(work, team).await?);
        }
        Ok(Self(rooms))
    }

    /// One place in each team, or none in any.
    fn take(&mut self, addressees: &Addressees, email: &Email) -> std::result::Result<(), Broken> {
        for room in &self.0 {
            room.team.policy.check_pending(room.open)?;
            if !addressees.is_member(email, room.team.id) {
                room.team.policy.check_seat(room.members + room.open)?;
            }
        }
        for room in &mut self.0 {
            room.open += 1;
        }
        Ok(())
    }
}

/// Whether an open invitation may grant something in more teams, beside those that it keeps.
pub(super) async fn check_added(
    work: &mut Work<'_>,
    by: &Authority,
    kept: &[Team],
    added: &[Team],
    invitation: &Invitation,
) -> Result<()> {
    let emails = std::slice::from_ref(&invitation.email);
    let (all, added): (Vec<&Team>, Vec<&Team>) = (kept.iter().chain(added).collect(), added.iter().collect());
    let addressees = Addressees::find(work, Some(by), &all, emails, Some(invitation.id)).await?;
    addressees.check(&all, &invitation.email)?;
    // In the teams that it keeps it has its room.
    Ok(Rooms::of(work, &added).await?.take(&addressees, &invitation.email)?)
}
