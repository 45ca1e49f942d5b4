//! Invitations to several teams, with permissions of their own, other ways of delivery, and mails to the inviter.

use sea_orm_migration::{prelude::*, sea_orm::DatabaseBackend};

use crate::column::{exact, text, time, uuid};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        grants_up(m).await?;
        for column in [
            text("locale"),
            uuid("delivery_id"),
            time("renewal_request_time"),
            // Off the list, but the holder of its link still learns what became of it.
            time("delete_time"),
        ] {
            m.alter_table(Table::alter().table("invitations").add_column(column).to_owned()).await?;
        }
        for index in [
            // What ran out and is not told of yet.
            Index::create()
                .name("invitations_overdue_idx")
                .col("expire_time")
                .cond_where(Expr::col("state").eq("PENDING"))
                .take(),
            Index::create().name("invitations_team_expire_idx").col("team_id").col("expire_time").col("id").take(),
            // A person's own.
            Index::create().name("invitations_email_idx").col("email").col("id").take(),
            Index::create().name("invitations_inviter_idx").col("inviter").col("id").take(),
        ] {
            m.create_index(index.clone().table("invitations").to_owned()).await?;
        }
        mails_up(m).await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let drop_index = |name: &'static str, table: &'static str| Index::drop().name(name).table(table).to_owned();
        m.execute(Query::delete().from_table("mails").and_where(Expr::col("kind").ne("INVITATION")).to_owned()).await?;
        m.drop_index(drop_index("mails_invitation_kind_key", "mails")).await?;
        for column in ["last_error", "recipient", "kind"] {
            m.alter_table(Table::alter().table("mails").drop_column(column).to_owned()).await?;
        }
        m.create_index(
            Index::create().name("mails_invitation_key").table("mails").col("invitation_id").unique().to_owned(),
        )
        .await?;
        for name in [
            "invitations_inviter_idx",
            "invitations_email_idx",
            "invitations_team_expire_idx",
            "invitations_overdue_idx",
        ] {
            m.drop_index(drop_index(name, "invitations")).await?;
        }
        for column in ["delete_time", "renewal_request_time", "delivery_id", "locale"] {
            m.alter_table(Table::alter().table("invitations").drop_column(column).to_owned()).await?;
        }
        grants_down(m).await
    }
}

/// A row for each team that an invitation grants something in: by these an invitation is found from its teams, and by
/// these at most one is open for a team and an address.
async fn grants_up(m: &SchemaManager<'_>) -> Result<(), DbErr> {
    m.create_table(
        Table::create()
            .table("invitation_grants")
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
    let rows = Query::select()
        .column("id")
        .column("team_id")
        .column("email")
        .expr(Expr::col("state").eq("PENDING"))
        .from("invitations")
        .to_owned();
    let mut copy = Query::insert();
    copy.into_table("invitation_grants").columns(["invitation_id", "team_id", "email", "pending"]);
    copy.select_from(rows).map_err(|why| DbErr::Migration(why.to_string()))?;
    m.execute(copy).await?;
    // One open invitation for an address and a team, whatever the code does.
    m.create_index(
        Index::create()
            .name("invitation_grants_pending_key")
            .table("invitation_grants")
            .col("team_id")
            .col("email")
            .unique()
            .cond_where(Expr::col("pending"))
            .to_owned(),
    )
    .await?;
    m.create_index(
        Index::create()
            .name("invitation_grants_team_idx")
            .table("invitation_grants")
            .col("team_id")
            .col("email")
            .col("invitation_id")
            .to_owned(),
    )
    .await?;
    m.drop_index(Index::drop().name("invitations_pending_key").table("invitations").to_owned()).await?;
    // A list of roles becomes roles and permissions.
    m.get_connection()
        .execute_unprepared(match m.get_database_backend() {
            DatabaseBackend::Postgres => {
                "UPDATE invitations SET grants = (SELECT jsonb_object_agg(key, jsonb_build_object('roles', value, \
                 'permissions', '[]'::jsonb)) FROM jsonb_each(grants))"
            }
            _ => {
                "UPDATE invitations SET grants = (SELECT json_group_object(key, json_object('roles', json(value), \
                 'permissions', json('[]'))) FROM json_each(grants))"
            }
        })
        .await
        .map(drop)
}

async fn grants_down(m: &SchemaManager<'_>) -> Result<(), DbErr> {
    m.get_connection()
        .execute_unprepared(match m.get_database_backend() {
            DatabaseBackend::Postgres => {
                "UPDATE invitations SET grants = (SELECT jsonb_object_agg(key, value -> 'roles') FROM jsonb_each(grants))"
            }
            _ => {
                "UPDATE invitations SET grants = (SELECT json_group_object(key, json_extract(value, '$.roles')) FROM \
                 json_each(grants))"
            }
        })
        .await?;
    m.create_index(
        Index::create()
            .name("invitations_pending_key")
            .table("invitations")
            .col("team_id")
            .col("email")
            .unique()
            .cond_where(Expr::col("state").eq("PENDING"))
            .to_owned(),
    )
    .await?;
    m.drop_table(Table::drop().table("invitation_grants").to_owned()).await
}

/// Beside the mail to the invited person, one may wait for whoever invited.
async fn mails_up(m: &SchemaManager<'_>) -> Result<(), DbErr> {
    for column in [
        exact(m, "kind").not_null().default("INVITATION").take(),
        // Whom it is for, where that is not the invited address.
        exact(m, "recipient"),
        text("last_error"),
    ] {
        m.alter_table(Table::alter().table("mails").add_column(column).to_owned()).await?;
    }
    m.drop_index(Index::drop().name("mails_invitation_key").table("mails").to_owned()).await?;
    m.create_index(
        Index::create()
            .name("mails_invitation_kind_key")
            .table("mails")
            .col("invitation_id")
            .col("kind")
            .unique()
            .to_owned(),
    )
    .await
}
