//! What operators are given to read and to load, against the numbers of a real server after a real story: the table of
//! metrics in `docs/operations.md`, the dashboard, and the rules for alerts.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use roster::config::EventEncoding;
use roster_proto::v1::{CreateUserRequest, WatchRequest};
use serde_json::Value as Json;
use tonic::Code;

use super::{
    metrics::published,
    promql::{Asked, asked},
};
use crate::{
    architecture::source::root,
    both,
    relay::broker::Topic,
    support::{Db, Outcome as _, Scene, TestServer, scrape::Numbers, scrape::wait_for},
};

/// What Prometheus adds to every series, or has of its own.
const OF_PROMETHEUS: [&str; 3] = ["instance", "job", "le"];
const UP: &str = "up";

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|why| panic!("{path}: {why}"))
}

/// The metrics that the document lists: each one's type and labels, and whether a label is there only at times.
fn documented() -> BTreeMap<String, (String, BTreeMap<String, bool>)> {
    let text = read("docs/operations.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"));
    let rows = rows.map(|row| row.split(" | ").collect::<Vec<_>>()).filter(|cells| cells.len() == 4);
    let metrics = rows.map(|cells| {
        let labels = cells[2].split(", ").filter(|label| !label.is_empty());
        let labels =
            labels.map(|label| (label.trim_end_matches('?').trim_matches('`').to_owned(), label.ends_with('?')));
        (cells[0].trim_end_matches('`').to_owned(), (cells[1].to_owned(), labels.collect()))
    });
    metrics.collect()
}

/// A little of everything that a server can have to tell of.
async fn story(db: Db) -> Numbers {
    let topic = Topic::new(EventEncoding::Protobuf);
    let s = Scene::on(TestServer::with(db, published(&topic)).await).await;
    let address = s.server.admin_address();
    let create = || CreateUserRequest {
        email: "dan@example.com".to_owned(),
        request_id: "once".to_owned(),
        ..Default::default()
    };
    s.service().users().create_user(create()).await.done();
    s.service().users().create_user(create()).await.done();
    s.person("ada").leave(&s.team).await.refused(Code::FailedPrecondition, "LAST_OWNER");
    s.person("ada").list(&s.team).await.done();
    let _stream = s.service().events().watch(WatchRequest::default()).await.unwrap();
    s.person("ada").invite(&s.team, "eve@example.com", &["member"]).await.done();
    wait_for(address, "roster_mail_attempt_duration_seconds_count", &[("roster_mail_outcome", "sent")], 1.0).await;
    wait_for(address, "roster_outbox_pending", &[], 0.0).await
}

/// Whether everything that is asked for is there to be had.
#[track_caller]
fn assert_answerable(numbers: &Numbers, place: &str, asked: &Asked, known: &BTreeMap<String, BTreeSet<String>>) {
    let names = numbers.names();
    let all: BTreeSet<&String> = known.values().flatten().collect();
    for label in &asked.grouped {
        assert!(OF_PROMETHEUS.contains(&label.as_str()) || all.contains(label), "{place} groups by {label}");
    }
    for (name, labels) in asked.series.iter().filter(|(name, _)| name != UP) {
        assert!(names.contains(name.as_str()), "{place} asks for {name}, which there is not");
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| known.get_key_value(name.strip_suffix(end)?));
        let (_, has) = family.or_else(|| known.get_key_value(name)).unwrap_or_else(|| panic!("{name} is not known"));
        for label in labels {
            assert!(
                OF_PROMETHEUS.contains(&label.as_str()) || has.contains(label),
                "{place} asks for {name} by {label}"
            );
        }
    }
    assert!(!asked.series.is_empty(), "{place} asks for nothing");
}

