//! Mail: the invitation that a person receives, and what their inviter is told when they ask for a new one.
//!
//! What is here: rendering ([`Renderer`] turns an [`InvitationMail`] or a [`RenewalMail`] into a [`Rendered`] message,
//! purely: no clock, no randomness, so that the same input always gives the same bytes) and two ways to hand a message
//! over ([`MailTransport`]: [`SmtpTransport`] and [`FileTransport`]). `docs/mail.md` tells what operators can change.
//!
//! A transport makes one attempt and says whether another one can help ([`Failure`]); the [`Worker`] tries again. What
//! is not here: when a mail is asked for, which is decided in the transaction that makes or resends an invitation.

mod brand;
mod catalog;
mod check;
mod file;
#[cfg(test)]
mod fixtures;
mod fold;
mod invitation;
mod letters;
mod message;
mod renewal;
mod reply;
mod smtp;
mod template;
mod transport;
mod untrusted;
mod worker;

pub use check::Problems as TemplateProblems;
pub use file::FileTransport;
pub use invitation::{GrantedTeam, InvitationMail};
pub use letters::Letters;
pub use message::{RenderError, Rendered};
pub use renewal::RenewalMail;
pub use smtp::{SmtpSetupError, SmtpTransport};
pub use template::{RenderSetupError, Renderer};
pub use transport::{Failure, MailTransport, SendError};
pub use worker::{Settings, Worker};
