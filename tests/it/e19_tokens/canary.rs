//! A whole story with everything that is written down: no token stands anywhere but in the mail to whom it is for.

use std::{collections::BTreeMap, path::Path};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use prost::Message as _;
use prost_reflect::{DynamicMessage, SerializeOptions};
use roster::repository::{Database, database::Options};
use serde_json::{Value, json};
use tonic::Status;

use crate::{
    both,
    schema::catalog,
    support::{
        Caller, Db, collector::Collector, database::TestDatabase, log::Log, outcome::error_info, process::Served,
        rpc::rpc, server::eventually, session::Session,
    },
};

/// The story: what was asked, and what was heard.
struct Story {
    service: Caller,
    team: String,
    /// Each answer and each refusal, by what was asked.
    heard: Vec<(String, Vec<u8>)>,
    /// Every token that there was, by the address that it was for.
    tokens: BTreeMap<&'static str, Vec<String>>,
}

impl Story {
    /// Asks on behalf of the service, and remembers what it is told.
    async fn ask(&mut self, name: &str, request: Value) -> Value {
        self.ask_as("", name, request).await
    }

    /// Asks on behalf of a person. A refusal comes as its reason.
    async fn ask_as(&mut self, person: &str, name: &str, request: Value) -> Value {
        let mut caller = self.service.clone();
        if !person.is_empty() {
            caller = caller.acting_for(person);
        }
        let result = caller.call(rpc(name), &request.to_string()).await;
        let (bytes, value) = match result {
            Ok(bytes) => {
                let message = DynamicMessage::decode(rpc(name).output.clone(), bytes.as_slice()).unwrap();
                let options = SerializeOptions::new().skip_default_fields(false);
                let value = message.serialize_with_options(serde_json::value::Serializer, &options).unwrap();
                (bytes, value)
            }
            Err(status) => (heard(&status), Value::from(error_info(&status).reason)),
        };
        // This one answer holds a link.
        if name != "GetInvitationLink" {
            self.heard.push((name.to_owned(), bytes));
        }
        value
    }

    /// Fetches the token of an open invitation, as an outside mailer would.
    async fn fetch(&mut self, address: &'static str, id: &str) -> String {
        let request = json!({"teamId": self.team, "invitationId": id});
        let token = text(&self.ask("GetInvitationLink", request).await["token"]);
        self.tokens.entry(address).or_default().push(token.clone());
        token
    }

    /// Invites somebody, and asks the same once more.
    async fn invite(&mut self, address: &'static str, channel: &str) -> (String, String) {
        let request = json!({
            "teamId": self.team, "email": address, "roleIds": ["member"], "message": "Welcome",
            "deliveryChannel": channel, "requestId": format!("invite-{address}"),
        });
        let answer = self.ask_as("ada", "CreateInvitation", request.clone()).await;
        assert!(answer["revision"].is_string(), "{answer}");
        assert_eq!(answer, self.ask_as("ada", "CreateInvitation", request).await);
        let id = text(&answer["invitation"]["id"]);
        let token = self.fetch(address, &id).await;
        (id, token)
    }

    /// Asks for something that a token is good for, twice by one request id and once by none.
    async fn answer(&mut self, name: &str, mut request: Value) -> Value {
        request["requestId"] = format!("{name}-{}", self.heard.len()).into();
        let answer = self.ask(name, request.clone()).await;
        assert_eq!(answer, self.ask(name, request.clone()).await);
        request["requestId"] = "".into();
        self.ask(name, request).await;
        answer
    }
}

#[track_caller]
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// All that a refusal says, in every form in which it says it.
fn heard(status: &Status) -> Vec<u8> {
    let mut bytes = format!("{status:?}\n{}\n", status.message()).into_bytes();
    bytes.extend_from_slice(status.details());
    bytes
}

const ONE: &str = "one@example.com";
const TWO: &str = "two@example.com";
const THREE: &str = "three@example.com";
const FOUR: &str = "four@example.com";
const FIVE: &str = "five@example.com";

