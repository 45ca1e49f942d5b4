//! Connections: how they are accepted and secured, what limits each has, and when each has to end at the latest.
//!
//! HTTP/2 is served by `hyper` directly, and HTTP/1.1 too where gRPC-Web is on. The server of `tonic` adds little to it,
//! and takes something away: it answers CANCELLED by a timer of its own on `grpc-timeout`, which races with ours; it cuts
//! off a connection at the end of its age without having asked it to go; and it cannot end a connection whose other side
//! does not play along (hyper #4170).

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    pin, select,
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::body::Body;
use tower::{Service, ServiceExt as _, service_fn};

use crate::callers::{Certificate, Tls};

/// The most calls at a time on one connection.
const STREAMS: u32 = 100;
/// How many streams one connection may have that broke the protocol, before it is closed.
const BROKEN_STREAMS: usize = 1024;
/// How many streams one connection may reset before they were looked at, before it is closed: the defence against rapid
/// resets (CVE-2023-44487).
const RESET_STREAMS: usize = 20;
/// The most bytes of the headers of a call.
const HEADERS: u16 = 16 << 10;
/// How often a quiet connection is asked whether it is there.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// How long it has to say so.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may be silent at its beginning, and how long it may take to be secured.
const SILENCE: Duration = Duration::from_secs(10);
/// After this time a connection is asked to go, so that callers come to know new instances.
const AGE: Duration = Duration::from_mins(30);
/// How much longer it may take to go, before it is cut off.
const GRACE: Duration = Duration::from_mins(5);
/// How long a connection without calls that was asked to go may take to do so: not everybody listens.
const GOODBYE: Duration = Duration::from_secs(5);
/// How long to pause after a connection could not be accepted, which mostly means that there are too many.
const PAUSE: Duration = Duration::from_millis(100);

/// What all connections have in common.
#[derive(Debug, Clone)]
pub(super) struct Connections<S> {
    /// Serves calls.
    pub(super) service: S,
    /// What they are secured with, if they are.
    pub(super) tls: Option<Tls>,
    /// A permit for each connection there may be.
    pub(super) places: Arc<Semaphore>,
    /// After how long without a call a connection is asked to go; at the latest after twice that.
    pub(super) idle_timeout: Duration,
    /// The connections and the calls on them.
    pub(super) tasks: TaskTracker,
    /// Canceled when all are asked to go.
    pub(super) draining: CancellationToken,
    /// Canceled when all are cut off.
    pub(super) cut: CancellationToken,
    /// Whether HTTP/1.1 is taken beside HTTP/2, as browsers need it.
    pub(super) http1: bool,
}

