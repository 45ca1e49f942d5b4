//! Invitations, and the mails that are to be sent for them.

use sea_orm_migration::prelude::*;

use crate::column::{exact, json, number, text, time, uuid};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_table(
            Table::create()
                .table("invitations")
                .col(uuid("id").not_null().primary_key())
                .col(uuid("team_id").not_null())
                .col(exact(m, "email").not_null())
                .col(json("grants").not_null())
                .col(text("state").not_null())
                .col(number("link_version").not_null())
                .col(exact(m, "inviter"))
                .col(text("message").not_null())
                .col(json("metadata").not_null())
                .col(time("create_time").not_null())
                .col(time("expire_time").not_null())
                .col(time("close_time"))
                .col(exact(m, "accepted_by"))
                .col(text("channel").not_null())
                .col(text("delivery_state").not_null())
                .col(number("delivery_attempts").not_null())
                .col(text("delivery_error"))
                .col(time("last_sent_time"))
                .col(number("send_count").not_null())
                .col(number("changed").not_null())
                .foreign_key(
                    ForeignKey::create()
                        .name("invitations_team_id_fkey")
                        .from("invitations", "team_id")
                        .to("teams", "id"),
                )
                .to_owned(),
        )
        .await?;
        // One open invitation for an address and a team, whatever the code does.
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
        m.create_index(
            Index::create().name("invitations_team_idx").table("invitations").col("team_id").col("id").to_owned(),
        )
        .await?;

        m.create_table(
            Table::create()
                .table("mails")
                .col(uuid("id").not_null().primary_key())
                .col(uuid("invitation_id").not_null())
                .col(number("attempts").not_null())
                .col(time("create_time").not_null())
                // When the mail may be tried next: put off while somebody tries, and after a failure.
                .col(time("next_attempt_time").not_null())
                .foreign_key(
                    ForeignKey::create()
                        .name("mails_invitation_id_fkey")
                        .from("mails", "invitation_id")
                        .to("invitations", "id"),
                )
                .to_owned(),
        )
        .await?;
        m.create_index(Index::create().name("mails_due_idx").table("mails").col("next_attempt_time").to_owned())
            .await?;
        m.create_index(
            Index::create().name("mails_invitation_key").table("mails").col("invitation_id").unique().to_owned(),
        )
        .await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for table in ["mails", "invitations"] {
            m.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}
