//! Members get in each other's way over who owns the team: it never has no owner, and never two.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use roster_proto::v1::{MemberState, ReactivateMemberRequest, SuspendMemberRequest};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    both,
    support::{
        Caller, Db, Outcome as _, TestServer,
        log::Log,
        parts,
        scene::{create_team, create_user, user_of},
        session::Session,
        storm::{self, ANSWERED, Tally},
        write::Write,
    },
};

/// How many teams are fought over at a time.
const LANES: usize = 6;
/// How many people fight over each.
const PEOPLE: usize = 5;

/// What refusals may say. Whoever lost their role or place in the same moment is denied.
const REASONS: [&str; 8] = [
    ANSWERED,
    "PERMISSION_DENIED",
    "LAST_OWNER",
    "ALREADY_OWNER",
    "MEMBER_NOT_FOUND",
    "MEMBER_SUSPENDED",
    "OWN_ROLE",
    "OWN_MEMBERSHIP",
];

/// Teams that are there and do not have one active owner, in one look at the tables.
const OWNERLESS_OR_SHARED: &str = "\
    SELECT count(*) FROM teams WHERE delete_time IS NULL AND 1 <> (\
      SELECT count(*) FROM membership_roles JOIN memberships \
      ON memberships.team_id = membership_roles.team_id AND memberships.user_id = membership_roles.user_id \
      WHERE membership_roles.team_id = teams.id AND role_id = 'owner' AND memberships.state = 'ACTIVE')";

/// One team and the people who fight over it.
struct Lane {
    number: usize,
    address: std::net::SocketAddr,
    service: Caller,
    team: String,
    tally: Tally,
}

/// What somebody does in a round.
#[derive(Debug, Clone)]
enum Move {
    Remove(String),
    Suspend(String),
    Leave,
    SetRole(String, &'static str),
    Transfer(String),
    Delete,
}

impl Lane {
    fn person(&self, n: usize) -> String {
        format!("person-{}-{n}", self.number)
    }

    async fn rounds(mut self, count: usize) -> Tally {
        for n in 0..PEOPLE {
            create_user(&self.service, &self.person(n)).await;
        }
        self.team = create_team(&self.service, "Fought over", &self.person(0)).await;
        for _ in 0..count {
            let owner = self.set_up().await;
            let moves = self.moves(&owner);
            self.race(&moves).await;
        }
        self.tally
    }

    /// Everybody is in, with some role, and somebody is the owner: who, is the answer.
    async fn set_up(&mut self) -> String {
        let mut members = if let Ok(listed) = self.service.list(&self.team).await {
            listed.into_inner().members
        } else {
            let owner = self.person(rand::random_range(0..PEOPLE));
            self.team = create_team(&self.service, "Fought over", &owner).await;
            self.service.list(&self.team).await.done().members
        };
        for person in (0..PEOPLE).map(|n| self.person(n)) {
            let there = members.iter().find(|member| user_of(member) == person);
            if there.is_some_and(|member| member.state() == MemberState::Suspended) {
                let (team_id, user_id) = (self.team.clone(), person.clone());
                let request = ReactivateMemberRequest { team_id, user_id, ..Default::default() };
                self.service.teams().reactivate_member(request).await.done();
            } else if there.is_none() {
                let role = if rand::random_ratio(2, 3) { "admin" } else { "member" };
                let added = self.service.add(&self.team, &person, &[role]).await.done();
                members.push(added.member.unwrap());
            }
        }
        let owner = members.iter().find(|member| member.role_ids.iter().any(|role| role == "owner"));
        user_of(owner.expect("an owner")).to_owned()
    }

    /// Two to four moves, most of them by or against the owner; often they give the team to several people at once.
    fn moves(&self, owner: &str) -> Vec<(String, Move)> {
        let anybody = || self.person(rand::random_range(0..PEOPLE));
        let chosen = || match rand::random_range(0..20) {
            0..=5 => (owner.to_owned(), Move::Transfer(anybody())),
            6..=7 => (anybody(), Move::Transfer(anybody())),
            8 => (anybody(), Move::Remove(owner.to_owned())),
            9 => (anybody(), Move::Suspend(owner.to_owned())),
            10 => (anybody(), Move::Remove(anybody())),
            11 => (anybody(), Move::Suspend(anybody())),
            12 => (owner.to_owned(), Move::Leave),
            13..=14 => (anybody(), Move::Leave),
            15..=16 => (anybody(), Move::SetRole(anybody(), "member")),
            17 => (anybody(), Move::SetRole(owner.to_owned(), "admin")),
            18 => (owner.to_owned(), Move::Remove(anybody())),
            _ => (owner.to_owned(), Move::Delete),
        };
        (0..rand::random_range(2..=4)).map(|_| chosen()).collect()
    }

