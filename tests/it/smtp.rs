//! Mail as it reaches a real mail server: what arrives, what is tried again, and what is never sent.

use std::path::PathBuf;

use chrono::TimeDelta;
use futures::future::join_all;
use roster::config::{Config, SmtpSecurity};
use roster_proto::v1::{
    self as wire, CreateInvitationRequest, DeliveryState, GetInvitationRequest, InvitationState, TeamPolicy,
};
use serde_json::json;
use tempfile::TempDir;
use tonic::Code;

use crate::{
    both,
    support::{
        Caller, Db, Outcome as _, Scene, TestServer, outcome::kind, server::eventually, session::Session, sink::Sink,
    },
};

impl Sink {
    /// A server that sends its mail here.
    async fn scene(&self, db: Db) -> Scene {
        Scene::on(TestServer::with(db, |config| self.configure(config)).await).await
    }
}

impl Scene {
    async fn delivery(&self, invitation: &str) -> wire::Delivery {
        let request = GetInvitationRequest {
            team_id: self.team.clone(),
            invitation_id: invitation.to_owned(),
            ..Default::default()
        };
        self.person("ada").invitations().get_invitation(request).await.done().invitation.unwrap().delivery.unwrap()
    }

    /// How far the mails of all invitations came, as the team's lists tell it.
    async fn deliveries_listed(&self) -> Vec<wire::Delivery> {
        let (team_id, ada) = (self.team.clone(), self.person("ada"));
        let list = wire::ListInvitationsRequest { team_id: team_id.clone(), ..Default::default() };
        let list = ada.invitations().list_invitations(list).await.done().invitations;
        let roster = wire::ListRosterRequest { team_id, ..Default::default() };
        let roster = ada.teams().list_roster(roster).await.done().entries.into_iter();
        let invited = roster.filter_map(|entry| match entry.source {
            Some(wire::roster_entry::Source::Invitation(invitation)) => Some(invitation),
            _ => None,
        });
        list.into_iter().chain(invited).filter_map(|invitation| invitation.delivery).collect()
    }

    /// Waits until the sending of an invitation's mail has come to this.
    async fn delivered(&self, invitation: &str, state: DeliveryState) -> wire::Delivery {
        eventually(&format!("{state:?}"), async || {
            Some(self.delivery(invitation).await).filter(|delivery| delivery.state() == state)
        })
        .await
    }

    /// Waits until the only mail was tried and put off.
    async fn put_off(&self) {
        let sql = Session::open(&self.server.database.url).await;
        let soon = self.server.clock.env().now() + TimeDelta::minutes(1);
        // While it is being tried, nobody else takes it for two minutes.
        let query =
            format!("SELECT count(*) FROM mails WHERE attempts = 1 AND next_attempt_time < '{}'", soon.to_rfc3339());
        eventually("the first try", async || (sql.value::<i64>(&query).await == 1).then_some(())).await;
        sql.close().await;
    }
}

