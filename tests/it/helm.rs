//! The Helm chart: rendered by Helm's own library for each set of values in `helm/roster/ci`, held against the schemas
//! of Kubernetes, and its configuration given to the program.
//!
//! How the objects refer to each other is in `fit`, what the chart refuses in `refusals`. No cluster takes part.

mod fit;
mod refusals;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::support::{
    Db,
    database::TestDatabase,
    parts,
    process::{Served, file, printed, roster, run},
};

/// Every set of values.
const SETS: [&str; 6] = ["autoscaling", "bare", "gateway", "minimal", "production", "sqlite"];

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/helm/roster");
const SECRETS: &str = "/etc/roster/secrets";

/// What `tools/chart` says.
#[derive(Debug, Deserialize)]
struct Rendered {
    /// Why there is nothing.
    refused: Option<String>,
    #[serde(default)]
    notes: String,
    #[serde(default)]
    manifests: String,
    #[serde(default)]
    objects: Vec<Value>,
    #[serde(default)]
    problems: Vec<String>,
}

fn values(set: &str) -> String {
    format!("{FOLDER}/ci/{set}.yaml")
}

/// Renders a set of values, with some of them set to something else.
async fn render(set: &str, otherwise: &[&str]) -> Rendered {
    let mut command = Command::new(parts::python());
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tools/chart")).args(["--json", "-f", &values(set)]);
    for expression in otherwise {
        command.args(["--set-json", expression]);
    }
    let output = run(command).await;
    assert!(output.status.success(), "{}", printed(&output));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|why| panic!("{why}: {}", printed(&output)))
}

/// A set of values as it stands, rendered once for all tests.
async fn rendered(set: &str) -> &'static Rendered {
    static RENDERED: LazyLock<BTreeMap<&str, OnceCell<Rendered>>> =
        LazyLock::new(|| SETS.into_iter().map(|set| (set, OnceCell::new())).collect());
    RENDERED[set].get_or_init(|| render(set, &[])).await
}

impl Rendered {
    /// The one object of this kind.
    #[track_caller]
    fn the(&self, kind: &str) -> &Value {
        let found: Vec<_> = self.all(kind).collect();
        assert_eq!(found.len(), 1, "{kind} in {}", self.manifests);
        found[0]
    }

    fn all(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.objects.iter().filter(move |object| object["kind"] == kind)
    }

    /// What a pod of this object is made like.
    #[track_caller]
    fn pod(&self, kind: &str) -> &Value {
        &self.the(kind)["spec"]["template"]
    }

    /// The configuration file that the pods of this object read.
    #[track_caller]
    fn toml(&self, kind: &str) -> &str {
        let volumes = self.pod(kind)["spec"]["volumes"].as_array().unwrap();
        let volume = volumes.iter().find(|volume| volume["name"] == "config").unwrap();
        let name = &volume["configMap"]["name"];
        let map = self.all("ConfigMap").find(|map| map["metadata"]["name"] == *name).unwrap();
        map["data"]["roster.toml"].as_str().unwrap()
    }

    /// What a container of these pods finds in its environment, but for the configuration file's name.
    fn variables(&self, kind: &str) -> Vec<(String, String)> {
        let variables = self.pod(kind)["spec"]["containers"][0]["env"].as_array().unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let pairs = variables.iter().map(|variable| (text(&variable["name"]), text(&variable["value"])));
        pairs.filter(|(name, _)| name != "ROSTER_CONFIG").collect()
    }

    /// The names of the files that the secrets become.
    fn secrets(&self, kind: &str) -> Vec<String> {
        let volumes = self.pod(kind)["spec"]["volumes"].as_array().unwrap();
        let Some(volume) = volumes.iter().find(|volume| volume["name"] == "secrets") else { return Vec::new() };
        let sources = volume["projected"]["sources"].as_array().unwrap();
        let items = sources.iter().flat_map(|source| source["secret"]["items"].as_array().unwrap());
        items.map(|item| item["path"].as_str().unwrap().to_owned()).collect()
    }
}

/// A pod's files in a folder of this machine, where the program can read them.
struct Pod {
    folder: TempDir,
    config: PathBuf,
    variables: Vec<(String, String)>,
}

impl Pod {
    fn new(rendered: &Rendered, kind: &str, database: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let secrets = folder.path().join("secrets");
        std::fs::create_dir(&secrets).unwrap();
        // Only what the volume brings is there.
        for name in rendered.secrets(kind) {
            let content = match name.as_str() {
                "database-url" => database.to_owned(),
                "nats-url" => "nats://roster:hunter2@nats:4222".to_owned(),
                key if key.starts_with("link-key-") => "ab".repeat(32),
                _ => "hunter2".to_owned(),
            };
            file(&secrets, &name, &content);
        }
        let here = |path: &Path| path.to_str().unwrap().to_owned();
        let toml = rendered.toml(kind).replace(SECRETS, &here(&secrets)).replace("\"/data\"", "\"data\"");
        let config = file(folder.path(), "roster.toml", &toml);
        Self { folder, config, variables: rendered.variables(kind) }
    }

