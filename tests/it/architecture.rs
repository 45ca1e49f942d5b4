//! The house keeps its own rules: which layer may name which, who may name a library, and how files are written.
//!
//! Each rule is a line in one of the tables below and a sentence in `docs/ARCHITECTURE.md`. The files are read as tokens
//! (see `source`); what is compiled for tests only is let off. How files are written is in `style`.

pub mod source;
mod style;

use std::collections::{BTreeMap, BTreeSet};

use source::{Name, Source, is_in, shipped_files};

/// Each module of the library, and what it may name of the others.
const LAYERS: [(&str, &[&str]); 19] = [
    ("domain", &[]),
    ("causes", &[]),
    ("env", &[]),
    ("lifecycle", &[]),
    ("gateway", &[]),
    ("metrics", &[]),
    ("trace", &[]),
    ("contract", &["domain"]),
    ("config", &["domain"]),
    ("telemetry", &["config"]),
    ("admin", &["telemetry"]),
    ("repository", &["contract", "domain"]),
    ("application", &["domain", "env", "metrics", "repository", "trace"]),
    ("mail", &["application", "config", "domain", "env", "lifecycle", "metrics", "repository", "trace"]),
    ("sweeper", &["application", "domain", "env", "lifecycle", "repository"]),
    ("events", &["causes", "config", "contract", "domain", "env", "lifecycle", "metrics", "repository", "trace"]),
    ("callers", &["causes", "config", "domain", "env", "lifecycle"]),
    (
        "grpc",
        &["application", "callers", "causes", "config", "contract", "domain", "env", "metrics", "repository", "trace"],
    ),
    (
        "app",
        &[
            "admin",
            "application",
            "callers",
            "causes",
            "config",
            "domain",
            "env",
            "events",
            "grpc",
            "lifecycle",
            "mail",
            "metrics",
            "repository",
            "sweeper",
            "telemetry",
        ],
    ),
];

/// Libraries that only these places may name.
const LIBRARIES: [(&str, &[&str]); 30] = [
    ("sea_orm", &["src/repository", "migrations"]),
    ("sea_orm_migration", &["src/repository/schema.rs", "migrations"]),
    ("roster_migrations", &["src/repository/schema.rs"]),
    ("tonic", &["src/grpc", "proto"]),
    ("tonic_health", &["src/grpc"]),
    ("tonic_reflection", &["src/grpc"]),
    ("tonic_types", &["src/grpc", "src/gateway"]),
    ("tonic_web", &["src/grpc"]),
    ("tower", &["src/grpc"]),
    ("tower_http", &["src/grpc"]),
    ("roster_proto", &["src/grpc", "src/contract", "src/gateway"]),
    ("async_nats", &["src/events/nats"]),
    ("lettre", &["src/mail", "src/config/mail.rs"]),
    ("minijinja", &["src/mail"]),
    ("figment", &["src/config"]),
    ("schemars", &["src/config"]),
    ("opentelemetry", &["src/metrics", "src/telemetry", "src/trace.rs"]),
    ("opentelemetry_sdk", &["src/telemetry", "src/trace.rs"]),
    ("opentelemetry_otlp", &["src/telemetry"]),
    ("opentelemetry_prometheus", &["src/telemetry"]),
    ("prometheus", &["src/telemetry"]),
    ("tracing_opentelemetry", &["src/telemetry", "src/trace.rs"]),
    ("clap", &["src/main.rs", "src/cli.rs"]),
    ("hmac", &["src/domain/keyring.rs"]),
    ("ring", &["src/callers"]),
    ("hyper_rustls", &["src/callers"]),
    ("tokio_rustls", &["src/callers", "src/grpc/healthcheck"]),
    ("webpki", &["src/callers", "src/grpc/healthcheck"]),
    ("rustix", &["src/app/descriptors.rs"]),
    ("rand", &["src/config", "src/application/store.rs", "src/telemetry.rs"]),
];

/// The libraries that the domain is made with: values, and nothing that waits, talks or looks around.
const DOMAIN_LIBRARIES: [&str; 13] = [
    "base64",
    "chrono",
    "chrono_tz",
    "hmac",
    "icu_locale_core",
    "idna",
    "rust_iso3166",
    "serde",
    "serde_json",
    "sha2",
    "thiserror",
    "url",
    "uuid",
];

#[test]
fn layers_depend_one_way() {
    let allowed: BTreeMap<&str, &[&str]> = LAYERS.into_iter().collect();
    let mut broken = Vec::new();
    for file in library() {
        let layer = file.layer();
        let Some(allowed) = allowed.get(layer.as_str()) else {
            broken.push(format!("{}: the table has no layer {layer}", file.path));
            continue;
        };
        for (name, other) in file.names.iter().filter_map(|name| Some((name, layer_of(name)?))) {
            if other != layer && !allowed.contains(&other) {
                broken.push(format!("{}: {layer} may not name {other}", file.place(name.line)));
            }
        }
    }
    assert_none(&broken);
}

