//! Nobody comes to hold what nobody who acted held: sequences of calls that give something, by an admin and by people
//! who may do less. What is only offered by then is accepted before anybody looks.
//!
//! A refused call changes nothing, so that a sequence with one is a shorter sequence: only those are gone on with in
//! which every call took effect, and of those that come to the same only one.
//!
//! Every single call is tried, on both databases. What goes on from there is a sample, drawn with a fixed seed: every
//! call after one or two of those that took effect. At full length every call is tried after every other one that took
//! effect, on SQLite; on PostgreSQL after about half of them. Of sequences of three calls that take effect there are more
//! than a hundred thousand, and of four there are millions: of those, only what goes on from a handful is tried.

mod acts;
mod ground;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use rand::{SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};

use crate::{
    both,
    support::{Db, outcome::error_info, parts},
};
use acts::{Act, acts};
use ground::{Ground, Held, Tree};

/// What refusals may say. Nothing else keeps anybody from anything here.
const REASONS: [&str; 16] = [
    "PERMISSION_DENIED",
    "GRANT_EXCEEDS_OWN",
    "OWNER_ROLE_NOT_GRANTABLE",
    "ROLE_NOT_FOUND",
    "ROLE_GONE",
    "ROLE_KEY_TAKEN",
    "ALREADY_MEMBER",
    "MEMBER_NOT_FOUND",
    "OWN_ROLE",
    "OWN_MEMBERSHIP",
    "OWN_USER",
    "PROFILE_NOT_EDITABLE",
    "INVITATION_ACCEPTED",
    "INVITATION_CANCELED",
    "INVITATION_EXPIRED",
    "INVITER_NO_LONGER_ALLOWED",
];

/// What was tried.
#[derive(Debug, Default)]
struct Tried {
    /// Sequences of so many calls that all took effect, and how many of those were gone on with.
    took_effect: BTreeMap<usize, (usize, usize)>,
    refused: usize,
}

/// A way through the acts.
struct Walk {
    ground: Ground,
    acts: Vec<Act>,
    /// What everybody holds in the beginning.
    before: Held,
    tried: Tried,
}

impl Walk {
    async fn new(db: Db) -> Self {
        let ground = Ground::new(db).await;
        let before = ground.tree().await.held().await;
        Self { ground, acts: acts(), before, tried: Tried::default() }
    }

    /// A new tree in which these calls were made.
    async fn tree_after(&self, sequence: &[usize]) -> Tree<'_> {
        let mut tree = self.ground.tree().await;
        for n in sequence {
            tree.perform(&self.acts[*n]).await.expect("what took effect before");
        }
        tree
    }

    /// Makes each call after these. Answers those sequences that took effect, with what they came to if it goes on.
    async fn go_on(&mut self, sequence: &[usize], last: bool) -> Vec<(Vec<usize>, BTreeSet<String>)> {
        let (mut longer, mut refused) = (Vec::new(), 0);
        let mut tree = self.tree_after(sequence).await;
        for n in 0..self.acts.len() {
            if tree.repeats(&self.acts[n]) {
                continue;
            }
            if let Err(status) = tree.perform(&self.acts[n]).await {
                let reason = error_info(&status).reason;
                assert!(REASONS.contains(&reason.as_str()), "{:?} was refused: {status:?}", self.acts[n]);
                refused += 1;
                continue;
            }
            let done: Vec<_> = sequence.iter().copied().chain([n]).collect();
            let mut view = if last { BTreeSet::new() } else { tree.view().await };
            self.check(&done, &tree.held().await);
            view.extend(done.iter().map(|n| format!("by {}", self.acts[*n].by)));
            longer.push((done, view));
            tree = self.tree_after(sequence).await;
        }
        self.tried.refused += refused;
        longer
    }

    /// Whatever anybody holds, they or one of those who acted held it there in the beginning.
    fn check(&self, sequence: &[usize], after: &Held) {
        let acts: Vec<_> = sequence.iter().map(|n| &self.acts[*n]).collect();
        for (team, who, permission) in after {
            // In a new team those above it hold what they hold in one that nobody is in.
            let team = if *team == "new" { "quiet" } else { team };
            let held = |person| self.before.contains(&(team, person, *permission));
            let given = held(*who) || acts.iter().any(|act| held(act.by));
            assert!(given, "{who} holds {permission} in {team} after {acts:#?}");
        }
    }

    /// Every call, and then every call after each sequence that took effect: after so many at the most of each length.
    async fn all(&mut self, most: &[usize]) {
        let mut known = BTreeSet::new();
        let mut sequences = vec![Vec::new()];
        for length in 1..=most.len() + 1 {
            let gone_on_with = most.get(length - 1).copied().unwrap_or(0);
            let mut longer = Vec::new();
            let mut took_effect = 0;
            for sequence in std::mem::take(&mut sequences) {
                for (sequence, view) in self.go_on(&sequence, gone_on_with == 0).await {
                    took_effect += 1;
                    if known.insert(view) {
                        longer.push(sequence);
                    }
                }
            }
            longer.shuffle(&mut StdRng::seed_from_u64(length as u64));
            longer.truncate(gone_on_with);
            self.tried.took_effect.insert(length, (took_effect, longer.len()));
            sequences = longer;
        }
    }
}

both! {
    async fn nobody_holds_what_nobody_who_gave_held(db: Db) {
        let started = Instant::now();
        let mut walk = Walk::new(db).await;
        let most: &[usize] = match (db, parts::torture()) {
            (Db::Sqlite, false) => &[2],
            (Db::Sqlite, true) => &[usize::MAX, 12, 6],
            (Db::Postgres, false) => &[1],
            (Db::Postgres, true) => &[24, 4, 2],
        };
        walk.all(most).await;
        let Tried { took_effect, refused } = &walk.tried;
        assert!(took_effect[&1].0 > walk.acts.len() / 4, "most calls are refused: {took_effect:?}");
        println!(
            "e18 {db:?}: {} calls; sequences that took effect by length, and how many were gone on with: {took_effect:?}; \
             {refused} refused, in {:.1?}",
            walk.acts.len(),
            started.elapsed()
        );
    }
}
