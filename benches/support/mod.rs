//! What benchmarks share: a real server on each database, a team on it, and how times are summed up.

use std::{
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use roster::{
    app::{App, Running},
    config::Config,
    env::Env,
};
use roster_proto::v1::{
    CreateTeamRequest, CreateUserRequest, team_service_client::TeamServiceClient,
    user_service_client::UserServiceClient,
};
use tonic::transport::Channel;

/// The databases to measure: a name for people and a URL, of SQLite in a folder and of the PostgreSQL that the
/// environment names.
pub(crate) fn databases(folder: &Path) -> Vec<(&'static str, String)> {
    let mut found = vec![("SQLite", format!("sqlite://{}", folder.join("roster.db").display()))];
    match std::env::var("ROSTER_TEST_POSTGRES_URL") {
        Ok(url) => found.push(("PostgreSQL", url)),
        Err(_) => println!("PostgreSQL: not measured, for ROSTER_TEST_POSTGRES_URL is not set"),
    }
    found
}

/// A server on a database, with whatever else it keeps in a folder, and a connection to it.
pub(crate) async fn serve(url: &str, folder: &Path) -> (Running, Channel) {
    let mut config = Config::default();
    config.server.listen = "127.0.0.1:0".parse().unwrap();
    config.data_dir = folder.to_owned();
    config.mail.file.folder = folder.join("mail");
    config.database.url = url.parse().unwrap();
    // What is measured is the work, not how much of it is allowed.
    config.limits.invitations_per_inviter.count = 0;
    config.limits.invitations_per_team.count = 0;
    config.limits.invitations_per_recipient.count = 0;
    let running = App::start(config, Env::system()).await.unwrap();
    let channel = Channel::from_shared(format!("http://{}", running.local_addr())).unwrap().connect().await.unwrap();
    (running, channel)
}

/// Records a person, under an id that no other benchmark on the same database has.
pub(crate) async fn create_owner(channel: &Channel) -> String {
    let user_id = format!("owner-{}", std::process::id());
    let email = format!("{user_id}@example.com");
    let owner = CreateUserRequest { user_id: user_id.clone(), email, ..Default::default() };
    UserServiceClient::new(channel.clone()).create_user(owner).await.unwrap();
    user_id
}

/// Creates a team and gives its id.
pub(crate) async fn create_team(channel: &Channel, owner: &str) -> String {
    let request = CreateTeamRequest { name: "Large".to_owned(), owner_user_id: owner.to_owned(), ..Default::default() };
    let created = TeamServiceClient::new(channel.clone()).create_team(request).await.unwrap().into_inner();
    created.team.unwrap().id
}

/// Ratios that are over their limit.
#[derive(Debug, Default)]
pub(crate) struct Judgement(Vec<String>);

impl Judgement {
    /// Holds what was measured against the most that it may be.
    pub(crate) fn hold(&mut self, what: &str, ratio: f64, most: f64) {
        if ratio > most {
            self.0.push(format!("{what}: {ratio:.3} is over {most}"));
        }
    }

    /// Says what is over its limit, and whether anything is.
    pub(crate) fn end(self) -> ExitCode {
        for line in &self.0 {
            eprintln!("too slow: {line}");
        }
        if self.0.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// How long it takes.
pub(crate) async fn time(work: impl Future<Output = ()>) -> Duration {
    let begun = Instant::now();
    work.await;
    begun.elapsed()
}

/// The one in the middle.
pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