both! {
    async fn a_mail_arrives_whole(db: Db) {
        let sink = Sink::start(&[]).await;
        let s = sink.scene(db).await;
        let request = CreateInvitationRequest {
            team_id: s.team.clone(),
            email: "Dan@Example.com".to_owned(),
            role_ids: vec!["member".to_owned()],
            message: "Welcome!".to_owned(),
            ..Default::default()
        };
        let invitation = s.person("ada").invitations().create_invitation(request).await.done().invitation.unwrap();
        let mail = sink.wait_for(1).await.remove(0);
        let facts = ["mail_from", "rcpt_tos", "tls", "user"].map(|name| mail.envelope[name].clone());
        assert_eq!(facts, [json!("no-reply@example.com"), json!(["dan@example.com"]), json!(false), json!(null)]);
        assert_eq!(mail.header("From"), "\"Acme Accounts\" <no-reply@example.com>");
        assert_eq!(mail.header("To"), "dan@example.com");
        assert_eq!(mail.header("Subject"), "You are invited to join Acme on Roster");
        assert_eq!(mail.header("Auto-Submitted"), "auto-generated");
        assert!(mail.header("Message-ID").ends_with("@example.com>"));
        let parts: Vec<_> = mail.text.lines().filter(|line| line.starts_with("Content-Type: ")).collect();
        assert!(parts[0].starts_with("Content-Type: multipart/alternative"), "{parts:?}");
        assert_eq!(parts[1..], ["Content-Type: text/plain; charset=utf-8", "Content-Type: text/html; charset=utf-8"]);
        assert!(mail.text.contains("> Welcome!") && mail.text.contains("Invited by: ada"), "{}", mail.text);

        s.service().accept_new(mail.token(), "dan").await.done();
        let delivery = s.delivered(&invitation.id, DeliveryState::Sent).await;
        assert_eq!((delivery.attempts, delivery.send_count, delivery.last_error.as_str()), (1, 1, ""));
        assert!(delivery.last_sent_time.is_some());
    }

    async fn starttls_and_a_login_protect_the_mail(db: Db) {
        let certificate = Certificate::new();
        let (cert, key) = (certificate.cert.display().to_string(), certificate.key.display().to_string());
        let login = ["--starttls", "--cert", &cert, "--key", &key, "--user", "roster", "--password", "s3cr3t"];
        let sink = Sink::start(&login).await;
        let secure = |config: &mut Config| {
            sink.configure(config);
            config.mail.smtp.security = SmtpSecurity::StartTls;
            config.mail.smtp.username = Some("roster".to_owned());
            config.mail.smtp.password = Some("s3cr3t".into());
            config.mail.smtp.ca_file = Some(certificate.cert.clone());
        };
        let s = Scene::on(TestServer::with(db, secure).await).await;
        let (_, token) = s.invited("dan@example.com", &["member"]).await;
        let mail = sink.wait_for(1).await.remove(0);
        assert_eq!((&mail.envelope["tls"], &mail.envelope["user"]), (&json!(true), &json!("roster")));
        assert_eq!(mail.token(), token);
    }

    async fn what_is_refused_for_now_is_tried_again(db: Db) {
        let mut sink = Sink::start(&["--fail", "^dan@=451 4.7.1 Try again later"]).await;
        let s = sink.scene(db).await;
        let (id, token) = s.invited("dan@example.com", &["member"]).await;
        s.put_off().await;
        sink.restart(&[]).await;
        // How far it came is seen while it waits, everywhere an invitation is read.
        let waiting = s.delivery(&id).await;
        assert_eq!((waiting.state(), waiting.attempts), (DeliveryState::Queued, 1));
        assert!(waiting.last_error.contains("451 4.7.1"), "{waiting:?}");
        assert_eq!(s.deliveries_listed().await, [waiting.clone(), waiting]);

        s.server.clock.advance(TimeDelta::seconds(5));
        let mail = sink.wait_for(1).await.remove(0);
        assert_eq!(mail.token(), token);
        let delivery = s.delivered(&id, DeliveryState::Sent).await;
        assert_eq!((delivery.attempts, delivery.send_count), (2, 1));
        // Once more, long after: it is not sent again.
        s.server.clock.advance(TimeDelta::days(1));
        s.invited("fay@example.com", &["member"]).await;
        let receivers: Vec<_> = sink.wait_for(2).await.iter().map(|mail| mail.header("To").to_owned()).collect();
        assert_eq!(receivers, ["dan@example.com", "fay@example.com"]);
    }

    async fn what_is_refused_for_good_is_told_to_who_invited(db: Db) {
        let sink = Sink::start(&["--fail", "^gone@=550 5.1.1 No such user: http://localhost/?token=x"]).await;
        let s = sink.scene(db).await;
        let (id, _) = s.invited("gone@example.com", &["member"]).await;
        let delivery = s.delivered(&id, DeliveryState::Failed).await;
        // The server's own words are not repeated: they might quote the mail, and so the link.
        let error = "the mail server did not take the message: it answered 550 5.1.1 (address)";
        assert_eq!((delivery.last_error.as_str(), delivery.attempts, delivery.send_count), (error, 1, 0));
        let events = s.service().events_of(&s.team, 6).await;
        assert_eq!(kind(&events[5]), "invitation_delivery_failed");

        // Sent again, it fails again, and the next address is reached all the same.
        s.person("ada").resend(&s.team, &id).await.done();
        s.service().events_of(&s.team, 8).await;
        s.invited("fay@example.com", &["member"]).await;
        assert_eq!(sink.wait_for(1).await[0].header("To"), "fay@example.com");
    }

    async fn what_is_refused_too_often_is_given_up(db: Db) {
        let sink = Sink::start(&["--fail", "^dan@=451 4.7.1 Try again later"]).await;
        let twice = |config: &mut Config| {
            sink.configure(config);
            config.mail.max_attempts = 2;
        };
        let s = Scene::on(TestServer::with(db, twice).await).await;
        let (id, token) = s.invited("dan@example.com", &["member"]).await;
        s.put_off().await;
        s.server.clock.advance(TimeDelta::seconds(5));
        let delivery = s.delivered(&id, DeliveryState::Failed).await;
        let error = "the mail server did not take the message: it answered 451 4.7.1 (policy or security)";
        assert_eq!((delivery.last_error.as_str(), delivery.attempts), (error, 2));
        // The link is as good as if it had arrived.
        s.service().accept_new(&token, "dan").await.done();
    }

    async fn what_was_canceled_before_it_was_sent_is_not_sent(db: Db) {
        let mut sink = Sink::start(&["--fail", "^dan@=451 4.7.1 Try again later"]).await;
        let s = sink.scene(db).await;
        let (id, _) = s.invited("dan@example.com", &["member"]).await;
        s.put_off().await;
        s.person("ada").cancel(&s.team, &id).await.done();
        sink.restart(&[]).await;
        s.server.clock.advance(TimeDelta::minutes(10));
        s.invited("fay@example.com", &["member"]).await;
        assert_eq!(sink.wait_for(1).await[0].header("To"), "fay@example.com");
        let kinds: Vec<_> = s.service().events_of(&s.team, 8).await.iter().map(kind).collect();
        assert_eq!(kinds[5..], ["invitation_canceled", "invitation_created", "invitation_sent"]);
    }

    async fn what_did_not_happen_sends_no_mail(db: Db) {
        let sink = Sink::start(&[]).await;
        let s = sink.scene(db).await;
        let rehearsal = CreateInvitationRequest {
            team_id: s.team.clone(),
            email: "dan@example.com".to_owned(),
            role_ids: vec!["member".to_owned()],
            validate_only: true,
            ..Default::default()
        };
        let would_be = s.person("ada").invitations().create_invitation(rehearsal).await.done().invitation.unwrap();
        assert_eq!(would_be.state(), InvitationState::Pending);
        s.set_policy(TeamPolicy { allowed_email_domains: vec!["example.com".to_owned()], ..Default::default() }).await;
        for (inviter, email, code, reason) in [
            ("carol", "dan@example.com", Code::PermissionDenied, "PERMISSION_DENIED"),
            ("ada", "bob@example.com", Code::AlreadyExists, "ALREADY_MEMBER"),
            ("ada", "dan@example.org", Code::FailedPrecondition, "DOMAIN_NOT_ALLOWED"),
        ] {
            s.person(inviter).invite(&s.team, email, &["member"]).await.refused(code, reason);
        }
        s.invited("fay@example.com", &["member"]).await;
        let receivers: Vec<_> = sink.wait_for(1).await.iter().map(|mail| mail.header("To").to_owned()).collect();
        assert_eq!(receivers, ["fay@example.com"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_send_each_mail_once() {
    let sink = Sink::start(&[]).await;
    let s = sink.scene(Db::Postgres).await;
    let (second, channel) = s.server.second_instance().await;
    let there = Caller::new(channel).acting_for("ada");
    let invite = async |n: usize| {
        let caller = if n.is_multiple_of(2) { s.person("ada") } else { there.clone() };
        let email = format!("guest-{n:02}@example.com");
        let id = caller.invite(&s.team, &email, &["member"]).await.done().invitation.unwrap().id;
        assert_eq!(s.delivered(&id, DeliveryState::Sent).await.send_count, 1);
        email
    };
    let emails = join_all((0..40).map(invite)).await;
    let mut receivers: Vec<_> = sink.mails().iter().map(|mail| mail.header("To").to_owned()).collect();
    receivers.sort();
    assert_eq!(receivers, emails);
    second.shutdown().await.unwrap();
}

/// What a mail server shows and who trusts it.
struct Certificate {
    cert: PathBuf,
    key: PathBuf,
    _folder: TempDir,
}

impl Certificate {
    /// For this machine, signed by itself.
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let [cert, key] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
        std::fs::write(&cert, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        Self { cert, key, _folder: folder }
    }
}
