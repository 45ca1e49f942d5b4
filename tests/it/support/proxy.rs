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

/// Hands on what it gets, later. Ends, with all connections through it, when it is dropped.
pub struct Proxy {
    address: SocketAddr,
    open: watch::Sender<bool>,
    _serving: JoinSet<()>,
}

impl Proxy {
    /// A way to the PostgreSQL server on which bytes are under way for `delay`, in each direction.
    pub async fn before_postgres(delay: Duration) -> Self {
        let url: url::Url = parts::postgres_url().parse().unwrap();
        let target = (url.host_str().unwrap(), url.port().unwrap_or(5432));
        let target = tokio::net::lookup_host(target).await.unwrap().next().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (open, is_open) = watch::channel(true);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                connections.spawn(connect(client, target, delay, is_open.clone()));
            }
        });
        Self { address, open, _serving: serving }
    }

    /// Cuts every connection, and closes those that are made from now on.
    pub fn cut(&self) {
        self.open.send_replace(false);
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        self.open.send_replace(true);
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
async fn connect(client: TcpStream, target: SocketAddr, delay: Duration, mut open: watch::Receiver<bool>) {
    if !*open.borrow() {
        return;
    }
    let Ok(server) = TcpStream::connect(target).await else { return };
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = hand_on(from_client, to_server, delay) => {}
        () = hand_on(from_server, to_client, delay) => {}
        _cut = open.wait_for(|open| !open) => {}
    }
}

/// Hands on until there is nothing more. How much is under way at a time does not slow it down.
async fn hand_on(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration) {
    let (sender, mut under_way) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let read = async move {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
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
