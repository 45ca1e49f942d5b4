//! How files are written.

use std::fs;

use super::{
    assert_none,
    source::{project_files, root, rust_files, shipped_files},
};

#[test]
fn files_are_short() {
    let mut lengths: Vec<(usize, &String)> =
        rust_files().iter().map(|file| (file.text.lines().count(), &file.path)).collect();
    lengths.sort();
    let share = |hundredth: usize| &lengths[(lengths.len() - 1) * hundredth / 100];
    for (hundredth, limit) in [(50, 150), (90, 400), (100, 600)] {
        let (lines, path) = share(hundredth);
        assert!(lines <= &limit, "{hundredth} % of the files may have {limit} lines; {path} has {lines}");
    }
}

#[test]
fn every_module_says_what_it_is() {
    let tests = rust_files().iter().filter(|file| file.path.starts_with("tests/"));
    let silent = shipped_files().iter().chain(tests).filter(|file| !file.text.starts_with("//!"));
    assert_none(&silent.map(|file| format!("{} does not begin with //!", file.path)).collect::<Vec<_>>());
}

#[test]
fn nothing_is_unfinished_unsafe_or_waved_through() {
    let mut broken = Vec::new();
    for file in rust_files() {
        for word in ["unsafe", "todo !", "unimplemented !", "dbg !", "# [ ignore"] {
            broken.extend(file.find(word));
        }
        for attribute in file.attributes.iter().filter(|attribute| !attribute.text.starts_with("[doc")) {
            let expects = attribute.text.starts_with("[expect(") && attribute.text.contains("reason=");
            if attribute.text.contains("allow(") || attribute.text.contains("expect(") && !expects {
                broken.push(format!("{} has `{}`", file.place(attribute.line), attribute.text));
            }
        }
    }
    assert_none(&broken);
}

#[test]
fn there_is_one_integration_binary() {
    let targets: Vec<String> = project_files()
        .into_iter()
        .filter(|path| path.split('/').any(|part| part == "tests") && path.ends_with(".rs"))
        .filter(|path| match path.rsplit_once("tests/") {
            Some((_, below)) => !below.contains('/') || below.matches('/').count() == 1 && below.ends_with("/main.rs"),
            None => false,
        })
        .filter(|path| !path.starts_with("src/"))
        .collect();
    assert_eq!(targets, ["tests/it/main.rs"]);
    let manifest: toml::Table = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    assert!(!manifest.contains_key("test"), "Cargo.toml names a test target");
}

/// What is written speaks of the project alone: it builds from any registry and on anybody's machine.
#[test]
fn no_text_names_a_registry_or_a_machine() {
    let hosts = [
        ("crates", "io"),
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("golang", "org"),
        ("docker", "io"),
        ("ghcr", "io"),
        ("quay", "io"),
        ("debian", "org"),
    ];
    let folders = ["home", "Users", "root", "work", "mnt"];
    let mut broken = Vec::new();
    for path in project_files().into_iter().filter(|path| path != "Cargo.lock") {
        let Ok(text) = fs::read_to_string(root().join(&path)) else { continue };
        for (number, line) in text.lines().enumerate() {
            let place = format!("{path}:{}", number + 1);
            broken.extend(
                hosts
                    .iter()
                    .map(|(name, top)| format!("{name}.{top}"))
                    .filter(|host| has_host(line, host))
                    .map(|host| format!("{place} names {host}")),
            );
            broken.extend(
                folders
                    .iter()
                    .filter(|folder| has_path(line, folder))
                    .map(|folder| format!("{place} has a path below /{folder}")),
            );
        }
    }
    assert_none(&broken);
}

/// Whether a line holds a host's name, or that of a host below it, and not only a part of another word.
fn has_host(line: &str, host: &str) -> bool {
    let inside = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '-' || c == '_');
    line.match_indices(host)
        .any(|(at, _)| !inside(line[..at].chars().next_back()) && !inside(line[at + host.len()..].chars().next()))
}

/// Whether a line holds an absolute path that begins with this folder.
fn has_path(line: &str, folder: &str) -> bool {
    let start = format!("/{folder}/");
    line.match_indices(&start).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && !"./}_-{*~$)".contains(c))
    })
}
