//! What a page of members costs, at the beginning and at the end of a long list: `make bench`.
//!
//! A team gets 100,000 members (`ROSTER_BENCH_MEMBERS`), and a real server lists them in pages of 50. The first and the
//! last page are asked for in turns, so that whatever else the machine does falls on both, and the ratio of their medians
//! is what counts: the last page takes half as long again as the first at the most, or the benchmark fails.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a benchmark that cannot go on has failed")]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use roster::{
    domain::{
        Email, Member, RoleId, TeamId, User, UserId, Version,
        member::{Source, State},
        profile::Notifications,
        text::DisplayName,
        user::Profile,
    },
    repository::{Database, database::Options, members, schema, users},
};
use roster_proto::v1::{ListMembersRequest, MemberOrder, team_service_client::TeamServiceClient};
use support::Judgement;
use tonic::transport::Channel;

/// How often each page is asked for.
const ROUNDS: usize = 200;
/// How many members a measured page holds.
const PAGE: i32 = 50;

/// How long the last page may take at the most, against the first.
const MOST: f64 = 1.5;

#[tokio::main]
async fn main() -> ExitCode {
    let count: usize = std::env::var("ROSTER_BENCH_MEMBERS").map_or(100_000, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    println!("pages of {PAGE} of {count} members, first against last, medians of {ROUNDS}");
    let mut judgement = Judgement::default();
    for (name, url) in support::databases(folder.path()) {
        measure(name, &url, folder.path(), count, &mut judgement).await;
    }
    judgement.end()
}

async fn measure(name: &str, url: &str, folder: &Path, count: usize, judgement: &mut Judgement) {
    // The team is made through the API, and its members behind the server's back: it reads nothing ahead.
    let (running, channel) = support::serve(url, folder).await;
    let team = support::create_team(&channel, &support::create_owner(&channel).await).await;
    running.shutdown().await.unwrap();
    fill(url, team.parse().unwrap(), count).await;

    let (running, channel) = support::serve(url, folder).await;
    let mut client = TeamServiceClient::new(channel);
    for order in [MemberOrder::JoinTime, MemberOrder::JoinTimeDesc, MemberOrder::DisplayName, MemberOrder::Email] {
        let first = page(&team, order, "");
        let last = page(&team, order, &last_token(&mut client, &team, order).await);
        let (mut at_first, mut at_last) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            at_first.push(support::time(list(&mut client, &first)).await);
            at_last.push(support::time(list(&mut client, &last)).await);
        }
        let (first, last) = (support::median(at_first), support::median(at_last));
        let ratio = last.as_secs_f64() / first.as_secs_f64();
        println!("{name:10} {:30} first {first:>9.1?}  last {last:>9.1?}  ratio {ratio:.2}", order.as_str_name());
        judgement.hold(&format!("{name}, {}", order.as_str_name()), ratio, MOST);
    }
    running.shutdown().await.unwrap();
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

async fn list(client: &mut TeamServiceClient<Channel>, request: &ListMembersRequest) {
    let answer = client.list_members(request.clone()).await.unwrap().into_inner();
    assert_eq!(answer.members.len(), usize::try_from(PAGE).unwrap());
}
