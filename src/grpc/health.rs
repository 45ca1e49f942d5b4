//! Answering for this process's health (`grpc.health.v1`).
//!
//! Readiness ([`READY`], and the same under the name of each service of the API) says whether calls should be sent here:
//! not before the database has answered, not while it stays away, and never again once the process stops. It takes a
//! while for the database to count as away, so that one lost packet does not take every instance out of service at once.
//! That the broker or the mail server is away changes nothing: calls are served without them.
//! Liveness ([`LIVE`]) says that the process works, and nothing else; only a restart would mend what makes it fail.

use std::{fmt::Display, sync::Arc, time::Duration};

use tokio::sync::{Mutex, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tonic_health::{
    ServingStatus,
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};

pub use super::healthcheck::{LIVE, READY};
use super::methods;

/// How often the database is asked.
const INTERVAL: Duration = Duration::from_secs(2);
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many answers in a row must be missing before the database counts as away.
const MISSES: u32 = 3;

/// The health of this process. Clones share it.
#[derive(Debug, Clone)]
pub struct Health {
    reporter: HealthReporter,
    services: Arc<[String]>,
    readiness: Arc<Mutex<Readiness>>,
    ready: watch::Sender<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Readiness {
    NotYet,
    Ready,
    /// The process stops: this does not change any more.
    Never,
}

impl Health {
    /// Alive, and not ready yet.
    ///
    /// # Errors
    /// If the API's own descriptors cannot be read, which is a defect.
    pub async fn new() -> Result<Self, prost_reflect::DescriptorError> {
        let services = methods::services()?.into_iter().chain([READY.to_owned()]).collect();
        let reporter = HealthReporter::new();
        reporter.set_service_status(LIVE, ServingStatus::Serving).await;
        let readiness = Arc::new(Mutex::new(Readiness::NotYet));
        let health = Self { reporter, services, readiness, ready: watch::Sender::new(false) };
        health.report(ServingStatus::NotServing).await;
        Ok(health)
    }

    /// Says whether calls should be sent here. After [`Health::stop`] it says nothing any more.
    pub async fn set_ready(&self, ready: bool) {
        self.change(if ready { Readiness::Ready } else { Readiness::NotYet }).await;
    }

    /// Says that no call should be sent here any more, for good.
    pub async fn stop(&self) {
        self.change(Readiness::Never).await;
    }

    /// Keeps readiness in step with the database until `stop` is canceled. `ping` asks the database for a sign of life.
    pub async fn follow<P, E>(&self, ping: impl Fn() -> P, stop: CancellationToken)
    where
        P: Future<Output = Result<(), E>>,
        E: Display,
    {
        stop.run_until_cancelled(self.ask_on(ping)).await;
    }

    async fn ask_on<P, E>(&self, ping: impl Fn() -> P)
    where
        P: Future<Output = Result<(), E>>,
        E: Display,
    {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut missed = MISSES;
        loop {
            ticks.tick().await;
            let failure = match timeout(PATIENCE, ping()).await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some(format!("no answer within {PATIENCE:?}")),
            };
            match failure {
                None => {
                    if missed >= MISSES {
                        tracing::info!("the database answers: ready");
                        self.set_ready(true).await;
                    }
                    missed = 0;
                }
                Some(why) => {
                    missed = missed.saturating_add(1);
                    if missed == MISSES {
                        tracing::warn!(why, "the database does not answer: not ready");
                    }
                    if missed >= MISSES {
                        self.set_ready(false).await;
                    }
                }
            }
        }
    }

    /// Whether calls should be sent here, now and whenever it changes.
    pub fn ready(&self) -> watch::Receiver<bool> {
        self.ready.subscribe()
    }

    /// The service that answers for it.
    pub(super) fn service(&self) -> HealthServer<HealthService> {
        HealthServer::new(HealthService::from_health_reporter(self.reporter.clone()))
    }

    async fn change(&self, to: Readiness) {
        // Held while it is reported, so that what is reported last is what holds.
        let mut readiness = self.readiness.lock().await;
        if *readiness != Readiness::Never && *readiness != to {
            *readiness = to;
            let ready = to == Readiness::Ready;
            self.report(if ready { ServingStatus::Serving } else { ServingStatus::NotServing }).await;
            self.ready.send_replace(ready);
        }
    }

    async fn report(&self, status: ServingStatus) {
        for service in &*self.services {
            self.reporter.set_service_status(service, status).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use tonic::Request;
    use tonic_health::pb::{
        HealthCheckRequest, health_check_response::ServingStatus as Answer, health_server::Health as _,
    };

    use super::*;

    async fn ask(health: &Health, service: &str) -> Answer {
        let request = Request::new(HealthCheckRequest { service: service.to_owned() });
        let service = HealthService::from_health_reporter(health.reporter.clone());
        service.check(request).await.unwrap().into_inner().status()
    }

    #[tokio::test]
    async fn readiness_has_every_name_of_the_api_and_liveness_its_own() {
        let health = Health::new().await.unwrap();
        for expected in [Answer::NotServing, Answer::Serving] {
            for service in [READY, "roster.v1.TeamService", "roster.v1.EventService"] {
                assert_eq!(ask(&health, service).await, expected, "{service}");
            }
            assert_eq!(*health.ready().borrow(), expected == Answer::Serving);
            assert_eq!(ask(&health, LIVE).await, Answer::Serving);
            health.set_ready(true).await;
        }
    }

    #[tokio::test]
    async fn a_process_that_stops_is_never_ready_again() {
        let health = Health::new().await.unwrap();
        health.set_ready(true).await;
        health.stop().await;
        health.set_ready(true).await;
        assert_eq!(ask(&health, READY).await, Answer::NotServing);
        assert_eq!(ask(&health, LIVE).await, Answer::Serving);
    }

    #[tokio::test(start_paused = true)]
    async fn readiness_follows_the_database_but_not_a_single_lost_answer() {
        let health = Health::new().await.unwrap();
        let up = AtomicBool::new(false);
        let ping = || std::future::ready(if up.load(Ordering::Relaxed) { Ok(()) } else { Err("away") });
        let script = async {
            // Always between two questions.
            tokio::time::sleep(INTERVAL / 2).await;
            for (answers, asked, expected) in [
                (false, 5, Answer::NotServing),
                (true, 1, Answer::Serving),
                (false, MISSES - 1, Answer::Serving),
                (true, 1, Answer::Serving),
                (false, MISSES, Answer::NotServing),
                (true, 1, Answer::Serving),
            ] {
                up.store(answers, Ordering::Relaxed);
                tokio::time::sleep(INTERVAL * asked).await;
                assert_eq!(ask(&health, READY).await, expected, "{answers} {asked}");
            }
        };
        tokio::select! {
            () = health.follow(ping, CancellationToken::new()) => panic!("it ended"),
            () = script => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_database_that_hangs_is_away() {
        let health = Health::new().await.unwrap();
        health.set_ready(true).await;
        let stop = CancellationToken::new();
        let stopping = async {
            tokio::time::sleep(PATIENCE * 2).await;
            stop.cancel();
        };
        let hang = || std::future::pending::<Result<(), &str>>();
        tokio::join!(health.follow(hang, stop.clone()), stopping);
        assert_eq!(ask(&health, READY).await, Answer::NotServing);
    }
}
