//! Asking the admin port, as Prometheus and a kubelet do.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::server::eventually;

/// An answer of the port.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub content_type: String,
    pub body: String,
}

/// Asks for a path. Fails if nobody listens.
pub async fn ask(address: SocketAddr, method: &str, path: &str) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        content_type: header("content-type: "),
        body: body.to_owned(),
    }
}

/// All numbers as they were at one moment.
#[derive(Debug)]
pub struct Numbers {
    /// The type of each family.
    pub types: BTreeMap<String, String>,
    series: Vec<Series>,
}

#[derive(Debug)]
struct Series {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Numbers {
    /// Asks for them.
    pub async fn of(address: SocketAddr) -> Self {
        let answer = ask(address, "GET", "/metrics").await;
        assert_eq!((answer.status, answer.content_type.as_str()), (200, "text/plain; version=0.0.4"), "{answer:?}");
        Self::read(&answer.body)
    }

    fn read(text: &str) -> Self {
        let (mut types, mut series) = (BTreeMap::new(), Vec::new());
        for line in text.lines() {
            if let Some(line) = line.strip_prefix("# TYPE ") {
                let (name, kind) = line.split_once(' ').unwrap();
                types.insert(name.to_owned(), kind.to_owned());
            } else if !line.starts_with('#') {
                let (what, value) = line.rsplit_once(' ').unwrap();
                let (name, labels) = what.split_once('{').unwrap_or((what, "}"));
                let labels = labels.strip_suffix('}').unwrap();
                let pairs = labels.split("\",").filter(|pair| !pair.is_empty()).map(|pair| {
                    let (key, value) = pair.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
                    (key.to_owned(), value.trim_end_matches('"').to_owned())
                });
                let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
                series.push(Series { name: name.to_owned(), labels: pairs.collect(), value });
            }
        }
        Self { types, series }
    }

    /// The sum of all series of this name that have these labels; none if there is none.
    pub fn find(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let found = self.series.iter().filter(|one| {
            one.name == name && labels.iter().all(|(key, value)| one.labels.get(*key).is_some_and(|it| it == value))
        });
        found.map(|one| one.value).reduce(|a, b| a + b)
    }

    /// The labels that series of a family have, the bounds of buckets apart.
    pub fn labels(&self, family: &str) -> BTreeSet<String> {
        let histogram = self.types.get(family).is_some_and(|kind| kind == "histogram");
        let of_family = |one: &&Series| match one.name.strip_prefix(family) {
            Some("") => true,
            Some("_bucket" | "_sum" | "_count") => histogram,
            _ => false,
        };
        let series = self.series.iter().filter(of_family);
        series.flat_map(|one| one.labels.keys().cloned()).filter(|label| label != "le").collect()
    }

    /// The names of all series.
    pub fn names(&self) -> BTreeSet<&str> {
        self.series.iter().map(|one| one.name.as_str()).collect()
    }
}

/// Waits until a number is this.
pub async fn wait_for(address: SocketAddr, name: &str, labels: &[(&str, &str)], expected: f64) -> Numbers {
    eventually(&format!("{name} {labels:?} is {expected}"), async || {
        let numbers = Numbers::of(address).await;
        (numbers.find(name, labels) == Some(expected)).then_some(numbers)
    })
    .await
}
