//! The life of an invitation: pending, then exactly one end.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{Broken, Email, InvitationId, RoleId, TeamId, UserId, Version, label::Labels, text::Message};

/// An offer to an address to join teams of one tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// The id.
    pub id: InvitationId,
    /// The team that invites.
    pub team_id: TeamId,
    /// The address.
    pub email: Email,
    /// What accepting gives, by team.
    pub grants: BTreeMap<TeamId, BTreeSet<RoleId>>,
    /// The recorded state. Ask [`Invitation::state_at`] whether a pending one is still open.
    pub state: State,
    /// Which link is alive: links of other versions are dead.
    pub link_version: u32,
    /// The person who invited; `None` when a service did.
    pub inviter: Option<UserId>,
    /// The inviter's words.
    pub message: Message,
    /// The caller's data.
    pub metadata: Labels,
    /// When it was created.
    pub create_time: DateTime<Utc>,
    /// From when on it is expired.
    pub expire_time: DateTime<Utc>,
    /// How it is delivered.
    pub delivery: Delivery,
    /// The version of the team that changed it last.
    pub changed: Version,
}

/// Where an invitation stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Open until it expires.
    Pending,
    /// Accepted.
    Accepted {
        /// By whom.
        by: UserId,
        /// When.
        at: DateTime<Utc>,
    },
    /// Declined.
    Declined {
        /// When.
        at: DateTime<Utc>,
    },
    /// Canceled.
    Canceled {
        /// When.
        at: DateTime<Utc>,
    },
    /// Ran out, at its expire time.
    Expired,
}

/// How the link reaches the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Channel {
    /// By a mail that Roster sends.
    Email,
    /// By the caller's own hand.
    LinkOnly,
}

/// How far the latest mail came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeliveryState {
    /// Nothing to send.
    None,
    /// Waiting.
    Queued,
    /// Taken by the mail server.
    Sent,
    /// Refused for good, or given up.
    Failed,
}

/// How an invitation is delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// How the link reaches the person.
    pub channel: Channel,
    /// How far the latest mail came.
    pub state: DeliveryState,
    /// How often the latest mail was tried.
    pub attempts: u32,
    /// What the mail server said last when it did not take it.
    pub last_error: Option<String>,
    /// When a mail was taken last.
    pub last_sent_time: Option<DateTime<Utc>>,
    /// How many mails were taken.
    pub send_count: u32,
}

impl Delivery {
    /// A delivery that has not begun.
    pub fn new(channel: Channel) -> Self {
        Self {
            channel,
            state: Self::initial_state(channel),
            attempts: 0,
            last_error: None,
            last_sent_time: None,
            send_count: 0,
        }
    }

    fn initial_state(channel: Channel) -> DeliveryState {
        match channel {
            Channel::Email => DeliveryState::Queued,
            Channel::LinkOnly => DeliveryState::None,
        }
    }
}

impl Invitation {
    /// Where the invitation stands at `now`: the clock decides about expiry, whatever is recorded.
    pub fn state_at(&self, now: DateTime<Utc>) -> &State {
        match &self.state {
            State::Pending if now >= self.expire_time => &State::Expired,
            recorded => recorded,
        }
    }

    /// When it came to its end, if it has by `now`.
    pub fn close_time(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self.state_at(now) {
            State::Pending => None,
            State::Accepted { at, .. } | State::Declined { at } | State::Canceled { at } => Some(*at),
            State::Expired => Some(self.expire_time),
        }
    }

    /// Who accepted it.
    pub fn accepted_by(&self) -> Option<&UserId> {
        match &self.state {
            State::Accepted { by, .. } => Some(by),
            _ => None,
        }
    }

    /// The roles granted in the team that invites.
    pub fn roles(&self) -> &BTreeSet<RoleId> {
        const NONE: &BTreeSet<RoleId> = &BTreeSet::new();
        self.grants.get(&self.team_id).unwrap_or(NONE)
    }

    /// Fails with the reason why it is closed, if it is.
    pub fn check_open(&self, now: DateTime<Utc>) -> Result<(), Broken> {
        match self.state_at(now) {
            State::Pending => Ok(()),
            State::Accepted { .. } => Err(Broken::InvitationAccepted),
            State::Declined { .. } => Err(Broken::InvitationDeclined),
            State::Canceled { .. } => Err(Broken::InvitationCanceled),
            State::Expired => Err(Broken::InvitationExpired),
        }
    }

    /// Accepted for `by`.
    pub fn accept(self, by: UserId, now: DateTime<Utc>) -> Result<Self, Broken> {
        self.check_open(now)?;
        Ok(Self { state: State::Accepted { by, at: now }, ..self })
    }

