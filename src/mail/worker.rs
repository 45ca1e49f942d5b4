//! Sends the mails that wait in the database.
//!
//! A mail is taken with a lease, looked at once more (is its invitation still open?), sent while no transaction is open,
//! and its end recorded in one transaction. A crash after the mail server took it and before that was recorded sends it
//! again, with the same `Message-ID`; nothing else makes a duplicate, and nothing loses one.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use futures::{StreamExt as _, stream};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Failure, GrantedTeam, InvitationMail, MailTransport, Renderer};
use crate::{
    application::{
        Context, Result, Store, WriteOptions,
        invitations::{RecordDelivery, Recorded},
    },
    domain::{Invitation, Principal, Roles, Team, invitation::Outcome, link::Links},
    env::Env,
    lifecycle::spawn_essential,
    repository::{
        Database, invitations,
        mails::{self, Mail},
        roles, teams, users,
    },
};

/// How long a mail that was taken is nobody else's: longer than any transport tries.
const LEASE: TimeDelta = TimeDelta::minutes(5);
/// How many mails are taken at a time.
const BATCH: u64 = 32;
/// How many of them are sent at the same time.
const CONCURRENCY: usize = 4;
/// The pause before the second try; it doubles with every further one.
const FIRST_PAUSE: TimeDelta = TimeDelta::seconds(5);
/// The longest pause between two tries.
const LONGEST_PAUSE: TimeDelta = TimeDelta::hours(1);

/// How the worker works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How often to look for mails that nothing told of.
    pub poll_interval: Duration,
    /// How often a mail is tried before it is given up.
    pub max_attempts: u32,
}

/// Sends mails until it is told to stop.
pub struct Worker {
    /// Where mails wait.
    pub database: Database,
    /// Records how they ended.
    pub store: Store,
    /// The clock.
    pub env: Env,
    /// The system roles, for their names.
    pub roles: Arc<Roles>,
    /// Makes the links.
    pub links: Arc<Links>,
    /// Writes the mails.
    pub renderer: Renderer,
    /// Hands them over.
    pub transport: Box<dyn MailTransport>,
    /// How to work.
    pub settings: Settings,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Worker {
    /// Starts sending; `head` changes when there may be something new.
    pub fn start(self, tasks: &TaskTracker, mut head: watch::Receiver<i64>, stop: &CancellationToken) {
        let stopping = stop.clone();
        spawn_essential(tasks, stop, async move {
            while !stopping.is_cancelled() {
                let sent = self.send_due().await;
                match sent {
                    Ok(0) => {}
                    Ok(_) => continue,
                    Err(error) => tracing::warn!(%error, "mails cannot be taken or recorded; trying again"),
                }
                tokio::select! {
                    () = stopping.cancelled() => {}
                    () = tokio::time::sleep(self.settings.poll_interval) => {}
                    // An error means that the sequencer has ended, and then so will this worker.
                    _ = head.changed() => {}
                }
            }
        });
    }

    /// Sends what is due. Answers how many mails were taken.
    async fn send_due(&self) -> Result<usize> {
        let now = self.env.now();
        let due = mails::take_due(&self.database, now, now + LEASE, BATCH).await?;
        let taken = due.len();
        let results = stream::iter(due.into_iter().map(|mail| self.send(mail))).buffer_unordered(CONCURRENCY);
        results.collect::<Vec<_>>().await.into_iter().collect::<Result<()>>()?;
        Ok(taken)
    }

    async fn send(&self, mail: Mail) -> Result<()> {
        let mail = &mail;
        let reader = self.database.reader();
        // A mail refers to its invitation, which is never deleted.
        let Some(invitation) = invitations::get_any(&reader, mail.invitation).await? else { return Ok(()) };
        let team = teams::get(&reader, invitation.team_id).await?;
        let open = invitation.check_open(self.env.now()).is_ok();
        let Some(team) = team.filter(|_| open) else {
            return self.record(mail, &invitation, Recorded::Nothing).await;
        };
        match self.attempt(mail, &invitation, &team).await? {
            Ok(()) => self.record(mail, &invitation, Recorded::Ended(Outcome::Sent)).await,
            Err((Failure::Transient, reason)) if mail.attempts < self.settings.max_attempts => {
                tracing::info!(mail = %mail.id, attempts = mail.attempts, reason, "a mail was not taken; trying again");
                Ok(mails::put_off(&self.database, mail.id, self.env.now() + pause(mail.attempts), &reason).await?)
            }
            Err((_, error)) => {
                tracing::warn!(mail = %mail.id, attempts = mail.attempts, error, "a mail was given up");
                self.record(mail, &invitation, Recorded::Ended(Outcome::Failed { error })).await
            }
        }
    }

    /// Writes the mail and hands it over.
    async fn attempt(
        &self,
        mail: &Mail,
        invitation: &Invitation,
        team: &Team,
    ) -> Result<std::result::Result<(), (Failure, String)>> {
        let inviter = match &invitation.inviter {
            Some(user) => users::get(&self.database.reader(), user).await?,
            None => None,
        };
        let inviter_name = inviter.map(|user| user.display_name.to_string()).filter(|name| !name.is_empty());
        let granted = invitation.grants.values().flat_map(|offer| &offer.roles);
        let own = roles::get_many(&self.database.reader(), team.root(), granted).await?;
        let roles = self.roles.with(own);
        let rendered = self.renderer.invitation(&self.letter(mail, invitation, team, &roles, inviter_name));
        Ok(match rendered {
            Ok(rendered) => self.transport.send(&rendered).await.map_err(|error| (error.kind, error.reason)),
            Err(error) => Err((Failure::Permanent, error.to_string())),
        })
    }

    fn letter(
        &self,
        mail: &Mail,
        invitation: &Invitation,
        team: &Team,
        roles: &Roles,
        inviter_name: Option<String>,
    ) -> InvitationMail {
        let offer = invitation.grants.get(&team.id);
        let roles = offer.into_iter().flat_map(|offer| &offer.roles).filter_map(|id| roles.get(id));
        let message = invitation.message.to_string();
        InvitationMail {
            message_id_seed: mail.id,
            // The same for every try, so that every try makes the same bytes.
            date: mail.create_time,
            to: invitation.email.to_string(),
            locale: None,
            grants: vec![GrantedTeam {
                team: team.name.to_string(),
                roles: roles.map(|role| role.name.clone()).collect(),
                permissions: 0,
            }],
            inviter_name,
            message: Some(message).filter(|message| !message.is_empty()),
            link: self.links.url(&self.links.token(invitation)).into(),
            login_email: invitation.email.to_string(),
            expire_time: invitation.expire_time,
        }
    }

    async fn record(&self, mail: &Mail, invitation: &Invitation, outcome: Recorded) -> Result<()> {
        let cx = Context { principal: Principal::system("mail"), call_id: mail.id.to_string(), traceparent: None };
        let command = RecordDelivery {
            team: invitation.team_id,
            invitation: invitation.id,
            mail: mail.id,
            attempts: mail.attempts,
            outcome,
        };
        self.store.write(&cx, WriteOptions::default(), command).await.map(drop)
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
