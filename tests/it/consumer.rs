//! The consumer of `roster-client` with the view of its example: whatever happens to it and on the way to it, in the end
//! it knows what Roster knows.

use std::{collections::BTreeMap, collections::BTreeSet, io, time::Duration};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use roster::config::{EventEncoding, PublisherKind};
use roster_client::{
    Roster,
    consumer::{Consumer, Lane, Mark, View},
};
use roster_proto::{
    events::v1::Event,
    v1::{Member, Team, User},
};
use tempfile::TempDir;

use crate::{
    both,
    e33_migrations::LINK_KEYS,
    relay::broker::Topic,
    support::{
        Caller, Db, Outcome as _, Scene, TestServer,
        database::TestDatabase,
        parts,
        process::{Served, printed, roster, run},
        proxy::Proxy,
        scene::{create_team, create_user},
        server::eventually,
        session::Session,
    },
    watch::purge,
};
use view::Members;

#[path = "../../client/examples/members/view.rs"]
mod view;

type Teams = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// A consumer that keeps its view in this folder.
fn consumer(folder: &TempDir, endpoint: &str) -> Consumer<Members> {
    with_view(members(folder), endpoint)
}

/// A consumer with this view.
fn with_view<V: View>(view: V, endpoint: &str) -> Consumer<V> {
    Consumer::new(Roster::at(endpoint).connect_lazy().unwrap(), view)
}

/// The view in this folder.
fn members(folder: &TempDir) -> Members {
    Members::open(folder.path().join("members.json")).unwrap()
}

/// The example's view on a way to Roster that breaks once, when teams are to be read anew.
struct OnABreakingWay {
    members: Members,
    way: Proxy,
    breaks: usize,
}

impl View for OnABreakingWay {
    type Error = io::Error;

    /// Asked for at the beginning of each stream.
    async fn cursor(&mut self) -> io::Result<String> {
        self.way.mend();
        self.members.cursor().await
    }

    async fn mark(&mut self, lane: &Lane) -> io::Result<Option<Mark>> {
        self.members.mark(lane).await
    }

    async fn teams(&mut self) -> io::Result<Vec<String>> {
        if self.breaks == 0 {
            self.way.cut();
            self.breaks += 1;
        }
        View::teams(&mut self.members).await
    }

    async fn apply(&mut self, event: &Event, lane: &Lane, mark: &Mark, cursor: Option<&str>) -> io::Result<()> {
        self.members.apply(event, lane, mark, cursor).await
    }

    async fn replace(&mut self, team: &str, now: Option<(Team, Vec<Member>)>, mark: &Mark) -> io::Result<()> {
        self.members.replace(team, now, mark).await
    }

    async fn forget_people(&mut self) -> io::Result<()> {
        self.members.forget_people().await
    }

    async fn advance(&mut self, cursor: &str) -> io::Result<()> {
        self.members.advance(cursor).await
    }
}

fn endpoint(server: &TestServer) -> String {
    format!("http://{}", server.address())
}

/// Who is in these teams with which roles, as Roster tells it.
async fn truth(service: &Caller, teams: &[String]) -> Teams {
    let mut truth = Teams::new();
    for team in teams {
        let members = service.members(team).await;
        let member = |line: &String| {
            let (user, roles) = line.split_once(' ').unwrap();
            (user.to_owned(), roles.split('+').map(ToOwned::to_owned).collect())
        };
        truth.insert(team.clone(), members.iter().map(member).collect());
    }
    truth
}

/// Follows the events until the view is as it should be, and ends the consumer then.
async fn follow_until<V: View>(consumer: &mut Consumer<V>, folder: &TempDir, expected: &Teams) {
    follow_until_it(consumer, "is true", async || members(folder).teams() == expected).await;
}

/// Follows the events until the view that is kept is so.
async fn follow_until_it<V: View>(consumer: &mut Consumer<V>, is_so: &str, mut ask: impl AsyncFnMut() -> bool) {
    let what = format!("the view {is_so}");
    let reached = eventually(&what, async || ask().await.then_some(()));
    tokio::select! {
        end = consumer.follow() => panic!("{end:?}"),
        () = reached => {}
    }
}

/// A consumer in this folder sees how it begins; what happens next is no longer retained when it comes back. Answers who is
/// in which team then.
async fn outrun(s: &Scene, folder: &TempDir) -> Teams {
    let other = create_team(&s.service(), "Other", "eve").await;
    let before = truth(&s.service(), &[s.team.clone(), other.clone()]).await;
    follow_until(&mut consumer(folder, &endpoint(&s.server)), folder, &before).await;

    s.person("ada").remove(&s.team, "carol").await.done();
    let late = create_team(&s.service(), "Late", "carol").await;
    s.server.clock.advance(chrono::TimeDelta::days(8));
    s.person("ada").set_roles(&s.team, "bob", &["member"]).await.done();
    s.service().add(&late, "bob", &["member"]).await.done();
    eventually("all events are in their places", async || {
        let events = s.service().events_of("", 1).await;
        events.iter().any(|event| event.team_id == late && event.team_version == 3).then_some(())
    })
    .await;
    assert!(purge(s).await > 0);
    truth(&s.service(), &[s.team.clone(), other, late]).await
}

