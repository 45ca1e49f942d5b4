//! The program is killed in the middle of its work, again and again: what it acknowledged is there, what it did not
//! acknowledge is there as a whole or not at all, and every event reaches the broker.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use prost::Message as _;
use roster::config::EventEncoding;
use roster_proto::v1::{CreateInvitationResponse, CreateTeamResponse, GetInvitationLinkRequest};
use tokio::{sync::watch, task::JoinSet, time::sleep};
use tonic::Status;
use tonic_types::StatusExt as _;

use crate::{
    both,
    relay::broker::Topic,
    support::{
        Caller, Db,
        database::TestDatabase,
        log::{Log, assert_agrees},
        parts,
        process::{Process, Served, roster},
        scene::{create_team, create_user},
        server::eventually,
        session::Session,
        storm,
        write::{Bytes, Write},
    },
};

/// How many write at a time.
const WRITERS: usize = 12;

/// One who writes, and what became of it.
struct Writer {
    name: String,
    /// A team that everybody writes to.
    shared: String,
    /// The writer's own team, another one every so often.
    team: String,
    /// The latest invitation.
    invitation: String,
    /// How many writes were made up.
    count: usize,
    /// A write whose answer did not come.
    pending: Option<Write>,
    /// What was acknowledged.
    done: Vec<Write>,
}

impl Writer {
    async fn new(number: usize, shared: &str, service: &Caller) -> Self {
        let name = format!("writer-{number}");
        create_user(service, &name).await;
        let team = create_team(service, &name, &name).await;
        let (shared, invitation) = (shared.to_owned(), String::new());
        Self { name, shared, team, invitation, count: 0, pending: None, done: Vec::new() }
    }

    /// Writes until the server is gone.
    async fn write_on(mut self, service: Caller, acknowledged: watch::Sender<usize>) -> Self {
        while self.write(&service).await.is_ok() {
            acknowledged.send_modify(|count| *count += 1);
        }
        self
    }

    /// One write: first of all the one that is owed an answer. Fails only because the server is gone.
    async fn write(&mut self, service: &Caller) -> Result<(), Status> {
        let write = match self.pending.take() {
            Some(write) => write,
            None => self.next(service).await?,
        };
        match write.send(service).await {
            Ok(answer) => self.learn(&write, &answer),
            Err(status) => {
                assert_gone(&status);
                self.pending = Some(write);
                return Err(status);
            }
        }
        self.done.push(write);
        Ok(())
    }

    /// The next write: a story of eight in the writer's own team and in the one that all share.
    async fn next(&mut self, service: &Caller) -> Result<Write, Status> {
        let (name, team) = (&self.name, &self.team);
        let (story, step) = (self.count / 8, self.count % 8);
        let id = format!("{name}-{}", self.count);
        let (user, guest) = (format!("{name}-user-{story}"), format!("{name}-guest-{story}"));
        let write = match step {
            0 => Write::create_user(&id, &user),
            1 => Write::add_member(&id, team, &user, "admin"),
            2 => Write::touch_team(&id, &self.shared, &id),
            3 => Write::invite(&id, team, &format!("{guest}@example.com"), "member"),
            4 => Write::accept(&id, &self.token(service).await?, &guest),
            5 => Write::remove_member(&id, team, &user),
            6 if story % 4 == 3 => Write::delete_team(&id, team),
            7 if story % 4 == 3 => Write::create_team(&id, name, name),
            6 => Write::touch_team(&id, team, &id),
            _ => Write::touch_team(&id, &self.shared, &id),
        };
        self.count += 1;
        Ok(write)
    }

    async fn token(&self, service: &Caller) -> Result<String, Status> {
        let (team_id, invitation_id) = (self.team.clone(), self.invitation.clone());
        let request = GetInvitationLinkRequest { team_id, invitation_id, consistency: None };
        let link = service.invitations().get_invitation_link(request).await.inspect_err(assert_gone)?;
        Ok(link.into_inner().token)
    }