impl<S> Connections<S>
where
    S: Service<http::Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
{
    /// Accepts connections until all are asked to go. Then the address is free, though connections may be left.
    pub(super) async fn accept(self, listener: TcpListener) {
        let accepting = async {
            let mut full = false;
            loop {
                match listener.accept().await {
                    Ok((stream, peer)) => {
                        let place = self.places.clone().try_acquire_owned().ok();
                        if place.is_none() && !full {
                            tracing::warn!(%peer, "connections are refused: there are as many as there may be");
                        }
                        full = place.is_none();
                        if let Some(place) = place {
                            let connection = self.clone().serve(stream);
                            self.tasks.spawn(async move {
                                connection.await;
                                drop(place);
                            });
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection cannot be accepted");
                        sleep(PAUSE).await;
                    }
                }
            }
        };
        select! {
            () = accepting => {}
            () = self.draining.cancelled() => {}
        }
    }

    /// Serves a connection to its end.
    async fn serve(self, stream: TcpStream) {
        // Answers are small and complete when they are written: nothing is gained by waiting for more.
        if stream.set_nodelay(true).is_err() {
            return;
        }
        // Whoever says nothing is not waited for for long, and not at all when all have to go; who has spoken is served.
        let mut first = [0];
        let speaks = select! {
            biased;
            peeked = stream.peek(&mut first) => peeked.is_ok_and(|bytes| bytes > 0),
            () = self.draining.cancelled() => false,
            () = self.cut.cancelled() => false,
            () = sleep(SILENCE) => false,
        };
        match &self.tls {
            _ if !speaks => {}
            None => self.serve_calls(stream, None).await,
            Some(tls) => {
                // Nothing was asked for yet that would have to be answered.
                let secured = select! {
                    secured = timeout(SILENCE, tls.acceptor().accept(stream)) => secured,
                    () = self.draining.cancelled() => return,
                    () = self.cut.cancelled() => return,
                };
                match secured {
                    Ok(Ok(stream)) => {
                        let chain = stream.get_ref().1.peer_certificates();
                        let certificate = chain.and_then(<[_]>::first).map(Certificate::of);
                        self.serve_calls(stream, certificate).await;
                    }
                    Ok(Err(error)) => tracing::debug!(%error, "a connection could not be secured"),
                    Err(_) => tracing::debug!("a connection took too long to be secured"),
                }
            }
        }
    }

    /// Serves the calls on a connection to its end.
    async fn serve_calls<C>(self, stream: C, certificate: Option<Certificate>)
    where
        C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { service, idle_timeout, tasks, draining, cut, http1, .. } = self;
        let calls = Arc::new(Calls::default());
        let counted = calls.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let (service, call) = (service.clone(), Call::of(&counted));
            let mut request = request.map(Body::new);
            if let Some(certificate) = &certificate {
                request.extensions_mut().insert(certificate.clone());
            }
            async move { Ok::<_, Infallible>(call.until_the_end_of(service.oneshot(request).await?)) }
        });
        let protocol = protocol(tasks, http1);
        let connection = protocol.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        pin!(connection);
        let served = async {
            select! {
                ended = connection.as_mut() => return ended,
                () = draining.cancelled() => {}
                () = sleep(AGE) => {}
                () = calls.quiet(idle_timeout) => {}
            }
            connection.as_mut().graceful_shutdown();
            select! {
                ended = connection.as_mut() => ended,
                () = calls.quiet(GOODBYE) => Ok(()),
            }
        };
        select! {
            ended = served => {
                if let Err(error) = ended {
                    tracing::debug!(error = &*error as &dyn std::error::Error, "a connection broke");
                }
            }
            () = cut.cancelled() => tracing::debug!("a connection was cut off"),
            () = sleep(AGE + GRACE) => tracing::debug!("a connection was cut off at the end of its age"),
        }
    }
}

/// HTTP/2 with the limits above, and HTTP/1.1 if it is asked for.
fn protocol(tasks: TaskTracker, http1: bool) -> Builder<Tracked> {
    let mut builder = Builder::new(Tracked(tasks));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_local_error_reset_streams(BROKEN_STREAMS)
        .max_pending_accept_reset_streams(RESET_STREAMS)
        .max_header_list_size(HEADERS.into())
        .keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT);
    // There a connection has one call at a time, and the time between two is that of a silent beginning.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(SILENCE).max_buf_size(HEADERS.into());
    if http1 { builder } else { builder.http2_only() }
}

/// The calls of a connection.
#[derive(Debug, Default)]
struct Calls {
    /// How many there ever were.
    begun: AtomicU64,
    /// How many are not over, their answers included.
    open: AtomicUsize,
}

impl Calls {
    /// Waits until there was no call for so long, and returns at the latest when there was none for twice as long: to look
    /// now and then costs calls nothing.
    async fn quiet(&self, time: Duration) {
        loop {
            let before = self.begun.load(Ordering::Relaxed);
            sleep(time).await;
            if self.open.load(Ordering::Relaxed) == 0 && self.begun.load(Ordering::Relaxed) == before {
                return;
            }
        }
    }
}

/// A call that is not over.
#[derive(Debug)]
struct Call(Arc<Calls>);

impl Call {
    fn of(calls: &Arc<Calls>) -> Self {
        calls.open.fetch_add(1, Ordering::Relaxed);
        calls.begun.fetch_add(1, Ordering::Relaxed);
        Self(calls.clone())
    }

    /// The same response; the call is over when its body is, or is dropped.
    fn until_the_end_of(self, response: Response<Body>) -> Response<Body> {
        response.map(|body| {
            Body::new(body.map_frame(move |frame| {
                let _open = &self;
                frame
            }))
        })
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Runs calls as tasks that the end of the server waits for.
#[derive(Debug, Clone)]
struct Tracked(TaskTracker);

impl<F: Future<Output: Send> + Send + 'static> hyper::rt::Executor<F> for Tracked {
    fn execute(&self, call: F) {
        self.0.spawn(call);
    }
}
