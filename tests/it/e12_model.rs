//! Random programs on teams, members, roles, invitations and access, performed by the service and by a small model of what it
//! promises: the same answers, the same state in the end, and the same on both databases. The record of changes holds
//! nothing of a step that was refused.

mod look;
mod program;
mod record;
mod roles;
mod rules;
mod stage;
mod state;

use std::{collections::BTreeMap, time::Instant};

use tokio_util::sync::CancellationToken;

use crate::support::{Db, parts, storm};
use program::{Do, Step};
use rules::{Expected, Reasons};
use stage::{Observed, Stage};
use state::Model;

/// How many servers of each kind perform programs, each one after another.
const LANES: u64 = 4;

/// What a program came to.
type Trace = Vec<Observed>;

/// Where the service and the model part.
#[derive(Debug)]
struct Divergence(String);

/// Whether the answer is one that the model accepts.
fn agrees(expected: &Expected, observed: &Observed) -> bool {
    match (expected, observed) {
        (Expected::Done, Observed::Done) => true,
        (Expected::Allowed(expected), Observed::Allowed(observed)) => expected == observed,
        (Expected::Explained(expected, reasons), Observed::Explained(observed, reason)) => {
            expected == observed && reasons.contains(reason.as_str())
        }
        (Expected::Each(expected), Observed::Each(observed)) => {
            let fits = |(reasons, outcome): (&Reasons, &String)| reasons.contains(outcome.as_str());
            expected.len() == observed.len() && expected.iter().zip(observed).all(fits)
        }
        (Expected::Refused(reasons), Observed::Refused(reason)) => reasons.contains(reason.as_str()),
        _ => false,
    }
}

/// What has to be the same wherever a program is performed. When it is recorded of what ran out that it did is a matter
/// of moments, and an explanation may say either.
fn settled(expected: &Expected, observed: Observed) -> Observed {
    match (expected, observed) {
        (Expected::Explained(_, reasons), Observed::Explained(allowed, _)) if reasons.len() > 1 => {
            Observed::Explained(allowed, String::new())
        }
        (_, observed) => observed,
    }
}

/// Performs a program on a tree of its own, which is gone afterwards.
async fn perform(stage: &Stage, program: &[Step]) -> Result<Trace, Divergence> {
    let (mut tree, mut model) = (stage.tree().await, Model::new());
    let mut trace = Trace::new();
    let mut result = Ok(());
    for (n, step) in program.iter().enumerate() {
        if model.skips(step) {
            continue;
        }
        let before = tree.known_invitations(&model);
        let (expected, observed) = (model.step(step), tree.perform(step).await);
        if !agrees(&expected, &observed) {
            result = Err(Divergence(format!("step {n}, {step:?}: expected {expected:?}, answered {observed:?}")));
            break;
        }
        trace.push(settled(&expected, observed));
        // What becomes of invitations by what has run out is told of a little later.
        let due = &tree.known_invitations(&model) - &before;
        if matches!(step.what, Do::Wait(_)) && !tree.shows(&due).await {
            result = Err(Divergence(format!("step {n}, {step:?}: not told of {due:#?}")));
            break;
        }
    }
    if result.is_ok() {
        let (known, seen) = (tree.known(&model), tree.seen().await);
        let (lacking, beyond) = (known.difference(&seen), seen.difference(&known));
        if known != seen {
            let (lacking, beyond): (Vec<_>, Vec<_>) = (lacking.collect(), beyond.collect());
            result = Err(Divergence(format!("state: expected {lacking:#?}, found {beyond:#?}")));
        }
    }
    if result.is_ok() {
        let told = tree.told_of_refused().await;
        if !told.is_empty() {
            result = Err(Divergence(format!("recorded although it was refused: {told:#?}")));
        }
    }
    tree.clear().await;
    result.map(|()| trace)
}

/// Leaves out what a divergence does not need.
async fn shrink(stage: &Stage, mut program: Vec<Step>, mut divergence: Divergence) -> (Vec<Step>, Divergence) {
    let mut n = program.len();
    while n > 0 {
        n -= 1;
        let mut shorter = program.clone();
        shorter.remove(n);
        if let Err(still) = perform(stage, &shorter).await {
            // What comes before may be needless now.
            n = n.min(shorter.len());
            (program, divergence) = (shorter, still);
        }
    }
    (program, divergence)
}

/// What many programs came to.
#[derive(Debug, Default)]
struct Ran {
    steps: usize,
    /// Of the programs that are to be compared.
    traces: BTreeMap<u64, Trace>,
    /// Each with the program, as short as it could be made.
    divergences: Vec<String>,
}

impl Ran {
    fn merge(&mut self, other: Self) {
        self.steps += other.steps;
        self.traces.extend(other.traces);
        self.divergences.extend(other.divergences);
    }
}

/// Performs every so-manieth program, until one diverges here or elsewhere.
async fn lane(db: Db, lane: u64, programs: u64, compared: u64, diverged: CancellationToken) -> Ran {
    let stage = Stage::new(db).await;
    let mut ran = Ran::default();
    for seed in (lane..programs).step_by(usize::try_from(LANES).unwrap()) {
        if diverged.is_cancelled() {
            break;
        }
        let program = program::draw(seed);
        match perform(&stage, &program).await {
            Ok(trace) => {
                ran.steps += trace.len();
                if seed < compared {
                    ran.traces.insert(seed, trace);
                }
            }
            // One that is as short as can be says more than several.
            Err(_) if diverged.is_cancelled() => break,
            Err(divergence) => {
                diverged.cancel();
                let (program, Divergence(what)) = shrink(&stage, program, divergence).await;
                let lines: String = program.iter().map(|step| format!("    {step:?}\n")).collect();
                ran.divergences.push(format!("{db:?}, seed {seed}: {what}\nafter\n{lines}"));
            }
        }
    }
    ran
}

/// All programs on one kind of database.
async fn on(db: Db, programs: u64, compared: u64, diverged: &CancellationToken) -> Ran {
    let mut all = Ran::default();
    for ran in storm::at_once((0..LANES).map(|n| lane(db, n, programs, compared, diverged.clone()))).await {
        all.merge(ran);
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_come_to_what_the_model_says() {
    let started = Instant::now();
    let both = parts::count(40, 2_000) as u64;
    let all = parts::count(100, 20_000) as u64;
    let diverged = CancellationToken::new();
    let (sqlite, postgres) =
        tokio::join!(on(Db::Sqlite, all, both, &diverged), on(Db::Postgres, both, both, &diverged));
    let divergences: Vec<_> = sqlite.divergences.iter().chain(&postgres.divergences).cloned().collect();
    assert!(divergences.is_empty(), "{}", divergences.join("\n"));
    for (seed, trace) in &sqlite.traces {
        assert_eq!(*trace, postgres.traces[seed], "seed {seed}: {:?}", program::draw(*seed));
    }
    println!(
        "e12: {all} programs of {} steps on SQLite, {both} of {} on PostgreSQL in {:.1?}",
        sqlite.steps,
        postgres.steps,
        started.elapsed()
    );
}