#[test]
fn no_dependency_in_the_table_is_unused() {
    let mut named: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in library() {
        named.entry(file.layer()).or_default().extend(file.names.iter().filter_map(layer_of).map(ToOwned::to_owned));
    }
    let used = |layer: &str, other: &str| named.get(layer).is_some_and(|names| names.contains(other));
    let pairs = LAYERS.iter().flat_map(|(layer, others)| others.iter().map(move |other| (*layer, *other)));
    let unused = pairs.filter(|(layer, other)| !used(layer, other));
    assert_none(&unused.map(|(layer, other)| format!("{layer} does not name {other}")).collect::<Vec<_>>());
}

#[test]
fn the_document_says_the_same() {
    let text = std::fs::read_to_string(source::root().join("docs/ARCHITECTURE.md")).unwrap();
    let (_, section) = text.split_once("## Who may know whom").unwrap();
    let (section, _) = section.split_once("Of libraries:").unwrap();
    let quoted = |text: &str| text.split('`').skip(1).step_by(2).map(ToOwned::to_owned).collect::<BTreeSet<_>>();
    let mut said = BTreeMap::new();
    for sentence in section.replace('\n', " ").split(". ").flat_map(|sentence| sentence.split("- ")) {
        if let Some((who, whom)) = sentence.split_once(" names ").or(sentence.split_once(" name ")) {
            said.extend(quoted(who).into_iter().map(|who| (who, quoted(whom))));
        }
    }
    for (layer, others) in LAYERS.into_iter().filter(|(layer, _)| *layer != "app") {
        let others: BTreeSet<String> = others.iter().map(ToString::to_string).collect();
        assert_eq!(said.get(layer), Some(&others), "{layer}, on the left as the document has it");
    }
}

#[test]
fn libraries_stay_where_they_belong() {
    let mut broken = Vec::new();
    // The client is a program of others: it has no layers.
    for file in shipped_files().iter().filter(|file| !file.path.starts_with("client/")) {
        for (library, places) in LIBRARIES {
            if !places.iter().any(|place| is_in(&file.path, place)) {
                broken.extend(named(file, library));
            }
        }
    }
    assert_none(&broken);
}

#[test]
fn the_domain_is_pure() {
    let mut broken = Vec::new();
    let foreign: Vec<String> =
        dependencies().into_iter().filter(|library| !DOMAIN_LIBRARIES.contains(&library.as_str())).collect();
    for file in library().filter(|file| file.layer() == "domain") {
        broken.extend(foreign.iter().flat_map(|library| named(file, library)));
        for impure in [
            "async",
            "await",
            "env ! (",
            "std::env",
            "std::fs",
            "std::io",
            "std::net",
            "std::process",
            "std::thread",
            "std::sync",
            "Instant",
            "SystemTime",
            "Utc::now",
            "Local::now",
            "Uuid::now_v7",
            "Uuid::new_v4",
            "println",
            "tracing",
        ] {
            broken.extend(file.find(impure));
        }
    }
    assert_none(&broken);
}

#[test]
fn the_clock_ids_and_the_environment_have_one_place() {
    let mut broken = Vec::new();
    for file in shipped_files().iter().filter(|file| file.path.starts_with("src/")) {
        let looks: &[(&str, &[&str])] = &[
            (
                "src/env.rs",
                &["Utc::now", "Local::now", "SystemTime::now", "Uuid::new_v7", "Uuid::now_v7", "Uuid::new_v4"],
            ),
            ("src/config.rs", &["std::env", "env::var", "env::var_os", "env::vars", "env::vars_os"]),
        ];
        for (place, names) in looks.iter().filter(|(place, _)| file.path != *place) {
            let found = names.iter().flat_map(|name| file.find(name));
            broken.extend(found.map(|found| format!("{found}, which is for {place}")));
        }
    }
    assert_none(&broken);
}

#[test]
fn transactions_begin_in_the_store_and_in_the_repository() {
    let outside = |file: &&Source| file.layer() != "repository" && file.path != "src/application/store.rs";
    let begun = library().filter(outside).flat_map(|file| file.find(". begin ("));
    assert_none(&begun.collect::<Vec<_>>());
}

#[test]
fn the_edge_opens_no_database() {
    let tools = ["Database", "Reader", "Tx", "Slot", "Source", "database", "tx", "schema", "leader", "sequence"];
    let mut broken = Vec::new();
    for file in library().filter(|file| file.layer() == "grpc") {
        let of_repository = |name: &&Name| layer_of(name) == Some("repository");
        let used = file.names.iter().filter(of_repository);
        broken.extend(
            used.filter(|name| name.segments.get(2).is_some_and(|part| tools.contains(&part.as_str())))
                .map(|name| format!("{} names {}", file.place(name.line), name.segments.join("::"))),
        );
    }
    assert_none(&broken);
}

