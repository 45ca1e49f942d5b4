//! Abuse of HTTP/2: whoever attacks is shown out, and whoever calls meanwhile is served as always.
//!
//! The program is a process of its own, on SQLite: what is attacked lies before any database. What it takes in memory is
//! looked at, and what calls take in time is printed.

mod attacks;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{io::AsyncWriteExt as _, net::TcpStream, task::JoinSet, time::timeout};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::support::{
    Caller, Outcome as _, frames, parts,
    process::Served,
    scene::{create_team, create_user},
    storm,
    write::Write,
};
use attacks::{ATTACKS, Attack};

/// How many connections each attack comes over at a time.
const ATTACKERS: usize = 4;
/// How many call meanwhile.
const CALLERS: usize = 4;
/// The most memory that the program may ever have taken, in MiB. It takes some 30 when nobody does anything.
const MEMORY: usize = 600;

/// The program, and those who want nothing but to call it.
struct Scene {
    served: Served,
    team: String,
    callers: Vec<Caller>,
    _folder: tempfile::TempDir,
}

impl Scene {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let served = Served::start(folder.path(), parts::patience()).await;
        let service = served.caller();
        create_user(&service, "ada").await;
        let team = create_team(&service, "Acme", "ada").await;
        let callers = storm::services(served.address, CALLERS);
        Self { served, team, callers, _folder: folder }
    }

    /// Everybody calls until there have been so many calls, half of them writes; none may fail, and the program has to be
    /// healthy all along. Gives how long the calls took.
    async fn calls(&self, count: usize) -> Latencies {
        let called = Arc::new(AtomicUsize::new(0));
        let mut calling = JoinSet::new();
        for (number, caller) in self.callers.iter().cloned().enumerate() {
            let (called, team) = (called.clone(), self.team.clone());
            let mut health = HealthClient::new(self.served.channel());
            calling.spawn(async move {
                let mut took = Vec::new();
                while called.fetch_add(1, Ordering::Relaxed) < count {
                    let begun = Instant::now();
                    if took.len() % 2 == 0 {
                        caller.list(&team).await.done();
                    } else {
                        let write = Write::touch_team("", &team, &format!("{number}-{}", took.len()));
                        write.send(&caller).await.unwrap();
                    }
                    took.push(begun.elapsed());
                    if took.len() % 8 == 0 {
                        let said = health.check(HealthCheckRequest::default()).await.done();
                        assert_eq!(said.status(), ServingStatus::Serving);
                    }
                }
                took
            });
        }
        let mut all: Vec<Duration> = calling.join_all().await.into_iter().flatten().collect();
        all.sort_unstable();
        Latencies(all)
    }

    /// The most memory that the program ever had, in MiB.
    fn peak_memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.served.process.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() / 1024
    }

    fn assert_well(&self) {
        let peak = self.peak_memory();
        assert!(peak < MEMORY, "{peak} MiB");
        let lines = self.served.process.lines();
        assert!(!lines.iter().any(|line| line.contains("panic") || line.contains("defect")), "{lines:#?}");
    }
}

/// How long calls took, in order.
struct Latencies(Vec<Duration>);

impl std::fmt::Display for Latencies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = |share: usize| self.0[(self.0.len() - 1) * share / 1000];
        write!(f, "half within {:.1?}, 99 % within {:.1?}, all within {:.1?}", at(500), at(990), at(1000))
    }
}

/// Attacks until told to stop. Gives how often the server ended a connection of the attack, and how often it let it be.
fn keep_attacking(attack: &'static Attack, scene: &Scene, stop: Arc<AtomicBool>) -> JoinSet<[usize; 2]> {
    let mut attackers = JoinSet::new();
    for _ in 0..ATTACKERS {
        let (address, team, stop) = (scene.served.address, scene.team.clone(), stop.clone());
        attackers.spawn(async move {
            let mut counts = [0; 2];
            while !stop.load(Ordering::Relaxed) || counts == [0; 2] {
                match (attack.run)(address, team.clone()).await {
                    Some(ended) => {
                        // Not every GOAWAY arrives: what is sent into a closed connection wipes it out.
                        assert!(
                            ended.goaway.is_none_or(|code| attack.codes.contains(&code)),
                            "{}: {ended:?}",
                            attack.name
                        );
                        counts[0] += 1;
                    }
                    None => counts[1] += 1,
                }
            }
            counts
        });
    }
    attackers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e26_attackers_are_shown_out_and_callers_are_served() {
    let scene = Scene::new().await;
    let calls = parts::count(32, 2000);
    println!("in peace: {}", scene.calls(calls).await);
    for attack in ATTACKS {
        let stop = Arc::new(AtomicBool::new(false));
        let attackers = keep_attacking(attack, &scene, stop.clone());
        let during = scene.calls(calls).await;
        stop.store(true, Ordering::Relaxed);
        let counts = attackers.join_all().await;
        let [ended, let_be] = [0, 1].map(|i| counts.iter().map(|count| count[i]).sum::<usize>());
        // Back to what it was: the time until as many calls as there are callers are answered.
        let begun = Instant::now();
        scene.calls(CALLERS).await;
        println!(
            "{}: {during}; {ended} connections ended, {let_be} let be; recovered in {:.1?}; at most {} MiB",
            attack.name,
            begun.elapsed(),
            scene.peak_memory()
        );
        assert!(
            attack.codes.is_empty() || let_be == 0 && ended >= ATTACKERS,
            "{} is for the server to end",
            attack.name
        );
        scene.assert_well();
    }
}

/// Many connections that do nothing take no place from whoever does something.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e26_idle_connections_are_in_nobodys_way() {
    let count = parts::count(400, 5000);
    parts::allow_open_files(count as u64 + 500);
    let scene = Scene::new().await;
    println!("in peace: {}", scene.calls(parts::count(32, 2000)).await);
    let mut idle = Vec::new();
    for number in 0..count {
        idle.push(match number % 4 {
            // Not a word; half of the first one; only that; and everything, with a call that is never ended.
            0 => TcpStream::connect(scene.served.address).await.unwrap(),
            1 => {
                let mut stream = TcpStream::connect(scene.served.address).await.unwrap();
                stream.write_all(&frames::PREFACE[..13]).await.unwrap();
                stream
            }
            2 => frames::connect(scene.served.address).await,
            _ => {
                let mut stream = frames::connect(scene.served.address).await;
                let fields = frames::fields(attacks::LIST_MEMBERS);
                stream.write_all(&frames::frame(frames::HEADERS, frames::END_HEADERS, 1, &fields)).await.unwrap();
                stream
            }
        });
    }
    let during = scene.calls(parts::count(32, 2000)).await;
    println!("{count} idle connections: {during}; at most {} MiB", scene.peak_memory());
    scene.assert_well();
    // Who has not begun to speak is shown out.
    for (number, stream) in idle.into_iter().enumerate().filter(|(number, _)| number % 4 == 0) {
        let (reader, _writer) = stream.into_split();
        let ended = timeout(Duration::from_mins(2), frames::end(reader)).await;
        assert!(ended.is_ok(), "connection {number} is still there");
    }
    scene.calls(CALLERS).await;
}
