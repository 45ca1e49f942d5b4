//! Mail: the invitation that a person receives.
//!
//! What is here: rendering ([`Renderer`] turns an [`InvitationMail`] into a [`Rendered`] message, purely: no clock, no
//! randomness, so that the same input always gives the same bytes) and two ways to hand a message over
//! ([`MailTransport`]: [`SmtpTransport`] and [`FileTransport`]).
//!
//! A transport makes one attempt and says whether another one can help ([`Failure`]); the [`Worker`] tries again. What
//! is not here: when a mail is asked for, which is decided in the transaction that makes or resends an invitation.

mod file;
#[cfg(test)]
mod fixtures;
mod message;
mod reply;
mod smtp;
mod template;
mod transport;
mod untrusted;
mod worker;

pub use file::FileTransport;
pub use message::{InvitationMail, RenderError, Rendered};
pub use smtp::{SmtpSetupError, SmtpTransport};
pub use template::Renderer;
pub use transport::{Failure, MailTransport, SendError};
pub use worker::{Settings, Worker};
