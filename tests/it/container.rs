//! The image: what can be told of it without an engine. What was tried with one is in `docs/container.md`.

use std::{fs, path::Path, process::Command};

use crate::support::{
    parts,
    process::{printed, roster, run},
};

fn text(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[tokio::test]
async fn the_linter_finds_nothing() {
    let mut command = Command::new(parts::hadolint());
    command.args(["--failure-threshold", "style", concat!(env!("CARGO_MANIFEST_DIR"), "/Dockerfile")]);
    let output = run(command).await;
    assert!(output.status.success(), "{}", printed(&output));
}

/// Everything that the build reads gets into its context, and is named one by one.
#[test]
fn the_build_gets_what_it_is_made_of() {
    let ignored = text(".dockerignore");
    let let_in: Vec<&str> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    assert!(ignored.lines().any(|line| line == "*"), "all else is kept out");
    let manifest: toml::Table = text("Cargo.toml").parse().unwrap();
    let members = manifest["workspace"]["members"].as_array().unwrap().iter().map(|member| member.as_str().unwrap());
    let needed = ["Cargo.toml", "Cargo.lock", "LICENSE", "benches", "docker", "src"];
    for path in members.chain(needed) {
        let folder = path.split('/').next().unwrap();
        assert!(let_in.contains(&path) || let_in.contains(&folder), "{path} is not in .dockerignore");
    }
}

#[test]
fn the_compiler_is_new_enough() {
    let manifest: toml::Table = text("Cargo.toml").parse().unwrap();
    let wanted = manifest["workspace"]["package"]["rust-version"].as_str().unwrap();
    let dockerfile = text("Dockerfile");
    let (_, image) = dockerfile.split_once("ARG RUST_IMAGE=rust:").unwrap();
    let given = image.split('-').next().unwrap();
    let minor = |version: &str| version.split('.').nth(1).unwrap().parse::<u32>().unwrap();
    assert!(minor(given) >= minor(wanted), "{given} is older than {wanted}");
}

/// A container listens for others, so it does not start before somebody said who may call; and says so.
#[tokio::test]
async fn without_callers_it_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/docker/roster.toml");
    let output = run(roster(folder.path(), &["serve"], &[("ROSTER_CONFIG", config)])).await;
    assert_eq!(output.status.code(), Some(2), "{}", printed(&output));
    assert!(printed(&output).contains("auth.mode: \"development\" lets everybody in"), "{}", printed(&output));

    let tokens = format!(r#"[{{ name = "web", sha256 = "{}", scopes = ["roster.*"] }}]"#, "1".repeat(64));
    let variables = [("ROSTER_CONFIG", config), ("ROSTER_AUTH__MODE", "credentials"), ("ROSTER_AUTH__TOKENS", &tokens)];
    let output = run(roster(folder.path(), &["config"], &variables)).await;
    assert!(output.status.success(), "{}", printed(&output));
    let shown: toml::Table = String::from_utf8(output.stdout).unwrap().parse().unwrap();
    assert_eq!(shown["server"]["listen"].as_str(), Some("0.0.0.0:50051"));
    assert_eq!(shown["database"]["url"].as_str(), Some("sqlite:///data/roster.db"));
}
