//! A team has so many seats, and never one member more, however many come at once.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use roster_proto::v1::{
    self as wire, BatchCreateInvitationsRequest, BatchInvitationOutcome, DeliveryChannel, InvitationState,
    ListInvitationsRequest, TeamPolicy,
};
use tonic::Status;

use crate::{
    both,
    support::{
        Caller, Db, Outcome as _, Scene, TestServer,
        acts::texts,
        log::Log,
        outcome::error_info,
        parts,
        scene::create_user,
        storm::{self, ANSWERED, Tally},
        write::Write,
    },
};

/// How many are in the team of a scene.
const THERE: usize = 3;
/// Over how many connections they come.
const CONNECTIONS: usize = 64;

/// A scene on a server that turns nobody away for being busy, so that every answer tells of the seats.
async fn scene(db: Db) -> Scene {
    let patient = |config: &mut roster::config::Config| {
        config.server.max_deadline = Duration::from_mins(10);
        config.database.acquire_timeout = Duration::from_mins(10);
    };
    Scene::on(TestServer::with(db, patient).await).await
}

/// A batch of addresses, for links that are handed over.
fn batch(team: &str, people: &[String], atomic: bool) -> BatchCreateInvitationsRequest {
    BatchCreateInvitationsRequest {
        team_id: team.to_owned(),
        emails: people.iter().map(|person| format!("{person}@example.com")).collect(),
        role_ids: texts(&["member"]),
        delivery_channel: DeliveryChannel::LinkOnly.into(),
        atomic,
        ..Default::default()
    }
}

/// So many people, none of whom is known.
fn people(name: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{name}-{n}")).collect()
}

/// One of the answers to many calls.
type Result<T = ()> = std::result::Result<T, Status>;

fn tally<T>(results: &[Result<T>]) -> Tally {
    let mut tally = Tally::default();
    results.iter().for_each(|result| tally.add(result));
    tally
}

impl Scene {
    async fn limit(&self, seats: usize) {
        let max_members = i32::try_from(seats).unwrap();
        self.rule(TeamPolicy { max_members, ..Default::default() }, "max_members").await.done();
    }

    /// Invites people at once, and gives the token of each.
    async fn invite_all(&self, people: &[String]) -> Vec<String> {
        let created =
            self.service().invitations().batch_create_invitations(batch(&self.team, people, true)).await.done();
        let mut tokens = Vec::new();
        for result in created.results {
            tokens.push(self.token(&result.invitation_id).await);
        }
        tokens
    }

    async fn states(&self, state: InvitationState) -> usize {
        let states = vec![state.into()];
        let mut request =
            ListInvitationsRequest { team_id: self.team.clone(), states, page_size: 500, ..Default::default() };
        let mut count = 0;
        loop {
            let page = self.service().invitations().list_invitations(request.clone()).await.done();
            count += page.invitations.len();
            if page.next_page_token.is_empty() {
                return count;
            }
            request.page_token = page.next_page_token;
        }
    }

    /// The members, those who wait, and what the events say.
    async fn assert_seats(&self, members: usize, pending: usize) {
        assert_eq!(self.members().await.len(), members);
        assert_eq!(self.states(InvitationState::Pending).await, pending);
        Log::read(&self.service()).await.assert_tables_agree(&self.service()).await;
    }
}

/// Somebody who comes for a seat.
#[derive(Debug, Clone)]
enum Comer {
    /// With a link, as somebody new.
    Link(String, String),
    /// With a link, as a known user.
    Known(String, String),
    /// Added by an admin.
    Added(String),
}

impl Comer {
    async fn come(self, service: Caller, team: String) -> (Self, Result) {
        let result = match &self {
            Self::Link(token, person) => Write::accept("", token, person).send(&service).await.map(drop),
            Self::Known(token, person) => service.accept(token, person).await.map(drop),
            Self::Added(person) => service.acting_for("bob").add(&team, person, &["member"]).await.map(drop),
        };
        (self, result)
    }
}

/// Everybody comes at the same time.
async fn storm(scene: &Scene, comers: Vec<Comer>) -> Vec<(Comer, Result)> {
    let services = storm::services(scene.server.address(), CONNECTIONS);
    let calls = comers.into_iter().zip(services.iter().cycle().cloned());
    let calls: Vec<_> = calls.map(|(comer, service)| comer.come(service, scene.team.clone())).collect();
    storm::at_once(calls).await
}

