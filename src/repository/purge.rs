//! Deleting what is not kept any more, a little at a time: a statement has only so long, however much there is to delete.

use sea_orm::{
    EntityTrait, ExprTrait as _, QueryFilter, QuerySelect, QueryTrait,
    sea_query::{Expr, LockBehavior, LockType},
};

use super::{Database, Result, Source as _};

/// How many rows are deleted in one transaction.
pub const BATCH: u64 = 10_000;

/// Deletes at most [`BATCH`] rows that are outdated; `key` is their primary key. Answers how many there were.
pub(super) async fn some<E: EntityTrait>(database: &Database, outdated: Expr, key: &[E::Column]) -> Result<u64> {
    // Rows in use are passed over: they may be outdated no more, and a purge that waits could be waited for.
    let rows = E::find()
        .select_only()
        .columns(key.iter().copied())
        .filter(outdated.clone())
        .limit(BATCH)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_query();
    let key = Expr::tuple(key.iter().map(|column| Expr::col(*column)));
    let tx = database.begin().await?;
    let delete = E::delete_many().filter(outdated).filter(key.in_subquery(rows));
    let deleted = delete.exec(tx.connection()).await?.rows_affected;
    tx.commit().await?;
    Ok(deleted)
}
