//! How the process comes to its end: by a signal, or because a part of it cannot go on; in stages, so that no call that
//! was let in is lost.
//!
//! 1. The end is asked for. Calls are still taken, but health says that they had better go elsewhere.
//! 2. After the delay that load balancers need to notice, draining begins: nothing more is accepted, streams end, calls
//!    in flight go on for a while (see `grpc::server`).
//!
//! Whoever is in a hurry sends a second signal, which ends the process at once.

use std::{io, time::Duration};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The stages of the end. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    requested: CancellationToken,
    draining: CancellationToken,
}

impl Shutdown {
    /// Asks for the end.
    pub fn request(&self) {
        self.requested.cancel();
    }

    /// Canceled when the end was asked for.
    pub fn requested(&self) -> &CancellationToken {
        &self.requested
    }

    /// Canceled when draining begins.
    pub fn draining(&self) -> &CancellationToken {
        &self.draining
    }

    /// Goes from stage to stage once the end was asked for: calls `withdraw`, which says that no calls should come any
    /// more, waits for `delay`, and begins to drain.
    pub async fn conduct(&self, delay: Duration, withdraw: impl Future<Output = ()>) {
        self.requested.cancelled().await;
        withdraw.await;
        tokio::time::sleep(delay).await;
        self.draining.cancel();
    }

    /// Does `work`, in which SIGTERM and SIGINT ask for the end. A second one ends the process at once, with the exit
    /// status of a process that was killed by it.
    ///
    /// # Errors
    /// If signals cannot be listened to; then nothing was done.
    pub async fn on_signals<T>(&self, work: impl Future<Output = T>) -> io::Result<T> {
        let mut signals = Signals::listen()?;
        let watch = async {
            let first = signals.next().await;
            tracing::info!(signal = first.name, "stopping; a second signal stops at once");
            self.request();
            let second = signals.next().await;
            tracing::warn!(signal = second.name, "stopping at once");
            std::process::exit(second.exit_status())
        };
        tokio::select! {
            done = work => Ok(done),
            never = watch => never,
        }
    }
}

/// Starts a task that the service cannot do without: when it ends, be it by a panic, `stop` is canceled, which ends the
/// others and is noticed.
pub fn spawn_essential(tasks: &TaskTracker, stop: &CancellationToken, work: impl Future<Output = ()> + Send + 'static) {
    let all_for_one = stop.clone().drop_guard();
    tasks.spawn(async move {
        let _all_for_one = all_for_one;
        work.await;
    });
}

/// The signals that ask for the end.
#[derive(Debug)]
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

/// One of them.
#[derive(Debug, Clone, Copy)]
struct Received {
    name: &'static str,
    kind: SignalKind,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(Self { terminate, interrupt })
    }

    async fn next(&mut self) -> Received {
        tokio::select! {
            _ = self.terminate.recv() => Received { name: "SIGTERM", kind: SignalKind::terminate() },
            _ = self.interrupt.recv() => Received { name: "SIGINT", kind: SignalKind::interrupt() },
        }
    }
}

impl Received {
    /// What shells report for a process that a signal killed.
    fn exit_status(self) -> i32 {
        128 + self.kind.as_raw_value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn health_changes_before_draining_begins() {
        let shutdown = Shutdown::default();
        let delay = Duration::from_secs(5);
        let withdraw = async {
            assert!(shutdown.requested().is_cancelled() && !shutdown.draining().is_cancelled());
        };
        let asking = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert!(!shutdown.requested().is_cancelled());
            shutdown.request();
            tokio::time::sleep(delay / 2).await;
            assert!(!shutdown.draining().is_cancelled());
        };
        tokio::join!(shutdown.conduct(delay, withdraw), asking);
        assert!(shutdown.draining().is_cancelled());
    }

    #[tokio::test]
    async fn what_is_essential_takes_the_others_along() {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        spawn_essential(&tasks, &stop, stop.clone().cancelled_owned());
        assert!(!stop.is_cancelled());
        spawn_essential(&tasks, &stop, async { panic!("a defect") });
        stop.cancelled().await;
        tasks.close();
        tasks.wait().await;
    }

    #[tokio::test]
    async fn work_that_ends_needs_no_signal() {
        assert_eq!(Shutdown::default().on_signals(async { 7 }).await.unwrap(), 7);
    }
}
