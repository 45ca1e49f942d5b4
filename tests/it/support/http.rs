//! Plain HTTP/1.1, as a program without any library of ours speaks it.

use std::net::SocketAddr;

use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpStream, task::JoinSet};

/// Somebody who calls over HTTP.
#[derive(Debug, Clone)]
pub struct Http {
    address: SocketAddr,
    headers: Vec<(String, String)>,
}

/// An answer as a whole.
#[derive(Debug)]
pub struct Answered {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
    /// The body as it came.
    pub bytes: bytes::Bytes,
}

/// An answer that goes on.
pub struct Stream {
    pub response: Response<Incoming>,
    /// Drives the connection, and ends it when this is dropped.
    _connection: JoinSet<()>,
}

impl Http {
    pub fn new(address: SocketAddr) -> Self {
        Self { address, headers: Vec::new() }
    }

    /// For a person.
    pub fn acting_for(self, user: &str) -> Self {
        self.saying("roster-actor", &format!("user:{user}"))
    }

    /// With one more header.
    pub fn saying(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub async fn get(&self, path: &str) -> Answered {
        self.send("GET", path, "").await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answered {
        self.send("POST", path, body.to_string()).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answered {
        self.send("PATCH", path, body.to_string()).await
    }

    pub async fn delete(&self, path: &str) -> Answered {
        self.send("DELETE", path, "").await
    }

    /// Sends a request and reads the answer to its end.
    pub async fn send(&self, method: &str, path: &str, body: impl Into<Vec<u8>>) -> Answered {
        let Stream { response, _connection } = self.open(method, path, body).await;
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = String::from_utf8_lossy(&bytes).into_owned();
        Answered { status: head.status.as_u16(), headers: head.headers, body, bytes }
    }

    /// Sends a request and gives the head of the answer.
    pub async fn open(&self, method: &str, path: &str, body: impl Into<Vec<u8>>) -> Stream {
        self.try_open(method, path, body).await.unwrap()
    }

    /// The same where there may be no answer.
    pub async fn try_open(&self, method: &str, path: &str, body: impl Into<Vec<u8>>) -> hyper::Result<Stream> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            // What goes wrong is told by the call.
            let _ = connection.await;
        });
        let mut request = Request::builder().method(method).uri(path).header("host", self.address.to_string());
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let body: Vec<u8> = body.into();
        if !body.is_empty() && !self.headers.iter().any(|(name, _)| name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        let request = request.body(Full::new(bytes::Bytes::from(body))).unwrap();
        let response = sender.send_request(request).await?;
        Ok(Stream { response, _connection: driver })
    }
}

impl Stream {
    /// The next piece of the body; `None` at its end.
    pub async fn next_bytes(&mut self) -> Option<bytes::Bytes> {
        self.response.body_mut().frame().await?.ok()?.into_data().ok()
    }

    /// The same as text.
    pub async fn next(&mut self) -> Option<String> {
        Some(String::from_utf8_lossy(&self.next_bytes().await?).into_owned())
    }
}

impl Answered {
    /// What was answered to a call that succeeded.
    #[track_caller]
    pub fn done(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        assert_eq!(self.headers["content-type"], "application/json");
        self.json()
    }

    /// That the call was refused so: with this HTTP status, by this domain, for this reason. Gives the status in full.
    #[track_caller]
    pub fn refused(self, status: u16, domain: &str, reason: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.headers["content-type"], "application/json", "{}", self.body);
        let body = self.json();
        let infos = body["details"].as_array().unwrap_or_else(|| panic!("no details: {body}"));
        let infos: Vec<_> =
            infos.iter().filter(|detail| detail["@type"] == "type.googleapis.com/google.rpc.ErrorInfo").collect();
        assert_eq!(infos.len(), 1, "{body}");
        assert_eq!(infos[0]["domain"], domain, "{body}");
        assert_eq!(infos[0]["reason"], reason, "{body}");
        assert!(body["code"].as_u64().is_some_and(|code| (1..=16).contains(&code)), "{body}");
        assert!(body["message"].as_str().is_some_and(|message| !message.is_empty()), "{body}");
        body
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|why| panic!("{why}: {}", self.body))
    }
}
