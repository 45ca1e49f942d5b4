//! Many accept one invitation at once: one of them is in, the others are told why not.

use std::time::{Duration, Instant};

use prost::Message as _;
use roster_proto::v1::{
    self as wire, AcceptInvitationRequest, AcceptInvitationResponse, CreateInvitationResponse, NewUser, TeamPolicy,
    UpdateTeamRequest,
    accept_invitation_request::{Accepter, Invitation as Named},
};
use tonic::Status;

use crate::{
    both,
    support::{
        Caller, Db, Outcome as _, Scene, TestServer,
        log::{Log, assert_agrees},
        outcome::kind,
        parts,
        replay::Replay,
        scene::{create_user, user_of},
        storm::{self, ANSWERED, Tally},
        write::Write,
    },
};

/// How many users are there, beside those who come with their acceptance.
const USERS: usize = 40;

struct Storm {
    scene: Scene,
    started: Instant,
}

impl Storm {
    /// A server that turns nobody away for being busy, so that every answer tells of the invitation.
    async fn new(db: Db) -> Self {
        let patient = |config: &mut roster::config::Config| {
            config.server.max_deadline = Duration::from_mins(10);
            config.database.acquire_timeout = Duration::from_mins(10);
        };
        let scene = Scene::on(TestServer::with(db, patient).await).await;
        for n in 0..USERS {
            create_user(&scene.service(), &format!("user-{n}")).await;
        }
        Self { scene, started: Instant::now() }
    }

    /// The token of an invitation without a mail, whose sending would change the invitation meanwhile.
    async fn invite(&self, email: &str) -> String {
        let answer =
            Write::invite("", &self.scene.team, email, "member").send(&self.scene.person("ada")).await.unwrap();
        let invitation = CreateInvitationResponse::decode(answer.as_slice()).unwrap().invitation.unwrap();
        self.scene.token(&invitation.id).await
    }

    /// Everybody accepts at the same time, over a hundred connections.
    async fn accept(&self, token: &str, accepters: Vec<Accepter>) -> Vec<Result<AcceptInvitationResponse, Status>> {
        let services = storm::services(self.scene.server.address(), 100);
        let calls = accepters.into_iter().zip(services.iter().cycle().cloned()).map(|(accepter, service)| {
            let request = AcceptInvitationRequest {
                invitation: Some(Named::Token(token.to_owned())),
                accepter: Some(accepter),
                ..Default::default()
            };
            async move { service.invitations().accept_invitation(request).await.map(tonic::Response::into_inner) }
        });
        storm::at_once(calls).await
    }

    /// One membership, one acceptance, one answer; and every other call was refused for one of these reasons.
    async fn check(
        &self,
        name: &str,
        before: usize,
        results: &[Result<AcceptInvitationResponse, Status>],
        reasons: &[&str],
    ) {
        let mut tally = Tally::default();
        results.iter().for_each(|result| tally.add(result));
        assert_eq!(tally.other_than(&[&[ANSWERED], reasons].concat()), [] as [&str; 0], "{tally}");

        // The first answer's revision may tell of a new user beside the team; whoever comes back made no version.
        let without_revision = |answer: &AcceptInvitationResponse| (answer.invitation.clone(), answer.member.clone());
        let answers: Vec<&AcceptInvitationResponse> = results.iter().flatten().collect();
        let first = answers.first().expect("somebody is in");
        let same = answers.iter().all(|answer| without_revision(answer) == without_revision(first));
        assert!(same, "{answers:?}");
        let member = first.member.as_ref().unwrap();
        let members = self.scene.members().await;
        assert_eq!(members.len(), before + 1);
        assert_eq!(members.last().unwrap(), &format!("{} member", user_of(member)));
        assert_eq!(first.invitation.as_ref().unwrap().accepted_user_id, user_of(member));

        let log = Log::read(&self.scene.service()).await;
        let events = log.events.iter().filter(|event| event.team_id == self.scene.team);
        let made = |wanted| events.clone().filter(|event| kind(event) == wanted).count();
        assert_eq!((made("invitation_accepted"), made("member_added")), (1, before + 1));
        assert_agrees(&Replay::of(events.clone()), &self.scene.service(), &self.scene.team).await;
        let known = ["ada", "bob", "carol", "eve"].len() + USERS;
        let newcomer = usize::from(log.user(user_of(member)).unwrap().display_name == NEW);
        let people = log.of_kind("user_created").filter(|event| !event.user_id.starts_with("marker")).count();
        assert_eq!(people, known + newcomer, "who was refused leaves no record");
        println!("{name}: {} accepts in {:.1?}: 1 membership; {tally}", results.len(), self.started.elapsed());
    }
}

/// The name of those who come with their acceptance.
const NEW: &str = "new";

fn known(user: &str) -> Accepter {
    Accepter::UserId(user.to_owned())
}

/// Somebody with the invited address, or with another one.
fn new(id: &str, email: &str) -> Accepter {
    let (user_id, email) = (id.to_owned(), email.to_owned());
    Accepter::NewUser(NewUser { user_id, email, display_name: NEW.to_owned(), ..Default::default() })
}

/// Lets anybody with the link accept.
async fn admit_anybody(caller: &Caller, team: &str) {
    let policy = TeamPolicy { require_email_match: Some(false), ..Default::default() };
    let team = wire::Team { id: team.to_owned(), policy: Some(policy), ..Default::default() };
    caller.teams().update_team(UpdateTeamRequest { team: Some(team), ..Default::default() }).await.done();
}

both! {
    /// The invited person accepts again and again, while others try to get in with their link.
    async fn the_invited_person_alone_is_in(db: Db) {
        let storm = Storm::new(db).await;
        let token = storm.invite("eve@example.com").await;
        let accepters = (0..parts::count(400, 10_000)).map(|n| match n % 4 {
            0 => known(&format!("user-{}", n % USERS)),
            1 => new("", ""),
            2 => new(&format!("new-{n}"), &format!("new-{n}@example.com")),
            _ => known("eve"),
        });
        let results = storm.accept(&token, accepters.collect()).await;
        let reasons = ["INVITATION_ACCEPTED", "EMAIL_MISMATCH", "EMAIL_TAKEN"];
        storm.check(&format!("e01 {db:?} addressed"), 3, &results, &reasons).await;
        assert_eq!(results.iter().flatten().count(), results.len() / 4, "her own retries are answered");
    }

    /// Whoever comes first is in, be it a user or somebody new.
    async fn the_first_of_anybody_is_in(db: Db) {
        let storm = Storm::new(db).await;
        admit_anybody(&storm.scene.person("ada"), &storm.scene.team).await;
        let token = storm.invite("dan@example.com").await;
        let accepters = (0..parts::count(400, 10_000)).map(|n| match n % 4 {
            0 => known(&format!("user-{}", n % USERS)),
            1 => new("", ""),
            2 => new("dan", ""),
            _ => new(&format!("new-{n}"), &format!("new-{n}@example.com")),
        });
        let results = storm.accept(&token, accepters.collect()).await;
        storm.check(&format!("e01 {db:?} anybody"), 3, &results, &["INVITATION_ACCEPTED"]).await;
    }
}
