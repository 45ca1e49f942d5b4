//! Everything that can happen to an invitation happens at once: it ends in one way, everybody is told what fits, and
//! whoever was told that they are in, is.

mod moves;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use roster::env::Clock as _;
use roster_proto::{
    events::v1::{Event, InvitationState as Told, event::Payload},
    v1::{self as wire, AcceptInvitationResponse, InvitationState, ListInvitationsRequest},
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use self::moves::{Case, Move};
use crate::{
    both,
    support::{
        Caller, Db, Outcome as _, TestServer,
        clock::TestClock,
        log::Log,
        outcome::{error_info, kind},
        parts,
        scene::{create_team, create_user, user_of},
        server::eventually,
        session::Session,
        storm::{self, Tally},
    },
};

/// How many trees have an invitation under way at a time.
const LANES: usize = 4;
/// How many calls race for each invitation.
const CALLS: usize = 20;

/// Invitations on the list that do not have just the rows that they should for the teams they grant something in. What
/// stands for the one word that both databases have not in common is put in.
const OUT_OF_STEP: &str = "\
    SELECT count(*) FROM invitations WHERE delete_time IS NULL \
      AND (SELECT count(*) FROM {keys}(invitations.grants) AS granted) <> (\
        SELECT count(*) FROM invitation_grants AS kept WHERE kept.invitation_id = invitations.id \
        AND kept.pending = (invitations.state = 'PENDING') AND kept.email = invitations.email)";

/// One tree and the invitations that are raced for in it, one after the other.
struct Lane {
    number: usize,
    address: SocketAddr,
    service: Caller,
    clock: TestClock,
}

/// What became of one invitation.
struct Race {
    case: Case,
    calls: Vec<Call>,
}

/// One call and what it came to.
struct Call {
    what: Move,
    request_id: String,
    result: Result<Option<AcceptInvitationResponse>, Status>,
}

impl Lane {
    async fn races(self, count: usize) -> Vec<Race> {
        let (owner, inviter) = (format!("owner-{}", self.number), format!("inviter-{}", self.number));
        for user in [&owner, &inviter] {
            create_user(&self.service, user).await;
        }
        let root = create_team(&self.service, "Raced for", &owner).await;
        let child = self.service.create_below(&root, "Below").await;
        let services = storm::services(self.address, CALLS);
        let mut races = Vec::new();
        for n in 0..count {
            let name = format!("{}-{n}", self.number);
            let case = Case {
                person: format!("invited-{name}"),
                name,
                root: root.clone(),
                child: child.clone(),
                id: String::new(),
                token: String::new(),
                owner: owner.clone(),
                inviter: inviter.clone(),
                newcomer: rand::random_ratio(1, 3),
                ends: rand::random_ratio(1, 3),
            };
            let case = self.set_up(case).await;
            races.push(self.race(case, &services).await);
        }
        races
    }

    /// The inviter is an admin again, and has invited the person.
    async fn set_up(&self, case: Case) -> Case {
        if let Ok(found) = self.service.member(&case.root, &case.inviter).await {
            if found.into_inner().member.unwrap().role_ids != ["admin"] {
                self.service.set_roles(&case.root, &case.inviter, &["admin"]).await.done();
            }
        } else {
            self.service.add(&case.root, &case.inviter, &["admin"]).await.done();
        }
        if !case.newcomer {
            create_user(&self.service, &case.person).await;
        }
        let inviter = self.service.clone().acting_for(&case.inviter);
        let request = case.offer(rand::random(), "");
        let id = inviter.invitations().create_invitation(request).await.done().invitation.unwrap().id;
        let token = self.service.token(&case.root, &id).await;
        if case.ends {
            let end = self.clock.now() + TimeDelta::milliseconds(2);
            let _ = inviter.end_invitation_at(&case.root, &id, end).await;
        }
        Case { id, token, ..case }
    }

    async fn race(&self, case: Case, services: &[Caller]) -> Race {
        let calls = services.iter().cloned().enumerate().map(|(n, service)| {
            let (case, clock, what) = (case.clone(), self.clock.clone(), Move::any());
            let request_id = format!("{}-{n}-{what:?}", case.name);
            async move {
                // The invitation runs out with the call in the middle, if it has not before as others let time pass.
                if case.ends && n == CALLS / 2 {
                    clock.advance(TimeDelta::milliseconds(2));
                }
                let result = case.make(what, service, clock, request_id.clone()).await;
                Call { what, request_id, result }
            }
        });
        let calls = storm::at_once(calls.collect::<Vec<_>>()).await;
        Race { case, calls }
    }
}

impl Race {
    /// Every answer fits what the record says, and every refusal has a reason that such a call can have.
    fn check(&self, log: &Record<'_>) -> BTreeMap<Move, Tally> {
        let mut tallies: BTreeMap<Move, Tally> = BTreeMap::new();
        for call in &self.calls {
            let tally = tallies.entry(call.what).or_default();
            tally.add(&call.result);
            let effects = log.effects.get(call.request_id.as_str()).map_or(&[][..], Vec::as_slice);
            match &call.result {
                Ok(_) => assert!(call.what.is_made_of(effects), "{} made {effects:?}", call.request_id),
                Err(status) => {
                    let reason = error_info(status).reason;
                    let possible = call.what.reasons(&self.case);
                    assert!(possible.contains(&reason.as_str()), "{}: {status:?}", call.request_id);
                    assert!(effects.is_empty(), "{} was refused and made {effects:?}", call.request_id);
                    log.assert_happened(&self.case.id, &reason, &call.request_id);
                }
            }
        }
        self.check_end(log);
        tallies
    }

    /// The invitation has at most one end, and after it nothing more happened to it.
    fn check_end(&self, log: &Record<'_>) {
        let history: Vec<&str> = log.history[self.case.id.as_str()].iter().map(|(kind, _)| *kind).collect();
        let ends: Vec<usize> =
            history.iter().enumerate().filter(|(_, kind)| ENDS.contains(kind)).map(|(at, _)| at).collect();
        assert!(ends.len() <= 1, "{}: {history:?}", self.case.name);
        // What is known of mails under way, and that it is off the list, may come later.
        let later = ["invitation_sent", "invitation_delivery_failed", "invitation_deleted"];
        let after = ends.first().map_or(&[][..], |end| &history[end + 1..]);
        assert!(after.iter().all(|kind| later.contains(kind)), "{}: {history:?}", self.case.name);
    }

    /// Who is a member by what was answered: by team, with the roles.
    fn joined(&self) -> BTreeSet<(String, String, Vec<String>)> {
        let answers: Vec<&AcceptInvitationResponse> =
            self.calls.iter().filter_map(|call| call.result.as_ref().ok()?.as_ref()).collect();
        let joined = |answer: &&AcceptInvitationResponse| {
            let invitation = answer.invitation.as_ref().unwrap();
            assert_eq!(invitation.state(), InvitationState::Accepted);
            let user = &invitation.accepted_user_id;
            assert!([&self.case.person, &self.case.another()].contains(&user), "{user} accepted {}", self.case.name);
            let members = answer.member.iter().chain(&answer.other_members);
            let members: BTreeSet<_> = members
                .map(|member| (member.team_id.clone(), user_of(member).to_owned(), member.role_ids.clone()))
                .collect();
            let granted: BTreeSet<_> = invitation
                .grants
                .iter()
                .map(|grant| (grant.team_id.clone(), user.clone(), grant.role_ids.clone()))
                .collect();
            assert_eq!(members, granted, "all of its teams are joined: {answer:?}");
            members
        };
        let mut all = answers.iter().map(joined);
        let first = all.next().unwrap_or_default();
        assert!(all.all(|other| other == first), "every acceptance is told the same: {answers:#?}");
        first
    }

    fn is_accepted(&self) -> bool {
        !self.joined().is_empty()
    }
}

/// The kinds of events by which an invitation ends for good.
const ENDS: [&str; 3] = ["invitation_accepted", "invitation_declined", "invitation_canceled"];

/// What the events say, by request and by invitation.
struct Record<'a> {
    effects: BTreeMap<&'a str, Vec<&'static str>>,
    history: BTreeMap<&'a str, Vec<(&'static str, &'a Event)>>,
}