/// How far a person was applied to the view in this folder.
async fn version_of(user: &str, folder: &TempDir) -> Option<i64> {
    members(folder).mark(&Lane::User(user.to_owned())).await.unwrap().map(|mark| mark.version)
}

/// Gives a person another name, which makes one event.
async fn rename(service: &Caller, user: &str, name: &str) {
    let user = User { id: user.to_owned(), display_name: name.to_owned(), ..Default::default() };
    service.edit(user, &["display_name"], "").await.done();
}

/// Roster as a process, on a database that can be brought back to where it was.
struct Restorable {
    db: Db,
    database: TestDatabase,
    served: Served,
}

impl Restorable {
    async fn start(db: Db) -> Self {
        let database = TestDatabase::new(db).await;
        let served = Self::serve(&database).await;
        Self { db, database, served }
    }

    async fn serve(database: &TestDatabase) -> Served {
        Served::start(database.folder.path(), &[("ROSTER_DATABASE__URL", &database.url), LINK_KEYS]).await
    }

    async fn stop(&mut self) {
        self.served.process.signal("TERM");
        assert!(self.served.process.end().await.success());
    }

    async fn command(&self, arguments: &[&str]) {
        let variables = [("ROSTER_DATABASE__URL", self.database.url.as_str())];
        let output = run(roster(self.database.folder.path(), arguments, &variables)).await;
        assert!(output.status.success(), "{}", printed(&output));
    }

    /// The name of the database, if it is on a server.
    fn name(&self) -> &str {
        self.database.url.rsplit_once('/').unwrap().1
    }

    /// Keeps a copy of the database as it is now.
    async fn back_up(&mut self) {
        self.stop().await;
        match self.db {
            Db::Sqlite => self.command(&["backup", "copy.db"]).await,
            Db::Postgres => on_server(&[format!("CREATE DATABASE {0}_copy TEMPLATE {0}", self.name())]).await,
        }
        self.served = Self::serve(&self.database).await;
    }

    /// Puts the copy in the database's place, as an operator does.
    async fn restore(&mut self) {
        self.stop().await;
        let name = self.name();
        match self.db {
            Db::Sqlite => {
                let folder = self.database.folder.path();
                std::fs::rename(folder.join("copy.db"), folder.join("roster.db")).unwrap();
                for log in ["roster.db-wal", "roster.db-shm"] {
                    // It may be gone by itself.
                    let _ = std::fs::remove_file(folder.join(log));
                }
            }
            Db::Postgres => {
                let rename = format!("ALTER DATABASE {name}_copy RENAME TO {name}");
                on_server(&[format!("DROP DATABASE {name} WITH (FORCE)"), rename]).await;
            }
        }
        self.command(&["restored"]).await;
        self.served = Self::serve(&self.database).await;
    }
}

/// Has statements done on the PostgreSQL server, each by itself.
async fn on_server(statements: &[String]) {
    let session = Session::on_server().await;
    for statement in statements {
        session.run(statement).await;
    }
    session.close().await;
}

/// Changes this and that in some teams, and answers the ids of the teams.
async fn change(s: &Scene, steps: usize, seed: u64) -> Vec<String> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut teams = vec![s.team.clone()];
    for number in 0..3 {
        teams.push(create_team(&s.service(), &format!("Team {number}"), "ada").await);
    }
    for number in 0..8 {
        create_user(&s.service(), &format!("user-{number}")).await;
    }
    for _ in 0..steps {
        let team = &teams[rng.random_range(0..teams.len())];
        let user = format!("user-{}", rng.random_range(0..8));
        // Some of these are refused, for a member who is there already, or not yet.
        match rng.random_range(0..4) {
            0 | 1 => drop(s.service().add(team, &user, &["member"]).await),
            2 => drop(s.service().set_roles(team, &user, &["admin"]).await),
            _ => drop(s.service().remove(team, &user).await),
        }
    }
    teams
}

