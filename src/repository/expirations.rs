//! What memberships held until it ran out, remembered for a while so that it can be said. Nothing is decided by it.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};

use super::{
    Database, Result, Source, Tx,
    entity::expiration::{ActiveModel, Column, Entity, Model},
    purge,
    row::{At, to_json},
};
use crate::domain::{Member, RoleId, TeamId, UserId, access::Lapsed};

/// How long it is remembered.
const KEPT: TimeDelta = TimeDelta::days(30);

/// Remembers what a membership held and, having run out, holds no more.
pub async fn note(tx: &Tx, before: &Member, left: Option<&Member>) -> Result<()> {
    let rows: Vec<_> = Lapsed::of(before, left).iter().map(row).collect();
    if !rows.is_empty() {
        Entity::insert_many(rows).exec_without_returning(tx.connection()).await?;
    }
    Ok(())
}

fn row(lapsed: &Lapsed) -> ActiveModel {
    ActiveModel {
        user_id: Set(lapsed.user_id.to_string()),
        team_id: Set(lapsed.team_id.0),
        role_id: Set(lapsed.role.as_ref().map(RoleId::to_string).unwrap_or_default()),
        permissions: Set(to_json(&lapsed.permissions)),
        expire_time: Set(lapsed.expire_time),
    }
}

/// Forgets what ran out of somebody's membership of a team: it has begun anew, or was ended.
pub(super) async fn forget(tx: &Tx, team: TeamId, user: &UserId) -> Result<()> {
    let of_member = Entity::delete_many().filter(Column::UserId.eq(user.as_str())).filter(Column::TeamId.eq(team.0));
    of_member.exec(tx.connection()).await?;
    Ok(())
}

/// Forgets that these roles ran out: they are held again.
pub(super) async fn forget_roles(tx: &Tx, member: &Member, roles: &[&str]) -> Result<()> {
    let of_member = Entity::delete_many()
        .filter(Column::UserId.eq(member.user_id.as_str()))
        .filter(Column::TeamId.eq(member.team_id.0))
        .filter(Column::RoleId.is_in(roles.iter().copied()));
    of_member.exec(tx.connection()).await?;
    Ok(())
}

/// Forgets a person.
pub(super) async fn forget_user(tx: &Tx, user: &UserId) -> Result<()> {
    Entity::delete_many().filter(Column::UserId.eq(user.as_str())).exec(tx.connection()).await?;
    Ok(())
}

/// What somebody held in these teams until it ran out.
pub async fn of_user_in(
    source: &impl Source,
    user: &UserId,
    teams: impl IntoIterator<Item = TeamId>,
) -> Result<Vec<Lapsed>> {
    let query = Entity::find()
        .filter(Column::UserId.eq(user.as_str()))
        .filter(Column::TeamId.is_in(teams.into_iter().map(|id| id.0)));
    query.all(source.connection()).await?.into_iter().map(Lapsed::try_from).collect()
}

/// Forgets at most [`purge::BATCH`] of what ran out long ago. Answers how much.
pub async fn purge(database: &Database, now: DateTime<Utc>) -> Result<u64> {
    let key = [Column::UserId, Column::TeamId, Column::RoleId];
    purge::some::<Entity>(database, Column::ExpireTime.lt(now - KEPT), &key).await
}

impl TryFrom<Model> for Lapsed {
    type Error = super::Error;

    fn try_from(row: Model) -> Result<Self> {
        let key = format!("{}/{}/{}", row.user_id, row.team_id, row.role_id);
        let at = At::new("expirations", &key);
        let role = (!row.role_id.is_empty()).then(|| row.role_id.parse());
        Ok(Self {
            team_id: TeamId(row.team_id),
            user_id: at.check("user_id", row.user_id.parse())?,
            role: at.check("role_id", role.transpose())?,
            permissions: at.json("permissions", row.permissions)?,
            expire_time: row.expire_time,
        })
    }
}
