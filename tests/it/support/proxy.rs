//! A TCP proxy in this process that lets every byte take its time, or lets none pass.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::parts;

/// Hands on what it gets, later, or in one direction only. Ends, with all connections through it, when it is dropped.
pub struct Proxy {
    address: SocketAddr,
    way: watch::Sender<Way>,
    _serving: JoinSet<()>,
}

/// What passes.
#[derive(Debug, Clone, Copy)]
struct Way {
    /// Whether connections are let through.
    open: bool,
    /// How often all of them were cut.
    cuts: u64,
    /// Whether what the server says reaches the client.
    answering: bool,
}

impl Proxy {
    /// A way to the PostgreSQL server on which bytes are under way for `delay`, in each direction.
    pub async fn before_postgres(delay: Duration) -> Self {
        let url: url::Url = parts::postgres_url().parse().unwrap();
        let target = (url.host_str().unwrap(), url.port().unwrap_or(5432));
        let target = tokio::net::lookup_host(target).await.unwrap().next().unwrap();
        Self::before(target, delay).await
    }

    /// A way to any server.
    pub async fn before(target: SocketAddr, delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (way, watched) = watch::channel(Way { open: true, cuts: 0, answering: true });
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                connections.spawn(connect(client, target, delay, watched.clone()));
            }
        });
        Self { address, way, _serving: serving }
    }

    /// Cuts every connection, and closes those that are made from now on.
    pub fn cut(&self) {
        self.way.send_modify(|way| *way = Way { open: false, cuts: way.cuts + 1, ..*way });
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        self.way.send_modify(|way| *way = Way { open: true, answering: true, ..*way });
    }

    /// Keeps from the client whatever the server says from now on. What the client says still arrives.
    pub fn swallow_answers(&self) {
        self.way.send_modify(|way| way.answering = false);
    }

    /// Where it listens, as a URL.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The URL of a database on that server as it is by way of the proxy.
    pub fn through(&self, url: &str) -> String {
        let mut url: url::Url = url.parse().unwrap();
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(self.address.port())).unwrap();
        url.into()
    }
}

/// Serves one connection until either end closes it, or the way is cut.
async fn connect(client: TcpStream, target: SocketAddr, delay: Duration, mut way: watch::Receiver<Way>) {
    let Way { open: true, cuts, .. } = *way.borrow() else { return };
    let answers = way.clone();
    let Ok(server) = TcpStream::connect(target).await else { return };
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = hand_on(from_client, to_server, delay, None) => {}
        () = hand_on(from_server, to_client, delay, Some(answers)) => {}
        _cut = way.wait_for(|way| way.cuts != cuts) => {}
    }
}

/// Hands on until there is nothing more, but not while these are answers and answers are kept back. How much is under way
/// at a time does not slow it down.
async fn hand_on(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    delay: Duration,
    answers: Option<watch::Receiver<Way>>,
) {
    let (sender, mut under_way) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let read = async move {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            if answers.as_ref().is_some_and(|way| !way.borrow().answering) {
                continue;
            }
            if sender.send((Instant::now() + delay, buffer[..length].to_vec())).is_err() {
                return;
            }
        }
    };
    let write = async move {
        while let Some((due, bytes)) = under_way.recv().await {
            sleep_until(due).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(read, write);
}
