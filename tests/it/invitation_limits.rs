//! How many invitations may be sent: by one person, for one team, to one address; counted across instances, exactly, and
//! with nothing left of what is refused.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use chrono::TimeDelta;
use futures::future::join_all;
use roster::config::{Config, Limits};
use roster_proto::v1::{self as wire, CreateInvitationRequest, DeliveryChannel};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::{
    both,
    invitations::batch::batch,
    support::{
        Caller, Db, Outcome as _, Scene, TestServer,
        outcome::{Refusal, error_info},
        scene::{create_team, create_user},
        session::Session,
    },
};

const REASON: &str = "INVITATION_RATE_LIMITED";

/// Everything that a refused invitation might leave something in.
const STATE: &str = "SELECT (SELECT count(*) FROM invitations) || ' ' || (SELECT count(*) FROM mails) || ' ' || \
    (SELECT count(*) FROM events) || ' ' || (SELECT sum(version) FROM teams) || ' ' || \
    (SELECT count(*) FROM idempotency_keys) || ' ' || (SELECT sum(arrival_micros - 1700000000000000) FROM rate_limits)";

async fn scene(db: Db, limit: impl FnOnce(&mut Limits)) -> Scene {
    Scene::on(TestServer::with(db, |config: &mut Config| limit(&mut config.limits)).await).await
}

/// An invitation of which no mail is sent, so that nothing goes on behind the test's back.
fn quiet(team: &str, email: &str) -> CreateInvitationRequest {
    CreateInvitationRequest {
        team_id: team.to_owned(),
        email: email.to_owned(),
        role_ids: vec!["member".to_owned()],
        delivery_channel: DeliveryChannel::LinkOnly.into(),
        ..Default::default()
    }
}

type Answer = Result<tonic::Response<wire::CreateInvitationResponse>, tonic::Status>;

async fn invite(caller: &Caller, team: &str, email: &str) -> Answer {
    caller.invitations().create_invitation(quiet(team, email)).await
}

#[track_caller]
fn limited(answer: Answer, scope: &str, limit: &str) -> Refusal {
    let refusal = answer.refused(Code::ResourceExhausted, REASON);
    assert_eq!((refusal.metadata["scope"].as_str(), refusal.metadata["limit"].as_str()), (scope, limit));
    refusal
}

fn delay(refusal: &Refusal) -> Duration {
    refusal.status.get_details_retry_info().unwrap().retry_delay.unwrap()
}

/// With all used up: `refused` stays so for exactly as long as it says, and leaves nothing.
async fn passes_when_it_says(s: &Scene, scope: &str, limit: &str, refused: impl AsyncFn() -> Answer) {
    let sql = Session::open(&s.server.database.url).await;
    let before: String = sql.value(STATE).await;
    let wait = delay(&limited(refused().await, scope, limit));
    assert_eq!(sql.value::<String>(STATE).await, before);
    // The clock goes on by a microsecond with every look at it, so that the last millisecond is not cut any finer.
    let (nearly, rest) = (TimeDelta::from_std(wait).unwrap() - TimeDelta::milliseconds(1), TimeDelta::milliseconds(1));
    s.server.clock.advance(nearly);
    assert!(delay(&limited(refused().await, scope, limit)) <= Duration::from_millis(1));
    assert_eq!(sql.value::<String>(STATE).await, before);
    s.server.clock.advance(rest);
    refused().await.done();
    limited(refused().await, scope, limit);
    sql.close().await;
}