both! {
    /// The rules change when everybody has their link: whoever comes first is in.
    async fn so_many_are_in_as_there_are_seats(db: Db) {
        let started = Instant::now();
        let s = scene(db).await;
        let (count, seats) = (parts::count(80, 500), parts::count(9, 60));
        let people = people("invited", count);
        let tokens = s.invite_all(&people).await;
        s.limit(THERE + seats).await;

        let comers = tokens.into_iter().zip(people).map(|(token, person)| Comer::Link(token, person)).collect();
        let results: Vec<Result> = storm(&s, comers).await.into_iter().map(|(_, result)| result).collect();
        let tally = tally(&results);
        assert_eq!(tally.other_than(&[ANSWERED, "SEATS_EXHAUSTED"]), [] as [&str; 0], "{tally}");
        assert_eq!(results.iter().flatten().count(), seats);
        s.assert_seats(THERE + seats, count - seats).await;
        assert_eq!(s.states(InvitationState::Accepted).await, seats);
        println!("e03 {db:?}: {count} accepts of {seats} seats in {:.1?}: {tally}", started.elapsed());
    }

    /// Open invitations hold their seats against everybody who is added, and those who are added fill the rest.
    async fn an_invitation_holds_its_seat(db: Db) {
        let started = Instant::now();
        let s = scene(db).await;
        let (invited, free) = (parts::count(10, 60), parts::count(12, 80));
        let people = people("invited", invited);
        // A third of them are users already, and are added as well as they come: once they are in, and in one seat.
        for person in people.iter().step_by(3) {
            create_user(&s.service(), person).await;
        }
        let others: Vec<String> = (0..3 * free).map(|n| format!("other-{n}")).collect();
        for other in &others {
            create_user(&s.service(), other).await;
        }
        let tokens = s.invite_all(&people).await;
        s.limit(THERE + invited + free).await;

        let mut comers: Vec<Comer> = others.into_iter().map(Comer::Added).collect();
        for (n, (token, person)) in tokens.into_iter().zip(people).enumerate() {
            let place = rand::random_range(0..=comers.len());
            if n % 3 == 0 {
                comers.insert(place, Comer::Known(token, person.clone()));
                comers.insert(rand::random_range(0..=comers.len()), Comer::Added(person));
            } else {
                comers.insert(place, Comer::Link(token, person));
            }
        }
        let results = storm(&s, comers).await;
        let mut added = 0;
        for (comer, result) in &results {
            match (comer, result) {
                (Comer::Link(..) | Comer::Known(..), result) => assert!(result.is_ok(), "{comer:?}: {result:?}"),
                (Comer::Added(person), Ok(())) => added += usize::from(person.starts_with("other")),
                (Comer::Added(person), Err(status)) => {
                    let why = if person.starts_with("other") { "SEATS_EXHAUSTED" } else { "ALREADY_MEMBER" };
                    assert_eq!(error_info(status).reason, why, "{comer:?}");
                }
            }
        }
        assert_eq!(added, free);
        s.assert_seats(THERE + invited + free, 0).await;
        let results: Vec<Result> = results.into_iter().map(|(_, result)| result).collect();
        println!("e03 {db:?}: {invited} seats held, {free} free, in {:.1?}: {}", started.elapsed(), tally(&results));
    }

    /// As many are invited as there are seats left, whether one by one or many at once.
    async fn no_more_are_invited_than_there_are_seats(db: Db) {
        let started = Instant::now();
        let s = scene(db).await;
        // A batch that is larger than the room there is invites as many as fit.
        let first = 7;
        s.limit(THERE + first).await;
        let some = batch(&s.team, &people("first", 5 * first), false);
        assert_eq!(invite_many(&s.person("bob"), some).await, (first, ["SEATS_EXHAUSTED".to_owned()].into()));

        let seats = parts::count(40, 200);
        s.limit(THERE + first + seats).await;
        let services = storm::services(s.server.address(), CONNECTIONS);
        let calls = services.into_iter().enumerate().map(|(n, service)| {
            let (team, service) = (s.team.clone(), service.acting_for("bob"));
            async move {
                // A batch invites as many as there is room for, an atomic one all or nobody. All of them together are
                // more than there are seats, and those that come one by one fill the last.
                match n % 4 {
                    0 => invite_many(&service, batch(&team, &people(&format!("batch-{n}"), seats / 12), false)).await,
                    1 => invite_many(&service, batch(&team, &people(&format!("atomic-{n}"), seats / 20), true)).await,
                    _ => invite_one_by_one(&service, &team, n, seats / 32 + 1).await,
                }
            }
        });
        let results = storm::at_once(calls.collect::<Vec<_>>()).await;
        let (mut created, mut refusals) = (0, BTreeSet::new());
        for (invited, refused) in results {
            created += invited;
            refusals.extend(refused);
        }
        assert_eq!(created, seats);
        assert_eq!(refusals, ["BATCH_REFUSED", "SEATS_EXHAUSTED"].map(ToOwned::to_owned).into());
        s.assert_seats(THERE, first + seats).await;
        // Each of them has a seat to take.
        let none = s.service().add(&s.team, "eve", &["member"]).await;
        none.refused(tonic::Code::ResourceExhausted, "SEATS_EXHAUSTED");
        println!("e03 {db:?}: {seats} seats invited to in {:.1?}", started.elapsed());
    }
}

/// How many were invited, and why others were not.
type Invited = (usize, BTreeSet<String>);

async fn invite_many(caller: &Caller, request: BatchCreateInvitationsRequest) -> Invited {
    let (count, atomic) = (request.emails.len(), request.atomic);
    match caller.invitations().batch_create_invitations(request).await {
        Err(status) => (0, [error_info(&status).reason].into()),
        Ok(answer) => {
            let answer = answer.into_inner();
            let refused = answer.results.iter().filter(|result| result.outcome() != BatchInvitationOutcome::Created);
            let refused: BTreeSet<String> = refused.map(refusal).collect();
            let created = usize::try_from(answer.created_count).unwrap();
            assert!(!atomic || created == count, "all or nobody");
            (created, refused)
        }
    }
}

fn refusal(result: &wire::BatchInvitationResult) -> String {
    result.outcome().as_str_name().trim_start_matches("BATCH_INVITATION_OUTCOME_").to_owned()
}

async fn invite_one_by_one(caller: &Caller, team: &str, n: usize, count: usize) -> Invited {
    let (mut invited, mut refused) = (0, BTreeSet::new());
    for person in people(&format!("single-{n}"), count) {
        match Write::invite("", team, &format!("{person}@example.com"), "member").send(caller).await {
            Ok(_) => invited += 1,
            Err(status) => drop(refused.insert(error_info(&status).reason)),
        }
    }
    (invited, refused)
}