    /// Declined.
    pub fn decline(self, now: DateTime<Utc>) -> Result<Self, Broken> {
        self.check_open(now)?;
        Ok(Self { state: State::Declined { at: now }, ..self })
    }

    /// Canceled.
    pub fn cancel(self, now: DateTime<Utc>) -> Result<Self, Broken> {
        self.check_open(now)?;
        Ok(Self { state: State::Canceled { at: now }, ..self })
    }

    /// Records that it ran out; `None` while it has not, or when another end was recorded.
    pub fn expire(self, now: DateTime<Utc>) -> Option<Self> {
        let ran_out = self.state == State::Pending && now >= self.expire_time;
        ran_out.then_some(Self { state: State::Expired, ..self })
    }

    /// Open for `ttl` from `now` on and on its way again. An open one keeps its link; an expired one gets a new link,
    /// so that the old one stays dead.
    pub fn resend(self, ttl: TimeDelta, now: DateTime<Utc>) -> Result<Self, Broken> {
        let link_version = match self.check_open(now) {
            Ok(()) => self.link_version,
            Err(Broken::InvitationExpired) => self.link_version + 1,
            Err(closed) => return Err(closed),
        };
        let state = Delivery::initial_state(self.delivery.channel);
        let delivery = Delivery { state, attempts: 0, last_error: None, ..self.delivery };
        Ok(Self { state: State::Pending, link_version, expire_time: now + ttl, delivery, ..self })
    }

    /// Its mail was taken by the mail server.
    pub fn sent(self, attempts: u32, now: DateTime<Utc>) -> Self {
        let delivery = Delivery {
            state: DeliveryState::Sent,
            attempts,
            last_error: None,
            last_sent_time: Some(now),
            send_count: self.delivery.send_count + 1,
            ..self.delivery
        };
        Self { delivery, ..self }
    }

    /// Its mail was not taken and will not be tried again.
    pub fn delivery_failed(self, attempts: u32, error: String) -> Self {
        let delivery = Delivery { state: DeliveryState::Failed, attempts, last_error: Some(error), ..self.delivery };
        Self { delivery, ..self }
    }
}

/// An invitation for tests.
#[cfg(test)]
pub(super) mod fixture {
    use uuid::Uuid;

    use super::*;

    pub(in crate::domain) fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    pub(in crate::domain) fn pending() -> Invitation {
        Invitation {
            id: InvitationId(Uuid::nil()),
            team_id: TeamId(Uuid::nil()),
            email: Email::parse("bob@example.com").unwrap(),
            grants: BTreeMap::new(),
            state: State::Pending,
            link_version: 1,
            inviter: None,
            message: Message::default(),
            metadata: Labels::default(),
            create_time: at(0),
            expire_time: at(100),
            delivery: Delivery::new(Channel::Email),
            changed: Version(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{fixture::*, *};

    fn bob() -> UserId {
        "bob".parse().unwrap()
    }

    #[test]
    fn an_invitation_ends_once() {
        type End = fn(Invitation, DateTime<Utc>) -> Result<Invitation, Broken>;
        let ends: [End; 3] = [|i, now| i.accept(bob(), now), Invitation::decline, Invitation::cancel];
        let why = [Broken::InvitationAccepted, Broken::InvitationDeclined, Broken::InvitationCanceled];
        for (first, why) in ends.iter().zip(why) {
            let closed = first(pending(), at(1)).unwrap();
            for second in ends {
                assert_eq!(second(closed.clone(), at(2)), Err(why.clone()));
            }
            assert_eq!(closed.clone().resend(TimeDelta::seconds(9), at(2)), Err(why));
            assert_eq!(closed.expire(at(1000)), None);
        }
    }

    #[test]
    fn the_clock_decides_about_expiry() {
        assert!(pending().accept(bob(), at(99)).is_ok());
        assert_eq!(pending().accept(bob(), at(100)), Err(Broken::InvitationExpired));
        assert_eq!(pending().expire(at(99)), None);
        assert_eq!(pending().expire(at(100)).unwrap().state, State::Expired);
        assert_eq!(pending().state_at(at(100)), &State::Expired);
    }

    #[test]
    fn resending_keeps_a_living_link_and_replaces_a_dead_one() {
        let ttl = TimeDelta::seconds(100);
        let alive = pending().resend(ttl, at(50)).unwrap();
        assert_eq!((alive.link_version, alive.expire_time), (1, at(150)));
        let dead = pending().resend(ttl, at(100)).unwrap();
        assert_eq!((dead.link_version, dead.expire_time, dead.state), (2, at(200), State::Pending));
        let recorded = pending().expire(at(100)).unwrap().resend(ttl, at(101)).unwrap();
        assert_eq!(recorded.link_version, 2);
    }
}
