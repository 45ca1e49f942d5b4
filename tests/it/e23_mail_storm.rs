//! A mail server that fails, stalls and crashes, and a program that is killed while it sends: no mail is lost, none comes
//! twice without a reason, and none goes to an invitation that is closed.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use chrono::DateTime;
use futures::{StreamExt as _, stream};
use roster::env::{Clock as _, SystemClock};
use roster_proto::{
    events::v1::{DeliveryStatus, event::Payload},
    v1::Invitation,
};

use crate::{
    both,
    invitations::batch::batch,
    support::{
        Caller, Db, Outcome as _,
        database::TestDatabase,
        log::Log,
        parts,
        process::{Process, Served},
        replay::Replay,
        scene::{create_team, create_user},
        server::within,
        session::Session,
        sink::{Mail, Sink},
    },
};

/// How many mails the program sends at the same time.
const SENT_AT_A_TIME: usize = 4;
/// `mail.attempt_timeout`, in seconds.
const ATTEMPT: f64 = 3.0;
/// `mail.smtp.timeout` is two seconds. Where the machine is so busy that the mail server alone takes this long, in seconds,
/// the program may have hung up before it was answered.
const LATE: f64 = 0.5;
/// How long anything may take here: a mail that failed often waits for minutes.
const LONG: Duration = Duration::from_mins(15);

/// Somebody who is invited.
struct Guest {
    id: String,
    email: String,
    /// The mails that were asked for, one after the other.
    deliveries: Vec<String>,
    /// When it was acknowledged that the invitation is closed.
    closed: Option<f64>,
    /// Whether it was deleted.
    deleted: bool,
}

impl Guest {
    fn new(invitation: Invitation) -> Self {
        let mut guest = Self {
            id: invitation.id.clone(),
            email: invitation.email.clone(),
            deliveries: Vec::new(),
            closed: None,
            deleted: false,
        };
        guest.sent_again(invitation);
        guest
    }

    fn sent_again(&mut self, invitation: Invitation) {
        self.deliveries.push(invitation.delivery.unwrap().id);
    }

    fn latest(&self) -> &str {
        self.deliveries.last().unwrap()
    }
}

/// A mail that the mail server took.
#[derive(Debug)]
struct Taken {
    to: String,
    delivery: String,
    token: String,
    begin_time: f64,
    take_time: f64,
    /// Whether the mail server hung up instead of saying so.
    cut: bool,
}

impl Taken {
    fn new(mail: &Mail) -> Self {
        let id = mail.header("Message-ID").strip_prefix('<').unwrap();
        Self {
            to: mail.header("To").to_owned(),
            delivery: id.strip_suffix("@example.com>").unwrap().to_owned(),
            token: mail.token().to_owned(),
            begin_time: mail.envelope["begin_time"].as_f64().unwrap(),
            take_time: mail.envelope["take_time"].as_f64().unwrap(),
            cut: mail.envelope["cut"].as_bool().unwrap(),
        }
    }

    /// Whether something happened between its beginning and so many seconds after it was taken.
    fn overlaps(&self, (from, to): Span, after: f64) -> bool {
        self.begin_time <= to && from <= self.take_time + after
    }
}

/// From when to when, in seconds since 1970.
type Span = (f64, f64);

fn now() -> f64 {
    (SystemClock.now() - DateTime::UNIX_EPOCH).as_seconds_f64()
}

/// Why a mail that was taken was sent once more.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cause {
    /// The mail server did not say that it took it.
    Silence,
    /// The program was killed before it recorded that it was taken.
    Kill(usize),
    /// The answer came when nobody waited for it any more.
    Delay,
}

/// The program, the mail server, and what is known of both.
struct Storm {
    database: TestDatabase,
    sink: Sink,
    session: Session,
    team: String,
    guests: Vec<Guest>,
    kills: Vec<Span>,
    crashes: Vec<Span>,
}

