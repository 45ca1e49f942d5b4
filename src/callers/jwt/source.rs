//! Where the issuer's keys come from: a file that is read again when it changes, or an address that is fetched now and then
//! and when a token names a key that is not known.
//!
//! Whoever makes tokens up can name any key, so an unknown one leads to a fetch at most every 30 seconds, and to one at a
//! time: all who wait, wait for the same. What was fetched last stays when a fetch fails.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use tokio::time::sleep;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{fetch::Fetcher, keys::KeySet};
use crate::{callers::files::Live, causes::on_one_line, config::JwtAlgorithm, env::Env};

/// How long to wait between looking for one unknown key and looking for the next.
const PAUSE: TimeDelta = TimeDelta::seconds(30);
/// How long to wait before the next try while there are no keys at all.
const RETRY: Duration = Duration::from_secs(5);

/// The keys, and the way to newer ones.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// None before they were fetched for the first time.
    keys: Live<Option<KeySet>>,
    remote: Option<Arc<Remote>>,
}

#[derive(Debug)]
struct Remote {
    fetcher: Live<Fetcher>,
    algorithms: Vec<JwtAlgorithm>,
    env: Env,
    tasks: TaskTracker,
    fetching: Mutex<Fetching>,
}

/// A fetch that those who wait for it share.
type Flight = Shared<BoxFuture<'static, ()>>;

#[derive(Debug, Default)]
struct Fetching {
    /// When the last one began.
    begun: Option<DateTime<Utc>>,
    under_way: Option<Flight>,
}

impl Source {
    /// Keys of a file.
    pub(super) fn of_file(keys: Live<Option<KeySet>>) -> Self {
        Self { keys, remote: None }
    }

    /// Keys that are fetched, at first by [`Source::follow`].
    pub(super) fn of_url(
        fetcher: Live<Fetcher>,
        algorithms: Vec<JwtAlgorithm>,
        env: &Env,
        tasks: &TaskTracker,
    ) -> Self {
        let (env, tasks) = (env.clone(), tasks.clone());
        let remote = Remote { fetcher, algorithms, env, tasks, fetching: Mutex::default() };
        Self { keys: Live::new(None), remote: Some(Arc::new(remote)) }
    }

    /// The keys as they are now; none if they were never fetched.
    pub(super) fn keys(&self) -> Arc<Option<KeySet>> {
        self.keys.get()
    }

    /// Fetches the keys now and then until `stop`.
    pub(super) async fn follow(self, every: Duration, stop: CancellationToken) {
        let Some(remote) = &self.remote else { return stop.cancelled().await };
        let fetching = async {
            loop {
                if let Some(flight) = self.flight(remote, |_| true) {
                    flight.await;
                }
                sleep(if self.keys().is_some() { every } else { every.min(RETRY) }).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = fetching => {}
        }
    }

    /// The fetch to wait for where a key is not known: the one that is under way, or a new one if the last was long ago.
    pub(super) fn refresh(&self) -> Option<Flight> {
        let remote = self.remote.as_ref()?;
        let now = remote.env.now();
        self.flight(remote, |begun| begun.is_none_or(|begun| now.signed_duration_since(begun) >= PAUSE))
    }

    fn flight(&self, remote: &Arc<Remote>, may: impl FnOnce(Option<DateTime<Utc>>) -> bool) -> Option<Flight> {
        let mut fetching = remote.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = fetching.under_way.as_ref().filter(|flight| flight.peek().is_none()) {
            return Some(flight.clone());
        }
        if !may(fetching.begun) {
            return None;
        }
        fetching.begun = Some(remote.env.now());
        // As a task of its own, since whoever began it may go away while others wait for it.
        let task = remote.tasks.spawn(fetch(Arc::clone(remote), self.keys.clone()));
        let flight = task.map(|_| ()).boxed().shared();
        fetching.under_way = Some(flight.clone());
        Some(flight)
    }
}

async fn fetch(remote: Arc<Remote>, keys: Live<Option<KeySet>>) {
    let fetched = remote.fetcher.get().fetch().await;
    match fetched.and_then(|text| Ok(KeySet::parse(&text, &remote.algorithms)?)) {
        Ok(fetched) => keys.set(Some(fetched)),
        Err(cause) => {
            let cause = on_one_line(&*cause);
            tracing::error!(
                key = "auth.jwt.jwks_url",
                cause,
                "cannot fetch the issuer's keys; the last good ones stay"
            );
        }
    }
}
