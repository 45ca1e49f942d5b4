//! What every mail of an installation has in common, and the forms in which values reach the templates.

use chrono::{DateTime, Utc};
use minijinja::{Value, context, value::Serde};
use serde::Serialize;

use super::untrusted::header;
use crate::config;

/// Whom a mail speaks for, from the configuration.
#[derive(Debug, Clone, Default)]
pub(super) struct Brand {
    pub(super) product: String,
    pub(super) logo_url: Option<String>,
    pub(super) support_address: Option<String>,
    pub(super) login_url: Option<String>,
    pub(super) team_url: Option<config::TeamUrl>,
}

/// The rendition that a value is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The subject and the text part, in which nothing is escaped.
    Text,
    /// The HTML part, in which every value is escaped as it is written.
    Html,
}

/// A moment as templates see it, in UTC.
#[derive(Serialize)]
pub(super) struct Moment {
    /// In English words, to the minute.
    text: String,
    /// As in ISO 8601.
    date: String,
    /// Hours and minutes.
    time: String,
    /// For languages that write dates in another way.
    year: String,
    month: String,
    day: String,
}

impl From<&config::Mail> for Brand {
    fn from(mail: &config::Mail) -> Self {
        let text = |url: &config::WebUrl| url.as_str().to_owned();
        Self {
            product: mail.product_name.clone(),
            logo_url: mail.logo_url.as_ref().map(text),
            support_address: mail.support_address.clone(),
            login_url: mail.login_url.as_ref().map(text),
            team_url: mail.team_url.clone(),
        }
    }
}

impl Brand {
    /// The variables that every template has.
    pub(super) fn view(&self, form: Form) -> Value {
        context! {
            product => header(&self.product),
            logo_url => self.logo_url.as_deref().map(|url| form.url(url)),
            support_address => self.support_address.clone(),
        }
    }
}

impl Form {
    /// An address of a web page. Of what one may hold, only `&` means something in HTML, so it is escaped here, and
    /// not every `/` as well: whoever reads the source finds the address.
    pub(super) fn url(self, url: &str) -> Value {
        match self {
            Self::Text => Value::from(url),
            Self::Html => Value::from_safe_string(url.replace('&', "&amp;")),
        }
    }
}

/// A moment for templates.
pub(super) fn moment(time: DateTime<Utc>) -> Value {
    let format = |pattern: &str| time.format(pattern).to_string();
    Value::from(Serde(Moment {
        text: format("%-d %B %Y, %H:%M UTC"),
        date: format("%Y-%m-%d"),
        time: format("%H:%M"),
        year: format("%Y"),
        month: format("%-m"),
        day: format("%-d"),
    }))
}