impl Storm {
    async fn new(db: Db) -> Self {
        let database = TestDatabase::new(db).await;
        let session = Session::open(&database.url).await;
        let sink = Sink::start(&["--storm", "0"]).await;
        let (team, guests, kills, crashes) = (String::new(), Vec::new(), Vec::new(), Vec::new());
        Self { database, sink, session, team, guests, kills, crashes }
    }

    async fn start(&self) -> Served {
        let port = self.sink.port.to_string();
        let variables = [
            ("ROSTER_DATABASE__URL", self.database.url.as_str()),
            ("ROSTER_MAIL__TRANSPORT", "smtp"),
            ("ROSTER_MAIL__FROM", "no-reply@example.com"),
            ("ROSTER_MAIL__POLL_INTERVAL", "100ms"),
            ("ROSTER_MAIL__MAX_ATTEMPTS", "1000"),
            ("ROSTER_MAIL__ATTEMPT_TIMEOUT", "3s"),
            ("ROSTER_MAIL__SMTP__HOST", "127.0.0.1"),
            ("ROSTER_MAIL__SMTP__PORT", port.as_str()),
            ("ROSTER_MAIL__SMTP__SECURITY", "plaintext"),
            ("ROSTER_MAIL__SMTP__TIMEOUT", "2s"),
            ("ROSTER_LIMITS__INVITATIONS_PER_INVITER__COUNT", "0"),
            ("ROSTER_LIMITS__INVITATIONS_PER_TEAM__COUNT", "0"),
            ("ROSTER_LIMITS__INVITATIONS_PER_RECIPIENT__COUNT", "0"),
            ("ROSTER_TELEMETRY__LOG_FILTER", "warn"),
        ];
        Served::start(self.database.folder.path(), &variables).await
    }

    async fn invite(&mut self, service: &Caller, count: usize) {
        create_user(service, "ada").await;
        self.team = create_team(service, "Acme", "ada").await;
        let emails: Vec<String> = (0..count).map(|n| format!("guest-{n}@example.com")).collect();
        for emails in emails.chunks(1000) {
            let answer = service.invite_many(batch(&self.team, &emails.join(" "))).await.done();
            self.guests.extend(answer.results.into_iter().map(|result| Guest::new(result.invitation.unwrap())));
        }
        assert_eq!(self.guests.len(), count);
    }

    /// Of each dozen guests one declines, for two it is called off, and one is sent the mail again: each dozen at some turn.
    async fn act(&mut self, service: &Caller, turn: usize, turns: usize) {
        let team = &self.team;
        let dozens = self.guests.chunks_mut(12).skip(turn).step_by(turns);
        for (n, guest) in dozens.flat_map(|dozen| dozen.iter_mut().enumerate()) {
            match n {
                0 => drop(service.cancel(team, &guest.id).await.done()),
                3 => drop(service.decline(&service.token(team, &guest.id).await).await.done()),
                6 => drop(service.delete_invitation(team, &guest.id).await.done()),
                9 => guest.sent_again(service.resend(team, &guest.id).await.done().invitation.unwrap()),
                _ => {}
            }
            if matches!(n, 0 | 3 | 6) {
                guest.closed = Some(now());
                guest.deleted = n == 6;
            }
        }
    }

    async fn wait_for(&self, count: usize) {
        within(LONG, &format!("{count} mails"), async || {
            let waiting = self.waiting().await;
            assert!(waiting > 0 || self.sink.has(count), "lost: nothing waits, and {count} mails have not come");
            self.sink.has(count).then_some(())
        })
        .await;
    }

    /// How many mails wait to be sent.
    async fn waiting(&self) -> i64 {
        self.session.value("SELECT count(*) FROM mails").await
    }

    /// Kills the program.
    async fn kill(&mut self, process: &mut Process) {
        let from = now();
        process.signal("KILL");
        process.end().await;
        self.kills.push((from, now()));
    }

    /// Kills the mail server and starts it again.
    async fn crash(&mut self, options: &[&str]) {
        let from = now();
        self.sink.restart(options).await;
        self.crashes.push((from, now()));
    }

