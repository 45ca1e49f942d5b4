//! Files that are read again when they change. What cannot be used is told to the log, once for each state of the files,
//! and what was made of them last goes on being used.
//!
//! It is by their content that files change: what an editor, a mounted secret or a certificate manager does to names and
//! times on the way does not matter. Files that belong together are often not written at once; then they are in error
//! for a moment, and good at the next look.

use std::{
    error::Error,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use sha2::{Digest as _, Sha256};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

/// Why something cannot be made of files.
pub(super) type Cause = Box<dyn Error + Send + Sync>;

/// Files that cannot be used, each under the key that names it.
#[derive(Debug, thiserror::Error)]
#[error("some files cannot be used:\n  {}", .0.join("\n  "))]
pub struct Unusable(Vec<String>);

impl Unusable {
    /// Each key with what is wrong with its files.
    pub fn problems(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|problem| problem.split_once(": "))
    }
}

/// The latest of something.
pub(super) struct Live<T>(Arc<RwLock<Arc<T>>>);

impl<T> Clone for Live<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> fmt::Debug for Live<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").finish_non_exhaustive()
    }
}

impl<T> Live<T> {
    pub(super) fn new(first: T) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(first))))
    }

    /// As it is now.
    pub(super) fn get(&self) -> Arc<T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces it.
    pub(super) fn set(&self, next: T) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
    }
}

/// Looks at some files and does what there is to do.
type Look = Box<dyn FnMut() + Send>;

/// The files that are followed, and what was wrong with those read so far.
#[derive(Default)]
pub(super) struct Files {
    looks: Vec<Look>,
    problems: Vec<String>,
}

impl Files {
    /// Makes something of files, and makes it again when they change. `None` if that cannot be done, which
    /// [`Files::all_or_nothing`] tells.
    pub(super) fn read<T: Send + Sync + 'static, const N: usize>(
        &mut self,
        key: &'static str,
        paths: [&PathBuf; N],
        make: impl Fn([&[u8]; N]) -> Result<T, Cause> + Send + 'static,
    ) -> Option<Live<T>> {
        let paths = paths.map(Clone::clone);
        let (mut seen, first) = state(&paths, &make);
        let live = Live::new(self.noting(key, first)?);
        let kept = live.clone();
        self.looks.push(Box::new(move || {
            let (now, next) = state(&paths, &make);
            if now == seen {
                return;
            }
            seen = now;
            match next {
                Ok(next) => {
                    live.set(next);
                    tracing::info!(key, "took over what has changed");
                }
                Err(cause) => {
                    tracing::error!(key, %cause, "cannot take over what has changed; the last good one stays");
                }
            }
        }));
        Some(kept)
    }

    /// What was made of a key, or else a note of why not.
    pub(super) fn noting<T>(&mut self, key: &'static str, made: Result<T, Cause>) -> Option<T> {
        made.map_err(|cause| self.problems.push(format!("{key}: {cause}"))).ok()
    }

    /// What was read, if all of it could be.
    pub(super) fn all_or_nothing<A, B, C>(
        self,
        (a, b, c): (Option<A>, Option<B>, Option<C>),
    ) -> Result<((A, B, C), Self), Unusable> {
        match (a, b, c) {
            (Some(a), Some(b), Some(c)) if self.problems.is_empty() => Ok(((a, b, c), self)),
            _ => Err(Unusable(self.problems)),
        }
    }

    /// Whether there is nothing to follow.
    pub(super) fn is_empty(&self) -> bool {
        self.looks.is_empty()
    }

    /// Looks at the files now and then, and when the process gets SIGHUP, until `stop`.
    pub(super) async fn follow(self, every: Duration, stop: CancellationToken) {
        let mut looks = self.looks;
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut hangups = signal(SignalKind::hangup()).ok();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
                () = hangup(&mut hangups) => tracing::info!("SIGHUP: looking at all files"),
            }
            // Files may lie on a slow disk.
            let looked = tokio::task::spawn_blocking(move || {
                for look in &mut looks {
                    look();
                }
                looks
            });
            match looked.await {
                Ok(back) => looks = back,
                Err(_) => return,
            }
        }
    }
}

async fn hangup(signals: &mut Option<Signal>) {
    match signals {
        Some(signals) => drop(signals.recv().await),
        None => std::future::pending().await,
    }
}

/// What tells one state of some files from another.
type Seen = Result<Vec<[u8; 32]>, String>;

/// The state of some files, and what is made of it.
fn state<T, const N: usize>(
    paths: &[PathBuf; N],
    make: &impl Fn([&[u8]; N]) -> Result<T, Cause>,
) -> (Seen, Result<T, Cause>) {
    let mut contents = paths.each_ref().map(|_| Vec::new());
    for (path, content) in paths.iter().zip(&mut contents) {
        match std::fs::read(path) {
            Ok(bytes) => *content = bytes,
            Err(error) => {
                let why = format!("cannot read {}: {error}", path.display());
                return (Err(why.clone()), Err(why.into()));
            }
        }
    }
    let seen = contents.iter().map(|content| Sha256::digest(content).into()).collect();
    let result = make(contents.each_ref().map(Vec::as_slice));
    (Ok(seen), result.map_err(|why| format!("cannot use {}: {why}", listed(paths)).into()))
}

fn listed(paths: &[impl AsRef<Path>]) -> String {
    paths.iter().map(|path| path.as_ref().display().to_string()).collect::<Vec<_>>().join(", ")
}
