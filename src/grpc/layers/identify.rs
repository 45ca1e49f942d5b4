//! Gives a call its id and finds out what is called.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Answer, Call, Request, Rest, Step};
use crate::{env::Env, grpc::methods::Methods};

/// The metadata that holds the id, on the way in and on the way back.
const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The most characters of an id and, where it is shown, of a path that nobody serves.
const LENGTH_LIMIT: usize = 128;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Identify {
    pub(super) env: Env,
    pub(super) methods: Arc<Methods>,
}

impl Step for Identify {
    fn call<R: Rest>(&self, mut request: Request, next: impl FnOnce(Request) -> R) -> Answer {
        let id = given_id(request.headers()).unwrap_or_else(|| self.env.id().to_string());
        let (path, headers) = (request.uri().path(), request.headers());
        let shown = path.chars().take(LENGTH_LIMIT).collect();
        let call = Call::new(id, shown, self.methods.find(path), traceparent(headers).map(str::to_owned));
        request.extensions_mut().insert(call.clone());
        let rest = next(request);
        Box::pin(async move {
            let Ok(mut response) = rest.await;
            if let Ok(id) = HeaderValue::from_str(call.id()) {
                response.headers_mut().insert(HEADER, id);
            }
            Ok(response)
        })
    }
}

/// The id that the caller chose, if it is one: 1 to 128 visible ASCII characters.
fn given_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(HEADER)?.to_str().ok()?;
    let good = (1..=LENGTH_LIMIT).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
    good.then(|| id.to_owned())
}

/// The W3C trace context, if it is one: `00-<32 hex>-<16 hex>-<2 hex>`, neither id all zeros. A later version may have
/// more at its end.
fn traceparent(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    let mut parts = text.split('-');
    let hex = |part: Option<&str>, length| {
        part.is_some_and(|p| p.len() == length && p.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)))
    };
    let id = |part: Option<&str>, length| hex(part, length) && part.is_some_and(|p| p.bytes().any(|b| b != b'0'));
    let version = parts.next();
    let good = hex(version, 2) && version != Some("ff") && id(parts.next(), 32) && id(parts.next(), 16);
    let complete = good && hex(parts.next(), 2) && (version != Some("00") || parts.next().is_none());
    (complete && text.len() <= LENGTH_LIMIT).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn an_id_is_taken_over_if_it_can_stand_in_a_log() {
        for good in ["a", "01HZY-7_x.y:z/=+", &"x".repeat(128)] {
            assert_eq!(given_id(&with("x-request-id", good)).as_deref(), Some(good));
        }
        for bad in ["", "a b", "a\tb", &"x".repeat(129)] {
            assert_eq!(given_id(&with("x-request-id", bad)), None, "{bad}");
        }
        assert_eq!(given_id(&HeaderMap::new()), None);
    }

    #[test]
    fn a_trace_context_is_taken_over_if_it_is_one() {
        let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        for good in [format!("00-{trace}-{span}-01"), format!("01-{trace}-{span}-00-more")] {
            assert_eq!(traceparent(&with("traceparent", &good)), Some(good.as_str()));
        }
        for bad in [
            String::new(),
            format!("00-{trace}-{span}"),
            format!("00-{trace}-{span}-01-more"),
            format!("ff-{trace}-{span}-01"),
            format!("00-{}-{span}-01", "0".repeat(32)),
            format!("00-{trace}-{}-01", "0".repeat(16)),
            format!("00-{}-{span}-01", trace.to_uppercase()),
            format!("01-{trace}-{span}-00-{}", "x".repeat(99)),
        ] {
            assert_eq!(traceparent(&with("traceparent", &bad)), None, "{bad}");
        }
    }
}