    fn learn(&mut self, write: &Write, answer: &Bytes) {
        match write {
            Write::CreateTeam(_) => {
                self.team = CreateTeamResponse::decode(answer.as_slice()).unwrap().team.unwrap().id;
            }
            Write::Invite(_) => {
                let answer = CreateInvitationResponse::decode(answer.as_slice()).unwrap();
                self.invitation = answer.invitation.unwrap().id;
            }
            _ => {}
        }
    }
}

/// Nobody refused: the connection broke.
#[track_caller]
fn assert_gone(status: &Status) {
    assert!(status.get_error_details_vec().is_empty(), "refused: {status:?}");
}

/// The program, what it works on, and what is known of it.
struct Victim {
    database: TestDatabase,
    topic: Topic,
    session: Session,
    log: Log,
    writers: Vec<Writer>,
}

impl Victim {
    fn variables(&self) -> Vec<(&'static str, String)> {
        let nats = &self.topic.settings;
        vec![
            ("ROSTER_DATABASE__URL", self.database.url.clone()),
            ("ROSTER_EVENTS__PUBLISHER", "nats".to_owned()),
            ("ROSTER_EVENTS__NATS__URL", nats.url.expose().to_owned()),
            ("ROSTER_EVENTS__NATS__STREAM", nats.stream.clone()),
            ("ROSTER_EVENTS__NATS__SUBJECT_PREFIX", nats.subject_prefix.clone()),
            ("ROSTER_LIMITS__INVITATIONS_PER_INVITER__COUNT", "0".to_owned()),
            ("ROSTER_LIMITS__INVITATIONS_PER_TEAM__COUNT", "0".to_owned()),
            ("ROSTER_LIMITS__INVITATIONS_PER_RECIPIENT__COUNT", "0".to_owned()),
            ("ROSTER_TELEMETRY__LOG_FILTER", "warn".to_owned()),
        ]
    }

    async fn start(&self) -> Served {
        let variables = self.variables();
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Served::start(self.database.folder.path(), &variables).await
    }

    /// Starts the program and kills it before, or just when, it is up.
    async fn kill_at_start(&self) {
        let variables = self.variables();
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut process = Process::start(roster(self.database.folder.path(), &[], &variables));
        sleep(Duration::from_millis(rand::random_range(0..300))).await;
        self.kill(&mut process).await;
    }

    /// Kills it, and waits until the database has noticed.
    async fn kill(&self, process: &mut Process) {
        process.signal("KILL");
        process.end().await;
        if self.database.url.starts_with("postgres") {
            let others = "SELECT count(*) FROM pg_stat_activity \
                          WHERE datname = current_database() AND pid <> pg_backend_pid()";
            eventually("the sessions end", async || (self.session.value::<i64>(others).await == 0).then_some(())).await;
        }
    }

    /// Lets everybody write, and kills the program when about so many writes are acknowledged.
    async fn write_until_killed(&mut self, served: &mut Served, writes: usize) {
        let (acknowledged, mut count) = watch::channel(0);
        let mut writing = JoinSet::new();
        for (writer, service) in self.writers.drain(..).zip(storm::services(served.address, WRITERS)) {
            writing.spawn(writer.write_on(service, acknowledged.clone()));
        }
        let enough = rand::random_range(writes / 2..=writes * 3 / 2);
        count.wait_for(|count| *count >= enough).await.unwrap();
        sleep(Duration::from_micros(rand::random_range(0..5_000))).await;
        self.kill(&mut served.process).await;
        self.writers = writing.join_all().await;
    }

