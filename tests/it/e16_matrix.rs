//! Who may call what: every RPC by every kind of caller, as one table; and another for a team that is disabled.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use roster::config::{AuthMode, Config};
use roster_proto::v1 as wire;
use tonic::Status;

use crate::{
    both,
    contract::api::RPCS,
    support::{
        Caller, Db, Outcome as _, TestServer,
        acts::{below, role},
        caller::service_token,
        outcome::error_info,
        rpc::{REQUESTS, filled, rpc},
        scene::{create_team, create_user},
    },
};

/// Those who call, and as what the table knows them.
const CALLERS: [&str; 10] =
    ["service", "no scope", "owner", "admin", "member", "external", "below", "suspended", "expired", "stranger"];

/// Those who call while the team is disabled: `owner` and `above`, an admin, are members of the root, the others of the
/// team itself.
const WHILE_DISABLED: [&str; 5] = ["service", "owner", "above", "admin", "member"];

/// A service that may do everything, and one that may do nothing here.
fn tokens(config: &mut Config) {
    config.auth.mode = AuthMode::Credentials;
    config.auth.tokens = vec![service_token("all", &["*"], true), service_token("none", &["catalog.read"], true)];
}

/// People, and a root team that one of them owns.
async fn root(service: &Caller, slug: &str) -> String {
    for user in ["ada", "bob", "carol", "dan", "eve", "fay", "gil", "hal", "newcomer", "invited"] {
        create_user(service, user).await;
    }
    // Where those are at home who are not here.
    create_team(service, "Elsewhere", "newcomer").await;
    create_team(service, "Another", "gil").await;
    let policy = wire::TeamPolicy { profile_editing: wire::ProfileEditing::Admins.into(), ..Default::default() };
    let create = wire::CreateTeamRequest {
        name: "Root".to_owned(),
        slug: slug.to_owned(),
        owner_user_id: "ada".to_owned(),
        policy: Some(policy),
        ..Default::default()
    };
    service.teams().create_team(create).await.done().team.unwrap().id
}

/// A root team with somebody of every kind in it, and the ids that requests need.
async fn acme(server: &TestServer) -> BTreeMap<&'static str, String> {
    let service = &server.service().with_token("all");
    let team = root(service, "acme").await;
    peopled(server, service, &team, &team).await
}

/// The same for a team below a root whose admin reaches down.
async fn acme_below(server: &TestServer) -> BTreeMap<&'static str, String> {
    let service = &server.service().with_token("all");
    let root = root(service, "root").await;
    service.add(&root, "hal", &["admin"]).await.done();
    let team = wire::CreateTeamRequest { slug: "acme".to_owned(), ..below(&root, "Acme") };
    let team = service.teams().create_team(team).await.done().team.unwrap().id;
    peopled(server, service, &root, &team).await
}

/// Brings somebody of every kind into a team of a tree, and answers the ids that requests need.
async fn peopled(server: &TestServer, service: &Caller, root: &str, team: &str) -> BTreeMap<&'static str, String> {
    let child = service.create_below(team, "Below").await;
    for (user, role) in [("bob", "admin"), ("carol", "member"), ("dan", "admin"), ("eve", "admin"), ("gil", "member")] {
        service.add(team, user, &[role]).await.done();
    }
    service.add(&child, "fay", &["admin"]).await.done();
    service.suspend(team, "dan").await.done();
    let soon = server.clock.env().now() + TimeDelta::minutes(1);
    let expired = service.invite(team, "late@example.com", &["member"]).await.done().invitation.unwrap();
    let expired_token = service.token(team, &expired.id).await;
    service.end_invitation_at(team, &expired.id, soon).await.done();
    expire(server, service, team, "eve").await;
    let role = service.make_role(role(root, "reader", &["roster.teams.read"])).await.done().role.unwrap().id;
    let invitation = service.invite(team, "invited@example.com", &["member"]).await.done().invitation.unwrap().id;
    let token = service.token(team, &invitation).await;
    let outside = service.invite_outside(team, "outside@example.com").await;
    [
        ("granted", team.to_owned()),
        ("delivery", service.delivery(team, &outside).await),
        ("team", team.to_owned()),
        ("child", child),
        ("target", "carol".to_owned()),
        ("newcomer", "newcomer".to_owned()),
        ("invited", "invited".to_owned()),
        ("fresh", "fresh".to_owned()),
        ("replacement", "member".to_owned()),
        ("timed", role.clone()),
        ("given", role.clone()),
        ("role", role),
        ("invitation", invitation),
        ("outside", outside),
        ("token", token),
        ("expired", expired_token),
    ]
    .into()
}

