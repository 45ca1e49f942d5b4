//! What a caller may not see answers exactly like what does not exist: every id of every request, once as the id of
//! something in another tree and once as that of nothing.

mod fields;

use std::collections::BTreeMap;

use roster_proto::v1 as wire;
use tonic::Status;

use crate::{
    both,
    support::{
        Db, Outcome as _, Scene,
        log::Log,
        outcome::kind,
        rpc::{REQUESTS, filled, rpc},
        scene::{create_team, create_user},
    },
};

/// Where a known id is of use although its owner is a stranger, and why.
const OPEN: [(&str, &str, &str); 2] = [
    ("AddMember", "newcomer", "whoever is recorded can be added by who knows the id"),
    ("SetUserAccess", "target", "it adds, too"),
];

/// An id in another tree, and one of nothing that is as long.
struct Pair {
    name: &'static str,
    foreign: String,
    nothing: String,
}

/// Another tree with a team, somebody in it, a role, an invitation.
async fn elsewhere(s: &Scene) -> Vec<Pair> {
    create_user(&s.service(), "stranger").await;
    let team = create_team(&s.service(), "Elsewhere", "stranger").await;
    let role = role(s, &team).await;
    let invitation = s.service().invite(&team, "guest@example.com", &["member"]).await.done().invitation.unwrap().id;
    let pair = |name, foreign: &str| {
        let nothing = if foreign == "stranger" { "nonexist" } else { "0198f0c2-9d3b-7c41-8f00-0123456789ab" };
        Pair { name, foreign: foreign.to_owned(), nothing: nothing.to_owned() }
    };
    let outside = s.service().invite_outside(&team, "mailed@example.com").await;
    let mut pairs = vec![
        pair("invitation", &invitation),
        pair("delivery", &s.service().delivery(&team, &outside).await),
        pair("outside", &outside),
    ];
    pairs.extend(["team", "child", "granted"].map(|name| pair(name, &team)));
    pairs.extend(["target", "newcomer", "invited", "fresh"].map(|name| pair(name, "stranger")));
    pairs.extend(["role", "timed", "given", "replacement"].map(|name| pair(name, &role)));
    pairs
}

async fn role(s: &Scene, team: &str) -> String {
    let role = wire::Role {
        team_id: team.to_owned(),
        key: "reader".to_owned(),
        name: "Reader".to_owned(),
        permissions: vec!["roster.teams.read".to_owned()],
        ..Default::default()
    };
    let request = wire::CreateRoleRequest { role: Some(role), ..Default::default() };
    s.service().roles().create_role(request).await.done().role.unwrap().id
}

/// What the requests are about when nothing is foreign.
async fn own(s: &Scene) -> BTreeMap<&'static str, String> {
    let below =
        wire::CreateTeamRequest { name: "Below".to_owned(), parent_team_id: s.team.clone(), ..Default::default() };
    let child = s.service().teams().create_team(below).await.done().team.unwrap().id;
    create_user(&s.service(), "dan").await;
    s.service().add(&s.team, "dan", &["member"]).await.done();
    let (invitation, token) = s.invited("invited@example.com", &["member"]).await;
    let role = role(s, &s.team).await;
    let outside = s.service().invite_outside(&s.team, "outside@example.com").await;
    [
        ("team", s.team.clone()),
        ("granted", s.team.clone()),
        ("child", child),
        ("target", "dan".to_owned()),
        ("newcomer", "eve".to_owned()),
        ("invited", "eve".to_owned()),
        ("fresh", "fay".to_owned()),
        ("timed", role.clone()),
        ("given", role.clone()),
        ("replacement", "member".to_owned()),
        ("role", role),
        ("invitation", invitation),
        ("delivery", s.service().delivery(&s.team, &outside).await),
        ("outside", outside),
        ("token", token),
    ]
    .into()
}

/// All that a caller can see of a refusal, with one id in place of another.
fn seen(refusal: &Status, id: &str, instead: &str) -> (tonic::Code, String, Vec<u8>) {
    let details: Vec<u8> = refusal.details().to_vec();
    if id.is_empty() {
        return (refusal.code(), refusal.message().to_owned(), details);
    }
    let positions: Vec<usize> =
        details.windows(id.len()).enumerate().filter(|(_, w)| *w == id.as_bytes()).map(|(i, _)| i).collect();
    let mut replaced = details;
    for at in positions {
        replaced[at..at + id.len()].copy_from_slice(instead.as_bytes());
    }
    (refusal.code(), refusal.message().replace(id, instead), replaced)
}

/// How many changes there have been, but for what this test's own look at the log makes.
async fn changes(s: &Scene) -> usize {
    let log = Log::read(&s.service()).await;
    log.events.iter().filter(|event| kind(event) != "user_created" && kind(event) != "invitation_sent").count()
}

both! {
    async fn foreign_and_nonexistent_look_the_same(db: Db) {
        let s = Scene::new(db).await;
        let (ids, pairs) = (own(&s).await, elsewhere(&s).await);
        let before = changes(&s).await;
        let mut compared = 0;
        for (name, template) in REQUESTS {
            for pair in pairs.iter().filter(|pair| template.contains(&format!("{{{}}}", pair.name))) {
                let open = OPEN.iter().any(|(rpc, field, _)| *rpc == name && *field == pair.name);
                for caller in ["ada", "bob", "carol"].iter().filter(|_| !open) {
                    let with = |id: &str| {
                        let mut ids = ids.clone();
                        ids.insert(pair.name, id.to_owned());
                        filled(template, &ids)
                    };
                    let foreign = s.person(caller).call(rpc(name), &with(&pair.foreign)).await;
                    let nothing = s.person(caller).call(rpc(name), &with(&pair.nothing)).await;
                    match (foreign, nothing) {
                        (Err(foreign), Err(nothing)) => {
                            let (foreign, nothing) = (seen(&foreign, &pair.foreign, &pair.nothing), seen(&nothing, "", ""));
                            assert_eq!(foreign, nothing, "{name} {template} with another {} by {caller}", pair.name);
                        }
                        (Ok(foreign), Ok(nothing)) => {
                            let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).replace(&pair.foreign, &pair.nothing);
                            assert_eq!(text(foreign), text(nothing), "{name} with another {} by {caller}", pair.name);
                        }
                        (foreign, nothing) => {
                            panic!("{name} with another {} by {caller}: {foreign:?} but {nothing:?}", pair.name)
                        }
                    }
                    compared += 1;
                }
            }
        }
        assert!(compared > 150, "only {compared} were compared");
        assert_eq!(changes(&s).await, before, "nothing was changed");
    }
}
