//! Reading members.

use super::Queries;
use crate::{
    application::{Context, Error, Missing, Result, members::TeamMember, revision::Consistency},
    domain::{
        Member, TeamId, User, UserId,
        permission::{ReadInvitations, ReadMembers},
    },
    repository::{members, users},
};

impl Queries {
    /// A member.
    pub async fn member(&self, cx: &Context, team: TeamId, user: &UserId, fresh: &Consistency) -> Result<TeamMember> {
        self.authorize::<ReadMembers>(cx, team, fresh).await?;
        let missing = || Error::Missing(Missing::Member(user.to_string()));
        let recorded = members::get(&self.reader, team, user).await?;
        let member = recorded.and_then(|member| member.at(self.now())).ok_or_else(missing)?;
        let user = users::get(&self.reader, user).await?.ok_or_else(missing)?;
        Ok(TeamMember { member, user })
    }

    /// Those of these users who are members, in the order in which they were asked for, and those who are not.
    pub async fn members_by_id(
        &self,
        cx: &Context,
        team: TeamId,
        ids: &[UserId],
        fresh: &Consistency,
    ) -> Result<(Vec<TeamMember>, Vec<UserId>)> {
        self.authorize::<ReadMembers>(cx, team, fresh).await?;
        let recorded = members::get_many(&self.reader, team, ids).await?;
        let found = self.with_users(recorded).await?;
        let (mut there, mut missing) = (Vec::new(), Vec::new());
        for id in ids {
            match found.iter().find(|found| found.user.id == *id) {
                Some(found) => there.push(found.clone()),
                None => missing.push(id.clone()),
            }
        }
        Ok((there, missing))
    }

    /// A page of members.
    pub async fn members(
        &self,
        cx: &Context,
        team: TeamId,
        page: &members::Page<'_>,
        fresh: &Consistency,
    ) -> Result<Vec<TeamMember>> {
        self.authorize::<ReadMembers>(cx, team, fresh).await?;
        let found = members::list(&self.reader, team, page).await?;
        self.with_users(found).await
    }

    /// A page of the people of a team, members with who they are. Seeing the invited takes a permission of its own.
    pub async fn roster(
        &self,
        cx: &Context,
        team: TeamId,
        page: &members::RosterPage<'_>,
        fresh: &Consistency,
    ) -> Result<Vec<(members::Entry, Option<User>)>> {
        self.authorize::<ReadMembers>(cx, team, fresh).await?;
        self.authorize::<ReadInvitations>(cx, team, fresh).await?;
        let entries = members::roster(&self.reader, team, page).await?;
        let ids = entries.iter().filter_map(|entry| match entry {
            members::Entry::Member(member) => Some(&member.user_id),
            members::Entry::Invitation(_) => None,
        });
        let users = users::get_many(&self.reader, ids).await?;
        let now = self.now();
        let entries = entries.into_iter().filter_map(|entry| match entry {
            members::Entry::Member(member) => {
                let user = users.get(&member.user_id)?.clone();
                Some((members::Entry::Member(member.at(now)?), Some(user)))
            }
            invited @ members::Entry::Invitation(_) => Some((invited, None)),
        });
        Ok(entries.collect())
    }

    /// What these memberships are at this moment, with who holds them.
    async fn with_users(&self, recorded: Vec<Member>) -> Result<Vec<TeamMember>> {
        let now = self.now();
        let users = users::get_many(&self.reader, recorded.iter().map(|member| &member.user_id)).await?;
        let pair = |member: Member| {
            let member = member.at(now)?;
            Some(TeamMember { user: users.get(&member.user_id)?.clone(), member })
        };
        Ok(recorded.into_iter().filter_map(pair).collect())
    }
}
