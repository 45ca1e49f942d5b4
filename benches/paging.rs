//! What a page of members costs, at the beginning and at the end of a long list: `make bench`.
//!
//! A team gets 100,000 members (`ROSTER_BENCH_MEMBERS`), and a real server lists them in pages of 50. The first and the
//! last page are asked for in turns, so that whatever else the machine does falls on both, and the ratio of their medians
//! is what counts.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a benchmark that cannot go on has failed")]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::{Duration, Instant},
};

use roster::{
    app::App,
    config::Config,
    domain::{
        Email, Member, RoleId, TeamId, User, UserId, Version,
        member::{Source, State},
        profile::Notifications,
        text::DisplayName,
        user::Profile,
    },
    env::Env,
    repository::{Database, database::Options, members, schema, users},
};
use roster_proto::v1::{
    CreateTeamRequest, CreateUserRequest, ListMembersRequest, MemberOrder, team_service_client::TeamServiceClient,
    user_service_client::UserServiceClient,
};
use tonic::transport::Channel;

/// How often each page is asked for.
const ROUNDS: usize = 200;
/// How many members a measured page holds.
const PAGE: i32 = 50;

#[tokio::main]
async fn main() {
    let count: usize = std::env::var("ROSTER_BENCH_MEMBERS").map_or(100_000, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    println!("pages of {PAGE} of {count} members, first against last, medians of {ROUNDS}");
    measure("SQLite", &format!("sqlite://{}", folder.path().join("roster.db").display()), folder.path(), count).await;
    match std::env::var("ROSTER_TEST_POSTGRES_URL") {
        Ok(url) => measure("PostgreSQL", &url, folder.path(), count).await,
        Err(_) => println!("PostgreSQL: not measured, for ROSTER_TEST_POSTGRES_URL is not set"),
    }
}

async fn measure(name: &str, url: &str, folder: &Path, count: usize) {
    let mut config = Config::default();
    config.server.listen = "127.0.0.1:0".parse().unwrap();
    config.data_dir = folder.to_owned();
    config.mail.file.folder = folder.join("mail");
    config.database.url = url.parse().unwrap();
    // The team is made through the API, and its members behind the server's back: it reads nothing ahead.
    let running = App::start(config.clone(), Env::system()).await.unwrap();
    let channel = Channel::from_shared(format!("http://{}", running.local_addr())).unwrap().connect().await.unwrap();
    let team = create_team(channel).await;
    running.shutdown().await.unwrap();
    fill(url, team.parse().unwrap(), count).await;

    let running = App::start(config, Env::system()).await.unwrap();
    let channel = Channel::from_shared(format!("http://{}", running.local_addr())).unwrap().connect().await.unwrap();
    let mut client = TeamServiceClient::new(channel);
    for order in [MemberOrder::JoinTime, MemberOrder::JoinTimeDesc, MemberOrder::DisplayName, MemberOrder::Email] {
        let first = page(&team, order, "");
        let last = page(&team, order, &last_token(&mut client, &team, order).await);
        let (mut at_first, mut at_last) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            at_first.push(time(&mut client, &first).await);
            at_last.push(time(&mut client, &last).await);
        }
        let (first, last) = (median(at_first), median(at_last));
        let ratio = last.as_secs_f64() / first.as_secs_f64();
        println!("{name:10} {:30} first {first:>9.1?}  last {last:>9.1?}  ratio {ratio:.2}", order.as_str_name());
    }
    running.shutdown().await.unwrap();
}

async fn create_team(channel: Channel) -> String {
    let owner =
        CreateUserRequest { user_id: "owner".to_owned(), email: "owner@example.com".to_owned(), ..Default::default() };
    UserServiceClient::new(channel.clone()).create_user(owner).await.unwrap();
    let request =
        CreateTeamRequest { name: "Large".to_owned(), owner_user_id: "owner".to_owned(), ..Default::default() };
    let created = TeamServiceClient::new(channel).create_team(request).await.unwrap().into_inner();
    created.team.unwrap().id
}

/// Adds members as fast as the repository takes them, with names and addresses in no order.
async fn fill(url: &str, team: TeamId, count: usize) {
    let timeout = Duration::from_mins(1);
    let options =
        Options { url: url.to_owned(), max_connections: 2, acquire_timeout: timeout, statement_timeout: timeout };
    let database = Database::open(options).await.unwrap();
    schema::up(&database).await.unwrap();
    let begun = chrono::Utc::now();
    for batch in (0..count).collect::<Vec<_>>().chunks(5000) {
        let tx = database.begin().await.unwrap();
        for &n in batch {
            let (user, member) = person(team, n, begun + chrono::TimeDelta::milliseconds(i64::try_from(n).unwrap()));
            users::insert(&tx, &user).await.unwrap();
            members::insert(&tx, &member, &user).await.unwrap();
        }
        tx.commit().await.unwrap();
    }
    database.close().await.unwrap();
}

fn person(team: TeamId, n: usize, join_time: chrono::DateTime<chrono::Utc>) -> (User, Member) {
    let scrambled = n.wrapping_mul(2_654_435_761) % 1_000_000_007;
    let id: UserId = format!("user-{n}").parse().unwrap();
    let user = User {
        id: id.clone(),
        email: Email::parse(&format!("p{scrambled}-{n}@example.com")).unwrap(),
        email_verified: true,
        display_name: DisplayName::parse(&format!("Person {scrambled} {n}")).unwrap(),
        profile: Profile::default(),
        notifications: Notifications::default(),
        home: Some(team),
        version: Version(1),
        create_time: join_time,
        update_time: join_time,
    };
    let member = Member {
        team_id: team,
        user_id: id,
        roles: BTreeSet::from(["member".parse::<RoleId>().unwrap()]),
        role_expire_times: BTreeMap::new(),
        permissions: BTreeSet::new(),
        state: State::Active,
        expire_time: None,
        external: false,
        invited_by: None,
        source: Source::Direct,
        join_time,
        changed: Version(1),
    };
    (user, member)
}

fn page(team: &str, order: MemberOrder, token: &str) -> ListMembersRequest {
    ListMembersRequest {
        team_id: team.to_owned(),
        order_by: order.into(),
        page_size: PAGE,
        page_token: token.to_owned(),
        ..Default::default()
    }
}

/// The token of the last page that is full.
async fn last_token(client: &mut TeamServiceClient<Channel>, team: &str, order: MemberOrder) -> String {
    let mut request = ListMembersRequest { page_size: 500, ..page(team, order, "") };
    let mut tokens = vec![String::new()];
    loop {
        let answer = client.list_members(request.clone()).await.unwrap().into_inner();
        if answer.next_page_token.is_empty() {
            break;
        }
        tokens.push(answer.next_page_token.clone());
        request.page_token = answer.next_page_token;
    }
    tokens.into_iter().rev().nth(1).unwrap()
}

async fn time(client: &mut TeamServiceClient<Channel>, request: &ListMembersRequest) -> Duration {
    let begun = Instant::now();
    let answer = client.list_members(request.clone()).await.unwrap().into_inner();
    assert_eq!(answer.members.len(), usize::try_from(PAGE).unwrap());
    begun.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
