//! A server in this process, with a database and a clock of its own.

use std::{net::SocketAddr, path::PathBuf};

use roster::{
    app::{App, Running},
    config::Config,
    env::Env,
};
use tonic::transport::{Channel, Endpoint};

use super::{Caller, Db, clock::TestClock, database::TestDatabase};

/// A running server that a test can stop and start again on the same data.
pub struct TestServer {
    pub clock: TestClock,
    pub database: TestDatabase,
    config: Config,
    running: Option<Running>,
    channel: Channel,
}

impl TestServer {
    /// With the defaults: development authentication, mails as files, no broker.
    pub async fn start(db: Db) -> Self {
        Self::with(db, |_| {}).await
    }

    /// With a configuration of its own.
    pub async fn with(db: Db, configure: impl FnOnce(&mut Config)) -> Self {
        let database = TestDatabase::new(db).await;
        let clock = TestClock::new();
        let config = config(&database, configure);
        let (running, channel) = run(config.clone(), clock.env()).await;
        Self { clock, database, config, running: Some(running), channel }
    }

    /// Another instance on the same database. PostgreSQL only.
    pub async fn second_instance(&self) -> (Running, Channel) {
        run(self.config.clone(), self.clock.env()).await
    }

    /// Stops the server as SIGTERM does and starts it again on the same data.
    pub async fn restart(&mut self) {
        self.running.take().unwrap().shutdown().await.unwrap();
        let (running, channel) = run(self.config.clone(), self.clock.env()).await;
        (self.running, self.channel) = (Some(running), channel);
    }

    /// Restarts with another configuration.
    pub async fn restart_with(&mut self, configure: impl FnOnce(&mut Config)) {
        configure(&mut self.config);
        self.restart().await;
    }

    /// Stops the server as SIGTERM does.
    pub async fn stop(&mut self) {
        self.running.take().unwrap().shutdown().await.unwrap();
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.running.as_ref().unwrap().local_addr()
    }

    /// The address for those who look after it.
    pub fn admin_address(&self) -> SocketAddr {
        self.running.as_ref().unwrap().admin_addr().expect("the configuration names one")
    }

    /// A connection to it.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Where it keeps its files.
    pub fn folder(&self) -> PathBuf {
        self.database.folder.path().to_owned()
    }

    /// The service `dev`, which may do everything.
    pub fn service(&self) -> Caller {
        Caller::new(self.channel())
    }

    /// A person.
    pub fn person(&self, user: &str) -> Caller {
        Caller::new(self.channel()).acting_for(user)
    }

    /// The mails that were sent to an address, oldest first.
    pub fn mails_to(&self, address: &str) -> Vec<String> {
        let folder = self.folder().join("mail");
        let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "eml"));
        files.sort();
        let texts = files.into_iter().map(|path| std::fs::read_to_string(path).unwrap());
        texts.filter(|text| text.lines().any(|line| line == format!("To: {address}"))).collect()
    }

    /// Waits until so many mails were sent to an address, and gives them.
    pub async fn wait_for_mails(&self, address: &str, count: usize) -> Vec<String> {
        eventually(&format!("{count} mails to {address}"), async || {
            let mails = self.mails_to(address);
            (mails.len() >= count).then_some(mails)
        })
        .await
    }
}

/// The configuration of a test: everything in the test's folder, and nothing waits for long.
fn config(database: &TestDatabase, configure: impl FnOnce(&mut Config)) -> Config {
    let folder = database.folder.path();
    let mut config = Config::default();
    config.server.listen = "127.0.0.1:0".parse().unwrap();
    config.data_dir = folder.to_owned();
    config.database.url = database.url.parse().unwrap();
    config.database.migrate_on_start = false;
    // A test machine may be busy with other tests; what a full pool answers is looked at where it is the subject.
    config.database.acquire_timeout = std::time::Duration::from_secs(8);
    config.server.max_in_flight = 100_000;
    // No test meets a limit but those that set one.
    config.limits.invitations_per_inviter.count = 0;
    config.limits.invitations_per_team.count = 0;
    config.limits.invitations_per_recipient.count = 0;
    config.mail.file.folder = folder.join("mail");
    config.mail.poll_interval = std::time::Duration::from_millis(100);
    config.events.poll_interval = std::time::Duration::from_millis(100);
    config.events.checkpoint_interval = std::time::Duration::from_millis(200);
    configure(&mut config);
    config
}

async fn run(config: Config, env: Env) -> (Running, Channel) {
    let running = App::start(config, env).await.unwrap();
    let endpoint = Endpoint::from_shared(format!("http://{}", running.local_addr())).unwrap();
    (running, endpoint.connect_lazy())
}

/// Asks until there is an answer; for what happens in the background. Fails after 20 seconds.
pub async fn eventually<T>(what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
    within(std::time::Duration::from_secs(20), what, ask).await
}

/// The same for what takes longer.
pub async fn within<T>(limit: std::time::Duration, what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + limit;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(tokio::time::Instant::now() < deadline, "{what}: not within {limit:?}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
