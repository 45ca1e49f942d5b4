//! Another service on the broker: a JetStream consumer that knows Roster by its events alone.

use std::{
    collections::{BTreeMap, HashMap},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use async_nats::jetstream::{self, consumer::pull};
use futures::StreamExt as _;
use prost::Message as _;
use roster::config::{Config, EventEncoding, PublisherKind};
use roster_proto::events::v1::{Event, MemberState, event::Payload};

use crate::{
    both,
    support::{
        Db, Outcome as _, Scene, TestServer,
        outcome::kind,
        parts,
        process::{Process, steady_port},
        scene::create_team,
        server::eventually,
        sql,
    },
};

/// A stream of a test's own.
struct Stream {
    url: String,
    name: String,
    prefix: String,
}

impl Stream {
    fn new(url: String) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("TEST_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self { url, prefix: format!("tests.{name}"), name }
    }

    fn configure(&self, config: &mut Config) {
        config.events.publisher = PublisherKind::Nats;
        config.events.nats.url = self.url.parse().unwrap();
        config.events.nats.stream.clone_from(&self.name);
        config.events.nats.subject_prefix.clone_from(&self.prefix);
    }

    async fn scene(&self, db: Db) -> Scene {
        Scene::on(TestServer::with(db, |config| self.configure(config)).await).await
    }

    /// The stream on the broker, once the server has made it.
    async fn found(&self) -> jetstream::stream::Stream {
        let jetstream = jetstream::new(async_nats::connect(&self.url).await.unwrap());
        eventually("the stream", async || jetstream.get_stream(&self.name).await.ok()).await
    }

    /// The first messages of the stream.
    async fn messages(&self, count: usize) -> Vec<jetstream::Message> {
        let consumer = self.found().await.create_consumer(pull::Config::default()).await.unwrap();
        let all = consumer.messages().await.unwrap().take(count).map(Result::unwrap).collect();
        tokio::time::timeout(Duration::from_secs(20), all).await.unwrap_or_else(|_| panic!("{count} messages in time"))
    }

    async fn size(&self) -> u64 {
        self.found().await.get_info().await.unwrap().state.messages
    }

    /// Takes it away from a broker that other tests use too.
    async fn delete(&self) {
        let jetstream = jetstream::new(async_nats::connect(&self.url).await.unwrap());
        jetstream.delete_stream(&self.name).await.unwrap();
    }
}

/// What another service knows: the members of each team.
#[derive(Debug, Default)]
struct View {
    versions: HashMap<String, i64>,
    teams: BTreeMap<String, BTreeMap<String, Vec<String>>>,
}

impl View {
    /// Applies an event, which must be the next one of its team or person.
    fn apply(&mut self, event: &Event) {
        let (about, version) = match event.team_id.as_str() {
            "" => (&event.user_id, event.user_version),
            team => (&event.team_id, event.team_version),
        };
        let last = self.versions.insert([&event.team_id, about.as_str()].concat(), version);
        assert_eq!(version, last.unwrap_or(0) + 1, "{event:?}");
        let members = self.teams.entry(event.team_id.clone()).or_default();
        let mut set = |member: &Option<MemberState>| {
            let member = member.clone().unwrap();
            members.insert(member.user_id, member.role_ids);
        };
        match event.payload.as_ref().unwrap() {
            Payload::MemberAdded(added) => set(&added.after),
            Payload::MemberUpdated(updated) => set(&updated.after),
            Payload::OwnershipTransferred(transferred) => {
                set(&transferred.former_owner_after);
                set(&transferred.new_owner_after);
            }
            Payload::MemberRemoved(removed) => {
                members.remove(&removed.before.as_ref().unwrap().user_id);
            }
            Payload::TeamDeleted(_) => drop(self.teams.remove(&event.team_id)),
            _ => {}
        }
    }

    /// As [`Scene::members`] tells it.
    fn members(&self, team: &str) -> Vec<String> {
        self.teams[team].iter().map(|(user, roles)| format!("{user} {}", roles.join("+"))).collect()
    }
}

fn header<'a>(message: &'a jetstream::Message, name: &str) -> &'a str {
    message.headers.as_ref().unwrap().get(name).unwrap_or_else(|| panic!("no header {name}")).as_str()
}

/// Everything that can become of members, in 20 events.
async fn busy(s: &Scene) {
    let (_, token) = s.invited("dan@example.com", &["member"]).await;
    s.server.wait_for_mails("dan@example.com", 1).await;
    s.service().accept_new(&token, "dan").await.ok();
    s.person("ada").set_roles(&s.team, "carol", &["admin"]).await.ok();
    s.person("ada").remove(&s.team, "bob").await.ok();
    s.person("ada").transfer(&s.team, "carol").await.ok();
    let second = create_team(&s.service(), "Second", "eve").await;
    let delete = roster_proto::v1::DeleteTeamRequest { team_id: second, ..Default::default() };
    s.person("eve").teams().delete_team(delete).await.ok();
}

