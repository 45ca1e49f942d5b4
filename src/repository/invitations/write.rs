//! Writing invitations.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, ExprTrait as _, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::Expr,
};

use super::{ActiveModel, Column, Entity, State, changing_fields, invitation_grant};
use crate::{
    domain::{Invitation, TeamId},
    repository::{Database, Result, Source as _, Tx, mails},
};

/// How many rows go into one statement: SQLite binds at most 32,766 values.
const ROWS_PER_STATEMENT: usize = 1000;

/// How many invitations are forgotten in one transaction.
pub const PURGE_BATCH: u64 = 1000;

/// Adds invitations, many with each statement.
pub async fn insert(tx: &Tx, invitations: &[Invitation]) -> Result<()> {
    for batch in invitations.chunks(ROWS_PER_STATEMENT) {
        let rows = batch.iter().map(|invitation| ActiveModel {
            id: Set(invitation.id.0),
            team_id: Set(invitation.team_id.0),
            email: Set(invitation.email.to_string()),
            locale: Set(invitation.locale.as_ref().map(ToString::to_string)),
            create_time: Set(invitation.create_time),
            delete_time: Set(None),
            ..changing_fields(invitation)
        });
        Entity::insert_many(rows).exec_without_returning(tx.connection()).await?;
    }
    let grants: Vec<_> = invitations.iter().flat_map(|of| of.teams().map(move |team| grant(of, team))).collect();
    insert_grants(tx, grants).await
}

/// Writes what can change of an invitation.
pub async fn update(tx: &Tx, before: &Invitation, after: &Invitation) -> Result<()> {
    use invitation_grant::{Column as Grant, Entity as Grants};

    Entity::update_many()
        .set(changing_fields(after))
        .filter(Column::Id.eq(after.id.0))
        .filter(Column::TeamId.eq(after.team_id.0))
        .exec(tx.connection())
        .await?;
    let gone: Vec<_> = before.teams().filter(|team| !after.grants.contains_key(team)).map(|team| team.0).collect();
    if !gone.is_empty() {
        let rows = Grants::delete_many().filter(Grant::InvitationId.eq(after.id.0)).filter(Grant::TeamId.is_in(gone));
        rows.exec(tx.connection()).await?;
    }
    if is_pending(before) != is_pending(after) {
        Grants::update_many()
            .col_expr(Grant::Pending, Expr::value(is_pending(after)))
            .filter(Grant::InvitationId.eq(after.id.0))
            .exec(tx.connection())
            .await?;
    }
    let added = after.teams().filter(|team| !before.grants.contains_key(team)).map(|team| grant(after, team));
    insert_grants(tx, added.collect()).await
}

/// Takes an invitation off the list.
pub async fn delete(tx: &Tx, invitation: &Invitation, now: DateTime<Utc>) -> Result<()> {
    let gone = ActiveModel { delete_time: Set(Some(now)), ..ActiveModel::default() };
    Entity::update_many().set(gone).filter(Column::Id.eq(invitation.id.0)).exec(tx.connection()).await?;
    invitation_grant::Entity::delete_many()
        .filter(invitation_grant::Column::InvitationId.eq(invitation.id.0))
        .exec(tx.connection())
        .await?;
    Ok(())
}

/// Takes everything that a team sent off the list: the team is gone. None of it is open any more.
pub async fn delete_all(tx: &Tx, team: TeamId, now: DateTime<Utc>) -> Result<()> {
    let theirs = Entity::find().select_only().column(Column::Id).filter(Column::TeamId.eq(team.0));
    invitation_grant::Entity::delete_many()
        .filter(invitation_grant::Column::InvitationId.in_subquery(theirs.into_query()))
        .exec(tx.connection())
        .await?;
    let gone = ActiveModel { delete_time: Set(Some(now)), ..ActiveModel::default() };
    let listed = Column::TeamId.eq(team.0).and(Column::DeleteTime.is_null());
    Entity::update_many().set(gone).filter(listed).exec(tx.connection()).await?;
    Ok(())
}

/// Forgets at most [`PURGE_BATCH`] of those that were taken off the list before `cutoff`. Answers how many there were.
pub async fn purge(database: &Database, cutoff: DateTime<Utc>) -> Result<u64> {
    let tx = database.begin().await?;
    let some = Entity::find().select_only().column(Column::Id).filter(Column::DeleteTime.lt(cutoff));
    let ids: Vec<uuid::Uuid> =
        some.order_by_asc(Column::DeleteTime).limit(PURGE_BATCH).into_tuple().all(tx.connection()).await?;
    // A mail that waits still would not be sent any more.
    mails::forget(&tx, &ids).await?;
    let deleted = Entity::delete_many().filter(Column::Id.is_in(ids)).exec(tx.connection()).await?.rows_affected;
    tx.commit().await?;
    Ok(deleted)
}

fn is_pending(invitation: &Invitation) -> bool {
    invitation.state == State::Pending
}

fn grant(of: &Invitation, team: TeamId) -> invitation_grant::ActiveModel {
    invitation_grant::ActiveModel {
        invitation_id: Set(of.id.0),
        team_id: Set(team.0),
        email: Set(of.email.to_string()),
        pending: Set(is_pending(of)),
    }
}

async fn insert_grants(tx: &Tx, rows: Vec<invitation_grant::ActiveModel>) -> Result<()> {
    for batch in rows.chunks(ROWS_PER_STATEMENT) {
        invitation_grant::Entity::insert_many(batch.to_vec()).exec_without_returning(tx.connection()).await?;
    }
    Ok(())
}
