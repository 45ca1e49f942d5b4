//! From a mail's values to its message.

use lettre::{address::AddressError, message::Mailbox};
use minijinja::Value;

use super::{
    InvitationMail, RenderError, Rendered, RenewalMail, TemplateProblems,
    brand::{Brand, Form},
    catalog::{Catalog, Kind, Part},
    check,
    fold::fold,
    message::{Head, Parts},
    untrusted::header,
};
use crate::config;

/// Renders mails from the templates that are built into the program, and from the operator's own.
#[derive(Debug, Clone)]
pub struct Renderer {
    catalog: Catalog,
    brand: Brand,
    from: Mailbox,
}

/// Why mails cannot be written as the configuration asks.
#[derive(Debug, thiserror::Error)]
pub enum RenderSetupError {
    /// The sender is not a mailbox (`Name <user@example.com>`, or the bare address).
    #[error("the sender is not a valid mailbox")]
    Sender(#[source] AddressError),
    /// The operator's templates cannot be used.
    #[error("{0}")]
    Templates(TemplateProblems),
    /// A template that is built in is broken.
    #[error("a template that is built in is broken")]
    BuiltIn(#[from] minijinja::Error),
    /// A sample mail cannot be made.
    #[error("the templates cannot be tried")]
    Sample(#[from] RenderError),
}

/// A mail of some kind.
pub(super) trait Letter {
    /// Which templates it takes.
    const KIND: Kind;

    /// What is said of it outside of its texts.
    fn head(&self) -> Head<'_>;

    /// The recipient's language.
    fn locale(&self) -> Option<&str>;

    /// Its values as the templates see them. Whatever a user wrote has been through [`untrusted`](super::untrusted).
    fn view(&self, brand: &Brand, form: Form) -> Result<Value, RenderError>;
}

impl Renderer {
    /// A renderer as the configuration asks. Reads the operator's templates, and tries each of them with sample mails.
    ///
    /// # Errors
    ///
    /// [`RenderSetupError`]; problems of the templates are told all at once.
    pub fn new(config: &config::Mail) -> Result<Self, RenderSetupError> {
        let from = header(&config.from).parse().map_err(RenderSetupError::Sender)?;
        let (mut catalog, brand) = (Catalog::built_in()?, Brand::from(config));
        let mut problems = TemplateProblems::default();
        if let Some(folder) = &config.templates {
            catalog.read(folder, &mut problems);
        }
        catalog.set_default(&config.default_locale, &mut problems);
        check::check(&catalog, &brand, &mut problems)?;
        if !problems.is_empty() {
            return Err(RenderSetupError::Templates(problems));
        }
        Ok(Self { catalog, brand, from })
    }

    /// Renders an invitation. Pure: the same mail gives the same bytes.
    ///
    /// # Errors
    ///
    /// [`RenderError`] when the recipient or the link is unusable or no team is named. No name and no message is a
    /// reason to fail.
    pub fn invitation(&self, mail: &InvitationMail) -> Result<Rendered, RenderError> {
        self.render(mail)
    }

    /// Renders what an inviter is told when a new invitation is asked for. Pure: the same mail gives the same bytes.
    ///
    /// # Errors
    ///
    /// [`RenderError`] when the recipient is unusable. No name is a reason to fail.
    pub fn renewal(&self, mail: &RenewalMail) -> Result<Rendered, RenderError> {
        self.render(mail)
    }

    fn render<L: Letter>(&self, mail: &L) -> Result<Rendered, RenderError> {
        let templates = self.catalog.choose(L::KIND, mail.locale());
        let (text, html) = (mail.view(&self.brand, Form::Text)?, mail.view(&self.brand, Form::Html)?);
        let parts = Parts {
            subject: templates.fill(Part::Subject, text.clone())?,
            text: fold(&templates.fill(Part::Text, text)?),
            html: templates.fill(Part::Html, html)?,
            languages: templates.languages(),
        };
        Rendered::compose(&self.from, &mail.head(), parts)
    }
}

#[cfg(test)]
mod tests;
