//! Accepted connections, and when each has to end at the latest.
//!
//! The library closes a connection only when the other side plays along: one that never says a word, or that keeps a
//! stream open for ever, would outlive its age and hold up a shutdown (hyper #4170). So each connection has an end of its
//! own, at which reading and writing fail.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::{Stream, stream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    time::{Instant, Sleep, sleep},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::{Connected, TcpConnectInfo};

/// How long a connection may be silent at its beginning.
const SILENCE: Duration = Duration::from_secs(10);

/// How long to pause after a connection could not be accepted, which mostly means that there are too many.
const PAUSE: Duration = Duration::from_millis(100);

/// When connections have to end.
#[derive(Debug, Clone)]
pub(super) struct Ends {
    /// How old a connection may become.
    pub(super) age: Duration,
    /// Canceled when no connection is worth waiting for that has not said a word yet.
    pub(super) draining: CancellationToken,
    /// Canceled when all have to end.
    pub(super) cut: CancellationToken,
}

/// The connections that come in. Never ends by itself.
pub(super) fn accept(listener: TcpListener, ends: Ends) -> impl Stream<Item = io::Result<Connection>> {
    stream::unfold((listener, ends), |(listener, ends)| async move {
        let stream = loop {
            match listener.accept().await {
                Ok((stream, _)) => break stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    sleep(PAUSE).await;
                }
            }
        };
        // Answers are small and complete when they are written: nothing is gained by waiting for more.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection is gone already");
        }
        Some((Ok(Connection::new(stream, &ends)), (listener, ends)))
    })
}

type Canceled = Pin<Box<WaitForCancellationFutureOwned>>;

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    accepted: Instant,
    age: Duration,
    /// Ends with the first byte.
    silent: Option<Canceled>,
    cut: Canceled,
    timer: Pin<Box<Sleep>>,
}

impl Connection {
    fn new(stream: TcpStream, ends: &Ends) -> Self {
        // Children, so that connections do not wait for each other at the lock of one token.
        let canceled = |token: &CancellationToken| Box::pin(token.child_token().cancelled_owned());
        Self {
            stream,
            accepted: Instant::now(),
            age: ends.age,
            silent: Some(canceled(&ends.draining)),
            cut: canceled(&ends.cut),
            timer: Box::pin(sleep(SILENCE)),
        }
    }

    /// Fails if the connection is at its end; else this task is woken when it is.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let drained = self.silent.as_mut().is_some_and(|silent| silent.as_mut().poll(cx).is_ready());
        if drained || self.cut.as_mut().poll(cx).is_ready() || self.timer.as_mut().poll(cx).is_ready() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }

    fn heard(&mut self) {
        if self.silent.take().is_some() {
            self.timer.as_mut().reset(self.accepted + self.age);
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.poll_end(cx)?;
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        this.heard();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.poll_end(cx)?;
        Pin::new(&mut this.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.poll_end(cx)?;
        Pin::new(&mut this.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}
