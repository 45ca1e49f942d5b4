//! How an invitation's link reaches the person.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Invitation;

/// How the link reaches the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Channel {
    /// By a mail that Roster sends.
    Email,
    /// By the caller's own hand.
    LinkOnly,
    /// By an outside mailer, which hears of it by an event and reports how it went.
    External,
}

/// How far the latest mail came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DeliveryState {
    /// Nothing to send, or not any more.
    None,
    /// Waiting.
    Queued,
    /// Taken by the mail server.
    Sent,
    /// Refused for good, or given up.
    Failed,
    /// Taken, and sent back later.
    Bounced,
}

/// How an invitation is delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// How the link reaches the person.
    pub channel: Channel,
    /// The latest mail; `None` when nothing is to be sent.
    pub id: Option<Uuid>,
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

/// How the sending of a mail ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Outcome {
    /// The mail server took it.
    Sent,
    /// It will not be tried again.
    Failed {
        /// What the mail server said last.
        error: String,
    },
    /// It came back after it was taken.
    Bounced {
        /// What came back.
        error: String,
    },
}

impl Delivery {
    /// A delivery that has not begun; `id` names its first mail.
    pub fn new(channel: Channel, id: Uuid) -> Self {
        let begun = Self {
            channel,
            id: None,
            state: DeliveryState::None,
            attempts: 0,
            last_error: None,
            last_sent_time: None,
            send_count: 0,
        };
        begun.again(id)
    }

    /// The same for another mail.
    pub(super) fn again(self, id: Uuid) -> Self {
        let (id, state) = match self.channel {
            Channel::Email | Channel::External => (Some(id), DeliveryState::Queued),
            Channel::LinkOnly => (None, DeliveryState::None),
        };
        Self { id, state, attempts: 0, last_error: None, ..self }
    }

    /// The same when nobody is to be written to any more: what waited does so no longer.
    pub(super) fn called_off(self) -> Self {
        let state = if self.state == DeliveryState::Queued { DeliveryState::None } else { self.state };
        Self { state, ..self }
    }

    /// How the latest mail ended. What was taken does not fail any more, and what came back stays so, whatever is reported
    /// late or twice.
    fn ended(self, attempts: u32, outcome: Outcome, now: DateTime<Utc>) -> Self {
        let taken = matches!(self.state, DeliveryState::Sent | DeliveryState::Bounced);
        match outcome {
            Outcome::Sent | Outcome::Failed { .. } if taken => self,
            Outcome::Sent => Self {
                state: DeliveryState::Sent,
                attempts,
                last_error: None,
                last_sent_time: Some(now),
                send_count: self.send_count + 1,
                ..self
            },
            Outcome::Failed { error } => {
                Self { state: DeliveryState::Failed, attempts, last_error: Some(error), ..self }
            }
            Outcome::Bounced { error } => {
                Self { state: DeliveryState::Bounced, attempts, last_error: Some(error), ..self }
            }
        }
    }
}

impl Invitation {
    /// How its latest mail ended after so many tries.
    pub fn delivered(self, attempts: u32, outcome: Outcome, now: DateTime<Utc>) -> Self {
        Self { delivery: self.delivery.ended(attempts, outcome, now), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::invitation::fixture::{at, pending};

    fn failed() -> Outcome {
        Outcome::Failed { error: "no such user".to_owned() }
    }

    fn bounced() -> Outcome {
        Outcome::Bounced { error: "unknown mailbox".to_owned() }
    }

    #[test]
    fn a_mail_is_counted_once_however_often_it_is_reported() {
        let sent = pending().delivered(1, Outcome::Sent, at(5));
        assert_eq!((sent.delivery.send_count, sent.delivery.last_sent_time), (1, Some(at(5))));
        assert_eq!(sent.clone().delivered(1, Outcome::Sent, at(9)), sent);
        // A report of an earlier try that comes late.
        assert_eq!(sent.clone().delivered(1, failed(), at(9)), sent);
        let in_the_end = pending().delivered(1, failed(), at(4)).delivered(2, Outcome::Sent, at(5));
        assert_eq!((in_the_end.delivery.state, in_the_end.delivery.send_count), (DeliveryState::Sent, 1));
    }

    #[test]
    fn what_came_back_was_not_delivered_after_all() {
        let back = pending().delivered(1, Outcome::Sent, at(5)).delivered(1, bounced(), at(6));
        assert_eq!(back.delivery.state, DeliveryState::Bounced);
        assert_eq!(back.clone().delivered(1, Outcome::Sent, at(7)), back);
        assert_eq!(back.clone().delivered(1, failed(), at(7)), back);
    }

    #[test]
    fn of_a_closed_one_nothing_waits() {
        let closed = |invitation: Invitation| {
            [
                invitation.clone().cancel(at(9)).unwrap(),
                invitation.clone().decline(at(9)).unwrap(),
                invitation.clone().accept("bob".parse().unwrap(), at(9)).unwrap(),
                invitation.expire(at(100)).unwrap(),
            ]
        };
        assert!(closed(pending()).iter().all(|closed| closed.delivery.state == DeliveryState::None));
        let sent = pending().delivered(1, Outcome::Sent, at(5));
        assert!(closed(sent).iter().all(|closed| closed.delivery.state == DeliveryState::Sent));
        // One that was under way was sent all the same.
        let late = pending().cancel(at(1)).unwrap().delivered(1, Outcome::Sent, at(2));
        assert_eq!(late.delivery.state, DeliveryState::Sent);
    }

    #[test]
    fn what_nobody_sends_has_no_mail() {
        let id = Uuid::nil();
        assert_eq!(Delivery::new(Channel::LinkOnly, id).id, None);
        assert_eq!(Delivery::new(Channel::External, id).state, DeliveryState::Queued);
    }
}
