//! Changes of memberships.

use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QuerySelect, QueryTrait as _,
    sea_query::{Expr, Query},
};

use super::{SOURCES, STATES, list::name_key};
use crate::{
    domain::{Member, RoleId, TeamId, User, UserId},
    repository::{
        Result, Source as _, Tx,
        entity::{membership, membership_role, team, user},
        expirations,
        row::{to_json, word_of},
        teams,
    },
};

/// Adds a member with their roles.
pub async fn insert(tx: &Tx, member: &Member, user: &User) -> Result<()> {
    let row = membership::ActiveModel {
        team_id: Set(member.team_id.0),
        user_id: Set(member.user_id.to_string()),
        invited_by: Set(member.invited_by.as_ref().map(UserId::to_string)),
        source: Set(word_of(&SOURCES, &member.source)),
        join_time: Set(member.join_time),
        external: Set(member.external),
        email: Set(user.email.to_string()),
        name_key: Set(name_key(&user.display_name)),
        ..changing_fields(member)
    };
    membership::Entity::insert(row).exec_without_returning(tx.connection()).await?;
    expirations::forget(tx, member.team_id, &member.user_id).await?;
    insert_roles(tx, member, member.roles.iter()).await
}

/// Writes what can change of a membership, given how it was before.
pub async fn update(tx: &Tx, before: &Member, member: &Member) -> Result<()> {
    use membership_role::Column;

    membership::Entity::update_many()
        .set(changing_fields(member))
        .filter(membership::Column::TeamId.eq(member.team_id.0))
        .filter(membership::Column::UserId.eq(member.user_id.as_str()))
        .exec(tx.connection())
        .await?;
    let held = |member: &Member, role: &RoleId| {
        member.roles.contains(role).then(|| member.role_expire_times.get(role).copied())
    };
    let differs = |role: &&RoleId| held(before, role) != held(member, role);
    let replaced: Vec<&str> = before.roles.iter().filter(differs).map(RoleId::as_str).collect();
    if !replaced.is_empty() {
        membership_role::Entity::delete_many()
            .filter(Column::TeamId.eq(member.team_id.0))
            .filter(Column::UserId.eq(member.user_id.as_str()))
            .filter(Column::RoleId.is_in(replaced))
            .exec(tx.connection())
            .await?;
    }
    let gained: Vec<&str> = member.roles.difference(&before.roles).map(RoleId::as_str).collect();
    if !gained.is_empty() {
        expirations::forget_roles(tx, member, &gained).await?;
    }
    insert_roles(tx, member, member.roles.iter().filter(differs)).await
}

/// Ends a membership.
pub async fn delete(tx: &Tx, member: &Member) -> Result<()> {
    membership::Entity::delete_by_id((member.team_id.0, member.user_id.to_string())).exec(tx.connection()).await?;
    expirations::forget(tx, member.team_id, &member.user_id).await
}

/// Ends these users' memberships of a team.
pub async fn delete_many(tx: &Tx, team: TeamId, users: impl Iterator<Item = &UserId>) -> Result<()> {
    membership::Entity::delete_many()
        .filter(membership::Column::TeamId.eq(team.0))
        .filter(membership::Column::UserId.is_in(users.map(UserId::as_str)))
        .exec(tx.connection())
        .await?;
    Ok(())
}

/// Has a person's memberships say of them what their record says now. A home that was deleted is none.
pub async fn mirror_user(tx: &Tx, user: &User) -> Result<()> {
    use membership::Column;

    let root = Query::select()
        .column(team::Column::RootId)
        .from(team::Entity)
        .and_where(team::Column::Id.into_expr().eq(Column::TeamId.into_expr()))
        .take();
    let home = match user.home {
        Some(home) => teams::get(tx, home).await?,
        None => None,
    };
    let elsewhere = match home {
        Some(home) => Expr::from(root).ne(Expr::value(home.id.0)),
        None => Expr::value(false),
    };
    membership::Entity::update_many()
        .col_expr(Column::Email, Expr::value(user.email.as_str()))
        .col_expr(Column::NameKey, Expr::value(name_key(&user.display_name)))
        .col_expr(Column::External, elsewhere)
        .filter(Column::UserId.eq(user.id.as_str()))
        .exec(tx.connection())
        .await?;
    Ok(())
}

/// Has nobody be external because their home is this tree, which is about to go. Lock the people whose home it is first.
pub async fn forget_home(tx: &Tx, home: TeamId) -> Result<()> {
    use membership::Column;

    let at_home = user::Entity::find().select_only().column(user::Column::Id);
    let at_home = at_home.filter(user::Column::HomeTeamId.eq(home.0)).into_query();
    membership::Entity::update_many()
        .col_expr(Column::External, Expr::value(false))
        .filter(Column::External.eq(true))
        .filter(Column::UserId.in_subquery(at_home))
        .exec(tx.connection())
        .await?;
    Ok(())
}

fn changing_fields(member: &Member) -> membership::ActiveModel {
    membership::ActiveModel {
        changed: Set(member.changed.0),
        permissions: Set(to_json(&member.permissions)),
        state: Set(word_of(&STATES, &member.state)),
        expire_time: Set(member.expire_time),
        team_id: NotSet,
        user_id: NotSet,
        invited_by: NotSet,
        source: NotSet,
        join_time: NotSet,
        external: NotSet,
        email: NotSet,
        name_key: NotSet,
    }
}

async fn insert_roles(tx: &Tx, member: &Member, roles: impl Iterator<Item = &RoleId>) -> Result<()> {
    let rows: Vec<_> = roles
        .map(|role| membership_role::ActiveModel {
            team_id: Set(member.team_id.0),
            user_id: Set(member.user_id.to_string()),
            role_id: Set(role.to_string()),
            expire_micros: Set(member.role_expire_times.get(role).map(chrono::DateTime::timestamp_micros)),
        })
        .collect();
    if !rows.is_empty() {
        membership_role::Entity::insert_many(rows).exec_without_returning(tx.connection()).await?;
    }
    Ok(())
}
