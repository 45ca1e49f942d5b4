//! The whole story by plain HTTP: every RPC at least once, as the gateway's own log says.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use serde_json::{Value, json};
use tonic::{Code, transport::Endpoint};

use super::{Site, text};
use crate::{
    both,
    contract::api::RPCS,
    support::{Caller, Db, Outcome as _, http::Http, server::eventually},
};

both! {
    async fn every_rpc_can_be_called(db: Db) {
        let site = Site::new(db).await;
        let http = site.http();
        people(&http).await;
        members(&site, &http).await;
        roles(&site, &http).await;
        invitations(&site, &http).await;
        access_and_events(&site, &http).await;
        ends(&site, &http).await;

        let all: BTreeSet<String> = RPCS.iter().map(|rpc| format!("/{}/{}", rpc.service, rpc.name)).collect();
        eventually("the log names every RPC", async || {
            let called: BTreeSet<String> = site.envoy.process.lines().iter().filter_map(|line| called(line)).collect();
            let missing: Vec<_> = all.difference(&called).collect();
            if !missing.is_empty() {
                println!("not called yet: {missing:?}");
            }
            missing.is_empty().then_some(())
        })
        .await;
    }
}

/// The RPC of a line of the gateway's log, if it succeeded.
fn called(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    (line["status"] == 200).then(|| line["rpc"].as_str().map(str::to_owned))?
}

async fn people(http: &Http) {
    // An id with signs that mean something in a path.
    let odd = json!({"userId": "auth0|x:y", "email": "odd@example.com"});
    http.post("/v1/users", odd).await.done();
    assert_eq!(http.get("/v1/users/auth0%7Cx%3Ay").await.done()["user"]["email"], "odd@example.com");
    assert_eq!(http.get("/v1/users:lookup?email=ODD%40example.com").await.done()["user"]["id"], "auth0|x:y");

    let change = json!({"displayName": "Ada L.", "locale": "de"});
    let changed = http.patch("/v1/users/ada?updateMask=displayName", change).await.done();
    // The mask decides what is taken.
    assert_eq!((&changed["user"]["displayName"], &changed["user"]["locale"]), (&json!("Ada L."), &json!("")));

    let preferences = http.get("/v1/users/ada/notificationPreferences").await.done();
    assert_eq!(preferences["notificationPreferences"]["sounds"], true);
    let off = json!({"sounds": false});
    let changed = http.patch("/v1/users/ada/notificationPreferences?updateMask=sounds", off).await.done();
    assert_eq!(changed["notificationPreferences"]["sounds"], false);

    http.delete("/v1/users/auth0%7Cx%3Ay").await.done();
    http.get("/v1/users/auth0%7Cx%3Ay").await.refused(404, "roster", "USER_NOT_FOUND");
}

async fn members(site: &Site, http: &Http) {
    assert_eq!(http.get(&site.at("")).await.done()["team"]["version"], "2");
    assert_eq!(http.get("/v1/teams:lookup?slug=acme").await.done()["team"]["id"], site.team.as_str());
    let changed = http.patch(&site.at(""), json!({"name": "Acme Inc.", "labels": {"plan": "pro"}})).await.done();
    assert_eq!(changed["team"]["labels"], json!({"plan": "pro"}));
    http.post("/v1/teams", json!({"name": "Below", "parentTeamId": site.team})).await.done();
    for path in ["/v1/users/ada/teams", &site.at("/teams"), &site.at("/descendants")] {
        assert_eq!(http.get(path).await.done()["teams"].as_array().unwrap().len(), 1, "{path}");
    }

    http.post(&site.at("/members"), json!({"userId": "bob", "roleIds": ["admin"]})).await.done();
    http.post(&site.at("/members"), json!({"userId": "carol", "roleIds": ["member"]})).await.done();
    assert_eq!(http.get(&site.at("/members/bob")).await.done()["member"]["roleIds"], json!(["admin"]));
    let found = http.get(&site.at("/members:batchGet?userIds=bob&userIds=nobody")).await.done();
    assert_eq!(found["missingUserIds"], json!(["nobody"]));
    let page = http.get(&site.at("/members?pageSize=2&external=false&search=ca")).await.done();
    assert_eq!(page["members"].as_array().unwrap().len(), 1);
    let end = "2026-03-01T00:00:00Z";
    let change = json!({"roleIds": ["member"], "expireTime": end});
    let changed = http.patch(&site.at("/members/carol?updateMask=roleIds,expireTime"), change).await.done();
    assert_eq!(changed["member"]["expireTime"], end);
    let suspended = http.post(&site.at("/members/carol:suspend"), json!({})).await.done();
    assert_eq!(suspended["member"]["state"], "MEMBER_STATE_SUSPENDED");
    let statuses = "statuses=ROSTER_STATUS_SUSPENDED&statuses=ROSTER_STATUS_PENDING";
    let roster = http.get(&site.at(&format!("/roster?{statuses}"))).await.done();
    assert_eq!(roster["entries"][0]["email"], "carol@example.com");
    http.post(&site.at("/members/carol:reactivate"), json!({})).await.done();
    let grants = json!({"grants": [{"teamId": site.team, "roleIds": ["member"]}]});
    http.post("/v1/users/carol:setAccess", grants).await.done();
}

