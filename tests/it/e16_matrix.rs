//! Who may call what: every RPC by every kind of caller, as one table.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use roster::config::{AuthMode, Config};
use roster_proto::v1::{self as wire, SuspendMemberRequest};
use tonic::Status;

use crate::{
    both,
    contract::api::RPCS,
    support::{
        Caller, Db, Outcome as _, TestServer,
        caller::service_token,
        outcome::error_info,
        rpc::{REQUESTS, filled, rpc},
        scene::{create_team, create_user},
    },
};

/// Those who call, and as what the table knows them.
const CALLERS: [&str; 9] =
    ["service", "no scope", "owner", "admin", "member", "below", "suspended", "expired", "stranger"];

/// A service that may do everything, and one that may do nothing here.
fn tokens(config: &mut Config) {
    config.auth.mode = AuthMode::Credentials;
    config.auth.tokens = vec![service_token("all", &["*"], true), service_token("none", &["catalog.read"], true)];
}

/// A team with somebody of every kind in it, and the ids that requests need.
async fn acme(server: &TestServer) -> BTreeMap<&'static str, String> {
    let service = &server.service().with_token("all");
    for user in ["ada", "bob", "carol", "dan", "eve", "fay", "newcomer"] {
        create_user(service, user).await;
    }
    let policy = wire::TeamPolicy { profile_editing: wire::ProfileEditing::Admins.into(), ..Default::default() };
    let create = wire::CreateTeamRequest {
        name: "Acme".to_owned(),
        slug: "acme".to_owned(),
        owner_user_id: "ada".to_owned(),
        policy: Some(policy),
        ..Default::default()
    };
    let team = service.teams().create_team(create).await.done().team.unwrap().id;
    let below =
        wire::CreateTeamRequest { name: "Below".to_owned(), parent_team_id: team.clone(), ..Default::default() };
    let child = service.teams().create_team(below).await.done().team.unwrap().id;
    for (user, role) in [("bob", "admin"), ("carol", "member"), ("dan", "admin"), ("eve", "admin")] {
        service.add(&team, user, &[role]).await.done();
    }
    service.add(&child, "fay", &["admin"]).await.done();
    suspend(service, &team, "dan").await;
    let soon = server.clock.env().now() + TimeDelta::minutes(1);
    let expired = service.invite(&team, "late@example.com", &["member"]).await.done().invitation.unwrap();
    let expired_token = service.token(&team, &expired.id).await;
    service.end_invitation_at(&team, &expired.id, soon).await.done();
    expire(server, service, &team, "eve").await;
    let role = wire::Role {
        team_id: team.clone(),
        key: "reader".to_owned(),
        name: "Reader".to_owned(),
        permissions: vec!["roster.teams.read".to_owned()],
        ..Default::default()
    };
    let role = service.roles().create_role(wire::CreateRoleRequest { role: Some(role), ..Default::default() }).await;
    let invitation = service.invite(&team, "invited@example.com", &["member"]).await.done().invitation.unwrap().id;
    create_user(service, "invited").await;
    create_team(service, "Elsewhere", "newcomer").await;
    let token = service.token(&team, &invitation).await;
    let outside = service.invite_outside(&team, "outside@example.com").await;
    let role = role.done().role.unwrap().id;
    [
        ("granted", team.clone()),
        ("delivery", service.delivery(&team, &outside).await),
        ("team", team),
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

async fn suspend(service: &Caller, team: &str, user: &str) {
    let (team_id, user_id) = (team.to_owned(), user.to_owned());
    service.teams().suspend_member(SuspendMemberRequest { team_id, user_id, ..Default::default() }).await.done();
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

both! {
    async fn every_rpc_by_every_kind_of_caller(db: Db) {
        let server = TestServer::with(db, tokens).await;
        let ids = acme(&server).await;
        let mut table = format!("{:66} {}\n", "", CALLERS.map(|kind| format!("{kind:10}")).join(" ").trim_end());
        for (name, template) in REQUESTS {
            let json = harmless(name, template, &ids);
            let mut row = Vec::new();
            for kind in CALLERS {
                let answer = caller(&server, kind).call(rpc(name), &json).await;
                row.push(format!("{:10}", verdict(answer)));
            }
            let asked: String = template.replace(['"', '{', '}'], "").chars().take(65 - name.len()).collect();
            table += format!("{:66} {}", format!("{name} {asked}"), row.join(" ")).trim_end();
            table.push('\n');
        }
        insta::assert_snapshot!("matrix", table);
    }
}
