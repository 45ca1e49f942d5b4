//! The OpenAPI document: it is what the definitions say, a validator takes it, and the gateway answers as it says.

use std::{
    collections::BTreeSet,
    process::{Command, Stdio},
    time::Duration,
};

use prost_reflect::DescriptorPool;
use serde_json::Value;

use super::Site;
use crate::{
    architecture::source,
    contract::api::RPCS,
    support::{
        Db, parts,
        process::{Process, file, printed, roster, run},
    },
};

/// Where the document stands, for who builds no Roster.
const DOCUMENT: &str = "gateway/openapi.json";

/// What is checked of each answer.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance";

async fn generated() -> String {
    let folder = tempfile::tempdir().unwrap();
    let output = run(roster(folder.path(), &["openapi"], &[])).await;
    assert!(output.status.success(), "{}", printed(&output));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_is_up_to_date() {
    let kept = std::fs::read_to_string(source::root().join(DOCUMENT)).unwrap_or_default();
    assert!(
        kept == generated().await,
        "{DOCUMENT} is out of date: `cargo run --quiet -- openapi > {DOCUMENT}` makes it"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(parts::openapi_validator());
    command.args(["--validation-errors", "all"]).arg(file(folder.path(), "openapi.json", &generated().await));
    let output = run(command).await;
    assert!(output.status.success() && printed(&output).contains("OK"), "{}", printed(&output));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_to_an_rpc_is_in_the_document() {
    let document: Value = serde_json::from_str(&generated().await).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.values().flat_map(|path| path.as_object().unwrap().values());
    let ids: Vec<&str> = operations.clone().map(|operation| operation["operationId"].as_str().unwrap()).collect();
    let unique: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!((ids.len(), unique.len()), (RPCS.iter().map(|rpc| rpc.http.len()).sum(), ids.len()));
    for rpc in RPCS.iter() {
        let service = rpc.service.rsplit('.').next().unwrap();
        let id = format!("{service}_{}", rpc.name);
        let operation = operations.clone().find(|operation| operation["operationId"] == id.as_str()).unwrap();
        assert_eq!(operation["x-required-permission"].as_str(), rpc.permission.as_deref(), "{id}");
        assert!(operation["summary"].as_str().is_some_and(|summary| rpc.comment.contains(&summary[..9])), "{id}");
    }
    // A field has one place: the path, the query or the body.
    let update = &paths["/v1/teams/{teamId}"]["patch"];
    let parameters = |operation: &Value| -> Vec<String> {
        let named = operation["parameters"].as_array().unwrap().iter().filter_map(|one| one["name"].as_str());
        named.map(str::to_owned).collect()
    };
    assert_eq!(parameters(update), ["teamId", "updateMask", "etag", "requestId", "validateOnly"]);
    let get = &paths["/v1/teams/{teamId}"]["get"];
    assert_eq!(parameters(get), ["teamId", "consistency.atLeastAsFresh", "consistency.fullyConsistent"]);
    let lookup = &paths["/v1/teams:lookup"]["get"];
    assert_eq!(parameters(lookup), ["slug", "consistency.atLeastAsFresh", "consistency.fullyConsistent"]);
    let create = &document["components"]["schemas"]["CreateInvitationRequest"]["properties"];
    assert!(create["email"].is_object() && create["teamId"].is_null(), "{create}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_descriptors_hold_all_that_a_transcoder_needs() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(roster(folder.path(), &["descriptor"], &[])).await;
    let pool = DescriptorPool::decode(output.stdout.as_slice()).unwrap();
    for name in ["google.rpc.Status", "google.rpc.ErrorInfo", "google.rpc.BadRequest", "google.protobuf.Any"] {
        assert!(pool.get_message_by_name(name).is_some(), "{name}");
    }
    let rule = pool.get_extension_by_name("google.api.http").unwrap();
    let service = pool.get_service_by_name("roster.v1.TeamService").unwrap();
    assert!(service.methods().all(|method| method.options().has_extension(&rule)));
}

/// Nobody wants them on a screen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_descriptors_are_not_shown_on_a_terminal() {
    let script = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
    let mut command = Command::new(parts::python());
    command.args(["-c", script, env!("CARGO_BIN_EXE_roster"), "descriptor"]).stdin(Stdio::null());
    let output = run(command).await;
    assert_eq!(output.status.code(), Some(2), "{}", printed(&output));
    assert!(printed(&output).contains("roster descriptor > roster.binpb"), "{}", printed(&output));
}

/// Requests that a property-based tester makes up from the document: no failure of the server's, and no answer that the
/// document does not describe. Watch, which does not end, is told of in `story`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn made_up_requests_are_answered_as_the_document_says() {
    let site = Site::new(Db::Sqlite).await;
    let folder = tempfile::tempdir().unwrap();
    // Most ids are such that there is something to find.
    let known = format!(
        r#"
            [dictionaries.teams]
            values = [{:?}]
            [dictionaries.users]
            values = ["ada", "bob", "carol"]
            [dictionaries.actors]
            values = ["user:ada", "user:bob"]
            [parameters]
            "path.teamId" = {{ dictionary = "teams", probability = 0.8 }}
            "path.userId" = {{ dictionary = "users", probability = 0.8 }}
            "header.roster-actor" = {{ dictionary = "actors", probability = 0.8 }}
        "#,
        site.team
    );
    let config = file(folder.path(), "schemathesis.toml", &known);
    let phases = if parts::torture() { "examples,coverage,fuzzing" } else { "fuzzing" };
    let mut command = Command::new(parts::schemathesis());
    command.current_dir(folder.path()).arg("--config-file").arg(config).arg("run");
    command
        .arg(file(folder.path(), "openapi.json", &generated().await))
        .arg("--url")
        .arg(format!("http://{}", site.envoy.address));
    command.args(["--checks", CHECKS, "--phases", phases, "--exclude-operation-id", "EventService_Watch"]);
    command.args([
        "--max-examples",
        &parts::count(5, 300).to_string(),
        "--seed",
        "1",
        "--suppress-health-check",
        "all",
    ]);
    command.args(["--generation-database", "none", "--continue-on-failure", "--no-color"]);
    let mut tester = Process::start(command);
    let status = tester.end_within(Duration::from_mins(if parts::torture() { 60 } else { 5 })).await;
    assert!(status.success(), "{}", tester.lines().join("\n"));
}
