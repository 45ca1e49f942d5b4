//! The time that a call has, over all its attempts.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use tokio::time::{Instant, timeout_at};
use tonic::Status;

const HEADER: &str = "grpc-timeout";

/// When a call has to have ended; `None` is never.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    /// As the request says (`tonic::Request::set_timeout`), or else after `default`.
    pub(crate) fn of(headers: &HeaderMap, default: Option<Duration>) -> Self {
        let own = headers.get(HEADER).and_then(|value| parse(value.to_str().ok()?));
        Self(own.or(default).and_then(|time| Instant::now().checked_add(time)))
    }

    /// Tells the server how much of it is left.
    pub(crate) fn tell(self, headers: &mut HeaderMap) {
        if let Some(left) = self.left() {
            // At most eight digits, so 27 hours in milliseconds and more than a year in seconds.
            let text = match left.as_millis() {
                millis if millis < 100_000_000 => format!("{}m", millis.max(1)),
                _ => format!("{}S", left.as_secs().min(99_999_999)),
            };
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.insert(HEADER, value);
            }
        }
    }

    /// Runs `work` as long as there is time.
    pub(crate) async fn limit<T>(self, work: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
        let Some(end) = self.0 else { return work.await };
        timeout_at(end, work).await.unwrap_or_else(|_| Err(Status::deadline_exceeded("the call's deadline has passed")))
    }

    /// Whether a pause would leave any time.
    pub(crate) fn allows(self, pause: Duration) -> bool {
        self.left().is_none_or(|left| left > pause)
    }

    fn left(self) -> Option<Duration> {
        self.0.map(|end| end.saturating_duration_since(Instant::now()))
    }
}

/// `100m` and the like, as gRPC writes them.
fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number.checked_mul(3600)?),
        "M" => Duration::from_secs(number.checked_mul(60)?),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_told_shrinks() {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, HeaderValue::from_static("9S"));
        let deadline = Deadline::of(&headers, Some(Duration::from_secs(99)));
        tokio::time::advance(Duration::from_secs(4)).await;
        deadline.tell(&mut headers);
        assert_eq!(headers[HEADER], "5000m");
        assert!(deadline.allows(Duration::from_secs(4)) && !deadline.allows(Duration::from_secs(5)));
        tokio::time::advance(Duration::from_secs(6)).await;
        let late = deadline.limit(std::future::pending::<Result<(), Status>>()).await.unwrap_err();
        assert_eq!(late.code(), tonic::Code::DeadlineExceeded);
    }

    #[tokio::test(start_paused = true)]
    async fn without_one_there_is_all_the_time() {
        let deadline = Deadline::of(&HeaderMap::new(), None);
        let mut headers = HeaderMap::new();
        deadline.tell(&mut headers);
        assert!(headers.is_empty() && deadline.allows(Duration::MAX));
    }

    #[test]
    fn every_unit_is_understood() {
        for (text, time) in [("2H", 7200.0), ("3M", 180.0), ("4S", 4.0), ("5m", 0.005), ("6u", 6e-6), ("7n", 7e-9)] {
            assert!((parse(text).unwrap().as_secs_f64() - time).abs() < 1e-12, "{text}");
        }
        assert_eq!([parse(""), parse("S"), parse("5x"), parse("5ä")], [None; 4]);
    }
}