    async fn race(&mut self, moves: &[(String, Move)]) {
        let services = storm::services(self.address, moves.len());
        let calls = moves.iter().cloned().zip(services).map(|((person, what), service)| {
            let (person, team) = (service.acting_for(&person), self.team.clone());
            async move {
                match what {
                    Move::Remove(whom) => person.remove(&team, &whom).await.map(drop),
                    Move::Suspend(user_id) => {
                        let request = SuspendMemberRequest { team_id: team, user_id, ..Default::default() };
                        person.teams().suspend_member(request).await.map(drop)
                    }
                    Move::Leave => person.leave(&team).await.map(drop),
                    Move::SetRole(whom, role) => person.set_roles(&team, &whom, &[role]).await.map(drop),
                    Move::Transfer(whom) => person.transfer(&team, &whom).await.map(drop),
                    Move::Delete => Write::delete_team("", &team).send(&person).await.map(drop),
                }
            }
        });
        let calls: Vec<_> = calls.collect();
        let (results, ()) = tokio::join!(storm::at_once(calls), self.look(moves));
        let mut tally = Tally::default();
        results.iter().for_each(|result| tally.add(result));
        assert_eq!(tally.other_than(&REASONS), [] as [&str; 0], "{tally} after {moves:?}");
        self.tally.merge(tally);
    }

    /// What a list of the members says meanwhile. When the team is deleted between the look at the caller's permission
    /// and the list, nobody is on it.
    async fn look(&self, moves: &[(String, Move)]) {
        for _ in 0..3 {
            let Ok(listed) = self.service.list(&self.team).await else { return };
            let members = listed.into_inner().members;
            let roles: Vec<_> = members.iter().map(|member| (user_of(member), member.role_ids.join("+"))).collect();
            if roles.is_empty() && moves.iter().any(|(_, what)| matches!(what, Move::Delete)) {
                continue;
            }
            let owners = roles.iter().filter(|(_, roles)| roles.contains("owner")).count();
            assert!(owners == 1 && roles.iter().all(|(_, roles)| !roles.is_empty()), "{roles:?} while {moves:?}");
        }
    }
}

/// Looks at the tables again and again, and answers how often.
async fn look(url: String, done: CancellationToken) -> usize {
    let session = Session::open(&url).await;
    let mut looks = 0;
    while !done.is_cancelled() {
        assert_eq!(session.value::<i64>(OWNERLESS_OR_SHARED).await, 0, "look {looks}");
        looks += 1;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    session.close().await;
    looks
}

both! {
    async fn a_team_always_has_one_owner(db: Db) {
        let started = Instant::now();
        let server = Arc::new(TestServer::start(db).await);
        let done = CancellationToken::new();
        let mut looking = JoinSet::new();
        looking.spawn(look(server.database.url.clone(), done.clone()));

        let rounds = parts::count(120, 2_000);
        let lanes = (0..LANES).map(|number| {
            let (address, service) = (server.address(), server.service());
            let lane = Lane { number, address, service, team: String::new(), tally: Tally::default() };
            lane.rounds(rounds.div_ceil(LANES))
        });
        let mut tally = Tally::default();
        storm::at_once(lanes).await.into_iter().for_each(|lane| tally.merge(lane));
        done.cancel();
        let looks = looking.join_next().await.unwrap().unwrap();

        let log = Log::read(&server.service()).await;
        let teams = log.assert_tables_agree(&server.service()).await;
        let deleted = teams.values().filter(|team| team.team.is_none()).count();
        let versions: i64 = teams.values().map(|team| team.version).sum();
        let transfers = log.of_kind("ownership_transferred").count();
        assert!(transfers > rounds / 10, "only {transfers} transfers");
        println!(
            "e04 {db:?}: {rounds} rounds in {:.1?}: one owner in each of {versions} versions of {} teams \
             ({deleted} deleted, {transfers} transfers) and in {looks} looks at the tables; {tally}",
            started.elapsed(),
            teams.len(),
        );
    }
}
