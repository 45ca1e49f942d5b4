//! gRPC-Web, the form of gRPC that pages in a browser can speak: around everything else, so that all that is done for a
//! call, and all that is said of its end, is the same for both forms.
//!
//! A browser asks first whether a page may call (CORS), and says with the call which page it is. A page that may not is
//! refused here too: a name that is made to lead to this address must not let its pages in without a question.

use std::{convert::Infallible, time::Duration};

use http::{
    HeaderName, HeaderValue, Method, StatusCode, Version,
    header::{AUTHORIZATION, CONTENT_TYPE, ORIGIN},
};
use tonic::{Status, body::Body};
use tonic_web::GrpcWebLayer;
use tower::{Service, ServiceBuilder, ServiceExt as _, service_fn, util::Either};
use tower_http::cors::CorsLayer;

use crate::config::{GrpcWeb, PageOrigin};

type Request = http::Request<Body>;
type Response = http::Response<Body>;

/// What a page may say with a call.
const REQUEST_HEADERS: [HeaderName; 9] = [
    AUTHORIZATION,
    CONTENT_TYPE,
    HeaderName::from_static("grpc-timeout"),
    HeaderName::from_static("roster-actor"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    // How clients in use name themselves.
    HeaderName::from_static("x-grpc-web"),
    HeaderName::from_static("x-user-agent"),
    HeaderName::from_static("x-request-id"),
];
/// What a page may read beside the body. A failure before the first message has its status there.
const RESPONSE_HEADERS: [HeaderName; 4] =
    [Status::GRPC_STATUS, Status::GRPC_MESSAGE, Status::GRPC_STATUS_DETAILS, HeaderName::from_static("x-request-id")];
/// How long a browser may remember what it was answered.
const MAX_AGE: Duration = Duration::from_mins(10);

/// The services, and gRPC-Web around them if it is on.
pub(super) fn around<S>(
    services: S,
    config: &GrpcWeb,
) -> impl Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    if !config.enabled {
        return Either::Right(services);
    }
    // An origin is made of what may stand in a header.
    let value = |origin: &PageOrigin| HeaderValue::from_str(origin.as_str()).ok();
    let allowed: Vec<_> = config.allowed_origins.iter().filter_map(value).collect();
    let cors = CorsLayer::new()
        .allow_methods([Method::POST])
        .allow_headers(REQUEST_HEADERS)
        .expose_headers(RESPONSE_HEADERS)
        .allow_origin(allowed.clone())
        .max_age(MAX_AGE);
    let translated = ServiceBuilder::new().layer(cors).layer(GrpcWebLayer::new()).service(services);
    Either::Left(service_fn(move |request: Request| {
        let (refusal, translated) = (refusal(&request, &allowed), translated.clone());
        async move {
            match refusal {
                Some(refusal) => Ok(refusal),
                None => translated.oneshot(request).await,
            }
        }
    }))
}

/// What is no call, or one of a page that may not call. The question whether it may is always answered.
fn refusal(request: &Request, allowed: &[HeaderValue]) -> Option<Response> {
    if request.method() == Method::OPTIONS {
        return None;
    }
    let headers = request.headers();
    if headers.get_all(ORIGIN).iter().any(|origin| !allowed.contains(origin)) {
        return Some(text(StatusCode::FORBIDDEN, "pages of this origin are not in server.grpc_web.allowed_origins\n"));
    }
    let is_web = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc-web"));
    if request.version() < Version::HTTP_2 && !is_web {
        return Some(text(StatusCode::UNSUPPORTED_MEDIA_TYPE, "over HTTP/1.1 there is gRPC-Web only\n"));
    }
    None
}

fn text(status: StatusCode, text: &'static str) -> Response {
    let mut response = Response::new(Body::new(text.to_owned()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}
