//! Where an issuer publishes its keys: a small HTTP server that does as it is told, and counts.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
    sync::watch,
    task::JoinSet,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
};

use super::pki::Issued;

/// The server. It ends with the test.
pub struct Publisher {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    _serving: JoinSet<()>,
}

struct Shared {
    answer: Mutex<(String, String)>,
    asked: AtomicUsize,
    /// Whether answers are held back.
    held: watch::Sender<bool>,
}

impl Publisher {
    /// On a free port, or on this one.
    pub async fn start(port: u16, keys: &str) -> Self {
        Self::serve(port, keys, None).await
    }

    /// Over TLS.
    pub async fn secure(keys: &str, issued: &Issued) -> Self {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let chain = vec![CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap();
        let config = builder.with_no_client_auth().with_single_cert(chain, key).unwrap();
        Self::serve(0, keys, Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn serve(port: u16, keys: &str, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = Mutex::new(("200 OK".to_owned(), keys.to_owned()));
        let shared = Arc::new(Shared { answer, asked: AtomicUsize::new(0), held: watch::Sender::new(false) });
        let mut serving = JoinSet::new();
        let told = Arc::clone(&shared);
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (told, tls) = (Arc::clone(&told), tls.clone());
                connections.spawn(async move {
                    match tls {
                        None => told.answer(stream).await,
                        // Whoever does not trust it goes away.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                told.answer(stream).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, shared, _serving: serving }
    }

    /// Publishes other keys.
    pub fn publish(&self, keys: &str) {
        self.answer("200 OK", keys);
    }

    /// Answers with something else. A status may have headers after it.
    pub fn answer(&self, status: &str, body: &str) {
        *self.shared.answer.lock().unwrap() = (status.to_owned(), body.to_owned());
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }

    /// Holds answers back, or lets them go.
    pub fn hold(&self, held: bool) {
        self.shared.held.send_replace(held);
    }
}

impl Shared {
    async fn answer(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => request.push(byte),
                Err(_) => return,
            }
        }
        assert!(request.starts_with(b"GET "), "{}", String::from_utf8_lossy(&request));
        self.asked.fetch_add(1, Ordering::SeqCst);
        let _ = self.held.subscribe().wait_for(|held| !held).await;
        let (status, body) = self.answer.lock().unwrap().clone();
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        // Whoever asked may have gone away.
        let _ = stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).await;
        let _ = stream.shutdown().await;
    }
}
