//! Ends a call when its time is up: that of its caller (`grpc-timeout`), or that of this server if it is shorter.
//!
//! What is timed is the way to the head of the response. For a call that answers once that is all of it; for a stream it
//! is the opening, and what follows has no deadline here. A write that has begun goes on to its end all the same.

use std::time::Duration;

use http::HeaderMap;

use super::{Answer, Call, Request, Rest, Step, refusal, refuse};
use crate::grpc::status::EdgeError;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Deadline {
    /// The longest a call may take.
    pub(super) max: Duration,
}

impl Step for Deadline {
    fn call<R: Rest>(&self, request: Request, next: impl FnOnce(Request) -> R) -> Answer {
        let call = Call::of(&request);
        let timeout = grpc_timeout(request.headers()).map_or(self.max, |given| given.min(self.max));
        if timeout.is_zero() {
            return refuse(EdgeError::DeadlineExceeded, &call);
        }
        let rest = tokio::time::timeout(timeout, next(request));
        Box::pin(async move { Ok(rest.await.map_or_else(|_| refusal(EdgeError::DeadlineExceeded, &call), |Ok(r)| r)) })
    }
}

/// How long the caller waits: 1 to 8 digits and a unit. What is no such thing counts as nothing.
fn grpc_timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if !(1..=8).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use tonic::Status;

    use super::*;

    #[test]
    fn grpc_timeout_is_read_as_the_protocol_says() {
        let read = |text: &str| {
            let value = HeaderValue::from_str(text).unwrap();
            grpc_timeout(&HeaderMap::from_iter([(http::HeaderName::from_static("grpc-timeout"), value)]))
        };
        for (text, expected) in [
            ("2H", Duration::from_hours(2)),
            ("3M", Duration::from_mins(3)),
            ("0S", Duration::ZERO),
            ("15S", Duration::from_secs(15)),
            ("99999999m", Duration::from_millis(99_999_999)),
            ("7u", Duration::from_micros(7)),
            ("8n", Duration::from_nanos(8)),
        ] {
            assert_eq!(read(text), Some(expected), "{text}");
        }
        for bad in ["", "S", "1", "1s", "123456789S", "-1S", "+1S", "1.5S", " 1S", "1 S", "1ä"] {
            assert_eq!(HeaderValue::from_str(bad).ok().and_then(|_| read(bad)), None, "{bad}");
        }
        assert_eq!(grpc_timeout(&HeaderMap::new()), None);
    }
    #[tokio::test(start_paused = true)]
    async fn the_shorter_time_holds() {
        let deadline = Deadline { max: Duration::from_secs(10) };
        for (given, expected) in [
            (None, Duration::from_secs(10)),
            (Some("1M"), Duration::from_secs(10)),
            (Some("3S"), Duration::from_secs(3)),
            (Some("20m"), Duration::from_millis(20)),
            (Some("0n"), Duration::ZERO),
        ] {
            let mut request = Request::default();
            if let Some(given) = given {
                request.headers_mut().insert("grpc-timeout", HeaderValue::from_static(given));
            }
            let begun = tokio::time::Instant::now();
            let Ok(response) = deadline.call(request, |_| std::future::pending()).await;
            assert_eq!(response.headers()[Status::GRPC_STATUS], "4", "{given:?}");
            // The timer counts in milliseconds.
            assert_eq!(begun.elapsed().as_millis() / 10, expected.as_millis() / 10, "{given:?}");
        }
    }
}
