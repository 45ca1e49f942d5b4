//! Sends the mails that wait in the database.
//!
//! A mail is taken with a lease, looked at once more (is it still wanted?), sent while no transaction is open, and its end
//! recorded in one transaction. A crash after the mail server took it and before that was recorded sends it again, with
//! the same `Message-ID`; nothing else makes a duplicate, and nothing loses one.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt as _, stream::FuturesUnordered};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument as _, Span, field::Empty};

use super::{Failure, MailTransport, Rendered, Renderer, letters::Letters};
use crate::{
    application::{
        Context, Result, Store, WriteOptions,
        invitations::{RecordDelivery, Recorded},
    },
    domain::{Invitation, Principal, Team, invitation::Outcome},
    env::Env,
    lifecycle::spawn_essential,
    metrics::{MailOutcome, Metrics},
    repository::{
        Database, invitations,
        mails::{self, Kind, Mail},
        teams,
    },
    trace,
};

/// How many mails are sent at the same time. No more are taken than are sent, so that none waits with its lease running.
const CONCURRENCY: usize = 4;
/// The pause before the second try; it doubles with every further one.
const FIRST_PAUSE: TimeDelta = TimeDelta::seconds(5);
/// The longest pause between two tries.
const LONGEST_PAUSE: TimeDelta = TimeDelta::hours(1);
/// The pause between two tries to record how a mail ended.
const RECORD_PAUSE: Duration = Duration::from_millis(500);

/// How the worker works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How often to look for mails that nothing told of.
    pub poll_interval: Duration,
    /// How often a mail is tried before it is given up.
    pub max_attempts: u32,
    /// How long one try may take. A mail that was taken is nobody else's for twice as long: the other half is for
    /// recording how it ended.
    pub attempt_timeout: Duration,
}

