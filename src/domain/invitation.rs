//! The life of an invitation: pending, then exactly one end.

mod delivery;
mod offer;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Broken, Email, InvitationId, TeamId, UserId, Version, label::Labels, profile::Locale, text::Message};

pub use delivery::{Channel, Delivery, DeliveryState, Outcome};
pub use offer::{InvitationPatch, Offer, Offers};

/// An offer to an address to join teams of one tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// The id.
    pub id: InvitationId,
    /// The team that invites.
    pub team_id: TeamId,
    /// The address.
    pub email: Email,
    /// What accepting gives, by team; the team that invites is one of them.
    pub grants: Offers,
    /// The recorded state. Ask [`Invitation::state_at`] whether a pending one is still open.
    pub state: State,
    /// Which link is alive: links of other versions are dead.
    pub link_version: u32,
    /// The person who answers for what it grants: who invited, or sent it again or changed its grants since. `None` when
    /// a service did.
    pub inviter: Option<UserId>,
    /// The inviter's words.
    pub message: Message,
    /// The language of its mails.
    pub locale: Option<Locale>,
    /// The caller's data.
    pub metadata: Labels,
    /// When it was created.
    pub create_time: DateTime<Utc>,
    /// From when on it is expired.
    pub expire_time: DateTime<Utc>,
    /// How it is delivered.
    pub delivery: Delivery,
    /// When the holder of its link asked for a new one last, after it had run out.
    pub renewal_request_time: Option<DateTime<Utc>>,
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

/// How long after a request for a new invitation another one tells the inviter again.
const RENEWAL_PAUSE: TimeDelta = TimeDelta::days(1);

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

    /// The teams that it grants something in.
    pub fn teams(&self) -> impl Iterator<Item = TeamId> + '_ {
        self.grants.keys().copied()
    }

    /// What of it is shown in a team that it grants something in to who may not read the invitations of the team that
    /// invites.
    pub fn seen_from(self, team: TeamId) -> Self {
        let grants = self.grants.into_iter().filter(|(id, _)| *id == team).collect();
        let delivery = Delivery { last_error: None, ..self.delivery };
        let (message, metadata) = (Message::default(), Labels::default());
        Self { grants, inviter: None, message, metadata, delivery, ..self }
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
        Ok(self.ended(State::Accepted { by, at: now }))
    }

    /// Declined.
    pub fn decline(self, now: DateTime<Utc>) -> Result<Self, Broken> {
        self.check_open(now)?;
        Ok(self.ended(State::Declined { at: now }))
    }

    /// Canceled.
    pub fn cancel(self, now: DateTime<Utc>) -> Result<Self, Broken> {
        self.check_open(now)?;
        Ok(self.ended(State::Canceled { at: now }))
    }

    /// Records that it ran out; `None` while it has not, or when another end was recorded.
    pub fn expire(self, now: DateTime<Utc>) -> Option<Self> {
        let ran_out = self.state == State::Pending && now >= self.expire_time;
        ran_out.then(|| self.ended(State::Expired))
    }

    /// At its end, after which nobody is written to about it.
    fn ended(self, state: State) -> Self {
        Self { state, delivery: self.delivery.called_off(), ..self }
    }

    /// Open for at least `ttl` from `now` on and on its way again, with `mail`; whoever sends it answers for it from now
    /// on. An open one keeps its link, and an end that is later still; an expired one gets a new link, so that the old
    /// one stays dead.
    pub fn resend(
        self,
        inviter: Option<UserId>,
        ttl: TimeDelta,
        mail: Uuid,
        now: DateTime<Utc>,
    ) -> Result<Self, Broken> {
        let link_version = match self.check_open(now) {
            Ok(()) => self.link_version,
            Err(Broken::InvitationExpired) => self.link_version + 1,
            Err(closed) => return Err(closed),
        };
        let (expire_time, delivery) = (self.expire_time.max(now + ttl), self.delivery.again(mail));
        Ok(Self { state: State::Pending, link_version, inviter, expire_time, delivery, ..self })
    }

    /// The holder of its link asks for a new one: only when it has run out. `None` when they asked a moment ago.
    pub fn request_renewal(self, now: DateTime<Utc>) -> Result<Option<Self>, Broken> {
        match self.check_open(now) {
            Ok(()) => return Err(Broken::InvitationOpen),
            Err(Broken::InvitationExpired) => {}
            Err(closed) => return Err(closed),
        }
        let recent =
            self.renewal_request_time.is_some_and(|last| last >= self.expire_time && now < last + RENEWAL_PAUSE);
        Ok((!recent).then_some(Self { renewal_request_time: Some(now), ..self }))
    }
}

/// An invitation for tests.
#[cfg(test)]
pub(super) mod fixture {
    use super::*;

    pub(in crate::domain) fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    pub(in crate::domain) fn pending() -> Invitation {
        Invitation {
            id: InvitationId(Uuid::nil()),
            team_id: TeamId(Uuid::nil()),
            email: Email::parse("bob@example.com").unwrap(),
            grants: Offers::new(),
            state: State::Pending,
            link_version: 1,
            inviter: None,
            message: Message::default(),
            locale: None,
            metadata: Labels::default(),
            create_time: at(0),
            expire_time: at(100),
            delivery: Delivery::new(Channel::Email, Uuid::nil()),
            renewal_request_time: None,
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
            assert_eq!(closed.clone().resend(None, TimeDelta::seconds(9), Uuid::nil(), at(2)), Err(why));
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
        let resend = |invitation: Invitation, now| invitation.resend(None, TimeDelta::seconds(100), Uuid::nil(), now);
        let alive = resend(pending(), at(50)).unwrap();
        assert_eq!((alive.link_version, alive.expire_time), (1, at(150)));
        let dead = resend(pending(), at(100)).unwrap();
        assert_eq!((dead.link_version, dead.expire_time, dead.state), (2, at(200), State::Pending));
        let recorded = resend(pending().expire(at(100)).unwrap(), at(101)).unwrap();
        assert_eq!(recorded.link_version, 2);
        let long = resend(Invitation { expire_time: at(900), ..pending() }, at(50)).unwrap();
        assert_eq!(long.expire_time, at(900), "to send it again never shortens it");
    }

    #[test]
    fn a_new_one_is_asked_for_once_a_day_and_only_when_it_ran_out() {
        assert_eq!(pending().request_renewal(at(99)), Err(Broken::InvitationOpen));
        let asked = pending().request_renewal(at(100)).unwrap().unwrap();
        assert_eq!(asked.renewal_request_time, Some(at(100)));
        assert_eq!(asked.clone().request_renewal(at(100 + 86_399)), Ok(None));
        assert!(asked.clone().request_renewal(at(100 + 86_400)).unwrap().is_some());
        // Sent again and run out again, it can be asked for at once.
        let again = asked.resend(None, TimeDelta::seconds(100), Uuid::nil(), at(200)).unwrap();
        assert!(again.request_renewal(at(300)).unwrap().is_some());
        assert_eq!(pending().cancel(at(1)).unwrap().request_renewal(at(100)), Err(Broken::InvitationCanceled));
    }
}
