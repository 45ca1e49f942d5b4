//! The mail that invites somebody.

use chrono::{DateTime, Utc};
use minijinja::{Value, context};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::{
    RenderError,
    brand::{Brand, Form, moment},
    catalog::Kind,
    message::Head,
    template::Letter,
    untrusted::{address, lines, name},
};

/// Longest link, in octets, so that it fits a line of the text part.
const MAX_LINK: usize = 900;

/// What an invitation mail says.
///
/// Names and the message are taken as users wrote them; rendering cleans and escapes them. `link` comes from the
/// configuration and is trusted, apart from what an address must not hold.
#[derive(Debug, Clone)]
pub struct InvitationMail {
    /// Identifies the mail: the same on every attempt to send it, so that its `Message-ID` is too.
    pub message_id_seed: Uuid,
    /// Stands in the `Date` header.
    pub date: DateTime<Utc>,
    /// The only recipient: a bare e-mail address.
    pub to: String,
    /// The recipient's language, a BCP 47 tag, where it is known.
    pub locale: Option<String>,
    /// What the invitation grants, the team that invites first. Must not be empty.
    pub grants: Vec<GrantedTeam>,
    /// Who invites, when it is a person with a name.
    pub inviter_name: Option<String>,
    /// The inviter's own words.
    pub message: Option<String>,
    /// The address that accepts the invitation, token included: an absolute `http` or `https` URL.
    pub link: SecretString,
    /// The e-mail address to log in with.
    pub login_email: String,
    /// When the link stops working. Shown to the minute, in UTC.
    pub expire_time: DateTime<Utc>,
}

/// What an invitation grants in one team.
#[derive(Debug, Clone, Default)]
pub struct GrantedTeam {
    /// The team's name.
    pub team: String,
    /// The names of the roles granted. May be empty.
    pub roles: Vec<String>,
    /// How many single permissions are granted beside the roles.
    pub permissions: usize,
}

impl Letter for InvitationMail {
    const KIND: Kind = Kind::Invitation;

    fn head(&self) -> Head<'_> {
        Head { id: self.message_id_seed, date: self.date, to: &self.to }
    }

    fn locale(&self) -> Option<&str> {
        self.locale.as_deref()
    }

    fn view(&self, brand: &Brand, form: Form) -> Result<Value, RenderError> {
        let team = self.grants.first().ok_or(RenderError::NoTeam)?;
        Ok(context! {
            team => name(&team.team),
            grants => self.grants.iter().map(GrantedTeam::view).collect::<Vec<_>>(),
            inviter => self.inviter_name.as_deref().map(name),
            message => self.message.as_deref().map(lines).unwrap_or_default(),
            login_email => address(&self.login_email),
            login_url => brand.login_url.as_deref().map(|url| form.url(url)),
            expires => moment(self.expire_time),
            link => form.url(checked(self.link.expose_secret())?),
            ..brand.view(form)
        })
    }
}

impl GrantedTeam {
    fn view(&self) -> Value {
        context! {
            team => name(&self.team),
            roles => self.roles.iter().map(|role| name(role)).collect::<Vec<_>>(),
            permissions => self.permissions,
        }
    }
}

/// The link, refused unless it can stand in an HTML attribute and on a line of plain text as it is.
fn checked(url: &str) -> Result<&str, RenderError> {
    let absolute = url.starts_with("https://") || url.starts_with("http://");
    let plain = url.bytes().all(|b| b.is_ascii_graphic() && !br#""'<>\^`{|}"#.contains(&b));
    if absolute && plain && url.len() <= MAX_LINK { Ok(url) } else { Err(RenderError::Link) }
}
