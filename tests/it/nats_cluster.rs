//! Three NATS servers that keep the stream together, one of which is lost while events are published.

use std::{process::Command, time::Duration};

use async_nats::jetstream;
use roster::config::{Config, EventEncoding, PublisherKind};
use tempfile::TempDir;

use crate::{
    both,
    relay::broker::Topic,
    support::{
        Db, Outcome as _, Scene, TestServer, parts,
        process::{Process, steady_port},
        server::{eventually, within},
    },
};

const SERVERS: usize = 3;
/// Servers take their time to choose a leader: about ten seconds.
const PATIENCE: Duration = Duration::from_mins(1);

/// The servers, called 0, 1 and 2.
struct Cluster {
    folder: TempDir,
    /// Where clients come, and where the servers meet.
    ports: [(u16, u16); SERVERS],
    running: [Option<Process>; SERVERS],
}

impl Cluster {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut cluster = Self {
            folder,
            ports: [(); SERVERS].map(|()| (steady_port(), steady_port())),
            running: [const { None }; SERVERS],
        };
        (0..SERVERS).for_each(|server| cluster.revive(server));
        cluster
    }

    fn url(&self, server: usize) -> String {
        format!("nats://127.0.0.1:{}", self.ports[server].0)
    }

    /// Starts a server, with the data it had.
    fn revive(&mut self, server: usize) {
        let (port, meeting) = self.ports[server];
        let routes = self.ports.map(|(_, port)| format!("nats://127.0.0.1:{port}")).join(",");
        let mut command = Command::new(parts::nats_server());
        command
            .args(["--addr", "127.0.0.1", "--port", &port.to_string(), "--jetstream", "--store_dir"])
            .arg(self.folder.path().join(server.to_string()))
            .args(["--server_name", &server.to_string(), "--cluster_name", "test"])
            .args(["--cluster", &format!("nats://127.0.0.1:{meeting}"), "--routes", &routes]);
        self.running[server] = Some(Process::start(command));
    }

    /// Kills a server, as the loss of its machine would.
    async fn kill(&mut self, server: usize) {
        let mut process = self.running[server].take().unwrap();
        process.signal("KILL");
        process.end().await;
    }

    /// The stream as a server sees it, once there is one.
    async fn stream(&self, server: usize, topic: &Topic) -> jetstream::stream::Info {
        let client = eventually("NATS is there", async || async_nats::connect(self.url(server)).await.ok()).await;
        let jetstream = jetstream::new(client);
        let stream = async || jetstream.get_stream(&topic.settings.stream).await.ok();
        within(PATIENCE, "the stream is there", stream).await.cached_info().clone()
    }

    /// The server that leads the stream, once the others keep up with it.
    async fn leader(&self, topic: &Topic) -> usize {
        within(PATIENCE, "the servers agree", async || {
            let cluster = self.stream(0, topic).await.cluster?;
            let current = cluster.replicas.iter().filter(|replica| replica.current).count();
            (current == SERVERS - 1).then(|| cluster.leader?.parse().ok()).flatten()
        })
        .await
    }
}

both! {
    async fn no_event_is_lost_with_a_server(db: Db) {
        let mut cluster = Cluster::start();
        let mut topic = Topic::new(EventEncoding::Protobuf);
        topic.settings.url = cluster.url(0).parse().unwrap();
        topic.settings.replicas = SERVERS;
        let publish = |config: &mut Config| {
            config.events.publisher = PublisherKind::Nats;
            config.events.nats = topic.settings.clone();
        };
        let s = Scene::on(TestServer::with(db, publish).await).await;
        let leader = cluster.leader(&topic).await;
        assert_eq!(cluster.stream(0, &topic).await.config.num_replicas, SERVERS);

        // The one that everybody publishes through, whichever it is.
        cluster.kill(leader).await;
        for n in 0..20 {
            let roles: &[&str] = if n % 2 == 0 { &["member", "admin"] } else { &["admin"] };
            s.person("ada").set_roles(&s.team, "bob", roles).await.done();
        }
        let other = (leader + 1) % SERVERS;
        let all = async || (cluster.stream(other, &topic).await.state.messages == 31).then_some(());
        within(PATIENCE, "two servers have everything", all).await;

        // It comes back to what it missed.
        cluster.revive(leader);
        cluster.leader(&topic).await;
        let listed: Vec<_> = s.service().events_of("", 31).await.into_iter().map(|event| event.event_id).collect();
        let mut published: Vec<_> = topic.messages(31).await.into_iter().map(|message| message.event).collect();
        published.sort_by(|a, b| a.position.cmp(&b.position));
        assert_eq!(published.into_iter().map(|event| event.event_id).collect::<Vec<_>>(), listed);
    }
}