impl<'a> Record<'a> {
    fn of(log: &'a Log) -> Self {
        let mut history: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for event in &log.events {
            if let Some(invitation) = invitation_in(event) {
                history.entry(&invitation.invitation_id).or_default().push((kind(event), event));
            }
        }
        Self { effects: log.effects(), history }
    }

    /// Whoever is told of an end was told the truth.
    fn assert_happened(&self, invitation: &str, reason: &str, call: &str) {
        let end = format!("invitation_{}", reason.trim_start_matches("INVITATION_").to_ascii_lowercase());
        if ENDS.contains(&end.as_str()) {
            // Whoever comes with the link of one that ran out and is off the list is told that it was canceled.
            let gone = end == "invitation_canceled" && self.happened(invitation, "invitation_deleted");
            let history = &self.history[invitation];
            assert!(gone || self.happened(invitation, &end), "{call} is told {reason}, after {history:#?}");
        }
    }

    fn happened(&self, invitation: &str, wanted: &str) -> bool {
        self.history[invitation].iter().any(|(kind, _)| *kind == wanted)
    }
}

/// What an event says of an invitation, if it is about one.
fn invitation_in(event: &Event) -> Option<&Told> {
    let (before, after) = match event.payload.as_ref().unwrap() {
        Payload::InvitationCreated(change) => (None, change.after.as_ref()),
        Payload::InvitationSent(change) => (None, change.after.as_ref()),
        Payload::InvitationUpdated(change) => (None, change.after.as_ref()),
        Payload::InvitationAccepted(change) => (None, change.after.as_ref()),
        Payload::InvitationDeclined(change) => (None, change.after.as_ref()),
        Payload::InvitationCanceled(change) => (None, change.after.as_ref()),
        Payload::InvitationExpired(change) => (None, change.after.as_ref()),
        Payload::InvitationDeliveryFailed(change) => (None, change.after.as_ref()),
        Payload::InvitationDeliveryRequested(change) => (None, change.after.as_ref()),
        Payload::InvitationRenewalRequested(change) => (None, change.after.as_ref()),
        Payload::InvitationDeleted(change) => (change.before.as_ref(), None),
        _ => return None,
    };
    after.or(before)
}