#[test]
fn the_program_is_thin() {
    let allowed = ["app", "causes", "config", "gateway", "telemetry"];
    let mut broken = Vec::new();
    for file in shipped_files().iter().filter(|file| is_binary(&file.path)) {
        for name in file.names.iter().filter(|name| name.segments[0] == "roster") {
            let path: Vec<&str> = name.segments.iter().skip(1).map(String::as_str).collect();
            if !path.first().is_some_and(|layer| allowed.contains(layer)) && !path.starts_with(&["grpc", "healthcheck"])
            {
                broken.push(format!("{} names {}", file.place(name.line), name.segments.join("::")));
            }
        }
    }
    assert_none(&broken);
}

#[test]
fn migrations_know_nothing_of_ours() {
    let manifest = std::fs::read_to_string(source::root().join("migrations/Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let dependencies: Vec<&String> = manifest["dependencies"].as_table().unwrap().keys().collect();
    assert_eq!(dependencies, ["sea-orm-migration"]);
}

#[test]
fn the_client_knows_the_contract_alone() {
    let manifest = std::fs::read_to_string(source::root().join("client/Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let ours = manifest["dependencies"].as_table().unwrap().keys().filter(|name| name.starts_with("roster"));
    assert_eq!(ours.collect::<Vec<_>>(), ["roster-proto"]);
}

/// The modules of the library, without its root.
fn library() -> impl Iterator<Item = &'static Source> {
    let inside = |path: &str| path.starts_with("src/") && path != "src/lib.rs" && !is_binary(path);
    shipped_files().iter().filter(move |file| inside(&file.path))
}

fn is_binary(path: &str) -> bool {
    ["src/main.rs", "src/cli.rs"].contains(&path)
}

/// The layer that a path leads into.
fn layer_of(name: &Name) -> Option<&str> {
    let layer = name.segments.get(1).filter(|_| name.segments[0] == "crate")?;
    LAYERS.iter().map(|(layer, _)| *layer).find(|known| known == layer)
}

/// Where a file names a library.
fn named<'a>(file: &'a Source, library: &'a str) -> impl Iterator<Item = String> + 'a {
    let names = move |name: &&Name| name.segments[0] == library && (name.import.is_some() || name.segments.len() > 1);
    file.names.iter().filter(names).map(move |name| format!("{} names {library}", file.place(name.line)))
}

/// Every library that the service is built with, as code names it.
fn dependencies() -> BTreeSet<String> {
    let manifest = std::fs::read_to_string(source::root().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    manifest["dependencies"].as_table().unwrap().keys().map(|name| name.replace('-', "_")).collect()
}

/// Fails with all that breaks a rule, a line each.
#[track_caller]
fn assert_none(broken: &[String]) {
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

/// The rules above are as good as what they read.
#[test]
fn files_are_read_as_the_compiler_reads_them() {
    let text = r##"
        //! use crate::app;
        use crate::{domain::{Team, id::{self}}, env as clock};
        use super::super::repository;
        #[cfg(test)]
        use crate::mail::Worker;
        fn now() { clock::now() }
        fn f<'a>(x: &'a str) -> char { let s = r#"crate::grpc"#; /* crate::grpc */ self::g::<super::Tx>(s); 'x' }
        #[cfg(test)]
        mod tests { use crate::app; fn t() { crate::grpc::serve() } }
        #[cfg(test)]
        mod fixtures;
        mod inner { use super::Other; fn h() { tokio::spawn(x.tonic); <A as B>::tonic::x(); ::sea_orm::x() } }
    "##;
    let file = Source::parse("src/mail/smtp.rs", text.to_owned(), false);
    let names: Vec<String> = file.names.iter().map(|name| name.segments.join("::")).collect();
    for expected in [
        "crate::domain::Team",
        "crate::domain::id",
        "crate::env",
        "crate::env::now",
        "crate::repository",
        "crate::mail::smtp::g",
        "crate::mail::Tx",
        "crate::mail::smtp::Other",
        "tokio::spawn",
        "sea_orm::x",
    ] {
        assert!(names.iter().any(|name| name == expected), "{expected} is not in {names:?}");
    }
    assert_eq!(file.find("self::g").len(), 1);
    assert_eq!(file.find("tokio::spawn ( x").len(), 1);
    assert!(file.find("crate::app").is_empty());
    for absent in ["crate::app", "crate::grpc", "crate::mail::Worker", "tonic", "domain"] {
        assert!(!names.iter().any(|name| name.starts_with(absent)), "{absent} is in {names:?}");
    }
}