/// Lets a membership run out; the sweeper may or may not have told of it when the table is made.
async fn expire(server: &TestServer, service: &Caller, team: &str, user: &str) {
    let end = server.clock.env().now() + TimeDelta::minutes(1);
    let member = wire::Member {
        team_id: team.to_owned(),
        subject: Some(wire::member::Subject::User(wire::User { id: user.to_owned(), ..Default::default() })),
        expire_time: Some(prost_types::Timestamp { seconds: end.timestamp() + 1, nanos: 0 }),
        ..Default::default()
    };
    service
        .teams()
        .update_member(wire::UpdateMemberRequest { member: Some(member), ..Default::default() })
        .await
        .done();
    server.clock.advance(TimeDelta::minutes(2));
}

fn caller(server: &TestServer, kind: &str) -> Caller {
    let all = server.service().with_token("all");
    match kind {
        "service" => all,
        "no scope" => server.service().with_token("none"),
        "owner" => all.acting_for("ada"),
        "admin" => all.acting_for("bob"),
        "member" => all.acting_for("carol"),
        "external" => all.acting_for("gil"),
        "above" => all.acting_for("hal"),
        "below" => all.acting_for("fay"),
        "suspended" => all.acting_for("dan"),
        "expired" => all.acting_for("eve"),
        _ => all.acting_for("newcomer"),
    }
}

/// `yes`, or why not; a denial, which is the usual reason, as a dash.
fn verdict(answer: Result<Vec<u8>, Status>) -> String {
    match answer.map_err(|status| error_info(&status).reason) {
        Ok(_) => "yes".to_owned(),
        Err(reason) if reason == "PERMISSION_DENIED" => "-".to_owned(),
        Err(reason) => reason,
    }
}

/// The request of a template, which changes nothing.
fn harmless(name: &str, template: &str, ids: &BTreeMap<&str, String>) -> String {
    let json = filled(template, ids);
    if rpc(name).reads() { json } else { json.replacen('{', r#"{"validateOnly": true, "#, 1).replace(", }", "}") }
}

#[test]
fn every_rpc_has_a_row() {
    for rpc in RPCS.iter() {
        assert!(REQUESTS.iter().any(|(name, _)| *name == rpc.name), "{} has no row", rpc.name);
    }
}

/// What every request comes to for each of these callers.
async fn verdicts(server: &TestServer, ids: &BTreeMap<&str, String>, callers: &[&str]) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for (name, template) in REQUESTS {
        let json = harmless(name, template, ids);
        let mut row = Vec::new();
        for kind in callers {
            row.push(verdict(caller(server, kind).call(rpc(name), &json).await));
        }
        rows.push(row);
    }
    rows
}

/// The verdicts as text, in columns of this width.
fn table(callers: &[&str], rows: &[Vec<String>], width: usize) -> String {
    let line = |cells: Vec<&str>| cells.iter().map(|cell| format!(" {cell:width$}")).collect::<String>();
    let mut table = format!("{:66}{}\n", "", line(callers.to_vec()).trim_end());
    for ((name, template), row) in REQUESTS.iter().zip(rows) {
        let asked: String = template.replace(['"', '{', '}'], "").chars().take(65 - name.len()).collect();
        let cells = line(row.iter().map(String::as_str).collect());
        table += format!("{:66}{cells}", format!("{name} {asked}")).trim_end();
        table.push('\n');
    }
    table
}

both! {
    async fn every_rpc_by_every_kind_of_caller(db: Db) {
        let server = TestServer::with(db, tokens).await;
        let ids = acme(&server).await;
        let rows = verdicts(&server, &ids, &CALLERS).await;
        insta::assert_snapshot!("matrix", table(&CALLERS, &rows, 10));
    }

    async fn every_rpc_while_the_team_is_disabled(db: Db) {
        let server = TestServer::with(db, tokens).await;
        let ids = acme_below(&server).await;
        let before = verdicts(&server, &ids, &WHILE_DISABLED).await;
        server.service().with_token("all").disable(&ids["team"]).await.done();
        let rows = verdicts(&server, &ids, &WHILE_DISABLED).await;
        for ((before, after), request) in before.iter().zip(&rows).zip(REQUESTS) {
            for ((kind, before), after) in WHILE_DISABLED.iter().zip(before).zip(after) {
                // Nobody comes to more, and what is refused beyond that is refused for being disabled.
                assert!(after == before || after == "TEAM_DISABLED", "{request:?} by {kind}: {before}, then {after}");
            }
        }
        insta::assert_snapshot!("matrix_while_disabled", table(&WHILE_DISABLED, &rows, 13));
    }
}
