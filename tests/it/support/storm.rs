//! Many calls at once: their connections, and what came of them.

use std::{collections::BTreeMap, fmt, net::SocketAddr};

use tokio::task::JoinSet;
use tonic::{
    Status,
    transport::{Channel, Endpoint},
};

use super::{Caller, outcome::error_info};

/// Connections of their own to a server.
pub fn connections(address: SocketAddr, count: usize) -> Vec<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    (0..count).map(|_| endpoint.connect_lazy()).collect()
}

/// Services with a connection each.
pub fn services(address: SocketAddr, count: usize) -> Vec<Caller> {
    connections(address, count).into_iter().map(Caller::new).collect()
}

/// Runs everything at the same time, and gives the results in the order in which they came.
pub async fn at_once<T: Send + 'static>(
    work: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    // Collected first: when the first one starts, the last one is ready.
    let work: Vec<_> = work.into_iter().collect();
    work.into_iter().collect::<JoinSet<T>>().join_all().await
}

/// How often calls came to what: an answer, or a refusal for a reason.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tally(BTreeMap<String, usize>);

/// How an answer is counted, beside the reasons of refusals.
pub const ANSWERED: &str = "answered";

impl Tally {
    /// Counts an answer or a refusal. A refusal without its reason fails the test.
    #[track_caller]
    pub fn add<T>(&mut self, result: &Result<T, Status>) {
        let what = result.as_ref().map_or_else(|status| error_info(status).reason, |_| ANSWERED.to_owned());
        *self.0.entry(what).or_default() += 1;
    }

    /// Adds what another one counted.
    pub fn merge(&mut self, other: Self) {
        for (what, count) in other.0 {
            *self.0.entry(what).or_default() += count;
        }
    }

    /// What else was counted.
    pub fn other_than(&self, expected: &[&str]) -> Vec<&str> {
        self.0.keys().map(String::as_str).filter(|what| !expected.contains(what)).collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts: Vec<String> = self.0.iter().map(|(what, count)| format!("{count} {what}")).collect();
        f.write_str(&counts.join(", "))
    }
}