both! {
    async fn a_consumer_that_is_killed_at_any_moment_goes_on_where_it_was(db: Db) {
        let s = Scene::new(db).await;
        let proxy = Proxy::before(s.server.address(), Duration::ZERO).await;
        let folder = tempfile::tempdir().unwrap();
        let changing = change(&s, parts::count(60, 600), 40);
        let dying = async {
            let mut rng = StdRng::seed_from_u64(41);
            for _ in 0..parts::count(20, 200) {
                let life = Duration::from_millis(rng.random_range(0..40));
                let mut consumer = consumer(&folder, &proxy.endpoint());
                if let Ok(end) = tokio::time::timeout(life, consumer.follow()).await {
                    panic!("{end:?}");
                }
                // Now and then it is the connection that dies.
                if rng.random_ratio(1, 4) {
                    proxy.cut();
                    proxy.mend();
                }
            }
        };
        let (teams, ()) = tokio::join!(changing, dying);
        let truth = truth(&s.service(), &teams).await;
        follow_until(&mut consumer(&folder, &proxy.endpoint()), &folder, &truth).await;
    }

    async fn what_the_way_does_to_events_is_put_right(db: Db) {
        let s = Scene::new(db).await;
        let teams = change(&s, parts::count(60, 600), 42).await;
        let truth = truth(&s.service(), &teams).await;
        let events = s.service().events_of("", 1).await;
        for seed in 0..u64::try_from(parts::count(3, 50)).unwrap() {
            let folder = tempfile::tempdir().unwrap();
            let mut consumer = consumer(&folder, &endpoint(&s.server));
            for event in disturbed(&events, seed) {
                consumer.take(&event).await.unwrap();
            }
            assert_eq!(consumer.view().teams(), &truth, "seed {seed}");
        }
    }

    async fn what_cannot_be_read_any_more_is_read_as_it_is(db: Db) {
        let s = Scene::new(db).await;
        let folder = tempfile::tempdir().unwrap();
        let truth = outrun(&s, &folder).await;
        follow_until(&mut consumer(&folder, &endpoint(&s.server)), &folder, &truth).await;
    }

    async fn reading_anew_outlasts_a_way_that_breaks(db: Db) {
        let s = Scene::new(db).await;
        let folder = tempfile::tempdir().unwrap();
        let truth = outrun(&s, &folder).await;
        let proxy = Proxy::before(s.server.address(), Duration::ZERO).await;
        let endpoint = proxy.endpoint();
        let mut consumer = with_view(OnABreakingWay { members: members(&folder), way: proxy, breaks: 0 }, &endpoint);
        follow_until(&mut consumer, &folder, &truth).await;
        assert_eq!(consumer.view().breaks, 1);
    }

    async fn people_of_a_restored_database_are_seen_again(db: Db) {
        let mut roster = Restorable::start(db).await;
        create_user(&roster.served.caller(), "ada").await;
        roster.back_up().await;
        let service = roster.served.caller();
        for name in ["Ada of the lost future", "Lost Ada", "Ada Lost"] {
            rename(&service, "ada", name).await;
        }
        let folder = tempfile::tempdir().unwrap();
        let seen = async |version| version_of("ada", &folder).await == Some(version);
        follow_until_it(&mut consumer(&folder, &roster.served.endpoint()), "is full", async || seen(4).await).await;

        roster.restore().await;
        rename(&roster.served.caller(), "ada", "Ada").await;
        follow_until_it(&mut consumer(&folder, &roster.served.endpoint()), "is anew", async || seen(2).await).await;
    }

    async fn a_team_that_a_restore_brings_back_is_in_the_view_again(db: Db) {
        let mut roster = Restorable::start(db).await;
        create_user(&roster.served.caller(), "ada").await;
        let team = create_team(&roster.served.caller(), "Acme", "ada").await;
        let folder = tempfile::tempdir().unwrap();
        let before = truth(&roster.served.caller(), std::slice::from_ref(&team)).await;
        follow_until(&mut consumer(&folder, &roster.served.endpoint()), &folder, &before).await;
        roster.back_up().await;
        roster.served.caller().delete_team(&team, true).await.done();
        follow_until(&mut consumer(&folder, &roster.served.endpoint()), &folder, &Teams::new()).await;

        roster.restore().await;
        follow_until(&mut consumer(&folder, &roster.served.endpoint()), &folder, &before).await;
    }

    async fn events_from_nats_are_taken_as_well(db: Db) {
        let topic = Topic::new(EventEncoding::Protobuf);
        let server = TestServer::with(db, |config| {
            config.events.publisher = PublisherKind::Nats;
            config.events.nats = topic.settings.clone();
        });
        let s = Scene::on(server.await).await;
        s.person("ada").remove(&s.team, "carol").await.done();
        let folder = tempfile::tempdir().unwrap();
        let mut consumer = consumer(&folder, &endpoint(&s.server));
        eventually("the removal is in its place", async || {
            (!s.told(&["member_removed"]).await.is_empty()).then_some(())
        })
        .await;
        let count = s.service().events_of("", 1).await.len();
        for message in topic.messages(count as u64).await {
            consumer.take(&message.event).await.unwrap();
        }
        assert_eq!(consumer.view().teams(), &truth(&s.service(), std::slice::from_ref(&s.team)).await);
    }
}

/// Some events are missing, some come twice, some late. The last one of each team arrives: nobody could know of one that
/// nothing follows.
fn disturbed(events: &[Event], seed: u64) -> Vec<Event> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut disturbed = Vec::new();
    for event in events {
        let copies = *[0, 1, 1, 1, 2].get(rng.random_range(0..5)).unwrap();
        disturbed.extend(std::iter::repeat_n(event.clone(), copies));
    }
    for few in disturbed.chunks_mut(7) {
        few.shuffle(&mut rng);
    }
    let last: BTreeMap<_, _> = events.iter().map(|event| ((&event.team_id, &event.user_id), event)).collect();
    disturbed.extend(last.into_values().cloned());
    disturbed
}
