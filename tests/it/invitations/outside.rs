//! Deliveries by an outside mailer, and mails that come back.

use chrono::TimeDelta;
use roster_proto::{
    events::v1::event::Payload,
    v1::{self as wire, DeliveryState, GetInvitationLinkRequest, ReportDeliveryRequest},
};
use tonic::{Code, Response, Status};

use crate::{
    both,
    support::{Caller, Db, Outcome as _, Scene, log::Log, server::eventually},
};

impl Caller {
    async fn report(
        &self,
        team: &str,
        id: &str,
        delivery: &str,
        state: DeliveryState,
    ) -> Result<Response<wire::ReportDeliveryResponse>, Status> {
        let error = if state == DeliveryState::Sent { "" } else { "mailbox unknown" };
        let request = ReportDeliveryRequest {
            team_id: team.to_owned(),
            invitation_id: id.to_owned(),
            delivery_id: delivery.to_owned(),
            state: state.into(),
            error: error.to_owned(),
            attempts: 2,
            ..Default::default()
        };
        self.invitations().report_delivery(request).await
    }
}

impl Scene {
    /// The ids of the deliveries that were asked for so far.
    async fn requested(&self) -> Vec<String> {
        let log = Log::read(&self.service()).await;
        let requested = log.events.iter().filter_map(|event| match event.payload.as_ref().unwrap() {
            Payload::InvitationDeliveryRequested(requested) => requested.after.as_ref(),
            _ => None,
        });
        requested.map(|invitation| invitation.delivery_id.clone()).collect()
    }
}

both! {
    async fn an_outside_mailer_is_told_whom_to_ask_for_a_new_one(db: Db) {
        let s = Scene::new(db).await;
        let id = s.service().invite_outside(&s.team, "dan@example.com").await;
        let token = s.token(&id).await;
        s.server.clock.advance(TimeDelta::days(14));
        s.service().request_new(&token).await.done();
        let log = Log::read(&s.service()).await;
        let asked = log.events.iter().find_map(|event| match event.payload.as_ref().unwrap() {
            Payload::InvitationRenewalRequested(asked) => Some(asked.recipient_user_id.clone()),
            _ => None,
        });
        assert_eq!(asked.as_deref(), Some("ada"), "a service invited, so it is the owner");
        // Roster itself writes to nobody: a mail that it does send comes after, and alone.
        s.invited("fay@example.com", &["member"]).await;
        s.server.wait_for_mails("fay@example.com", 1).await;
        assert!(s.server.mails_to("ada@example.com").is_empty());
    }

    async fn an_outside_mailer_is_asked_and_reports(db: Db) {
        let s = Scene::new(db).await;
        let id = s.service().invite_outside(&s.team, "dan@example.com").await;
        let requested = s.requested().await;
        let delivery = s.invitation(&id).await.delivery.unwrap();
        assert_eq!((delivery.state(), &requested), (DeliveryState::Queued, &vec![delivery.id.clone()]));
        let link = GetInvitationLinkRequest { team_id: s.team.clone(), invitation_id: id.clone(), ..Default::default() };
        s.service().invitations().get_invitation_link(link).await.done();

        // What the mailer was told may quote the mail, and so the link.
        let quoting = ReportDeliveryRequest {
            team_id: s.team.clone(),
            invitation_id: id.clone(),
            state: DeliveryState::Failed.into(),
            error: format!("550 spam: <https://app.example.com/join?token={}>", s.token(&id).await),
            ..Default::default()
        };
        s.service().invitations().report_delivery(quoting).await.refused(Code::InvalidArgument, "INVALID_FIELD");

        let sent = s.service().report(&s.team, &id, &delivery.id, DeliveryState::Sent).await.done().invitation.unwrap();
        let told = sent.delivery.unwrap();
        assert_eq!((told.state(), told.send_count, told.attempts), (DeliveryState::Sent, 1, 2));
        // The same again changes nothing, and what came back stays so.
        s.service().report(&s.team, &id, "", DeliveryState::Sent).await.done();
        let back = s.service().report(&s.team, &id, "", DeliveryState::Bounced).await.done().invitation.unwrap();
        assert_eq!(back.delivery.unwrap().last_error, "mailbox unknown");
        s.service().report(&s.team, &id, "", DeliveryState::Sent).await.done();
        assert_eq!(s.invitation(&id).await.delivery.unwrap().state(), DeliveryState::Bounced);
        let kinds = ["invitation_sent", "invitation_delivery_failed"];
        assert_eq!(s.told(&kinds).await, ["invitation_sent DELIVERY", "invitation_delivery_failed DELIVERY"]);

        s.person("ada").resend(&s.team, &id).await.done();
        assert_eq!(s.requested().await.len(), 2);
        s.service().report(&s.team, &id, &delivery.id, DeliveryState::Sent).await.refused(Code::FailedPrecondition, "DELIVERY_SUPERSEDED");
        s.service().report(&s.team, &id, &s.requested().await[1], DeliveryState::Failed).await.done();
        assert!(s.server.mails_to("dan@example.com").is_empty());
    }

    async fn only_what_somebody_else_sends_is_reported(db: Db) {
        let s = Scene::new(db).await;
        let (id, _) = s.invited("dan@example.com", &["member"]).await;
        eventually("the mail", async || {
            (s.invitation(&id).await.delivery.unwrap().state() == DeliveryState::Sent).then_some(())
        })
        .await;
        s.service().report(&s.team, &id, "", DeliveryState::Sent).await.refused(Code::FailedPrecondition, "DELIVERY_NOT_REPORTABLE");
        s.service().report(&s.team, &id, "", DeliveryState::Bounced).await.done();
        assert_eq!(s.invitation(&id).await.delivery.unwrap().state(), DeliveryState::Bounced);
        s.person("carol").report(&s.team, &id, "", DeliveryState::Bounced).await.refused(Code::PermissionDenied, "PERMISSION_DENIED");
        let bad = ReportDeliveryRequest { team_id: s.team.clone(), invitation_id: id, attempts: -1, delivery_id: "x".to_owned(), state: DeliveryState::Queued.into(), ..Default::default() };
        let refused = s.service().invitations().report_delivery(bad).await;
        let fields = crate::support::outcome::violations(refused.as_ref().unwrap_err());
        assert_eq!(fields.iter().map(|(field, _)| field.as_str()).collect::<Vec<_>>(), ["delivery_id", "state", "attempts"]);
    }
}