async fn roles(site: &Site, http: &Http) {
    let role = json!({"key": "helper", "name": "Helper", "permissions": ["catalog.*"]});
    let role = text(&http.post(&site.at("/roles"), role).await.done()["role"]["id"]);
    assert_eq!(http.get(&site.at(&format!("/roles/{role}"))).await.done()["role"]["key"], "helper");
    assert_eq!(http.get(&site.at("/roles")).await.done()["roles"].as_array().unwrap().len(), 4);
    let changed = http.patch(&site.at(&format!("/roles/{role}")), json!({"name": "Aide"})).await.done();
    assert_eq!(changed["role"]["name"], "Aide");
    http.delete(&site.at(&format!("/roles/{role}?validateOnly=true"))).await.done();
    http.delete(&site.at(&format!("/roles/{role}"))).await.done();
    assert_eq!(http.get("/v1/permissions?pageSize=1").await.done()["permissions"].as_array().unwrap().len(), 1);
}

async fn invitations(site: &Site, http: &Http) {
    let ada = http.clone().acting_for("ada");
    let invite = async |email: &str, channel: &str| {
        let invitation = json!({"email": email, "roleIds": ["member"], "deliveryChannel": channel});
        text(&ada.post(&site.at("/invitations"), invitation).await.done()["invitation"]["id"])
    };
    let of = |invitation: &str, rest: &str| site.at(&format!("/invitations/{invitation}{rest}"));
    let token = async |invitation: &str| text(&http.get(&of(invitation, "/link")).await.done()["token"]);

    let dan = invite("dan@example.com", "DELIVERY_CHANNEL_LINK_ONLY").await;
    assert_eq!(http.get(&of(&dan, "")).await.done()["invitation"]["inviterUserId"], "ada");
    let listed = http.get(&site.at("/invitations?states=INVITATION_STATE_PENDING&emailPrefix=da")).await.done();
    assert_eq!(listed["invitations"][0]["id"], dan.as_str());
    ada.patch(&of(&dan, "?updateMask=message"), json!({"message": "Hello"})).await.done();
    ada.post(&of(&dan, ":resend"), json!({})).await.done();
    let link = token(&dan).await;
    let preview = http.post("/v1/invitations:preview", json!({"token": link})).await.done();
    assert_eq!(preview["preview"]["message"], "Hello");
    let accepted =
        http.post("/v1/invitations:accept", json!({"token": link, "newUser": {"userId": "dan"}})).await.done();
    assert_eq!(accepted["member"]["source"], "MEMBER_SOURCE_INVITATION");

    let eve = invite("eve@example.com", "DELIVERY_CHANNEL_LINK_ONLY").await;
    http.post("/v1/invitations:decline", json!({"token": token(&eve).await})).await.done();
    http.delete(&of(&eve, "")).await.done();
    let fay = invite("fay@example.com", "DELIVERY_CHANNEL_EXTERNAL").await;
    let sent = json!({"state": "DELIVERY_STATE_SENT"});
    let reported = http.post(&of(&fay, ":reportDelivery"), sent).await.done();
    assert_eq!(reported["invitation"]["delivery"]["sendCount"], 1);
    ada.post(&of(&fay, ":cancel"), json!({})).await.done();
    let pasted = json!({"text": "Gil <gil@example.com>; bob@example.com", "roleIds": ["member"]});
    let batch = ada.post(&site.at("/invitations:batchCreate"), pasted).await.done();
    assert_eq!(batch["createdCount"], 1);
    assert_eq!(batch["results"][1]["outcome"], "BATCH_INVITATION_OUTCOME_ALREADY_MEMBER");
    assert_eq!(http.get("/v1/invitations?userId=carol").await.done()["invitations"], json!([]));
}