/// Sends mails until it is told to stop.
pub struct Worker {
    /// Where mails wait.
    pub database: Database,
    /// Records how they ended.
    pub store: Store,
    /// The clock.
    pub env: Env,
    /// Looks up what they say.
    pub letters: Letters,
    /// Writes them.
    pub renderer: Renderer,
    /// Hands them over.
    pub transport: Box<dyn MailTransport>,
    /// How to work.
    pub settings: Settings,
    /// Where it reports what it tried.
    pub metrics: Metrics,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Worker {
    /// Starts sending; `head` changes when there may be something new.
    pub fn start(self, tasks: &TaskTracker, head: watch::Receiver<i64>, stop: &CancellationToken) {
        spawn_essential(tasks, stop, self.run(head, stop.clone()));
    }

    async fn run(self, mut head: watch::Receiver<i64>, stop: CancellationToken) {
        let mut sending = FuturesUnordered::new();
        while !stop.is_cancelled() {
            match self.take_beside(&mut sending).await {
                Ok(mails) => sending.extend(mails.into_iter().map(|mail| self.send(mail))),
                Err(error) => tracing::warn!(%error, "mails cannot be taken; trying again"),
            }
            let full = sending.len() >= CONCURRENCY;
            tokio::select! {
                () = stop.cancelled() => {}
                Some(()) = sending.next() => {}
                () = sleep(self.settings.poll_interval), if !full => {}
                // An error means that the sequencer has ended, and then so will this worker.
                _ = head.changed(), if !full => {}
            }
        }
        // What was taken is sent and recorded.
        while sending.next().await.is_some() {}
    }

    /// Takes as many mails as there is room for, while those that are being sent go on. They must: one of them may hold the
    /// connection that the taking waits for, and SQLite has but one to write with.
    async fn take_beside(&self, sending: &mut FuturesUnordered<impl Future<Output = ()>>) -> Result<Vec<Mail>> {
        let taking = self.take(CONCURRENCY.saturating_sub(sending.len()));
        tokio::pin!(taking);
        loop {
            tokio::select! {
                taken = &mut taking => return taken,
                Some(()) = sending.next() => {}
            }
        }
    }

    /// Takes mails that are due, for twice as long as a try may take.
    async fn take(&self, most: usize) -> Result<Vec<Mail>> {
        let now = self.env.now();
        let lease = TimeDelta::from_std(2 * self.settings.attempt_timeout).unwrap_or(TimeDelta::MAX);
        Ok(mails::take_due(&self.database, now, now + lease, most as u64).await?)
    }

    async fn send(&self, mail: Mail) {
        let span = span(&mail);
        let work = async {
            // Whatever this could not do is done again when the lease ends.
            if let Err(error) = self.try_send(&mail).await {
                tracing::warn!(mail = %mail.id, %error, "a mail cannot be looked up or recorded; trying again");
            }
        };
        work.instrument(span).await;
    }

    async fn try_send(&self, mail: &Mail) -> Result<()> {
        let reader = self.database.reader();
        // With an invitation that is forgotten its mails are, too.
        let Some(invitation) = invitations::get_any(&reader, mail.invitation).await? else { return Ok(()) };
        let team = teams::get(&reader, invitation.team_id).await?;
        let Some(team) = team.filter(|_| is_wanted(mail, &invitation, self.env.now())) else {
            return self.record(mail, &invitation, Recorded::Nothing).await;
        };
        let told = |outcome| match mail.kind {
            Kind::Invitation => Recorded::Ended(outcome),
            Kind::Renewal { .. } => Recorded::Nothing,
        };
        let begun = Instant::now();
        let result = self.attempt(mail, &invitation, &team).await?;
        let outcome = match &result {
            Ok(()) => MailOutcome::Sent,
            Err((Failure::Transient, _)) if mail.attempts < self.settings.max_attempts => MailOutcome::Deferred,
            Err(_) => MailOutcome::Failed,
        };
        self.metrics.mail(outcome, begun.elapsed());
        if outcome != MailOutcome::Sent {
            let span = Span::current();
            span.record("error.type", if outcome == MailOutcome::Deferred { "DEFERRED" } else { "FAILED" });
            span.record("otel.status_code", "ERROR");
        }
        match result {
            Ok(()) => self.record(mail, &invitation, told(Outcome::Sent)).await,
            Err((_, reason)) if outcome == MailOutcome::Deferred => {
                tracing::info!(mail = %mail.id, attempts = mail.attempts, reason, "a mail was not taken; trying again");
                Ok(mails::put_off(&self.database, mail.id, self.env.now() + pause(mail.attempts), &reason).await?)
            }
            Err((_, error)) => {
                tracing::warn!(mail = %mail.id, attempts = mail.attempts, error, "a mail was given up");
                self.record(mail, &invitation, told(Outcome::Failed { error })).await
            }
        }
    }

    /// Writes the mail and hands it over. That there is nobody to write to any more is as good as done.
    async fn attempt(
        &self,
        mail: &Mail,
        invitation: &Invitation,
        team: &Team,
    ) -> Result<std::result::Result<(), (Failure, String)>> {
        let rendered = match &mail.kind {
            Kind::Invitation => self.renderer.invitation(&self.letters.invitation(mail, invitation, team).await?),
            Kind::Renewal { to } => match self.letters.renewal(mail, to, invitation, team).await? {
                Some(letter) => self.renderer.renewal(&letter),
                None => return Ok(Ok(())),
            },
        };
        Ok(match rendered {
            Ok(rendered) => self.hand_over(&rendered).await,
            Err(error) => Err((Failure::Permanent, error.to_string())),
        })
    }

    async fn hand_over(&self, rendered: &Rendered) -> std::result::Result<(), (Failure, String)> {
        match timeout(self.settings.attempt_timeout, self.transport.send(rendered)).await {
            Ok(answer) => answer.map_err(|error| (error.kind, error.reason)),
            Err(_) => Err((Failure::Transient, "the mail server did not take the mail in time".to_owned())),
        }
    }

    /// Records how a mail ended, and keeps trying while the mail is nobody else's: what was sent and is not recorded is
    /// sent again.
    async fn record(&self, mail: &Mail, invitation: &Invitation, outcome: Recorded) -> Result<()> {
        let give_up = Instant::now() + self.settings.attempt_timeout;
        loop {
            // The end of a mail belongs to the trace of the attempt, or else to that of the call that asked for it.
            let traceparent = trace::current().or_else(|| mail.traceparent.clone());
            let call_id = mail.id.to_string();
            let cx = Context { principal: Principal::system("mail"), call_id, traceparent, slot: None };
            let command = RecordDelivery {
                team: invitation.team_id,
                invitation: invitation.id,
                mail: mail.id,
                attempts: mail.attempts,
                outcome: outcome.clone(),
            };
            match self.store.write(&cx, WriteOptions::default(), command).await {
                Err(error) if Instant::now() < give_up => {
                    tracing::warn!(mail = %mail.id, %error, "how a mail ended cannot be recorded; trying again");
                    sleep(RECORD_PAUSE).await;
                }
                end => return end.map(drop),
            }
        }
    }
}

/// The span of an attempt, linked to the trace of the call that asked for the mail. A mail without a trace has none.
fn span(mail: &Mail) -> Span {
    let Some(traceparent) = &mail.traceparent else { return Span::none() };
    let kind = match mail.kind {
        Kind::Invitation => "invitation",
        Kind::Renewal { .. } => "renewal",
    };
    let span = tracing::info_span!(
        parent: None,
        "mail",
        otel.name = format_args!("send {kind}"),
        otel.kind = "client",
        otel.status_code = Empty,
        roster.mail.id = %mail.id,
        roster.mail.attempt = mail.attempts,
        error.type = Empty,
    );
    trace::link(&span, traceparent);
    span
}

/// Whether there is still reason to send a mail: nobody is written to about an invitation that is closed, nor asked to send
/// again what was sent again.
fn is_wanted(mail: &Mail, invitation: &Invitation, now: DateTime<Utc>) -> bool {
    match mail.kind {
        Kind::Invitation => invitation.check_open(now).is_ok(),
        Kind::Renewal { .. } => invitation.clone().request_renewal(now).is_ok(),
    }
}

/// How long to wait after this many tries.
fn pause(attempts: u32) -> TimeDelta {
    let doubled = FIRST_PAUSE * (1 << attempts.saturating_sub(1).min(16));
    doubled.min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_an_hour() {
        let seconds: Vec<i64> = [1, 2, 3, 10, 11, 1000].map(|n| pause(n).num_seconds()).into();
        assert_eq!(seconds, [5, 10, 20, 2560, 3600, 3600]);
    }
}
