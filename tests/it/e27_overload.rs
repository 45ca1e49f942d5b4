//! Five times as many calls as the service can serve: it goes on serving as many as it can, refuses the others at once and
//! by name, and counts as healthy all along.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream};
use tokio::{sync::mpsc, task::JoinSet, time::MissedTickBehavior};
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::{
    both,
    support::{
        Caller, Db, Outcome as _,
        database::TestDatabase,
        outcome::assert_says,
        parts,
        process::Served,
        scene::{create_team, create_user},
        storm,
        write::Write,
    },
};

/// Connections for calls: each takes a hundred at a time, so that none waits in a client.
const CONNECTIONS: usize = 32;
/// How many call at a time when the peak is looked for: as many as may write on SQLite, so that nobody is refused.
const AT_ONCE: usize = 16;
/// How much more than the peak is asked for.
const OVERLOAD: f64 = 5.0;

/// The service, and what is asked of it.
struct Scene {
    served: Served,
    callers: Vec<Caller>,
    teams: Vec<String>,
}

/// What is asked for.
#[derive(Clone, Copy)]
enum Mix {
    Reads,
    Writes,
    /// Every fourth call writes.
    Both,
}

impl Mix {
    fn writes(self, number: usize) -> bool {
        match self {
            Self::Reads => false,
            Self::Writes => true,
            Self::Both => number.is_multiple_of(4),
        }
    }
}

/// What came of a call, and after how long.
struct Called {
    write: bool,
    refused: bool,
    took: Duration,
}

/// How many calls a second were answered.
#[derive(Clone, Copy)]
struct Rates {
    reads: f64,
    writes: f64,
}

impl Rates {
    fn of(called: &[Called], time: Duration) -> Self {
        let rate = |write| {
            let answered = called.iter().filter(|called| !called.refused && called.write == write).count();
            f64::from(u32::try_from(answered).unwrap()) / time.as_secs_f64()
        };
        Self { reads: rate(false), writes: rate(true) }
    }

    fn calls(self) -> f64 {
        self.reads + self.writes
    }

    /// How much work that was, where `most` of either kind are answered if there are no others: reads and writes do not
    /// cost the same.
    fn work(self, most: Self) -> f64 {
        self.reads / most.reads + self.writes / most.writes
    }
}

impl Scene {
    async fn new(test: &TestDatabase) -> Self {
        let variables = [
            ("ROSTER_DATABASE__URL", test.url.as_str()),
            ("ROSTER_TELEMETRY__LOG_FILTER", "warn"),
            crate::e33_migrations::LINK_KEYS,
        ];
        let served = Served::start(test.folder.path(), &[&variables, parts::patience()].concat()).await;
        let service = served.caller();
        let (count, members) = (parts::count(8, 64), parts::count(20, 60));
        for number in 0..members {
            create_user(&service, &format!("user-{number}")).await;
        }
        let mut teams = Vec::new();
        for number in 0..count {
            let team = create_team(&service, &format!("Team {number}"), "user-0").await;
            let added = (1..members).map(|number| {
                let (service, team) = (service.clone(), team.clone());
                async move { drop(service.add(&team, &format!("user-{number}"), &["member"]).await.done()) }
            });
            stream::iter(added).buffer_unordered(8).collect::<Vec<_>>().await;
            teams.push(team);
        }
        let callers = storm::services(served.address, CONNECTIONS);
        Self { served, callers, teams }
    }

