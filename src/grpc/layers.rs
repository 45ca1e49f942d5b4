//! What happens to every call before and after its service: [`around`] lists the layers in their order, and why each
//! stands where it stands.
//!
//! A layer is a [`Step`]: it is given a request and the rest of the way, and answers with a response. A response is not
//! over with its head: what has to see the end of a stream watches its body (see [`body`]). No layer fails: what a caller
//! has to be told is a response made of a status.

mod authenticate;
mod body;
mod call;
mod catch_panic;
mod deadline;
mod drain;
mod explain;
mod identify;
mod permit;
mod ration;
mod receive;
mod record;
mod shed;
mod span;

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use tonic::{body::Body, service::Routes};
use tower::{Layer, Service, ServiceBuilder};

use self::{
    authenticate::Authenticate, catch_panic::CatchPanic, deadline::Deadline, drain::Drain, explain::Explain,
    identify::Identify, permit::Permit, ration::Ration, receive::Receive, record::Record, shed::Shed, span::Span,
};
use super::{
    auth::Authenticator,
    methods::Methods,
    status::{EdgeError, status},
};
use crate::{callers::Rates, env::Env, metrics::Metrics};

use self::call::Call;

type Request = http::Request<Body>;
type Response = http::Response<Body>;
/// What a layer answers with.
type Answer = BoxFuture<'static, Result<Response, Infallible>>;

/// What the layers work with.
#[derive(Debug, Clone)]
pub(super) struct Tools {
    pub(super) env: Env,
    pub(super) methods: Arc<Methods>,
    pub(super) authenticator: Authenticator,
    pub(super) metrics: Metrics,
    /// How often a caller may call, if there is a limit.
    pub(super) rates: Option<Arc<Rates>>,
    /// The longest a call may take.
    pub(super) max_deadline: Duration,
    /// How many calls may be in flight.
    pub(super) max_in_flight: usize,
    /// How many of these may be writes.
    pub(super) max_writes: usize,
    /// Canceled when open streams have to end.
    pub(super) draining: CancellationToken,
}

/// The services with all layers around them, the outermost first.
pub(super) fn around(
    routes: Routes,
    tools: Tools,
) -> impl Service<Request, Response = Response, Error = Infallible, Future = Answer> + Clone + Send + 'static {
    ServiceBuilder::new()
        // First of all, since everything below speaks of the call by its id, and every answer is to bear it.
        .layer(Around(Identify { env: tools.env.clone(), methods: tools.methods }))
        // Around all that may log or open spans of its own.
        .layer(Around(Span))
        // Within the span, so that its line belongs to the trace; around all that may refuse a call, so that no refusal
        // goes unrecorded, and around the catching of panics, so that it sees their status.
        .layer(Around(Record(tools.metrics.clone())))
        // Around everything that runs code of ours for a call, but for the two that must see its status.
        .layer(Around(CatchPanic(tools.metrics)))
        // Around the deadline, which ends with the head of a response: this is for what comes after it.
        .layer(Around(Drain(tools.draining)))
        // Around the limit, so that a call past its deadline gives its slot back, and around all that waits.
        .layer(Around(Deadline { max: tools.max_deadline }))
        // From here on it is known who calls. Around the limit, so that who has no business here takes no place from who has.
        .layer(Authenticate(tools.authenticator))
        // Around the look at permissions, so that calls that are denied count as well.
        .layer(Around(Ration { rates: tools.rates, env: tools.env }))
        // Around all that is kept or worked on for those who may ask for it.
        .layer(Around(Permit))
        // Within the look at credentials, so that nothing is kept of what strangers send; around the limit, so that a caller
        // who sends half of a request, or trickles it in, takes no place either.
        .layer_fn(Receive)
        // Next to the services: before any work is spent on a call, and after all that it has to be waited for.
        .layer(Around(Shed::new(tools.max_in_flight, tools.max_writes)))
        // Innermost, since only what comes out of the services and of the library that serves them can lack a reason.
        .layer(Around(Explain))
        .service(routes.prepare())
}

/// The rest of a call's way: its future.
trait Rest: Future<Output = Result<Response, Infallible>> + Send + 'static {}
impl<F: Future<Output = Result<Response, Infallible>> + Send + 'static> Rest for F {}

/// One layer.
trait Step: Clone + Send + 'static {
    /// Takes a request on its way and the response on its way back. `next` is the rest of the way.
    fn call<R: Rest>(&self, request: Request, next: impl FnOnce(Request) -> R) -> Answer;
}

/// A [`Step`] as `tower` understands it.
#[derive(Debug, Clone)]
struct Around<T>(T);

#[derive(Debug, Clone)]
struct Surrounded<T, S> {
    step: T,
    inner: S,
}

impl<T: Clone, S> Layer<S> for Around<T> {
    type Service = Surrounded<T, S>;

    fn layer(&self, inner: S) -> Self::Service {
        Surrounded { step: self.0.clone(), inner }
    }
}

impl<T, S> Service<Request> for Surrounded<T, S>
where
    T: Step,
    S: Service<Request, Response = Response, Error = Infallible, Future: Send + 'static>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Answer {
        self.step.call(request, |request| self.inner.call(request))
    }
}

/// The response that tells of a failure.
fn refusal(error: EdgeError, call: &Call) -> Response {
    status(&error.into(), call.id()).into_http()
}

/// The same as an answer at once.
fn refuse(error: EdgeError, call: &Call) -> Answer {
    let response = refusal(error, call);
    Box::pin(async { Ok(response) })
}
