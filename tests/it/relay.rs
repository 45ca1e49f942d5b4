//! Events on their way from the database to a real NATS server, and to another instance.
//!
//! What the relay does when the broker refuses or does not answer is tested beside it, with a broker in memory.

pub(crate) mod broker;
mod writer;

use std::time::Duration;

use roster::{
    config::{self, EventEncoding},
    domain::cursor,
    events::{NatsPublisher, PublishError, Publisher, Relay},
    metrics::Metrics,
    repository::{events, sequence},
};
use roster_proto::events::v1::event::Payload;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{both, support::Db};
use broker::{Broker, Topic};
use writer::Writer;

/// A relay as an instance of the service runs one.
struct Instance {
    head: watch::Receiver<i64>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Instance {
    async fn start(writer: &Writer, nats: Option<&config::Nats>) -> Self {
        let publisher: Option<Box<dyn Publisher>> = match nats {
            Some(nats) => Some(Box::new(NatsPublisher::new(nats, "roster", Metrics::default()).await.unwrap())),
            None => None,
        };
        let mut settings = config::Events::default();
        settings.nats.window = 16;
        let relay = Relay {
            database: writer.open().await,
            env: writer.env.clone(),
            written: writer.written.clone(),
            publisher,
            settings,
            deleted_invitations: Duration::MAX,
            metrics: Metrics::default(),
        };
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        Self { head: relay.start(&tasks, &stop), tasks, stop }
    }

    async fn has_head(&mut self, position: i64) {
        let head = self.head.wait_for(|head| *head >= position);
        tokio::time::timeout(Duration::from_secs(20), head).await.expect("the head gets there").unwrap();
    }

    async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

both! {
    async fn a_consumer_gets_every_event_once_and_in_order(db: Db) {
        let writer = Writer::new(db).await;
        let topic = Topic::new(EventEncoding::Protobuf);
        let [acme, other] = [writer.create_team().await, writer.create_team().await];
        writer.create_user("ada@example.com").await;
        let instance = Instance::start(&writer, Some(&topic.settings)).await;
        for _ in 0..50 {
            writer.change_team(acme).await;
            writer.change_team(other).await;
        }
        let messages = topic.messages(103).await;
        for team in [acme, other] {
            let of_team = messages.iter().filter(|message| message.event.team_id == team.to_string());
            let versions: Vec<i64> = of_team.map(|message| message.event.team_version).collect();
            assert_eq!(versions, (1..=51).collect::<Vec<_>>());
        }
        for message in &messages {
            let position = cursor::decode(&message.event.position).unwrap();
            assert!((1..=103).contains(&position), "{position}");
        }
        assert_eq!(topic.count().await, 103, "nothing is there twice");
        writer.all_published().await;
        instance.stop().await;
    }

    async fn a_message_is_a_cloud_event(db: Db) {
        let writer = Writer::new(db).await;
        let topic = Topic::new(EventEncoding::Protobuf);
        let instance = Instance::start(&writer, Some(&topic.settings)).await;
        let team = writer.create_team().await;
        let messages = topic.messages(1).await;
        let (message, event) = (&messages[0], &messages[0].event);
        let prefix = &topic.settings.subject_prefix;
        assert_eq!(message.subject, format!("{prefix}.{team}.{team}.team_created"));
        assert!(matches!(event.payload, Some(Payload::TeamCreated(_))));
        let time = event.occur_time.unwrap();
        let time = chrono::DateTime::from_timestamp(time.seconds, time.nanos.unsigned_abs()).unwrap();
        let expected = [
            ("Nats-Msg-Id", event.event_id.clone()),
            ("ce-datacontenttype", "application/protobuf".to_owned()),
            ("ce-id", event.event_id.clone()),
            ("ce-source", "/roster".to_owned()),
            ("ce-specversion", "1.0".to_owned()),
            ("ce-subject", team.to_string()),
            ("ce-time", time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)),
            ("ce-type", "roster.events.v1.team_created".to_owned()),
            ("traceparent", writer::TRACEPARENT.to_owned()),
        ];
        assert_eq!(message.headers, expected.map(|(name, value)| (name.to_owned(), value)));
        instance.stop().await;
    }

    async fn a_message_can_be_json_and_about_a_person(db: Db) {
        let writer = Writer::new(db).await;
        let topic = Topic::new(EventEncoding::Json);
        let instance = Instance::start(&writer, Some(&topic.settings)).await;
        writer.create_user("auth0|ada.l@example.com").await;
        let message = topic.raw(1).await.remove(0);
        let prefix = &topic.settings.subject_prefix;
        let token = "auth0%7Cada%2El%40example%2Ecom";
        assert_eq!(message.subject.as_str(), format!("{prefix}.users.{token}.user_created"));
        let headers = &message.headers;
        assert_eq!(headers.get("ce-subject").unwrap().as_str(), "auth0|ada.l@example.com");
        assert_eq!(headers.get("ce-datacontenttype").unwrap().as_str(), "application/json");
        let json: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
        assert_eq!(json["userVersion"], "1");
        assert_eq!(json["position"], cursor::encode(1));
        assert_eq!(json["userCreated"]["after"]["userId"], "auth0|ada.l@example.com");
        instance.stop().await;
    }

    async fn a_repeated_publish_leaves_one_message(db: Db) {
        let writer = Writer::new(db).await;
        let topic = Topic::new(EventEncoding::Protobuf);
        writer.create_team().await;
        let database = writer.open().await;
        sequence::advance(&database, 10).await.unwrap();
        let stored = events::unpublished(&database.reader(), &[], 1).await.unwrap();
        let publisher = NatsPublisher::new(&topic.settings, "roster", Metrics::default()).await.unwrap();
        publisher.prepare().await.unwrap();
        for _ in 0..3 {
            publisher.publish(&stored[0]).await.unwrap();
        }
        assert_eq!(topic.count().await, 1);
    }

    async fn an_unfit_stream_is_refused_and_left_alone(db: Db) {
        let writer = Writer::new(db).await;
        let topic = Topic::new(EventEncoding::Protobuf);
        topic.make_unfit().await;
        let publisher = NatsPublisher::new(&topic.settings, "roster", Metrics::default()).await.unwrap();
        let refused = publisher.prepare().await.unwrap_err();
        assert!(matches!(&refused, PublishError::Unavailable(why) if why.contains("its retention policy must be limits")));

        let mut instance = Instance::start(&writer, Some(&topic.settings)).await;
        writer.create_team().await;
        instance.has_head(1).await;
        assert_eq!(topic.count().await, 0);
        topic.remove().await;
        assert_eq!(topic.messages(1).await.len(), 1, "once the operator has made room, it is made as it must be");
        instance.stop().await;
    }

    async fn a_stream_that_was_lost_can_be_filled_again(db: Db) {
        let writer = Writer::new(db).await;
        let topic = Topic::new(EventEncoding::Protobuf);
        let instance = Instance::start(&writer, Some(&topic.settings)).await;
        let team = writer.create_team().await;
        for _ in 0..9 {
            writer.change_team(team).await;
        }
        topic.messages(10).await;
        writer.all_published().await;
        topic.remove().await;
        writer.forget_published().await;
        writer.change_team(team).await;
        let versions: Vec<i64> = topic.messages(11).await.iter().map(|m| m.event.team_version).collect();
        assert_eq!(versions, (1..=11).collect::<Vec<_>>());
        instance.stop().await;
    }

    async fn writes_go_on_without_the_broker_and_arrive_when_it_returns(db: Db) {
        let writer = Writer::new(db).await;
        let mut broker = Broker::new();
        let topic = broker.topic();
        let mut instance = Instance::start(&writer, Some(&topic.settings)).await;
        let team = writer.create_team().await;
        instance.has_head(1).await;
        let mut count = 1;
        for _ in 0..3 {
            broker.start();
            topic.messages(count).await;
            for _ in 0..20 {
                writer.change_team(team).await;
            }
            broker.kill();
            for _ in 0..20 {
                writer.change_team(team).await;
            }
            count += 40;
            instance.has_head(i64::try_from(count).unwrap()).await;
        }
        broker.start();
        let versions: Vec<i64> = topic.messages(count).await.iter().map(|m| m.event.team_version).collect();
        assert_eq!(versions, (1..=i64::try_from(count).unwrap()).collect::<Vec<_>>());
        writer.all_published().await;
        instance.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_instances_leads_and_the_other_takes_over() {
    let writer = Writer::new(Db::Postgres).await;
    let topic = Topic::new(EventEncoding::Protobuf);
    let team = writer.create_team().await;
    let mut first = Instance::start(&writer, Some(&topic.settings)).await;
    first.has_head(1).await;
    let mut second = Instance::start(&writer, Some(&topic.settings)).await;
    second.has_head(1).await;
    for round in 0..4 {
        for _ in 0..25 {
            writer.change_team(team).await;
        }
        // Whoever does not lead learns of the head by looking.
        let head = 1 + 25 * (round + 1);
        tokio::join!(first.has_head(head), second.has_head(head));
        first.stop().await;
        first = second;
        second = Instance::start(&writer, Some(&topic.settings)).await;
    }
    let versions: Vec<i64> = topic.messages(101).await.iter().map(|m| m.event.team_version).collect();
    assert_eq!(versions, (1..=101).collect::<Vec<_>>());
    assert_eq!(topic.count().await, 101, "nothing is there twice");
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_loses_its_session_costs_no_event() {
    let writer = Writer::new(Db::Postgres).await;
    let topic = Topic::new(EventEncoding::Protobuf);
    let team = writer.create_team().await;
    let mut instances =
        [Instance::start(&writer, Some(&topic.settings)).await, Instance::start(&writer, Some(&topic.settings)).await];
    let mut head = 1;
    for _ in 0..5 {
        for instance in &mut instances {
            instance.has_head(head).await;
        }
        for _ in 0..20 {
            writer.change_team(team).await;
        }
        writer.depose_leader().await;
        for _ in 0..20 {
            writer.change_team(team).await;
        }
        head += 40;
    }
    let versions: Vec<i64> = topic.messages(201).await.iter().map(|m| m.event.team_version).collect();
    assert_eq!(versions, (1..=201).collect::<Vec<_>>());
    writer.all_published().await;
    for instance in instances {
        instance.stop().await;
    }
}
