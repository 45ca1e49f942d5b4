//! Another service on the broker, which knows Roster by its events alone.

use std::collections::{BTreeMap, HashMap};

use roster::config::{Config, EventEncoding, PublisherKind};
use roster_proto::events::v1::{Event, MemberState, event::Payload};

use crate::{
    both,
    relay::broker::{Broker, Received, Topic},
    support::{
        Db, Outcome as _, Scene, TestServer, outcome::kind, scene::create_team, server::eventually, session::Session,
    },
};

/// A server that publishes to a stream of the test's own.
async fn scene(db: Db, topic: &Topic) -> Scene {
    let publish = |config: &mut Config| {
        config.events.publisher = PublisherKind::Nats;
        config.events.nats = topic.settings.clone();
    };
    Scene::on(TestServer::with(db, publish).await).await
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
            _ => (&event.team_id, event.team_version),
        };
        let last = self.versions.insert(about.clone(), version);
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

/// What a consumer knows after so many messages.
async fn view(topic: &Topic, messages: u64) -> View {
    let mut view = View::default();
    topic.messages(messages).await.iter().for_each(|message| view.apply(&message.event));
    view
}

/// What a message says of its event, besides its body.
fn expected(prefix: &str, event: &Event) -> (String, Vec<(String, String)>) {
    let kind = kind(event);
    let (subject, about) = match event.team_id.as_str() {
        "" => (format!("{prefix}.users.{}.{kind}", event.user_id), &event.user_id),
        team => (format!("{prefix}.{}.{team}.{kind}", event.root_team_id), &event.team_id),
    };
    let time = event.occur_time.unwrap();
    let time = chrono::DateTime::from_timestamp(time.seconds, time.nanos.unsigned_abs()).unwrap();
    let mut headers = vec![
        ("Nats-Msg-Id", event.event_id.clone()),
        ("ce-datacontenttype", "application/protobuf".to_owned()),
        ("ce-id", event.event_id.clone()),
        ("ce-source", "/roster".to_owned()),
        ("ce-specversion", "1.0".to_owned()),
        ("ce-subject", about.clone()),
        ("ce-time", time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)),
        ("ce-type", format!("roster.events.v1.{kind}")),
    ];
    if !event.traceparent.is_empty() {
        headers.push(("traceparent", event.traceparent.clone()));
    }
    (subject, headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// Everything that can become of members, in 23 events, none of which depends on when a mail goes out.
async fn busy(s: &Scene) {
    let request = roster_proto::v1::CreateInvitationRequest {
        team_id: s.team.clone(),
        email: "dan@example.com".to_owned(),
        role_ids: vec!["member".to_owned()],
        delivery_channel: roster_proto::v1::DeliveryChannel::LinkOnly.into(),
        ..Default::default()
    };
    let invitation = s.person("ada").invitations().create_invitation(request).await.done().invitation.unwrap();
    let token = s.token(&invitation.id).await;
    s.service().accept_new(&token, "dan").await.done();
    s.person("ada").set_roles(&s.team, "carol", &["admin"]).await.done();
    s.person("ada").remove(&s.team, "bob").await.done();
    s.person("ada").transfer(&s.team, "carol").await.done();
    let second = create_team(&s.service(), "Second", "eve").await;
    let delete = roster_proto::v1::DeleteTeamRequest { team_id: second, ..Default::default() };
    s.person("eve").teams().delete_team(delete).await.done();
}

both! {
    async fn a_consumer_rebuilds_the_members_from_events_alone(db: Db) {
        let topic = Topic::new(EventEncoding::Protobuf);
        let s = scene(db, &topic).await;
        busy(&s).await;
        let view = view(&topic, 23).await;
        assert_eq!(view.members(&s.team), s.members().await);
        assert_eq!(view.members(&s.team), ["ada admin", "carol admin+owner", "dan member"]);
        assert_eq!(view.teams.keys().filter(|team| !team.is_empty()).collect::<Vec<_>>(), [&s.team]);
        topic.remove().await;
    }

    async fn a_message_says_what_it_is(db: Db) {
        let topic = Topic::new(EventEncoding::Protobuf);
        let s = scene(db, &topic).await;
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        s.person("ada").saying("traceparent", trace).remove(&s.team, "carol").await.done();
        let listed = s.service().events_of("", 12).await;
        for Received { subject, headers, event } in topic.messages(12).await {
            let stored = listed.iter().find(|stored| stored.event_id == event.event_id);
            assert_eq!(stored, Some(&event), "what ListEvents tells, its position included");
            assert_eq!((subject, headers), expected(&topic.settings.subject_prefix, &event));
        }
        assert_eq!(listed[11].traceparent, trace);
        topic.remove().await;
    }

    async fn a_message_can_be_json(db: Db) {
        let topic = Topic::new(EventEncoding::Json);
        let s = scene(db, &topic).await;
        let listed: HashMap<_, _> =
            s.service().events_of("", 11).await.into_iter().map(|event| (event.event_id.clone(), event)).collect();
        for message in topic.raw(11).await {
            let body: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
            let event = &listed[body["eventId"].as_str().unwrap()];
            assert_eq!(body["position"], event.position);
            let (payload, field, value) = match event.payload.clone().unwrap() {
                Payload::MemberAdded(added) => ("memberAdded", "userId", added.after.unwrap().user_id),
                Payload::UserCreated(created) => ("userCreated", "email", created.after.unwrap().email),
                Payload::UserUpdated(updated) => ("userUpdated", "homeTeamId", updated.after.unwrap().home_team_id),
                Payload::TeamCreated(created) => ("teamCreated", "name", created.after.unwrap().name),
                other => panic!("{other:?}"),
            };
            assert_eq!(body[payload]["after"][field], value);
        }
        topic.remove().await;
    }

    async fn what_is_published_again_leaves_no_copy(db: Db) {
        let topic = Topic::new(EventEncoding::Protobuf);
        let s = scene(db, &topic).await;
        let sql = Session::open(&s.server.database.url).await;
        let all_published = async || {
            let unpublished: i64 = sql.value("SELECT count(*) FROM events WHERE publish_time IS NULL").await;
            (unpublished == 0).then_some(())
        };
        topic.messages(11).await;
        eventually("all is published", all_published).await;
        // As after a crash between the acknowledgement and its record.
        sql.run("UPDATE events SET publish_time = NULL").await;
        s.person("ada").remove(&s.team, "carol").await.done();
        eventually("all is published again", all_published).await;
        assert_eq!(topic.count().await, 12);
        assert_eq!(view(&topic, 12).await.members(&s.team), ["ada owner", "bob admin"]);
        topic.remove().await;
    }

    async fn writes_go_on_without_the_broker(db: Db) {
        let mut broker = Broker::new();
        let topic = broker.topic();
        broker.start();
        let s = scene(db, &topic).await;
        topic.messages(11).await;
        broker.kill();

        busy(&s).await;
        for n in 0..20 {
            s.service().add(&s.team, "bob", &["member"]).await.done();
            let roles: &[&str] = if n % 2 == 0 { &["admin"] } else { &["admin", "member"] };
            s.service().set_roles(&s.team, "bob", roles).await.done();
            s.person("carol").remove(&s.team, "bob").await.done();
        }
        // Who asks here need not wait for the broker.
        assert_eq!(s.service().events_of("", 83).await.len(), 83);

        broker.start();
        assert_eq!(view(&topic, 83).await.members(&s.team), ["ada admin", "carol admin+owner", "dan member"]);
        assert_eq!(topic.count().await, 83);
    }
}