both! {
    async fn a_consumer_rebuilds_the_members_from_events_alone(db: Db) {
        let stream = Stream::new(parts::nats_url());
        let s = stream.scene(db).await;
        busy(&s).await;
        let mut view = View::default();
        for message in stream.messages(20).await {
            view.apply(&Event::decode(&*message.payload).unwrap());
        }
        assert_eq!(view.members(&s.team), s.members().await);
        assert_eq!(view.members(&s.team), ["ada admin", "carol admin+owner", "dan member"]);
        assert_eq!(view.teams.keys().filter(|team| !team.is_empty()).collect::<Vec<_>>(), [&s.team]);
        stream.delete().await;
    }

    async fn a_message_says_what_it_is(db: Db) {
        let stream = Stream::new(parts::nats_url());
        let s = stream.scene(db).await;
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        s.person("ada").saying("traceparent", trace).remove(&s.team, "carol").await.ok();
        let listed: HashMap<_, _> =
            s.service().events_of("", 9).await.into_iter().map(|event| (event.event_id.clone(), event)).collect();
        for message in stream.messages(9).await {
            let event = Event::decode(&*message.payload).unwrap();
            assert_eq!(event, listed[&event.event_id], "what ListEvents tells, its position included");
            let kind = kind(&event);
            let (subject, about) = match event.team_id.as_str() {
                "" => (format!("{}.users.{}.{kind}", stream.prefix, event.user_id), &event.user_id),
                team => (format!("{}.{}.{team}.{kind}", stream.prefix, event.root_team_id), &event.team_id),
            };
            assert_eq!(message.subject.as_str(), subject);
            let time = event.occur_time.unwrap();
            let time = chrono::DateTime::from_timestamp(time.seconds, time.nanos.try_into().unwrap()).unwrap();
            for (name, value) in [
                ("Nats-Msg-Id", event.event_id.as_str()),
                ("ce-specversion", "1.0"),
                ("ce-id", &event.event_id),
                ("ce-type", &format!("roster.events.v1.{kind}")),
                ("ce-source", "/roster"),
                ("ce-subject", about),
                ("ce-time", &time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)),
                ("ce-datacontenttype", "application/protobuf"),
            ] {
                assert_eq!(header(&message, name), value, "{name}");
            }
            if kind == "member_removed" {
                assert_eq!((header(&message, "traceparent"), event.traceparent.as_str()), (trace, trace));
            }
        }
        stream.delete().await;
    }

    async fn a_message_can_be_json(db: Db) {
        let stream = Stream::new(parts::nats_url());
        let json = |config: &mut Config| {
            stream.configure(config);
            config.events.nats.encoding = EventEncoding::Json;
        };
        let s = Scene::on(TestServer::with(db, json).await).await;
        let listed: HashMap<_, _> =
            s.service().events_of("", 8).await.into_iter().map(|event| (event.event_id.clone(), event)).collect();
        for message in stream.messages(8).await {
            assert_eq!(header(&message, "ce-datacontenttype"), "application/json");
            let body: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
            let event = &listed[header(&message, "ce-id")];
            assert_eq!(body["position"], event.position);
            match event.payload.as_ref().unwrap() {
                Payload::MemberAdded(added) => {
                    assert_eq!(body["teamVersion"], event.team_version.to_string());
                    assert_eq!(body["memberAdded"]["after"]["userId"], added.after.as_ref().unwrap().user_id);
                }
                Payload::UserCreated(created) => {
                    assert_eq!(body["userCreated"]["after"]["email"], created.after.as_ref().unwrap().email);
                }
                _ => assert_eq!(body["teamCreated"]["after"]["name"], "Acme"),
            }
        }
        stream.delete().await;
    }

    async fn what_is_published_again_leaves_no_copy(db: Db) {
        let stream = Stream::new(parts::nats_url());
        let s = stream.scene(db).await;
        stream.messages(8).await;
        let unpublished = "SELECT count(*) AS n FROM events WHERE publish_time IS NULL";
        let all_published = async || (sql::number(&s.server.database, unpublished).await == 0).then_some(());
        eventually("all is published", all_published).await;
        // As after a crash between the acknowledgement and its record.
        assert_eq!(sql::execute(&s.server.database, "UPDATE events SET publish_time = NULL").await, 8);
        s.person("ada").remove(&s.team, "carol").await.ok();
        eventually("all is published again", all_published).await;
        assert_eq!(stream.size().await, 9);
        let mut view = View::default();
        for message in stream.messages(9).await {
            view.apply(&Event::decode(&*message.payload).unwrap());
        }
        assert_eq!(view.members(&s.team), ["ada owner", "bob admin"]);
        stream.delete().await;
    }

    async fn writes_go_on_without_the_broker(db: Db) {
        let folder = tempfile::tempdir().unwrap();
        let port = steady_port();
        let stream = Stream::new(format!("nats://127.0.0.1:{port}"));
        let broker = async || {
            let mut command = std::process::Command::new(parts::nats_server());
            command.args(["--addr", "127.0.0.1", "--port", &port.to_string(), "--jetstream", "--store_dir"]);
            command.arg(folder.path());
            let mut broker = Process::start(command);
            broker.wait_for("the broker", |line| line.contains("Server is ready").then_some(())).await;
            broker
        };
        let mut first = broker().await;
        let s = stream.scene(db).await;
        assert_eq!(stream.messages(8).await.len(), 8);
        first.signal("KILL");
        first.end().await;

        busy(&s).await;
        for n in 0..20 {
            s.service().add(&s.team, "bob", &["member"]).await.ok();
            let roles: &[&str] = if n % 2 == 0 { &["admin"] } else { &["admin", "member"] };
            s.service().set_roles(&s.team, "bob", roles).await.ok();
            s.person("carol").remove(&s.team, "bob").await.ok();
        }
        // Who asks here need not wait for the broker.
        let listed = s.service().events_of("", 80).await;

        let _second = broker().await;
        let mut view = View::default();
        for message in stream.messages(listed.len()).await {
            view.apply(&Event::decode(&*message.payload).unwrap());
        }
        assert_eq!(view.members(&s.team), ["ada admin", "carol admin+owner", "dan member"]);
        assert_eq!(stream.size().await, 80);
    }
}
