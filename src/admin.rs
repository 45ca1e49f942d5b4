//! The port for those who look after the service, plain HTTP/1 on an address of its own:
//!
//! - `/livez`: 200 as long as the process works.
//! - `/readyz`: 200 if calls should be sent here, else 503. What `grpc.health.v1` says, in other words.
//! - `/metrics`: all numbers in the text format of Prometheus.
//!
//! There is nothing else. Nobody is asked who they are, and nothing that is told is a secret. It answers until the process
//! ends, also while it drains. No answer asks the database.

use std::{convert::Infallible, future::ready, io, net::SocketAddr, pin::Pin, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::timeout,
};

use crate::telemetry::{Meters, TEXT_TYPE};

/// How many connections may be open; more wait until one is closed.
const CONNECTIONS: usize = 64;
/// How long a connection may take for a request's head.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection may be there. Whoever asks every few seconds may come again.
const AGE: Duration = Duration::from_mins(5);
/// How long to pause after a connection could not be accepted.
const PAUSE: Duration = Duration::from_millis(100);

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// What is told.
#[derive(Debug, Clone)]
pub struct Admin {
    /// Whether calls should be sent here.
    pub ready: watch::Receiver<bool>,
    /// The numbers.
    pub meters: Meters,
}

/// The port, open.
#[derive(Debug)]
pub struct Port {
    listener: TcpListener,
    address: SocketAddr,
}

impl Port {
    /// Opens it.
    ///
    /// # Errors
    /// If the address cannot be listened on.
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { address: listener.local_addr()?, listener })
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until this is dropped, which closes all connections.
    pub async fn serve(self, admin: Admin) -> Infallible {
        let mut connections = JoinSet::new();
        loop {
            while connections.len() >= CONNECTIONS {
                connections.join_next().await;
            }
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => _ = connections.spawn(converse(stream, admin.clone())),
                    Err(error) => {
                        tracing::warn!(%error, "a connection to the admin port cannot be accepted");
                        tokio::time::sleep(PAUSE).await;
                    }
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }
}

async fn converse(stream: TcpStream, admin: Admin) {
    let answer = service_fn(move |request: Request<Incoming>| ready(Ok::<_, Infallible>(admin.answer(&request))));
    let mut protocol = http1::Builder::new();
    protocol.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    // That it breaks, or has to be closed, is nobody's concern but that of whoever asks.
    let _ = timeout(AGE, protocol.serve_connection(TokioIo::new(stream), answer)).await;
}

impl Admin {
    fn answer<B>(&self, request: &Request<B>) -> Response<Text> {
        let path = request.uri().path();
        if !["/livez", "/readyz", "/metrics"].contains(&path) {
            return say(StatusCode::NOT_FOUND, TEXT, "there is /livez, /readyz and /metrics\n");
        }
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            let mut refusal = say(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET\n");
            refusal.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refusal;
        }
        match path {
            "/livez" => say(StatusCode::OK, TEXT, "alive\n"),
            "/readyz" if *self.ready.borrow() => say(StatusCode::OK, TEXT, "ready\n"),
            "/readyz" => say(StatusCode::SERVICE_UNAVAILABLE, TEXT, "not ready\n"),
            _ => match self.meters.text() {
                Ok(text) => say(StatusCode::OK, HeaderValue::from_static(TEXT_TYPE), text),
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "metrics cannot be told");
                    say(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "the log tells more\n")
                }
            },
        }
    }
}

fn say(status: StatusCode, kind: HeaderValue, text: impl Into<Bytes>) -> Response<Text> {
    let mut response = Response::new(Text(Some(text.into())));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// A body in one piece.
struct Text(Option<Bytes>);

impl Body for Text {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        std::task::Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, Bytes::len) as u64)
    }
}
