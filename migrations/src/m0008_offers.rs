//! Invitations to several teams, with permissions of their own, other ways of delivery, and mails to the inviter.

use sea_orm_migration::{prelude::*, sea_orm::DatabaseBackend};

use crate::{
    column::{exact, text, time, uuid},
    online,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(false)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        grants_up(m).await?;
        let columns = [
            text("locale"),
            uuid("delivery_id"),
            time("renewal_request_time"),
            // Off the list, but the holder of its link still learns what became of it.
            time("delete_time"),
        ];
        online::add_columns(m, "invitations", columns).await?;
        let index = || Index::create().table("invitations").take();
        // What ran out and is not told of yet.
        let pending = Expr::col("state").eq("PENDING");
        let overdue = &mut index().col("expire_time").cond_where(pending).take();
        online::create_index(m, "invitations_overdue_idx", overdue).await?;
        let by_end = &mut index().col("team_id").col("expire_time").col("id").take();
        online::create_index(m, "invitations_team_expire_idx", by_end).await?;
        // A person's own.
        online::create_index(m, "invitations_email_idx", index().col("email").col("id")).await?;
        online::create_index(m, "invitations_inviter_idx", index().col("inviter").col("id")).await?;
        mails_up(m).await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        mails_down(m).await?;
        for name in [
            "invitations_inviter_idx",
            "invitations_email_idx",
            "invitations_team_expire_idx",
            "invitations_overdue_idx",
        ] {
            online::drop_index(m, name, "invitations").await?;
        }
        let columns = ["delete_time", "renewal_request_time", "delivery_id", "locale"];
        online::drop_columns(m, "invitations", columns).await?;
        grants_down(m).await
    }
}

/// A row for each team that an invitation grants something in: by these an invitation is found from its teams, and by
/// these at most one is open for a team and an address.
async fn grants_up(m: &SchemaManager<'_>) -> Result<(), DbErr> {
    m.create_table(
        Table::create()
            .table("invitation_grants")
            .if_not_exists()
            .col(uuid("invitation_id").not_null())
            .col(uuid("team_id").not_null())
            .col(exact(m, "email").not_null())
            .col(ColumnDef::new("pending").boolean().not_null())
            .primary_key(Index::create().name("invitation_grants_pkey").col("invitation_id").col("team_id"))
            .foreign_key(
                ForeignKey::create()
                    .name("invitation_grants_invitation_id_fkey")
                    .from("invitation_grants", "invitation_id")
                    .to("invitations", "id"),
            )
            .foreign_key(
                ForeignKey::create()
                    .name("invitation_grants_team_id_fkey")
                    .from("invitation_grants", "team_id")
                    .to("teams", "id"),
            )
            .to_owned(),
    )
    .await?;
    let missing = "INSERT INTO invitation_grants (invitation_id, team_id, email, pending) \
                   SELECT id, team_id, email, state = 'PENDING' FROM invitations WHERE NOT EXISTS \
                   (SELECT 1 FROM invitation_grants WHERE invitation_id = invitations.id) AND";
    online::change_rows(m, "invitations", KEY, missing).await?;
    // One open invitation for an address and a team, whatever the code does.
    let index = || Index::create().table("invitation_grants").col("team_id").col("email").take();
    let pending = &mut index().unique().cond_where(Expr::col("pending")).take();
    online::create_index(m, "invitation_grants_pending_key", pending).await?;
    online::create_index(m, "invitation_grants_team_idx", index().col("invitation_id")).await?;
    online::drop_index(m, "invitations_pending_key", "invitations").await?;
    // A list of roles becomes roles and permissions.
    let change = match m.get_database_backend() {
        DatabaseBackend::Postgres => {
            "UPDATE invitations SET grants = (SELECT jsonb_object_agg(key, jsonb_build_object('roles', value, \
             'permissions', '[]'::jsonb)) FROM jsonb_each(grants)) \
             WHERE EXISTS (SELECT 1 FROM jsonb_each(grants) WHERE jsonb_typeof(value) = 'array') AND"
        }
        _ => {
            "UPDATE invitations SET grants = (SELECT json_group_object(key, json_object('roles', json(value), \
             'permissions', json('[]'))) FROM json_each(grants)) WHERE"
        }
    };
    online::change_rows(m, "invitations", KEY, change).await
}

async fn grants_down(m: &SchemaManager<'_>) -> Result<(), DbErr> {
    let change = match m.get_database_backend() {
        DatabaseBackend::Postgres => {
            "UPDATE invitations SET grants = (SELECT jsonb_object_agg(key, value -> 'roles') FROM jsonb_each(grants)) \
             WHERE EXISTS (SELECT 1 FROM jsonb_each(grants) WHERE jsonb_typeof(value) = 'object') AND"
        }
        _ => {
            "UPDATE invitations SET grants = (SELECT json_group_object(key, json_extract(value, '$.roles')) FROM \
             json_each(grants)) WHERE"
        }
    };
    online::change_rows(m, "invitations", KEY, change).await?;
    let pending = Expr::col("state").eq("PENDING");
    let mut index =
        Index::create().table("invitations").col("team_id").col("email").unique().cond_where(pending).take();
    online::create_index(m, "invitations_pending_key", &mut index).await?;
    m.drop_table(Table::drop().table("invitation_grants").if_exists().to_owned()).await
}

/// The primary key of invitations, and its type.
const KEY: (&str, &str) = ("id", "uuid");

/// Beside the mail to the invited person, one may wait for whoever invited.
async fn mails_up(m: &SchemaManager<'_>) -> Result<(), DbErr> {
    let columns = [
        exact(m, "kind").not_null().default("INVITATION").take(),
        // Whom it is for, where that is not the invited address.
        exact(m, "recipient"),
        text("last_error"),
    ];
    online::add_columns(m, "mails", columns).await?;
    let mut index = Index::create().table("mails").col("invitation_id").col("kind").unique().take();
    online::create_index(m, "mails_invitation_kind_key", &mut index).await?;
    online::drop_index(m, "mails_invitation_key", "mails").await
}

async fn mails_down(m: &SchemaManager<'_>) -> Result<(), DbErr> {
    // Done again after a failure, the column may be gone.
    if m.has_column("mails", "kind").await? {
        let others = Query::delete().from_table("mails").and_where(Expr::col("kind").ne("INVITATION")).to_owned();
        m.execute(others).await?;
    }
    let mut index = Index::create().table("mails").col("invitation_id").unique().take();
    online::create_index(m, "mails_invitation_key", &mut index).await?;
    online::drop_index(m, "mails_invitation_kind_key", "mails").await?;
    online::drop_columns(m, "mails", ["last_error", "recipient", "kind"]).await
}