    /// Reads on in the record, and holds it against what was acknowledged and against the tables. Answers how many of
    /// the writes that are owed an answer were done.
    async fn check(&mut self, service: &Caller) -> usize {
        self.log.catch_up(service).await;
        let effects = self.log.effects();
        let mut known = BTreeSet::new();
        for writer in &self.writers {
            for write in &writer.done {
                let made = effects.get(write.request_id());
                assert!(made.is_some_and(|made| write.is_made_of(made)), "{write:?} made {made:?}");
                known.insert(write.request_id());
            }
            if let Some(write) = &writer.pending
                && let Some(made) = effects.get(write.request_id())
            {
                assert!(write.is_made_of(made), "{write:?} made {made:?}");
                known.insert(write.request_id());
            }
        }
        let others = effects.keys().filter(|id| id.starts_with("writer-") && !known.contains(*id)).count();
        assert_eq!(others, 0, "effects that nobody asked for");

        let teams = self.log.teams();
        for team in self.writers.iter().flat_map(|writer| [&writer.team, &writer.shared]).collect::<BTreeSet<_>>() {
            assert_agrees(&teams[team.as_str()], service, team).await;
        }
        for (count, expected) in [
            ("SELECT count(*) FROM events", self.log.events.len()),
            ("SELECT count(*) FROM users", self.log.of_kind("user_created").count()),
            ("SELECT count(*) FROM idempotency_keys", known.len()),
            ("SELECT count(*) FROM idempotency_keys WHERE answer IS NULL", 0),
        ] {
            assert_eq!(self.session.value::<i64>(count).await, i64::try_from(expected).unwrap(), "{count}");
        }
        known.len() - self.writers.iter().map(|writer| writer.done.len()).sum::<usize>()
    }

    /// Holds what a consumer gets against the record. Answers how many duplicates there were.
    async fn check_broker(&self) -> usize {
        let waiting = "SELECT count(*) FROM events WHERE publish_time IS NULL";
        eventually("all is published", async || (self.session.value::<i64>(waiting).await == 0).then_some(())).await;
        let messages = self.topic.messages(self.topic.count().await).await;
        let mut seen = BTreeSet::new();
        let mut versions: BTreeMap<&str, i64> = BTreeMap::new();
        for event in messages.iter().map(|message| &message.event) {
            if seen.insert(event.event_id.as_str()) && !event.team_id.is_empty() {
                let version = versions.entry(&event.team_id).or_default();
                *version += 1;
                assert_eq!(event.team_version, *version, "in order and without a gap: {event:?}");
            }
        }
        let recorded: BTreeSet<&str> = self.log.events.iter().map(|event| event.event_id.as_str()).collect();
        assert_eq!(seen, recorded, "the broker has what the record has");
        messages.len() - seen.len()
    }
}

both! {
    async fn nothing_acknowledged_is_lost_and_nothing_is_half_done(db: Db) {
        let (kills, writes) = (parts::count(4, 50), parts::count(150, 1_000));
        let started = Instant::now();
        let database = TestDatabase::new(db).await;
        let session = Session::open(&database.url).await;
        let topic = Topic::new(EventEncoding::Protobuf);
        let mut victim = Victim { database, topic, session, log: Log::default(), writers: Vec::new() };

        let (mut unanswered, mut silently_done) = (0, 0);
        for kill in 0..kills {
            if kill % 5 == 3 {
                victim.kill_at_start().await;
            }
            let mut served = victim.start().await;
            let service = served.caller();
            if victim.writers.is_empty() {
                create_user(&service, "ada").await;
                let shared = create_team(&service, "Shared", "ada").await;
                for number in 0..WRITERS {
                    victim.writers.push(Writer::new(number, &shared, &service).await);
                }
            }
            silently_done += victim.check(&service).await;
            victim.write_until_killed(&mut served, writes).await;
            unanswered += victim.writers.iter().filter(|writer| writer.pending.is_some()).count();
        }

        let served = victim.start().await;
        let service = served.caller();
        silently_done += victim.check(&service).await;
        for writer in victim.writers.iter_mut().filter(|writer| writer.pending.is_some()) {
            writer.write(&service).await.unwrap();
        }
        assert_eq!(victim.check(&service).await, 0, "everything is acknowledged");
        let teams = victim.log.assert_tables_agree(&service).await.len();
        let duplicates = victim.check_broker().await;
        let acknowledged: usize = victim.writers.iter().map(|writer| writer.done.len()).sum();
        println!(
            "e05 {db:?}: {kills} kills in {:.1?}: {acknowledged} writes acknowledged, {unanswered} of them only when sent \
             again ({silently_done} had been done), {} events of {teams} teams: 0 lost, 0 half done; {duplicates} \
             duplicates at the broker",
            started.elapsed(),
            victim.log.events.len(),
        );
        victim.session.close().await;
    }
}
