//! What an SMTP failure means, and what may be said about it.
//!
//! A 5xx reply is final only when it is about the message. While connecting it is about the server or about our
//! credentials, and an operator can put that right: mail waits instead of being given up.
//!
//! The words of a reply are never repeated: servers quote what they refuse, and a message holds a link. The reply code and
//! the enhanced status code (RFC 3463) carry what is needed.

use std::error::Error as _;

use lettre::transport::smtp::Error;

use super::SendError;

/// What a server answers in the middle of a message that wants a login, another one or encryption first (RFC 4954, 6): that
/// is about our configuration, as while connecting.
const WANT_LOGIN: [u16; 4] = [530, 534, 535, 538];

/// A failure before the message was begun.
pub(super) fn about_server(error: &Error) -> SendError {
    SendError::transient(format!("cannot use the mail server: {}", describe(error)))
}

/// A failure while the message was handed over.
pub(super) fn about_message(error: &Error) -> SendError {
    let reason = format!("the mail server did not take the message: {}", describe(error));
    // lettre's own refusal ("client") is about an address that the server does not support.
    let about_us = error.status().is_some_and(|code| WANT_LOGIN.contains(&code.into()));
    if (error.is_permanent() && !about_us) || error.is_client() {
        SendError::permanent(reason)
    } else {
        SendError::transient(reason)
    }
}

fn describe(error: &Error) -> String {
    let detail = error.source().map(ToString::to_string).unwrap_or_default();
    if let Some(code) = error.status() {
        return match enhanced_status(&detail) {
            Some((status, subject)) => format!("it answered {code} {status} ({subject})"),
            None => format!("it answered {code}"),
        };
    }
    if error.is_response() {
        // The detail may hold the reply.
        return "its answer was incomplete or not SMTP".to_owned();
    }
    detail
}

/// The enhanced status code that starts a reply, and what its subject (the second number) is about.
fn enhanced_status(reply: &str) -> Option<(&str, &'static str)> {
    let status = reply.split_whitespace().next()?;
    let numbers: Vec<&str> = status.split('.').collect();
    let [_, subject, _] = numbers.as_slice() else { return None };
    let well_formed = numbers.iter().all(|n| (1..=3).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_digit()));
    let meaning = match *subject {
        "1" => "address",
        "2" => "mailbox",
        "3" => "mail system",
        "4" => "network or routing",
        "5" => "protocol",
        "6" => "content",
        "7" => "policy or security",
        _ => "other",
    };
    well_formed.then_some((status, meaning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_enhanced_status_is_read_and_nothing_else() {
        assert_eq!(enhanced_status("5.1.1 user unknown"), Some(("5.1.1", "address")));
        assert_eq!(enhanced_status("4.2.2"), Some(("4.2.2", "mailbox")));
        for other in
            ["", "user unknown", "5.1", "5.1.1.1", "5.1.x", "5.1.1234", "http://a.b.c/?token=1", "..", "5.7.1:"]
        {
            assert_eq!(enhanced_status(other), None, "{other}");
        }
    }
}
