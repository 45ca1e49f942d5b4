//! The templates, and what they are given.

use lettre::message::Mailbox;
use minijinja::{Environment, UndefinedBehavior, value::Serde};
use secrecy::ExposeSecret;
use serde::Serialize;

use super::{
    InvitationMail, RenderError, Rendered,
    message::Parts,
    untrusted::{address, header, lines, name, wrap},
};

const SUBJECT: &str = "invitation.subject.txt";
const TEXT: &str = "invitation.txt";
const HTML: &str = "invitation.html";

/// Longest link, in octets, so that it fits a line of the text part.
const MAX_LINK: usize = 900;

/// Renders mails from the templates that are built into the program.
#[derive(Debug, Clone)]
pub struct Renderer {
    templates: Environment<'static>,
    from: Mailbox,
}

/// What the templates may use. Every value that a user wrote has been through [`untrusted`](super::untrusted).
#[derive(Serialize)]
struct Context<'a> {
    product: String,
    teams: Vec<String>,
    roles: Vec<String>,
    inviter: Option<String>,
    message_lines: Vec<String>,
    login_email: String,
    expires: String,
    link: &'a str,
}

impl Renderer {
    /// A renderer of mails from `from`: a bare address, or `Name <user@example.com>`.
    ///
    /// # Errors
    ///
    /// [`RenderError::Sender`] when `from` is not a mailbox.
    pub fn new(from: &str) -> Result<Self, RenderError> {
        let mut templates = Environment::new();
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        // The name decides about escaping: `.html` escapes every value, `.txt` none.
        templates.add_template(SUBJECT, include_str!("templates/invitation.subject.txt"))?;
        templates.add_template(TEXT, include_str!("templates/invitation.txt"))?;
        templates.add_template(HTML, include_str!("templates/invitation.html"))?;
        Ok(Self { templates, from: header(from).parse().map_err(RenderError::Sender)? })
    }

    /// Renders an invitation. Pure: the same mail gives the same bytes.
    ///
    /// # Errors
    ///
    /// [`RenderError`] when the recipient or the link is unusable or no team is named. No name and no message is a
    /// reason to fail.
    pub fn invitation(&self, mail: &InvitationMail) -> Result<Rendered, RenderError> {
        let link = link(mail.link.expose_secret())?;
        if mail.team_names.is_empty() {
            return Err(RenderError::NoTeam);
        }
        let mut context = context(mail, link);
        let message = std::mem::take(&mut context.message_lines);
        context.message_lines = wrap(&message);
        let subject = self.fill(SUBJECT, &context)?;
        let text = self.fill(TEXT, &context)?;
        // The template writes the link unescaped: of what `link` lets through, only `&` means something in HTML.
        let escaped = link.replace('&', "&amp;");
        let html = self.fill(HTML, &Context { message_lines: message, link: &escaped, ..context })?;
        Rendered::compose(&self.from, mail, Parts { subject, text, html })
    }

    fn fill(&self, template: &str, context: &Context<'_>) -> Result<String, RenderError> {
        Ok(self.templates.get_template(template)?.render(Serde(context))?)
    }
}

/// The mail as the templates see it.
fn context<'a>(mail: &InvitationMail, link: &'a str) -> Context<'a> {
    Context {
        product: header(&mail.product_name),
        teams: mail.team_names.iter().map(|team| name(team)).collect(),
        roles: mail.role_names.iter().map(|role| name(role)).collect(),
        inviter: mail.inviter_name.as_deref().map(name),
        message_lines: mail.message.as_deref().map(lines).unwrap_or_default(),
        login_email: address(&mail.login_email),
        expires: mail.expire_time.format("%-d %B %Y, %H:%M UTC").to_string(),
        link,
    }
}

/// The link, refused unless it can stand in an HTML attribute and on a line of plain text as it is.
fn link(url: &str) -> Result<&str, RenderError> {
    let absolute = url.starts_with("https://") || url.starts_with("http://");
    let plain = url.bytes().all(|b| b.is_ascii_graphic() && !br#""'<>\^`{|}"#.contains(&b));
    if absolute && plain && url.len() <= MAX_LINK { Ok(url) } else { Err(RenderError::Link) }
}

#[cfg(test)]
mod tests;