/// Invites in every way, and answers in every way.
async fn tell(story: &mut Story, session: &Session) {
    for user in ["ada", "kim"] {
        let address = format!("{user}@example.com");
        story.ask("CreateUser", json!({"userId": user, "email": address, "emailVerified": true})).await;
    }
    let created = story.ask("CreateTeam", json!({"name": "Acme", "ownerUserId": "ada"})).await;
    story.team = text(&created["team"]["id"]);
    let team = story.team.clone();
    let named = |id: &str| json!({"teamId": team, "invitationId": id});

    // One by one, by mail, by hand and by an outside mailer; and many at once.
    let (_, one) = story.invite(ONE, "DELIVERY_CHANNEL_EMAIL").await;
    let (two_id, two) = story.invite(TWO, "DELIVERY_CHANNEL_LINK_ONLY").await;
    let (three_id, three) = story.invite(THREE, "DELIVERY_CHANNEL_EXTERNAL").await;
    let batch = json!({
        "teamId": team, "text": format!("{FOUR}, Five <{FIVE}>; nobody"), "roleIds": ["member"], "requestId": "batch",
    });
    let answer = story.ask_as("ada", "BatchCreateInvitations", batch.clone()).await;
    assert_eq!(answer, story.ask_as("ada", "BatchCreateInvitations", batch).await);
    assert_eq!(answer["createdCount"], 2);
    let [four_id, five_id] = [0, 1].map(|n| text(&answer["results"][n]["invitationId"]));
    let (four, five) = (story.fetch(FOUR, &four_id).await, story.fetch(FIVE, &five_id).await);

    // The outside mailer fails, is asked again, and tells that it went out.
    let mut failed = named(&three_id);
    failed["state"] = "DELIVERY_STATE_FAILED".into();
    failed["error"] = "no such mailbox".into();
    story.ask("ReportDelivery", failed).await;
    story.ask_as("ada", "ResendInvitation", named(&three_id)).await;
    assert_eq!(story.fetch(THREE, &three_id).await, three);
    let mut sent = named(&three_id);
    sent["state"] = "DELIVERY_STATE_SENT".into();
    story.ask("ReportDelivery", sent).await;

    // One runs out; its holder asks for another, which replaces its link.
    let end = json!(from_now(chrono::TimeDelta::milliseconds(1500)));
    let ending = json!({"invitation": {"teamId": team, "id": five_id, "expireTime": end}, "updateMask": "expireTime"});
    let ending = story.ask_as("ada", "UpdateInvitation", ending).await;
    assert!(ending["invitation"].is_object(), "{ending}");
    eventually("it runs out", async || {
        let found = story.ask("GetInvitation", named(&five_id)).await;
        assert!(found["invitation"].is_object(), "{found}");
        (found["invitation"]["state"] == "INVITATION_STATE_EXPIRED").then_some(())
    })
    .await;
    story.ask("PreviewInvitation", json!({"token": five})).await;
    story.answer("RequestNewInvitation", json!({"token": five})).await;
    story.ask_as("ada", "ResendInvitation", named(&five_id)).await;
    let newer = story.fetch(FIVE, &five_id).await;
    assert_ne!(newer, five);

    // Accepted, declined, canceled, refused for every reason that a token can be refused for, and damaged.
    for token in [&one, &two, &three, &four, &five, &newer] {
        story.ask("PreviewInvitation", json!({"token": token})).await;
        let refused =
            story.ask("AcceptInvitation", json!({"token": token, "userId": "kim", "requestId": token[..20]})).await;
        assert!(refused == "EMAIL_MISMATCH" || refused == "LINK_REPLACED", "{refused}");
        assert_eq!(story.ask("AcceptInvitation", json!({"token": token})).await, "INVALID_FIELD");
        let refused = story.ask("AcceptInvitation", json!({"token": token, "userId": "nobody"})).await;
        assert!(refused == "USER_NOT_FOUND" || refused == "LINK_REPLACED", "{refused}");
        for damaged in [format!("{token}A"), token[1..].to_owned()] {
            let accept = json!({"token": damaged, "newUser": {}, "requestId": "damaged"});
            assert_eq!(story.ask("AcceptInvitation", accept).await, "TOKEN_INVALID");
            assert_eq!(story.ask("DeclineInvitation", json!({"token": damaged})).await, "TOKEN_INVALID");
            assert_eq!(story.ask("PreviewInvitation", json!({"token": damaged})).await, "TOKEN_INVALID");
            assert_eq!(story.ask("RequestNewInvitation", json!({"token": damaged})).await, "TOKEN_INVALID");
        }
    }
    story.answer("AcceptInvitation", json!({"token": one, "newUser": {"userId": "one"}})).await;
    story.answer("DeclineInvitation", json!({"token": two})).await;
    story.ask_as("ada", "CancelInvitation", named(&four_id)).await;
    let accept = json!({"token": four, "newUser": {}});
    assert_eq!(story.ask("AcceptInvitation", accept).await, "INVITATION_CANCELED");
    let accept = json!({"token": five, "newUser": {}});
    assert_eq!(story.ask("AcceptInvitation", accept).await, "LINK_REPLACED");
    story.ask_as("ada", "DeleteInvitation", named(&two_id)).await;
    assert_eq!(story.ask("AcceptInvitation", json!({"token": two, "newUser": {}})).await, "INVITATION_DECLINED");

    // A token where something else should be.
    story.ask("GetInvitation", named(&three)).await;
    story.ask("AcceptInvitation", json!({"invitationId": three, "userId": "kim"})).await;
    story.ask("ListInvitations", json!({"teamId": team, "pageToken": three})).await;
    story.ask("ListEvents", json!({"cursor": three})).await;

    // A defect while a token is looked at, whose cause is told in the log.
    session.run(&format!("UPDATE invitations SET channel = 'NONSENSE' WHERE email = '{THREE}'")).await;
    let accept = json!({"token": three, "newUser": {"userId": "three"}, "requestId": "defect"});
    assert_eq!(story.ask("AcceptInvitation", accept).await, "INTERNAL");
    assert_eq!(story.ask("PreviewInvitation", json!({"token": three})).await, "INTERNAL");
    session.run(&format!("UPDATE invitations SET channel = 'EXTERNAL' WHERE email = '{THREE}'")).await;

    for list in ["ListInvitations", "ListRoster", "ListMembers"] {
        story.ask(list, json!({"teamId": team})).await;
    }
    story.ask("ListMyInvitations", json!({"userId": "kim"})).await;
}

