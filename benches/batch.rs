//! What an invitation costs in a batch, against one that comes by itself: `make bench`.
//!
//! A real server invites 1,000 addresses (`ROSTER_BENCH_INVITATIONS`): by one call of `BatchCreateInvitations`, by as many
//! calls of `CreateInvitation` one after the other, and by as many with eight of them in flight. The three take turns, each
//! in a team of its own, so that whatever else the machine does falls on all of them, and the ratios of their medians are
//! what counts: in the batch an invitation costs a tenth of a single call at the most, or the benchmark fails. The links
//! are handed over by hand: sending mails would go on while the next call is measured.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a benchmark that cannot go on has failed")]

mod support;

use std::{path::Path, process::ExitCode, time::Duration};

use futures::{StreamExt as _, stream};
use roster_proto::v1::{
    BatchCreateInvitationsRequest, CreateInvitationRequest, DeliveryChannel,
    invitation_service_client::InvitationServiceClient,
};
use support::Judgement;
use tonic::transport::Channel;

/// How often everything is measured.
const ROUNDS: usize = 7;
/// How many single calls are under way at a time, where they are not sent one after the other.
const IN_FLIGHT: usize = 8;

/// What an invitation's share of a batch may cost at the most, against a single call.
const MOST: f64 = 0.1;

#[tokio::main]
async fn main() -> ExitCode {
    let count: usize = std::env::var("ROSTER_BENCH_INVITATIONS").map_or(1000, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    println!("{count} invitations in a batch and by single calls, each invitation's share, medians of {ROUNDS}");
    let mut judgement = Judgement::default();
    for (name, url) in support::databases(folder.path()) {
        measure(name, &url, folder.path(), count, &mut judgement).await;
    }
    judgement.end()
}

async fn measure(name: &str, url: &str, folder: &Path, count: usize, judgement: &mut Judgement) {
    let (running, channel) = support::serve(url, folder).await;
    let owner = support::create_owner(&channel).await;
    let team = async || support::create_team(&channel, &owner).await;
    // Nobody's first call is measured.
    support::time(batch(&channel, &team().await, 10)).await;
    support::time(singles(&channel, &team().await, 10, 1)).await;

    let (mut at_once, mut one_by_one, mut side_by_side) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        at_once.push(support::time(batch(&channel, &team().await, count)).await);
        one_by_one.push(support::time(singles(&channel, &team().await, count, 1)).await);
        side_by_side.push(support::time(singles(&channel, &team().await, count, IN_FLIGHT)).await);
    }
    let share = |times: Vec<Duration>| support::median(times) / u32::try_from(count).unwrap();
    let at_once = share(at_once);
    for (how, single) in [("one by one", share(one_by_one)), ("8 in flight", share(side_by_side))] {
        let ratio = at_once.as_secs_f64() / single.as_secs_f64();
        println!("{name:10} {how:12} single {single:>9.1?}  in the batch {at_once:>9.1?}  ratio {ratio:.3}");
        judgement.hold(&format!("{name}, {how}"), ratio, MOST);
    }
    running.shutdown().await.unwrap();
}

fn address(n: usize) -> String {
    format!("person-{n}@example.com")
}

/// One call for all.
async fn batch(channel: &Channel, team: &str, count: usize) {
    let request = BatchCreateInvitationsRequest {
        team_id: team.to_owned(),
        emails: (0..count).map(address).collect(),
        role_ids: vec!["member".to_owned()],
        delivery_channel: DeliveryChannel::LinkOnly.into(),
        ..Default::default()
    };
    let mut client = InvitationServiceClient::new(channel.clone());
    let answer = client.batch_create_invitations(request).await.unwrap().into_inner();
    assert_eq!(usize::try_from(answer.created_count).unwrap(), count);
}

/// A call for each, so many at a time.
async fn singles(channel: &Channel, team: &str, count: usize, in_flight: usize) {
    let calls = (0..count).map(async |n| {
        let request = CreateInvitationRequest {
            team_id: team.to_owned(),
            email: address(n),
            role_ids: vec!["member".to_owned()],
            delivery_channel: DeliveryChannel::LinkOnly.into(),
            ..Default::default()
        };
        InvitationServiceClient::new(channel.clone()).create_invitation(request).await.unwrap();
    });
    stream::iter(calls).buffer_unordered(in_flight).collect::<Vec<_>>().await;
}
