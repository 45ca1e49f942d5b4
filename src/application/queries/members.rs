//! Reading members.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::Queries;
use crate::{
    application::{
        Context, Error, Missing, Result, authorize::teams_open_to, members::TeamMember, revision::Consistency,
    },
    domain::{
        Invitation, InvitationId, Member, TeamId, User, UserId,
        permission::{ReadInvitations, ReadMembers},
    },
    repository::{members, users},
};

impl Queries {
    /// A member.
    pub async fn member(&self, cx: &Context, team: TeamId, user: &UserId, fresh: &Consistency) -> Result<TeamMember> {
        self.statements
            .group("GetMember", async {
                self.authorize::<ReadMembers>(cx, team, fresh).await?;
                let missing = || Error::Missing(Missing::Member(user.to_string()));
                let recorded = members::get(&self.reader, team, user).await?;
                let member = recorded.and_then(|member| member.at(self.now())).ok_or_else(missing)?;
                let user = users::get(&self.reader, user).await?.ok_or_else(missing)?;
                Ok(TeamMember { member, user })
            })
            .await
    }

    /// Those of these users who are members, in the order in which they were asked for, and those who are not.
    pub async fn members_by_id(
        &self,
        cx: &Context,
        team: TeamId,
        ids: &[UserId],
        fresh: &Consistency,
    ) -> Result<(Vec<TeamMember>, Vec<UserId>)> {
        self.statements
            .group("BatchGetMembers", async {
                self.authorize::<ReadMembers>(cx, team, fresh).await?;
                let recorded = members::get_many(&self.reader, team, ids).await?;
                let found = self.with_users(recorded, self.now()).await?;
                let (mut there, mut missing) = (Vec::new(), Vec::new());
                for id in ids {
                    match found.iter().find(|found| found.user.id == *id) {
                        Some(found) => there.push(found.clone()),
                        None => missing.push(id.clone()),
                    }
                }
                Ok((there, missing))
            })
            .await
    }

    /// A page of members, and the place after which there are more. Who is deleted while it is read is left out.
    pub async fn members(
        &self,
        cx: &Context,
        team: TeamId,
        page: &members::Page<'_>,
        fresh: &Consistency,
    ) -> Result<(Vec<TeamMember>, Option<members::Place<UserId>>)> {
        self.statements
            .group("ListMembers", async {
                self.authorize::<ReadMembers>(cx, team, fresh).await?;
                let (found, next) = members::list(&self.reader, team, page).await?;
                Ok((self.with_users(found, page.now).await?, next))
            })
            .await
    }

    /// A page of the people of a team, members with who they are, and the place after which there are more. Seeing the
    /// invited takes a permission of its own.
    pub async fn roster(
        &self,
        cx: &Context,
        team: TeamId,
        page: &members::RosterPage<'_>,
        fresh: &Consistency,
    ) -> Result<(Vec<(members::Entry, Option<User>)>, Option<members::EntryPlace>)> {
        self.statements
            .group("ListRoster", async {
                self.authorize::<ReadMembers>(cx, team, fresh).await?;
                self.authorize::<ReadInvitations>(cx, team, fresh).await?;
                let one_more = members::RosterPage { limit: page.limit + 1, ..page.clone() };
                let mut entries = members::roster(&self.reader, team, &one_more).await?;
                let more = entries.len() as u64 > page.limit;
                entries.truncate(usize::try_from(page.limit).unwrap_or(usize::MAX));
                let next = entries.last().filter(|_| more).map(members::Entry::place);
                let ids = entries.iter().filter_map(|entry| match entry {
                    members::Entry::Member(member) => Some(&member.user_id),
                    members::Entry::Invitation(_) => None,
                });
                let users = users::get_many(&self.reader, ids).await?;
                let mut invited = self.invited(cx, team, &entries, page.now).await?;
                let entries = entries.into_iter().filter_map(|entry| match entry {
                    members::Entry::Member(member) => {
                        let user = users.get(&member.user_id)?.clone();
                        Some((members::Entry::Member(member.at(page.now)?), Some(user)))
                    }
                    members::Entry::Invitation(found) => {
                        Some((members::Entry::Invitation(invited.remove(&found.id)?), None))
                    }
                });
                Ok((entries.collect(), next))
            })
            .await
    }

    /// The invitations among the entries of a team's roster, as the caller may see them: those that another team sent whole
    /// only where they may read that team's.
    async fn invited(
        &self,
        cx: &Context,
        team: TeamId,
        entries: &[members::Entry],
        now: DateTime<Utc>,
    ) -> Result<BTreeMap<InvitationId, Invitation>> {
        let invited = entries.iter().filter_map(|entry| match entry {
            members::Entry::Invitation(invitation) => Some(invitation.clone()),
            members::Entry::Member(_) => None,
        });
        let invited = self.with_progress(invited.collect()).await?;
        let elsewhere = invited.iter().map(|invitation| invitation.team_id).filter(|sender| *sender != team);
        let open = teams_open_to::<ReadInvitations>(&self.reader, cx, &self.roles, now, elsewhere).await?;
        let seen = invited.into_iter().map(|invitation| {
            let whole = invitation.team_id == team || open.contains(&invitation.team_id);
            (invitation.id, if whole { invitation } else { invitation.seen_from(team) })
        });
        Ok(seen.collect())
    }

    /// What these memberships are at this moment, with who holds them.
    async fn with_users(&self, recorded: Vec<Member>, now: DateTime<Utc>) -> Result<Vec<TeamMember>> {
        let users = users::get_many(&self.reader, recorded.iter().map(|member| &member.user_id)).await?;
        let pair = |member: Member| {
            let member = member.at(now)?;
            Some(TeamMember { user: users.get(&member.user_id)?.clone(), member })
        };
        Ok(recorded.into_iter().filter_map(pair).collect())
    }
}
