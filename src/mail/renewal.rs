//! The mail that tells an inviter that somebody would like a new invitation.

use chrono::{DateTime, Utc};
use minijinja::{Value, context};
use uuid::Uuid;

use super::{
    RenderError,
    brand::{Brand, Form, moment},
    catalog::Kind,
    message::Head,
    template::Letter,
    untrusted::{address, name},
};
use crate::domain::{InvitationId, TeamId};

/// What the inviter is told when somebody with an expired invitation asks for a new one.
#[derive(Debug, Clone)]
pub struct RenewalMail {
    /// Identifies the mail: the same on every attempt to send it, so that its `Message-ID` is too.
    pub message_id_seed: Uuid,
    /// Stands in the `Date` header.
    pub date: DateTime<Utc>,
    /// The only recipient, the inviter: a bare e-mail address.
    pub to: String,
    /// The recipient's language, a BCP 47 tag, where it is known.
    pub locale: Option<String>,
    /// The team that invited, for the address of the page to see to it on.
    pub team_id: TeamId,
    /// The invitation, for the same.
    pub invitation_id: InvitationId,
    /// The team's name, as users wrote it.
    pub team: String,
    /// The address that had been invited.
    pub invited_address: String,
    /// When the invitation expired. Shown to the minute, in UTC.
    pub expired_time: DateTime<Utc>,
    /// When a new one was asked for. Shown to the minute, in UTC.
    pub request_time: DateTime<Utc>,
}

impl Letter for RenewalMail {
    const KIND: Kind = Kind::Renewal;

    fn head(&self) -> Head<'_> {
        Head { id: self.message_id_seed, date: self.date, to: &self.to }
    }

    fn locale(&self) -> Option<&str> {
        self.locale.as_deref()
    }

    fn view(&self, brand: &Brand, form: Form) -> Result<Value, RenderError> {
        let page = |url: &crate::config::TeamUrl| {
            form.url(&url.fill(&self.team_id.to_string(), &self.invitation_id.to_string()))
        };
        Ok(context! {
            team => name(&self.team),
            invited => address(&self.invited_address),
            expired => moment(self.expired_time),
            requested => moment(self.request_time),
            team_url => brand.team_url.as_ref().map(page),
            ..brand.view(form)
        })
    }
}