    /// One call. Whatever is refused is refused for the one reason.
    fn call(&self, mix: Mix, number: usize) -> impl Future<Output = Called> + Send + 'static {
        let (caller, team) =
            (self.callers[number % CONNECTIONS].clone(), self.teams[number * 7 % self.teams.len()].clone());
        async move {
            let begun = Instant::now();
            let write = mix.writes(number);
            let refusal = if write {
                Write::touch_team("", &team, &number.to_string()).send(&caller).await.err()
            } else {
                caller.list(&team).await.err()
            };
            let outcome = Called { write, refused: refusal.is_some(), took: begun.elapsed() };
            if let Some(status) = refusal {
                assert_says(&status, Code::ResourceExhausted, "OVERLOADED");
            }
            outcome
        }
    }

    /// How many calls a second are answered at most, tried for so long.
    async fn peak(&self, mix: Mix, time: Duration) -> Rates {
        let begun = Instant::now();
        let mut calls = (0..).map(|number| self.call(mix, number));
        let mut calling: JoinSet<Called> = calls.by_ref().take(AT_ONCE).collect();
        let mut all = Vec::new();
        while let Some(called) = calling.join_next().await {
            all.push(called.unwrap());
            if begun.elapsed() < time {
                calling.extend(calls.next());
            }
        }
        Rates::of(&all, begun.elapsed())
    }

    /// Makes so many calls a second for so long, whatever becomes of them. Gives how long that took in the end, and all
    /// that came of it.
    async fn offer(&self, rate: f64, time: Duration) -> (Duration, Vec<Called>) {
        let (sender, mut calls) = mpsc::unbounded_channel();
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let begun = Instant::now();
        let mut calling = JoinSet::new();
        let mut made = 0;
        while begun.elapsed() < time {
            ticks.tick().await;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of calls")]
            let due = (begun.elapsed().as_secs_f64() * rate) as usize;
            while made < due {
                let (call, sender) = (self.call(Mix::Both, made), sender.clone());
                calling.spawn(async move { sender.send(call.await).unwrap() });
                made += 1;
            }
            while calling.try_join_next().is_some_and(|done| done.map(|()| true).unwrap()) {}
        }
        while let Some(done) = calling.join_next().await {
            done.unwrap();
        }
        drop(sender);
        let took = begun.elapsed();
        let mut all = Vec::new();
        while let Some(called) = calls.recv().await {
            all.push(called);
        }
        (took, all)
    }
}

/// Within how long a share of them was over, in thousandths.
fn within(called: &mut [Duration], share: usize) -> Duration {
    called.sort_unstable();
    called.get((called.len().max(1) - 1) * share / 1000).copied().unwrap_or_default()
}

both! {
    async fn e27_five_times_too_many_calls(db: Db) {
        let test = TestDatabase::new(db).await;
        let scene = Scene::new(&test).await;
        let seconds = |quick, full| Duration::from_secs(parts::count(quick, full) as u64);
        // The first calls warm it up.
        scene.peak(Mix::Both, Duration::from_secs(1)).await;
        let most = Rates {
            reads: scene.peak(Mix::Reads, seconds(1, 20)).await.reads,
            writes: scene.peak(Mix::Writes, seconds(1, 20)).await.writes,
        };
        let peak = scene.peak(Mix::Both, seconds(3, 20)).await;

        let over = Arc::new(AtomicBool::new(false));
        let mut health = HealthClient::new(scene.served.channel());
        let watching = over.clone();
        let mut watch = JoinSet::new();
        watch.spawn(async move {
            let mut asked = 0;
            while !watching.load(Ordering::Relaxed) {
                let said = health.check(HealthCheckRequest::default()).await.done();
                assert_eq!(said.status(), ServingStatus::Serving);
                asked += 1;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            asked
        });
        let (took, called) = scene.offer(peak.calls() * OVERLOAD, seconds(4, 60)).await;
        over.store(true, Ordering::Relaxed);
        let asked: usize = watch.join_all().await.into_iter().sum();

        let answered = Rates::of(&called, took);
        let times = |refused| {
            let all = called.iter().filter(|called| called.refused == refused);
            all.map(|called| called.took).collect::<Vec<_>>()
        };
        let [mut yes, mut no] = [false, true].map(times);
        println!(
            "{db:?}: at most {:.0} reads or {:.0} writes a second; at the peak {:.0} and {:.0}; of {:.1} times as many \
             calls, {:.0} and {:.0}, which is {:.0} % of the calls and {:.0} % of the work at the peak; answered, half within \
             {:.0?} and 99 % within {:.0?}; {} refused, half within {:.1?} and 99 % within {:.1?}; healthy {asked} times of \
             {asked}",
            most.reads,
            most.writes,
            peak.reads,
            peak.writes,
            f64::from(u32::try_from(called.len()).unwrap()) / took.as_secs_f64() / peak.calls(),
            answered.reads,
            answered.writes,
            100.0 * answered.calls() / peak.calls(),
            100.0 * answered.work(most) / peak.work(most),
            within(&mut yes, 500),
            within(&mut yes, 990),
            no.len(),
            within(&mut no, 500),
            within(&mut no, 990),
        );
        assert!(answered.reads > 0.0 && answered.writes > 0.0 && !no.is_empty());
        // It is over when it is over.
        let service = scene.served.caller();
        for team in &scene.teams {
            service.list(team).await.done();
        }
    }
}