/// The expressions of the rules, by the names of the alerts.
fn rules() -> BTreeMap<String, String> {
    let text = read("docs/observability/alerts.yaml");
    let mut rules = BTreeMap::new();
    for rule in text.split("- alert: ").skip(1) {
        let (name, rest) = rule.split_once('\n').unwrap();
        let (_, expression) = rest.split_once("expr: >-\n").unwrap_or_else(|| panic!("{name} has no expression"));
        let (expression, rest) =
            expression.split_once("\n        for: ").unwrap_or_else(|| panic!("{name} has no time"));
        for part in ["severity: ", "summary: ", "runbook_url: "] {
            assert!(rest.contains(part), "{name} has no {part}");
        }
        assert!(rest.contains(&format!("operations.md#{}", name.to_lowercase())), "{name} says nothing of what to do");
        rules.insert(name.to_owned(), expression.to_owned());
    }
    rules
}

/// The panels of the dashboard, those in rows among them.
fn panels(dashboard: &Json) -> Vec<&Json> {
    let top = dashboard["panels"].as_array().unwrap();
    let nested = top.iter().filter_map(|panel| panel["panels"].as_array()).flatten();
    top.iter().chain(nested).filter(|panel| panel["type"] != "row").collect()
}

both! {
    async fn what_is_told_is_documented_and_what_is_asked_for_is_told(db: Db) {
        let numbers = story(db).await;
        let documented = documented();
        let told: BTreeSet<&String> = numbers.types.keys().filter(|name| *name != "target_info").collect();
        assert_eq!(told, documented.keys().collect(), "on the left what is told, on the right what is documented");
        for (name, (kind, labels)) in &documented {
            assert_eq!(kind, &numbers.types[name], "{name}");
            let seen = numbers.labels(name);
            let known: BTreeSet<String> = labels.keys().cloned().collect();
            assert!(seen.is_subset(&known), "{name} has {seen:?}, not {known:?}");
            let always = labels.iter().filter(|(_, at_times)| !**at_times).map(|(label, _)| label.clone());
            assert!(always.clone().all(|label| seen.contains(&label)), "{name} has {seen:?}, not {known:?}");
        }

        let known = documented.into_iter().map(|(name, (_, labels))| (name, labels.into_keys().collect())).collect();
        for (name, expression) in rules() {
            assert_answerable(&numbers, &name, &asked(&expression), &known);
        }
        for query in read("docs/operations.md").split("```promql\n").skip(1) {
            assert_answerable(&numbers, "the document", &asked(query.split("```").next().unwrap()), &known);
        }
        let dashboard: Json = serde_json::from_str(&read("docs/observability/dashboard.json")).unwrap();
        for panel in panels(&dashboard) {
            for target in panel["targets"].as_array().unwrap() {
                let expression = target["expr"].as_str().unwrap();
                assert_answerable(&numbers, panel["title"].as_str().unwrap(), &asked(expression), &known);
            }
        }
        for variable in dashboard["templating"]["list"].as_array().unwrap() {
            let Some(query) = variable["query"].as_str().and_then(|query| query.strip_prefix("label_values(")) else { continue };
            assert!(numbers.names().contains(query.split(',').next().unwrap()), "{query}");
        }
    }
}

#[test]
fn every_alert_has_a_chapter_that_says_what_to_do() {
    let text = read("docs/operations.md");
    let chapters: BTreeSet<String> =
        text.lines().filter_map(|line| line.strip_prefix("### Roster")).map(|name| format!("Roster{name}")).collect();
    assert_eq!(chapters, rules().into_keys().collect(), "on the left the chapters, on the right the rules");
}

#[test]
fn the_dashboard_can_be_loaded_anywhere() {
    let dashboard: Json = serde_json::from_str(&read("docs/observability/dashboard.json")).unwrap();
    assert_eq!(dashboard["uid"], "roster");
    assert!(dashboard["id"].is_null(), "an id belongs to one Grafana");
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    assert!(variables.iter().any(|one| one["type"] == "datasource" && one["query"] == "prometheus"), "{variables:#?}");
    let mut ids = BTreeSet::new();
    for panel in panels(&dashboard) {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}");
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{title} has no unit");
        assert!(
            panel["description"].as_str().is_some_and(|text| !text.is_empty()),
            "{title} does not say what it shows"
        );
    }
}