    fn variables(&self) -> Vec<(&str, &str)> {
        let given = self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        given.chain([("ROSTER_CONFIG", self.config.to_str().unwrap())]).collect()
    }

    /// Runs the program in it, with success.
    async fn told(&self, arguments: &[&str]) -> String {
        let output = run(roster(self.folder.path(), arguments, &self.variables())).await;
        assert!(output.status.success(), "{arguments:?}: {}", printed(&output));
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
fn every_set_of_values_is_looked_at() {
    let files = std::fs::read_dir(format!("{FOLDER}/ci")).unwrap();
    let names: BTreeSet<_> = files.map(|entry| entry.unwrap().path().file_stem().unwrap().to_owned()).collect();
    assert_eq!(names, SETS.into_iter().map(Into::into).collect());
}

#[tokio::test]
async fn what_is_rendered_is_what_kubernetes_takes() {
    for set in SETS {
        let rendered = rendered(set).await;
        assert_eq!(rendered.refused, None, "{set}");
        assert_eq!(rendered.problems, [""; 0], "{set}");
        insta::assert_snapshot!(set, format!("{}\n--- # NOTES\n{}", rendered.manifests, rendered.notes));
    }
}

/// No key in the chart that the program does not know, and no file that is not there.
#[tokio::test]
async fn the_program_takes_the_configuration() {
    for set in SETS {
        let rendered = rendered(set).await;
        let jobs: &[&str] = if rendered.all("Job").count() == 0 { &[] } else { &["Job"] };
        for kind in [&["Deployment"], jobs].concat() {
            let shown = Pod::new(rendered, kind, "postgres://roster:hunter2@db/roster").told(&["config"]).await;
            let shown: toml::Table = shown.parse().unwrap();
            let given: toml::Table = rendered.toml(kind).parse().unwrap();
            let kept = |section: &str, key: &str| (&given[section][key], &shown[section][key]);
            for (given, shown) in [kept("server", "listen"), kept("server", "drain_delay"), kept("auth", "mode")] {
                assert_eq!(given, shown, "{set}");
            }
            assert!(
                !shown["server"]["listen"].as_str().unwrap().starts_with("127."),
                "{set}: a pod listens for others"
            );
            let postgres = shown["database"].get("url_file").is_some();
            let waits = shown["database"]["migrate_on_start"].as_bool() == Some(false);
            assert_eq!(waits, kind == "Job" || !jobs.is_empty(), "{set}: who brings the schema up");
            assert_eq!(postgres, set != "sqlite");
        }
    }
}

/// The Job first, then a pod: as in a cluster, but for the machine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_job_makes_the_schema_and_the_pods_serve() {
    let empty = TestDatabase::empty(Db::Postgres).await;
    let rendered = rendered("minimal").await;
    let served = rendered.pod("Deployment")["spec"]["containers"][0]["args"].clone();
    assert_eq!(served, serde_json::json!(["serve"]));
    let arguments: Vec<String> =
        serde_json::from_value(rendered.pod("Job")["spec"]["containers"][0]["args"].clone()).unwrap();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();

    let pod = Pod::new(rendered, "Deployment", &empty.url);
    // Each pod has an address of its own; here other tests run beside it.
    let elsewhere = [("ROSTER_SERVER__LISTEN", "127.0.0.1:0"), ("ROSTER_TELEMETRY__ADMIN_LISTEN", "127.0.0.1:0")];
    let variables = [&pod.variables()[..], &elsewhere].concat();
    let early = run(roster(pod.folder.path(), &["serve"], &variables)).await;
    assert!(printed(&early).contains("migrate up"), "{}", printed(&early));
    let job = Pod::new(rendered, "Job", &empty.url);
    assert!(!job.told(&arguments).await.contains("pending"));
    let served = Served::start(pod.folder.path(), &variables).await;
    assert_eq!(pod.told(&["healthcheck", "--endpoint", &served.endpoint()]).await, "SERVING\n");
    assert_eq!(std::fs::read_dir(pod.folder.path()).unwrap().count(), 2, "a pod writes nothing");
}

#[tokio::test]
async fn pods_are_replaced_when_their_configuration_changes_and_only_then() {
    let checksum = async |otherwise: &[&str]| {
        let rendered = render("minimal", otherwise).await;
        rendered.pod("Deployment")["metadata"]["annotations"]["checksum/config"].as_str().unwrap().to_owned()
    };
    let before = checksum(&[]).await;
    assert_eq!(checksum(&[]).await, before, "nothing in it is left to chance");
    assert_eq!(checksum(&["replicaCount=5"]).await, before);
    assert_ne!(checksum(&[r#"config.mail={"product_name":"Other"}"#]).await, before);
}

/// A number stays the number that it is, and a text with everything in it that text, on the way through YAML and TOML.
#[tokio::test]
async fn values_arrive_as_they_were_given() {
    let given = serde_json::json!({
        "server": { "max_in_flight": 1_000_000, "reflection": false, "max_deadline": "1m 30s" },
        "telemetry": { "sample_ratio": 1 },
        "limits": { "invitations_per_team": { "count": 12_345_678 } },
        "mail": { "product_name": "\"Ä\" <&> \\ 'x' # {{ .Values }} 🚀", "from": "Roster <no-reply@example.com>" },
    });
    let sets: Vec<String> =
        given.as_object().unwrap().iter().map(|(section, value)| format!("config.{section}={value}")).collect();
    let rendered = render("minimal", &sets.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let shown = Pod::new(&rendered, "Deployment", "postgres://roster@db/roster").told(&["config"]).await;
    let shown = serde_json::to_value(shown.parse::<toml::Table>().unwrap()).unwrap();
    for (section, keys) in given.as_object().unwrap() {
        for (key, value) in keys.as_object().unwrap() {
            let arrived = &shown[section][key];
            match (value, key.as_str()) {
                (Value::Object(_), _) => assert_eq!(arrived["count"], value["count"]),
                (_, "sample_ratio") => assert_eq!(arrived.as_f64(), Some(1.0)),
                _ => assert_eq!(arrived, value, "{section}.{key}"),
            }
        }
    }
}

/// The sidecar is given what Envoy takes, and finds the descriptors where they are put for it.
#[tokio::test]
async fn envoy_takes_the_gateway() {
    let rendered = rendered("gateway").await;
    let folder = tempfile::tempdir().unwrap();
    let arguments = &rendered.pod("Deployment")["spec"]["initContainers"][0]["args"];
    let arguments: Vec<String> = serde_json::from_value(arguments.clone()).unwrap();
    let here = |word: &String| word.replace("/var/lib/envoy", folder.path().to_str().unwrap());
    let arguments: Vec<String> = arguments.iter().map(here).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = run(roster(folder.path(), &arguments, &[])).await;
    assert!(output.status.success(), "{}", printed(&output));

    let gateway = rendered.all("ConfigMap").find_map(|map| map["data"]["envoy.yaml"].as_str()).unwrap();
    assert!(gateway.contains(r#"{address: "0.0.0.0", port_value: 8080}"#), "it listens for others: {gateway}");
    let mut command = Command::new(parts::envoy());
    command.current_dir(folder.path()).args(["--mode", "validate", "--config-path"]);
    command.arg(file(folder.path(), "envoy.yaml", gateway));
    let output = run(command).await;
    assert!(output.status.success(), "{}", printed(&output));
}

/// The chart is that of this version, and knows its sections.
#[tokio::test]
async fn the_chart_and_the_program_belong_together() {
    let chart = std::fs::read_to_string(format!("{FOLDER}/Chart.yaml")).unwrap();
    let version = format!("\nappVersion: \"{}\"\n", env!("CARGO_PKG_VERSION"));
    assert!(chart.contains(&version), "{version} is not in {chart}");

    let folder = tempfile::tempdir().unwrap();
    let defaults = run(roster(folder.path(), &["config"], &[])).await;
    let defaults: BTreeMap<String, toml::Value> = toml::from_str(&String::from_utf8(defaults.stdout).unwrap()).unwrap();
    let schema = std::fs::read_to_string(format!("{FOLDER}/values.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let known: BTreeSet<&str> =
        schema["properties"]["config"]["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    // Where data lie is for the chart to say.
    let sections: BTreeSet<&str> = defaults.keys().map(String::as_str).filter(|key| *key != "data_dir").collect();
    assert_eq!(known, sections, "the sections of `config` in values.schema.json");
}

/// Whatever can be set is explained where it stands.
#[test]
fn every_value_has_its_place_in_the_schema() {
    let schema = std::fs::read_to_string(format!("{FOLDER}/values.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let values = std::fs::read_to_string(format!("{FOLDER}/values.yaml")).unwrap();
    let first = |line: &str| line.split_once(':').map(|(key, _)| key.to_owned());
    let set: BTreeSet<String> =
        values.lines().filter(|line| line.starts_with(char::is_alphabetic)).filter_map(first).collect();
    let known: BTreeSet<String> = schema["properties"].as_object().unwrap().keys().cloned().collect();
    // Helm's own, for charts within charts.
    assert_eq!(set, &known - &BTreeSet::from(["global".to_owned()]));
    assert_closed("", &schema);
}

/// Objects whose keys are ours have no others; those of Kubernetes are left to its own schemas.
fn assert_closed(path: &str, schema: &Value) {
    if let Some(properties) = schema["properties"].as_object() {
        assert_eq!(schema["additionalProperties"], Value::Bool(false), "{path}");
        properties.iter().for_each(|(key, inner)| assert_closed(&format!("{path}.{key}"), inner));
    }
    if schema["items"].is_object() {
        assert_closed(&format!("{path}[]"), &schema["items"]);
    }
}