/// So long from now, to the microsecond.
#[expect(clippy::disallowed_methods, reason = "the program that is tested lives by the real clock")]
fn from_now(delta: chrono::TimeDelta) -> String {
    let time = chrono::Utc::now() + delta;
    time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}

/// The forms in which a token could be written down: as it is, and as the bytes of its letters or of its code.
fn forms(token: &str) -> Vec<String> {
    // The end of it would do, for the rest is known to whoever knows the invitation's id.
    let tail = &token[token.len() - 40..];
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let inside = URL_SAFE_NO_PAD.decode(token).unwrap();
    let code = &inside[inside.len() - 32..];
    let numbers = |bytes: &[u8]| bytes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    vec![
        tail.to_owned(),
        STANDARD_NO_PAD.encode(&inside)[token.len() - 40..].to_owned(),
        STANDARD_NO_PAD.encode(code),
        URL_SAFE_NO_PAD.encode(code),
        hex(tail.as_bytes()),
        hex(code),
        numbers(code),
        numbers(tail.as_bytes()),
    ]
}

/// What is looked for.
struct Secrets(Vec<String>);

impl Secrets {
    /// None of it stands here, in whatever case.
    #[track_caller]
    fn assert_absent(&self, place: &str, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
        for form in &self.0 {
            let found = text.find(&form.to_ascii_lowercase());
            assert!(
                found.is_none(),
                "{place} holds {form}: …{}",
                found.map_or("", |at| &text[at.saturating_sub(80)..])
            );
        }
    }
}

/// All that stands in the tables, by their names. Bytes come as hexadecimal digits, on SQLite all texts too.
async fn tables(db: Db, url: &str, session: &Session) -> BTreeMap<String, String> {
    let timeout = std::time::Duration::from_secs(10);
    let options =
        Options { url: url.to_owned(), max_connections: 2, acquire_timeout: timeout, statement_timeout: timeout };
    let database = Database::open(options).await.unwrap();
    let schema = catalog::read(&database).await;
    database.close().await.unwrap();
    let mut found = BTreeMap::new();
    for (name, table) in schema {
        let columns =
            table.columns.keys().map(|column| format!("hex(\"{column}\")")).collect::<Vec<_>>().join("||' '||");
        let sql = match db {
            Db::Sqlite => format!("SELECT coalesce(group_concat({columns}), '') FROM \"{name}\""),
            Db::Postgres => format!("SELECT coalesce(string_agg(t::text, ' '), '') FROM \"{name}\" t"),
        };
        found.insert(name, session.value::<String>(&sql).await);
    }
    found
}