/// Looks at the tables again and again, and answers how often.
async fn look(db: Db, url: String, done: CancellationToken) -> usize {
    let session = Session::open(&url).await;
    let sql = out_of_step(db);
    let mut looks = 0;
    while !done.is_cancelled() {
        assert_eq!(session.value::<i64>(&sql).await, 0, "look {looks}");
        looks += 1;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    session.close().await;
    looks
}

fn out_of_step(db: Db) -> String {
    OUT_OF_STEP.replace("{keys}", if db == Db::Sqlite { "json_each" } else { "jsonb_object_keys" })
}

/// All invitations on the list of a team that stand so.
async fn listed(service: &Caller, team: &str, state: InvitationState) -> Vec<wire::Invitation> {
    let states = vec![state.into()];
    let mut request = ListInvitationsRequest { team_id: team.to_owned(), states, page_size: 500, ..Default::default() };
    let mut found = Vec::new();
    loop {
        let page = service.invitations().list_invitations(request.clone()).await.done();
        found.extend(page.invitations);
        if page.next_page_token.is_empty() {
            return found;
        }
        request.page_token = page.next_page_token;
    }
}

/// The open invitations of these teams, of which no two are for one team and one address.
async fn open(service: &Caller, teams: &BTreeSet<String>) -> usize {
    let (mut places, mut count) = (BTreeSet::new(), 0);
    for team in teams {
        for invitation in listed(service, team, InvitationState::Pending).await {
            count += 1;
            for grant in &invitation.grants {
                let place = (grant.team_id.clone(), invitation.email.clone());
                assert!(places.insert(place), "a second open invitation for its place: {invitation:?}");
            }
        }
    }
    count
}

/// Waits until nothing is left to be told of: no mail is to be sent, and whatever ran out is recorded.
async fn settle(server: &TestServer, teams: &BTreeSet<String>) {
    let session = Session::open(&server.database.url).await;
    let service = server.service();
    eventually("everything is recorded", async || {
        let mails: i64 = session.value("SELECT count(*) FROM mails").await;
        let recorded: i64 = session.value("SELECT count(*) FROM invitations WHERE state = 'PENDING'").await;
        let open = i64::try_from(open(&service, teams).await).unwrap();
        (mails == 0 && recorded == open).then_some(())
    })
    .await;
    session.close().await;
}

both! {
    async fn an_invitation_ends_once_whatever_happens_to_it(db: Db) {
        let started = Instant::now();
        let patient = |config: &mut roster::config::Config| {
            config.server.max_deadline = Duration::from_mins(10);
            config.database.acquire_timeout = Duration::from_mins(10);
        };
        let server = Arc::new(TestServer::with(db, patient).await);
        let service = server.service();
        create_user(&service, "eve").await;
        let done = CancellationToken::new();
        let mut looking = JoinSet::new();
        looking.spawn(look(db, server.database.url.clone(), done.clone()));

        let count = parts::count(40, 1_000);
        let lanes = (0..LANES).map(|number| {
            let (address, service, clock) = (server.address(), server.service(), server.clock.clone());
            Lane { number, address, service, clock }.races(count.div_ceil(LANES))
        });
        let races: Vec<Race> = storm::at_once(lanes).await.into_iter().flatten().collect();
        done.cancel();
        let looks = looking.join_next().await.unwrap().unwrap();

        let teams = races.iter().flat_map(|race| [race.case.root.clone(), race.case.child.clone()]).collect();
        settle(&server, &teams).await;
        let log = Log::read(&service).await;
        let replayed = log.assert_tables_agree(&service).await;
        let record = Record::of(&log);
        let mut tallies: BTreeMap<Move, Tally> = BTreeMap::new();
        let mut joined = BTreeSet::new();
        for race in &races {
            race.check(&record).into_iter().for_each(|(what, tally)| tallies.entry(what).or_default().merge(tally));
            let accepted = record.happened(&race.case.id, "invitation_accepted");
            assert_eq!(race.is_accepted(), accepted, "who accepts is told: {}", race.case.name);
            joined.extend(race.joined());
        }
        // Beside those who keep the teams, they alone are members who were told so.
        let members = replayed.iter().flat_map(|(team, replay)| replay.members.values().map(move |m| (*team, m)));
        let members = members.filter(|(_, member)| member.user_id.starts_with("invited-"));
        let members: BTreeSet<_> =
            members.map(|(team, m)| (team.to_owned(), m.user_id.clone(), m.role_ids.clone())).collect();
        assert_eq!(members, joined);
        let ends = |end| races.iter().filter(|race| record.happened(&race.case.id, end)).count();
        let [accepted, declined, canceled] = ENDS.map(ends);
        let expired = ends("invitation_expired");
        // Moves are drawn: of a few invitations, none may come to one of the ends.
        let all_came_about = [accepted, declined, canceled, expired].iter().all(|n| *n > 0);
        assert!(all_came_about || races.len() < 200, "not every end came about");
        println!(
            "e02 {db:?}: {} invitations × {CALLS} calls in {:.1?}: {accepted} accepted, {declined} declined, {canceled} \
             canceled, {expired} expired at times; {looks} looks at the tables",
            races.len(),
            started.elapsed(),
        );
        tallies.iter().for_each(|(what, tally)| println!("e02   {what:?}: {tally}"));
    }
}