    /// Runs the program until it is killed, while it has mails under way.
    async fn rage(&mut self, count: usize, turn: usize, turns: usize) {
        let mut served = self.start().await;
        let service = served.caller();
        if turn == 0 {
            self.invite(&service, count).await;
        }
        self.act(&service, turn, turns).await;
        // The last kill finds enough that is still to be sent.
        let step = count * 6 / 10 / turns;
        if turn % 5 == 1 {
            self.wait_for(step * turn + step / 2).await;
            self.crash(&["--storm", &turn.to_string()]).await;
        }
        self.wait_for(step * (turn + 1)).await;
        self.kill(&mut served.process).await;
    }

    /// Runs the program beside a mail server that works, until nothing is left to be sent.
    async fn calm(&mut self) -> Served {
        self.crash(&[]).await;
        let served = self.start().await;
        within(LONG, "all is sent", async || (self.waiting().await == 0).then_some(())).await;
        served
    }

    /// Everybody who is still invited has a mail with a link that works, and nobody was sent a link of another's.
    async fn check_links(&self, service: &Caller, taken: &[Taken]) {
        let open = self.guests.iter().filter(|guest| guest.closed.is_none());
        let tokens: BTreeMap<&str, String> = stream::iter(open)
            .map(async |guest| (guest.email.as_str(), service.token(&self.team, &guest.id).await))
            .buffer_unordered(8)
            .collect()
            .await;
        let receivers: BTreeSet<&str> = taken.iter().map(|taken| taken.to.as_str()).collect();
        for email in tokens.keys() {
            assert!(receivers.contains(email), "lost: the mail to {email}");
        }
        for taken in taken {
            if let Some(token) = tokens.get(taken.to.as_str()) {
                assert_eq!(&taken.token, token, "{taken:?}");
            }
        }
    }

    /// What is recorded is what the mail server took: each mail once, and told as sent only if it said that it took it.
    fn check_record(&self, log: &Log, team: &Replay, taken: &[Taken]) {
        let mut sent = BTreeSet::new();
        for event in log.of_kind("invitation_sent") {
            let Some(Payload::InvitationSent(change)) = &event.payload else { panic!("{event:?}") };
            assert!(sent.insert(change.after.as_ref().unwrap().delivery_id.as_str()), "sent twice: {event:?}");
        }
        assert_eq!(log.of_kind("invitation_delivery_failed").count(), 0, "no mail is given up");
        let known: BTreeMap<&str, &str> = self
            .guests
            .iter()
            .flat_map(|guest| guest.deliveries.iter().map(|id| (id.as_str(), guest.email.as_str())))
            .collect();
        for taken in taken {
            assert_eq!(known.get(taken.delivery.as_str()), Some(&taken.to.as_str()), "{taken:?}");
        }
        let answered: BTreeSet<&str> =
            taken.iter().filter(|taken| !taken.cut).map(|taken| taken.delivery.as_str()).collect();
        for id in &sent {
            assert!(answered.contains(id) && known.contains_key(id), "told as sent: {id}");
        }
        for guest in &self.guests {
            let Some(told) = team.invitations.get(&guest.id) else {
                assert!(guest.deleted, "{} is gone", guest.email);
                continue;
            };
            let is_sent = sent.contains(guest.latest());
            assert!(is_sent || guest.closed.is_some(), "not told as sent: {told:?}");
            let status = if is_sent { DeliveryStatus::Sent } else { DeliveryStatus::Unspecified };
            assert_eq!((told.delivery_id.as_str(), told.delivery_status()), (guest.latest(), status), "{told:?}");
            let count = guest.deliveries.iter().filter(|id| sent.contains(id.as_str())).count();
            assert_eq!(usize::try_from(told.send_count), Ok(count), "{told:?}");
        }
    }