both! {
    async fn one_person_invites_so_many(db: Db) {
        let s = scene(db, |limits| limits.invitations_per_inviter.count = 3).await;
        let (ada, other) = (s.person("ada"), create_team(&s.service(), "Beta", "ada").await);
        let rehearsal = CreateInvitationRequest { validate_only: true, ..quiet(&s.team, "guest@example.com") };
        for n in 0..3 {
            // What is only rehearsed uses nothing up.
            ada.invitations().create_invitation(rehearsal.clone()).await.done();
            // Teams do not matter, nor does it whom they know.
            let team = if n == 0 { &other } else { &s.team };
            invite(&ada, team, &format!("guest-{n}@example.com")).await.done();
        }
        limited(ada.invitations().create_invitation(rehearsal).await, "inviter", "3");
        let next = AtomicUsize::new(3);
        passes_when_it_says(&s, "inviter", "3", async || {
            let n = next.fetch_add(1, Ordering::Relaxed);
            invite(&ada, &s.team, &format!("guest-{n}@example.com")).await
        })
        .await;
        // Others have limits of their own, and a service that acts for nobody has none.
        invite(&s.person("bob"), &s.team, "of-bob@example.com").await.done();
        for n in 0..5 {
            invite(&s.service(), &s.team, &format!("of-service-{n}@example.com")).await.done();
        }
    }

    async fn one_team_has_so_many_sent(db: Db) {
        let s = scene(db, |limits| limits.invitations_per_team.count = 3).await;
        let (service, other) = (s.service(), create_team(&s.service(), "Beta", "ada").await);
        for (n, caller) in [s.person("ada"), s.person("bob"), s.service()].iter().enumerate() {
            invite(caller, &s.team, &format!("guest-{n}@example.com")).await.done();
        }
        let next = AtomicUsize::new(3);
        passes_when_it_says(&s, "team", "3", async || {
            let n = next.fetch_add(1, Ordering::Relaxed);
            invite(&service, &s.team, &format!("guest-{n}@example.com")).await
        })
        .await;
        invite(&service, &other, "guest-0@example.com").await.done();
    }

    async fn one_address_gets_so_many(db: Db) {
        let s = scene(db, |limits| limits.invitations_per_recipient.count = 3).await;
        let service = s.service();
        // One of somebody whom Roster knows, and one of nobody.
        for email in ["eve@example.com", "guest@example.com"] {
            let other = create_team(&service, "Beta", "ada").await;
            let id = invite(&s.person("ada"), &s.team, email).await.done().invitation.unwrap().id;
            // To send it again counts as well, and so does another team.
            s.person("bob").resend(&s.team, &id).await.done();
            invite(&service, &other, email).await.done();
            let again = service.resend(&s.team, &id).await.refused(Code::ResourceExhausted, REASON);
            assert_eq!((again.metadata["scope"].as_str(), delay(&again) > Duration::from_hours(7)), ("recipient", true));
            invite(&service, &s.team, &format!("not-{email}")).await.done();
            passes_when_it_says(&s, "recipient", "3", async || {
                let answer = s.person("ada").resend(&s.team, &id).await;
                answer.map(|_| tonic::Response::new(wire::CreateInvitationResponse::default()))
            })
            .await;
        }
    }

    async fn whoever_is_over_a_limit_learns_nothing_of_addresses(db: Db) {
        let s = scene(db, |limits| limits.invitations_per_inviter.count = 1).await;
        let ada = s.person("ada");
        ada.invite(&s.team, "guest@example.com", &["member"]).await.done();
        let mut told = Vec::new();
        // A user, the owner of another tree, and nobody.
        create_user(&s.service(), "dan").await;
        create_team(&s.service(), "Elsewhere", "dan").await;
        for email in ["eve@example.com", "dan@example.com", "nobody@example.com"] {
            let refusal = limited(ada.invite(&s.team, email, &["member"]).await, "inviter", "1");
            assert!(s.server.mails_to(email).is_empty());
            // They differ by the moments that have passed.
            let (seconds, length) = (delay(&refusal).as_secs(), refusal.status.details().len());
            told.push((refusal.status.message().to_owned(), refusal.metadata, seconds, length));
        }
        assert!(told.iter().all(|answer| *answer == told[0]), "{told:?}");
    }

    async fn a_batch_counts_every_address_that_is_invited(db: Db) {
        let s = scene(db, |limits| limits.invitations_per_inviter.count = 3).await;
        let text = |text: &str| wire::BatchCreateInvitationsRequest {
            team_id: s.team.clone(),
            text: text.to_owned(),
            role_ids: vec!["member".to_owned()],
            ..Default::default()
        };
        let many = text("a@example.com b@example.com c@example.com d@example.com");
        let refused = s.person("bob").invitations().batch_create_invitations(many).await;
        refused.refused(Code::ResourceExhausted, REASON);
        assert_eq!(s.told(&["invitation_created"]).await.len(), 0, "nothing partial");
        // Who is not invited costs nothing.
        let some = text("a@example.com b@example.com carol@example.com nonsense");
        assert_eq!(s.person("bob").invitations().batch_create_invitations(some).await.done().created_count, 2);
        s.person("bob").invite(&s.team, "c@example.com", &["member"]).await.done();
        limited(s.person("bob").invite(&s.team, "d@example.com", &["member"]).await, "inviter", "3");
    }

    async fn a_batch_is_told_which_address_is_over_its_limit(db: Db) {
        let s = scene(db, |limits| limits.invitations_per_recipient.count = 1).await;
        let other = create_team(&s.service(), "Beta", "ada").await;
        invite(&s.service(), &other, "tired@example.com").await.done();
        let batch = |text: &str, atomic| wire::BatchCreateInvitationsRequest { atomic, ..batch(&s.team, text) };
        for atomic in [false, true] {
            let refused = s.person("ada").invite_many(batch("a@example.com tired@example.com b@example.com", atomic)).await;
            let refusal = refused.refused(Code::ResourceExhausted, REASON);
            assert_eq!((refusal.metadata["scope"].as_str(), refusal.metadata["recipient"].as_str()), ("recipient", "tired@example.com"));
            assert!(delay(&refusal) > Duration::from_hours(1));
            assert_eq!(s.told(&["invitation_created"]).await.len(), 1, "nothing partial");
        }
        // Nothing was used up for those who were invited beside it.
        assert_eq!(s.person("ada").invite_many(batch("a@example.com b@example.com", true)).await.done().created_count, 2);
    }

    async fn batches_at_once_pass_no_more_than_there_is(db: Db) {
        let s = scene(db, |limits| {
            limits.invitations_per_inviter.count = 10;
            limits.invitations_per_recipient.count = 3;
        })
        .await;
        let teams = join_all((0..8).map(async |n| create_team(&s.service(), &format!("Team {n}"), "ada").await)).await;
        let quiet = |team: &String, text: &str| wire::BatchCreateInvitationsRequest {
            delivery_channel: DeliveryChannel::LinkOnly.into(), ..batch(team, text)
        };
        // Each for four addresses of its own: two batches pass, and a third would be twelve.
        let answers = join_all(teams.iter().enumerate().map(async |(n, team)| {
            let text: Vec<String> = (0..4).map(|k| format!("guest-{n}-{k}@example.com")).collect();
            s.person("ada").invite_many(quiet(team, &text.join(" "))).await
        }))
        .await;
        let passed: i32 = answers.iter().flatten().map(|answer| answer.get_ref().created_count).sum();
        assert_eq!((passed, answers.iter().flatten().count()), (8, 2));
        let all_limited = |answers: &[Result<_, tonic::Status>]| {
            let others = answers.iter().filter_map(|answer| answer.as_ref().err().filter(|status| error_info(status).reason != REASON));
            assert_eq!(others.count(), 0, "{answers:?}");
        };
        all_limited(&answers);
        // The same two addresses in other orders, by a service: three pass, and nobody waits for another for ever.
        let answers = join_all(teams.iter().enumerate().map(async |(n, team)| {
            let text = if n % 2 == 0 { "x@example.com y@example.com" } else { "y@example.com x@example.com" };
            s.service().invite_many(quiet(team, text)).await
        }))
        .await;
        all_limited(&answers);
        assert_eq!(answers.iter().flatten().count(), 3);
        let sql = Session::open(&s.server.database.url).await;
        assert_eq!(sql.value::<i64>("SELECT count(*) FROM invitations").await, 8 + 6);
        sql.close().await;
    }

    async fn a_person_in_charge_is_invited_within_the_limits(db: Db) {
        let s = scene(db, |limits| limits.invitations_per_inviter.count = 1).await;
        invite(&s.person("ada"), &s.team, "guest@example.com").await.done();
        let request = wire::CreateTeamRequest {
            name: "North".to_owned(),
            parent_team_id: s.team.clone(),
            person_in_charge: Some(wire::PersonInCharge {
                email: "dan@example.com".to_owned(), role_ids: vec!["admin".to_owned()], ..Default::default()
            }),
            ..Default::default()
        };
        s.person("ada").teams().create_team(request).await.refused(Code::ResourceExhausted, REASON);
    }

    async fn as_many_pass_as_there_are_however_many_ask_at_once(db: Db) {
        let s = scene(db, |limits| limits.invitations_per_inviter.count = 10).await;
        // One team each time would make the invitations serial by itself.
        let teams = join_all((0..8).map(async |n| create_team(&s.service(), &format!("Team {n}"), "ada").await)).await;
        let second = if db == Db::Postgres { Some(s.server.second_instance().await) } else { None };
        let there = second.as_ref().map(|(_, channel)| Caller::new(channel.clone()).acting_for("ada"));
        let answers = join_all((0..64).map(async |n| {
            let caller = there.clone().filter(|_| n % 2 == 0).unwrap_or_else(|| s.person("ada"));
            invite(&caller, &teams[n / 8], &format!("guest-{n}@example.com")).await
        }))
        .await;
        let (passed, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        assert_eq!(passed.len(), 10);
        refused.iter().for_each(|answer| assert_eq!(error_info(answer.as_ref().unwrap_err()).reason, REASON));
        let sql = Session::open(&s.server.database.url).await;
        assert_eq!(sql.value::<i64>("SELECT count(*) FROM invitations").await, 10);
        assert_eq!(sql.value::<i64>("SELECT count(*) FROM events WHERE kind LIKE 'invitation%'").await, 10);
        sql.close().await;
        if let Some((second, _)) = second {
            second.shutdown().await.unwrap();
        }
    }
}