/// What the mails say, each with its file's name. No line of it is folded.
fn mails(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder.join("data/mail")) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| path.extension().is_some_and(|extension| extension == "eml"));
    paths.map(|path| std::fs::read_to_string(path).unwrap().replace("=\r\n", "").replace("=\n", "")).collect()
}

fn is_to(mail: &str, address: &str) -> bool {
    mail.lines().any(|line| line.trim_end() == format!("To: {address}"))
}

both! {
    async fn a_token_stands_in_its_mail_alone(db: Db) {
        let database = TestDatabase::new(db).await;
        let session = Session::open(&database.url).await;
        let collector = Collector::start().await;
        let folder = tempfile::tempdir().unwrap();
        let settings = [
            ("ROSTER_TELEMETRY__LOG_FILTER", "trace"),
            ("ROSTER_TELEMETRY__OTLP_ENDPOINT", &collector.endpoint),
            ("ROSTER_DATABASE__URL", &database.url),
        ];
        let mut served = Served::start(folder.path(), &settings).await;
        let service = served.caller();
        let mut story =
            Story { service: service.clone(), team: String::new(), heard: Vec::new(), tokens: BTreeMap::new() };
        tell(&mut story, &session).await;
        // Two of those who were invited by mail are not open any more; the third was sent two.
        eventually("the mails", async || {
            let waiting: i64 = session.value("SELECT count(*) FROM mails").await;
            (waiting == 0 && mails(folder.path()).iter().any(|mail| is_to(mail, ONE))).then_some(())
        })
        .await;
        let log = Log::read(&service).await;
        served.process.signal("TERM");
        assert!(served.process.end().await.success());

        let tokens: Vec<&String> = story.tokens.values().flatten().collect();
        assert_eq!(tokens.len(), 7, "{tokens:?}");
        let secrets = Secrets(tokens.iter().flat_map(|token| forms(token)).collect());
        for (name, bytes) in &story.heard {
            secrets.assert_absent(&format!("an answer of {name}"), bytes);
        }
        for event in &log.events {
            secrets.assert_absent("an event", &event.encode_to_vec());
        }
        let lines = served.process.lines();
        for what in ["answering a retry", "RequestNewInvitation", "NONSENSE"] {
            assert!(lines.iter().any(|line| line.contains(what)), "the log has {what}");
        }
        secrets.assert_absent("the log", lines.join("\n").as_bytes());
        let spans = collector.received().await;
        assert!(!spans.is_empty(), "there are traces");
        for resource in spans.iter() {
            secrets.assert_absent("a trace", &resource.encode_to_vec());
            secrets.assert_absent("a trace", format!("{resource:?}").as_bytes());
        }
        let metrics = collector.metrics().await;
        assert!(!metrics.is_empty(), "there are metrics");
        for resource in metrics.iter() {
            secrets.assert_absent("a metric", format!("{resource:?}").as_bytes());
        }

        let tables = tables(db, &database.url, &session).await;
        // What is looked through is what was written: the addresses are there, in events too.
        let known = |form: String| tables.iter().filter(|(_, text)| text.to_ascii_lowercase().contains(&form)).count();
        let hex: String = ONE.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert!(known(ONE.to_owned()) + known(hex) >= 4, "{:?}", tables.keys());
        for (name, text) in &tables {
            secrets.assert_absent(&format!("the table {name}"), text.as_bytes());
        }
        for entry in std::fs::read_dir(folder.path().join("data")).unwrap().chain(std::fs::read_dir(database.folder.path()).unwrap()) {
            let path = entry.unwrap().path();
            if path.is_file() {
                secrets.assert_absent(&path.display().to_string(), &std::fs::read(&path).unwrap());
            }
        }

        // Each mail to somebody who was invited holds their token, and no mail holds anybody else's.
        let mails = mails(folder.path());
        for mail in &mails {
            let theirs = story.tokens.iter().find(|(address, _)| is_to(mail, address));
            let held: Vec<&String> = tokens.iter().copied().filter(|token| mail.contains(token.as_str())).collect();
            match theirs {
                Some((_, theirs)) => assert!(held.len() == 1 && theirs.contains(held[0]), "{mail}"),
                None => assert_eq!(held, [] as [&String; 0], "{mail}"),
            }
        }
        assert!(mails.iter().any(|mail| is_to(mail, ONE)));
        session.close().await;
    }
}