    /// After an invitation was closed, no mail about it is begun but the one that was under way.
    fn check_closed(&self, taken: &[Taken]) {
        let failures = self.sink.failures();
        let mut begun: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        let told = taken.iter().map(|taken| (taken.to.as_str(), taken.begin_time));
        for (to, time) in told.chain(failures.iter().map(|failure| (failure.to.as_str(), failure.begin_time))) {
            begun.entry(to).or_default().push(time);
        }
        for guest in &self.guests {
            let Some(closed) = guest.closed else { continue };
            let times = begun.get(guest.email.as_str()).into_iter().flatten();
            let later: Vec<f64> = times.map(|time| time - closed).filter(|seconds| *seconds > 0.0).collect();
            let one = later.len() <= 1 && later.iter().all(|seconds| *seconds < ATTEMPT);
            assert!(one, "mails to {} were begun {later:?} seconds after the invitation was closed", guest.email);
        }
    }

    /// Every repetition has a cause. Answers how many each cause has made.
    fn repetitions(&self, taken: &[Taken]) -> BTreeMap<Cause, usize> {
        let mut deliveries: BTreeMap<&str, Vec<&Taken>> = BTreeMap::new();
        for taken in taken {
            deliveries.entry(&taken.delivery).or_default().push(taken);
        }
        let mut causes = BTreeMap::new();
        for times in deliveries.values() {
            let (_, repeated) = times.split_last().unwrap();
            for taken in repeated {
                let cause = self.cause(taken).unwrap_or_else(|| panic!("sent twice for no reason: {times:?}"));
                *causes.entry(cause).or_default() += 1;
            }
        }
        causes
    }

    fn cause(&self, taken: &Taken) -> Option<Cause> {
        // What was taken was answered in the same breath.
        if taken.cut || self.crashes.iter().any(|crash| taken.overlaps(*crash, LATE)) {
            return Some(Cause::Silence);
        }
        if let Some(kill) = self.kills.iter().position(|kill| taken.overlaps(*kill, ATTEMPT)) {
            return Some(Cause::Kill(kill));
        }
        (taken.take_time - taken.begin_time > LATE).then_some(Cause::Delay)
    }
}

both! {
    async fn no_mail_is_lost_in_a_storm(db: Db) {
        let (count, kills) = (parts::count(120, 5_000), parts::count(2, 20));
        let started = Instant::now();
        let mut storm = Storm::new(db).await;
        for turn in 0..kills {
            storm.rage(count, turn, kills).await;
        }
        let served = storm.calm().await;
        let service = served.caller();

        let log = Log::read(&service).await;
        let teams = log.assert_tables_agree(&service).await;
        let taken: Vec<Taken> = storm.sink.mails().iter().map(Taken::new).collect();
        storm.check_links(&service, &taken).await;
        storm.check_record(&log, &teams[storm.team.as_str()], &taken);
        storm.check_closed(&taken);
        let repetitions = storm.repetitions(&taken);
        let by_kills: Vec<usize> =
            repetitions.iter().filter(|(cause, _)| matches!(cause, Cause::Kill(_))).map(|(_, count)| *count).collect();
        // A kill repeats no more than what was being sent.
        assert!(by_kills.iter().all(|count| *count <= SENT_AT_A_TIME), "{repetitions:?}");

        let failures = storm.sink.failures().len();
        assert!(failures > count / 10 && taken.iter().any(|taken| taken.cut), "there was no storm");
        let of = |cause| repetitions.get(&cause).copied().unwrap_or_default();
        println!(
            "e23 {db:?}: {count} invitations, {kills} kills, {} crashes of the mail server in {:.1?}: {} mails taken, {} of \
             them without saying so, {failures} not taken: 0 lost, 0 for closed invitations; sent twice: {} that were cut, \
             {} that were killed, {} that were late",
            storm.crashes.len(),
            started.elapsed(),
            taken.len(),
            taken.iter().filter(|taken| taken.cut).count(),
            of(Cause::Silence),
            by_kills.iter().sum::<usize>(),
            of(Cause::Delay),
        );
        storm.session.close().await;
    }
}
