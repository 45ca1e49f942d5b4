//! Gives a reason to every failure that has none: those that the library makes, from a request that is no message to a
//! message that is too large, and those of health and reflection.

use std::task::Poll;

use http::HeaderMap;
use tonic::{Code, Status, body::Body};

use super::{
    Answer, Call, Request, Rest, Step,
    body::{self, Polled, Watch, watched},
};
use crate::grpc::{
    server::{MAX_ANSWER, MAX_REQUEST},
    status::{EdgeError, status},
};

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Explain;

impl Step for Explain {
    fn call<R: Rest>(&self, request: Request, next: impl FnOnce(Request) -> R) -> Answer {
        let call = Call::of(&request);
        let rest = next(request);
        Box::pin(async move {
            let Ok(mut response) = rest.await;
            explain(response.headers_mut(), Place::Head, &call);
            Ok(watched(response, Trailers(call)))
        })
    }
}

struct Trailers(Call);

impl Watch for Trailers {
    fn poll(&mut self, body: &mut Body, cx: &mut std::task::Context<'_>) -> Polled {
        let mut polled = body::poll(body, cx);
        if let Poll::Ready(Some(Ok(frame))) = &mut polled
            && let Some(trailers) = frame.trailers_mut()
        {
            explain(trailers, Place::Trailers, &self.0);
        }
        polled
    }
}

/// Where a status stands, which says what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In the head: the request did not get as far as an answer.
    Head,
    /// After the messages of the answer.
    Trailers,
}

/// Replaces a failure without details by one that has them.
fn explain(headers: &mut HeaderMap, place: Place, call: &Call) {
    let Some(code) = headers.get(Status::GRPC_STATUS).map(|value| Code::from_bytes(value.as_bytes())) else { return };
    if code == Code::Ok || headers.contains_key(Status::GRPC_STATUS_DETAILS) {
        return;
    }
    let error = match (code, place) {
        // How the library says which encodings it takes.
        (Code::Unimplemented, _) if headers.contains_key("grpc-accept-encoding") => EdgeError::CompressionUnsupported,
        (Code::Unimplemented, _) => EdgeError::UnknownMethod { method: call.path().to_owned() },
        (Code::NotFound, _) => EdgeError::UnknownName,
        (Code::OutOfRange, Place::Head) => EdgeError::MessageTooLarge { limit: MAX_REQUEST },
        (Code::OutOfRange, Place::Trailers) => EdgeError::MessageTooLarge { limit: MAX_ANSWER },
        // The library blames itself for a request that it cannot read.
        (Code::Internal | Code::Unknown | Code::InvalidArgument, Place::Head) | (Code::InvalidArgument, _) => {
            EdgeError::MessageMalformed
        }
        (code, place) => EdgeError::Defect(format!("a status without a reason in the {place:?}: {code:?}")),
    };
    headers.remove(Status::GRPC_MESSAGE);
    if let Err(status) = status(&error.into(), call.id()).add_header(headers) {
        tracing::error!(call_id = call.id(), %status, "a status that cannot be sent");
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt as _;

    use super::*;

    fn explained(place: Place, code: Code, more: &[(&'static str, &'static str)]) -> (Code, String) {
        let mut headers: HeaderMap = more
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), http::HeaderValue::from_static(value)))
            .collect();
        Status::new(code, "inside").add_header(&mut headers).unwrap();
        let call = Call::new("call-1".to_owned(), "/a.B/C".to_owned(), None, None);
        explain(&mut headers, place, &call);
        let status = Status::from_header_map(&headers).unwrap();
        assert!(code == Code::Ok || status.message() != "inside");
        (status.code(), status.get_details_error_info().map(|info| info.reason).unwrap_or_default())
    }

    #[test]
    fn what_the_library_says_gets_a_reason() {
        use Place::{Head, Trailers};
        let check = |place, code, expected: Code, reason: &str| {
            assert_eq!(explained(place, code, &[]), (expected, reason.to_owned()));
        };
        check(Head, Code::Internal, Code::InvalidArgument, "MESSAGE_MALFORMED");
        check(Head, Code::OutOfRange, Code::ResourceExhausted, "MESSAGE_TOO_LARGE");
        check(Trailers, Code::OutOfRange, Code::ResourceExhausted, "MESSAGE_TOO_LARGE");
        check(Head, Code::NotFound, Code::NotFound, "UNKNOWN_NAME");
        check(Trailers, Code::NotFound, Code::NotFound, "UNKNOWN_NAME");
        check(Trailers, Code::InvalidArgument, Code::InvalidArgument, "MESSAGE_MALFORMED");
        check(Head, Code::Unimplemented, Code::Unimplemented, "UNKNOWN_METHOD");
        check(Trailers, Code::Internal, Code::Internal, "INTERNAL");
        check(Trailers, Code::Ok, Code::Ok, "");
        let compressed = explained(Head, Code::Unimplemented, &[("grpc-accept-encoding", "identity")]);
        assert_eq!(compressed, (Code::Unimplemented, "COMPRESSION_UNSUPPORTED".to_owned()));
    }
}