async fn access_and_events(site: &Site, http: &Http) {
    // What is false is there to be read.
    let checked = http.get(&site.at("/access/carol:check?permission=roster.teams.delete")).await.done();
    assert_eq!(checked, json!({"allowed": false}));
    let question = json!({"userId": "ada", "teamId": site.team, "permission": "a.b"});
    let answers = http.post("/v1/access:batchCheck", json!({"checks": [question]})).await.done();
    assert_eq!(answers["results"], json!([{"allowed": true}]));
    let explained = http.get(&site.at("/access/ada:explain?permission=a.b")).await.done();
    assert_eq!(explained["reason"], "ACCESS_REASON_GRANTED");

    let listed = http.get(&format!("/v1/events?teamId={}&pageSize=1", site.team)).await.done();
    assert_eq!((&listed["events"][0]["teamVersion"], &listed["hasMore"]), (&json!("1"), &json!(true)));

    // The first events are there while the call goes on, and the next one when it happens.
    let mut watch = http.open("GET", &format!("/v1/events:watch?teamId={}", site.team), "").await;
    assert_eq!(watch.response.status(), 200);
    let first = watch.next().await.unwrap();
    assert!(serde_json::from_str::<Value>(&first).unwrap()["checkpoint"]["cursor"].is_string(), "{first}");
    http.patch(&site.at(""), json!({"name": "Acme again"})).await.done();
    loop {
        let line = watch.next().await.expect("a stream that goes on");
        assert!(line.ends_with('\n'), "{line}");
        if line.contains("teamUpdated") {
            break;
        }
    }
}

async fn ends(site: &Site, http: &Http) {
    let hal =
        json!({"email": "hal@example.com", "roleIds": ["member"], "deliveryChannel": "DELIVERY_CHANNEL_LINK_ONLY"});
    let hal = http.clone().acting_for("ada").post(&site.at("/invitations"), hal).await.done();
    let link = site.at(&format!("/invitations/{}/link", text(&hal["invitation"]["id"])));
    let token = text(&http.get(&link).await.done()["token"]);
    site.server.clock.advance(TimeDelta::days(20));
    http.post("/v1/invitations:requestNew", json!({"token": token})).await.done();

    http.clone().acting_for("dan").post(&site.at(":leave"), json!({})).await.done();
    let ada = http.clone().acting_for("ada");
    let passed = ada.post(&site.at(":transferOwnership"), json!({"newOwnerUserId": "bob"})).await.done();
    assert_eq!(passed["owner"]["user"]["id"], "bob");
    http.delete(&site.at("/members/ada")).await.done();
    http.post(&site.at(":disable"), json!({})).await.done();
    http.post(&site.at(":enable"), json!({})).await.done();
    http.delete(&site.at("?cascade=true")).await.done();
    http.get(&site.at("")).await.refused(404, "roster", "TEAM_NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpc_passes_as_it_is() {
    let site = Site::new(Db::Sqlite).await;
    let endpoint = Endpoint::from_shared(format!("http://{}", site.envoy.address)).unwrap();
    let ada = Caller::new(endpoint.connect_lazy()).acting_for("ada");
    assert_eq!(ada.members(&site.team).await, ["ada owner"]);
    ada.leave(&site.team).await.refused(Code::FailedPrecondition, "LAST_OWNER");
}
