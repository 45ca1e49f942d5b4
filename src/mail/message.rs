//! The MIME message that comes out.

use std::{fmt, time::SystemTime};

use chrono::{DateTime, Utc};
use lettre::{
    Address, Message,
    address::Envelope,
    message::{
        Body, Mailbox, MultiPart, MultiPartKind, SinglePart,
        header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue, MessageId},
    },
};
use uuid::Uuid;

use super::untrusted;

/// Longest line that SMTP carries, in octets without the line end (RFC 5321, 4.5.3.1.6).
const MAX_LINE: usize = 998;

/// What is said of a mail outside of its texts.
pub(super) struct Head<'a> {
    pub(super) id: Uuid,
    pub(super) date: DateTime<Utc>,
    pub(super) to: &'a str,
}

/// The texts of a mail, as the templates gave them.
pub(super) struct Parts {
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) html: String,
    /// The languages that these are in, as a header tells them.
    pub(super) languages: String,
}

/// A message ready to be handed to a [`MailTransport`](super::MailTransport). Holds the link, so its `Debug` form names
/// the message only.
#[derive(Clone)]
pub struct Rendered {
    id: Uuid,
    message: Message,
}

/// Why a mail could not be rendered. None of these goes away by trying again.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The recipient is not an e-mail address that a header field can hold.
    #[error("the recipient is not a valid e-mail address")]
    Recipient,
    /// The link is not a plain absolute URL.
    #[error("the link is not an absolute http or https URL")]
    Link,
    /// No team was named.
    #[error("the mail names no team")]
    NoTeam,
    /// A template is broken.
    #[error("a mail template failed")]
    Template(#[from] minijinja::Error),
    /// The parts do not make a message.
    #[error("the message could not be put together")]
    Message(#[from] lettre::error::Error),
}

impl Rendered {
    /// Puts `parts` together as one message from `from` to the recipient.
    pub(super) fn compose(from: &Mailbox, head: &Head<'_>, parts: Parts) -> Result<Self, RenderError> {
        let id = head.id;
        let to = recipient(head.to)?;
        let message = Message::builder()
            // Stated, not derived from the headers: whatever these come to say, one mail goes to one recipient.
            .envelope(Envelope::new(Some(from.email.clone()), vec![to.clone()])?)
            .from(from.clone())
            .to(Mailbox::new(None, to))
            .subject(untrusted::header(&parts.subject))
            .date(SystemTime::from(head.date))
            .header(MessageId::from(format!("<{id}@{}>", from.email.domain())))
            .raw_header(plain_header("Auto-Submitted", "auto-generated"))
            .raw_header(plain_header("Content-Language", &parts.languages))
            .multipart(alternative(id, parts.text, parts.html))?;
        Ok(Self { id, message })
    }

    /// The mail's id, the left side of its `Message-ID`.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Sender and recipient as SMTP is told them.
    #[must_use]
    pub fn envelope(&self) -> &Envelope {
        self.message.envelope()
    }

    /// The message as it goes over the wire: ASCII unless an address is not, lines ended by CRLF. The same bytes for the
    /// same mail.
    #[must_use]
    pub fn raw(&self) -> Vec<u8> {
        self.message.formatted()
    }
}

impl fmt::Debug for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rendered").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The recipient, refused where a header field could not hold it as it is.
fn recipient(address: &str) -> Result<Address, RenderError> {
    if address.chars().any(|c| c.is_whitespace() || untrusted::is_forbidden(c)) {
        return Err(RenderError::Recipient);
    }
    address.parse().map_err(|_| RenderError::Recipient)
}

/// A header whose text needs no encoding.
fn plain_header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

/// The two renditions of one mail, the plainest first as RFC 2046 asks.
fn alternative(id: Uuid, text: String, html: String) -> MultiPart {
    MultiPart::builder()
        .kind(MultiPartKind::Alternative)
        // Derived, so that the same mail has the same bytes. `=_` cannot occur in a quoted-printable or base64 body, and
        // a text that holds the like of it is encoded as one of these, so no text can close a part.
        .boundary(format!("=_{}", id.simple()))
        .singlepart(SinglePart::builder().header(ContentType::TEXT_PLAIN).body(encode(text)))
        .singlepart(SinglePart::builder().header(ContentType::TEXT_HTML).body(encode(html)))
}

/// Encodes a body. Left to itself, lettre encodes every text with a line above 76 octets, which would fold the link and
/// escape its `=`; ASCII whose lines SMTP can carry is passed as it is, unless something in it looks like the end of a
/// part. Some readers find that in the middle of a line too.
fn encode(text: String) -> Body {
    if text.is_ascii() && text.lines().all(|line| line.len() <= MAX_LINE) && !text.contains("--=_") {
        let wire = text.lines().flat_map(|line| [line, "\r\n"]).collect::<String>();
        Body::dangerous_pre_encoded(wire.into_bytes(), ContentTransferEncoding::SevenBit)
    } else if text.is_ascii() {
        // This encoding takes every text; the other way is for the type.
        Body::new_with_encoding(text, ContentTransferEncoding::QuotedPrintable).unwrap_or_else(Body::new)
    } else {
        Body::new(text)
    }
}
