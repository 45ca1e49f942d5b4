//! What the documents promise a newcomer: the README's commands, pasted into a shell beside a fresh server, print what
//! the README shows, and every link leads somewhere.

use std::{
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
};

use crate::support::{
    parts,
    process::{Process, Served, file, printed, roster, run},
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Where the README's server listens: without any configuration.
const ADDRESS: &str = "127.0.0.1:50051";

/// How to run the user management of four kinds of products.
const PRODUCTS: [&str; 4] = [
    "docs/products/one-account.md",
    "docs/products/company-and-sub-accounts.md",
    "docs/products/many-accounts.md",
    "docs/products/administrators.md",
];

/// A line of the README that stands for any lines of the output.
const LEFT_OUT: &str = "...";

/// What grpcurl says of a request that it cannot read, and never sends.
const NOT_CALLED: &str = "Error invoking";

/// A command and what it prints.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    command: String,
    output: String,
}

/// What the `bash` blocks of a document do, each with the `text` block that follows it.
fn steps(document: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut block = None;
    for line in document.lines() {
        match (line.strip_prefix("```"), block, steps.last_mut()) {
            (Some(""), ..) => block = None,
            (Some("bash"), ..) => {
                block = Some("bash");
                steps.push(Step { command: String::new(), output: String::new() });
            }
            (Some("text"), ..) => block = Some("text"),
            (Some(_other), ..) => block = Some("other"),
            (None, Some("bash"), Some(step)) => step.command += &format!("{line}\n"),
            (None, Some("text"), Some(step)) => step.output += &format!("{line}\n"),
            (None, Some("text"), None) => panic!("output before the first command: {line}"),
            _ => {}
        }
    }
    steps
}

/// Runs commands in one shell, and gives each with what it printed.
async fn paste(commands: Vec<String>, folder: &Path) -> Vec<Step> {
    const MARK: &str = "=== that was one ===";
    let script: String = commands.iter().map(|command| format!("{command}echo '{MARK}'\n")).collect();
    let script = file(folder, "pasted.sh", &format!("exec 2>&1\n{script}"));
    let tools = folder.join("bin");
    std::fs::create_dir(&tools).unwrap();
    std::os::unix::fs::symlink(parts::grpcurl(), tools.join("grpcurl")).unwrap();
    let mut bash = Command::new("bash");
    bash.arg(script).current_dir(folder).stdin(Stdio::null());
    bash.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", tools.display()));
    let printed = printed(&run(bash).await);
    let outputs: Vec<_> = printed.split(&format!("{MARK}\n")).map(str::to_owned).collect();
    assert_eq!(outputs.len(), commands.len() + 1, "{printed}");
    commands.into_iter().zip(outputs).map(|(command, output)| Step { command, output }).collect()
}

/// The output with what is new each time replaced by its kind.
fn normal(output: &str) -> Vec<String> {
    output.lines().map(normal_line).collect()
}

fn normal_line(line: &str) -> String {
    if let Some((before, _)) = line.split_once("?token=") {
        return format!("{before}?token=…");
    }
    if line.starts_with("Valid until: ") {
        return "Valid until: …".to_owned();
    }
    if let Some((key, _)) = line.split_once("\": \"") {
        let name = key.trim_start().trim_start_matches('"');
        if name.ends_with("Time") || ["revision", "position", "etag", "requestId"].contains(&name) {
            return format!("{key}\": …");
        }
    }
    without_uuids(line)
}

/// A line with its UUIDs replaced.
fn without_uuids(line: &str) -> String {
    let is_uuid = |word: &&str| word.parse::<uuid::Uuid>().is_ok();
    let words = line.split(|c: char| !(c.is_ascii_hexdigit() || c == '-')).filter(is_uuid);
    words.fold(line.to_owned(), |line, uuid| line.replace(uuid, "…"))
}

/// Whether lines are as shown, where some may be left out.
fn agree(shown: &[String], printed: &[String]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((line, rest)) if line == LEFT_OUT => (0..=printed.len()).any(|n| agree(rest, &printed[n..])),
        Some((line, rest)) => printed.split_first().is_some_and(|(other, left)| line == other && agree(rest, left)),
    }
}

/// A server started as the README says, and the address that it took: another one if something listens there already.
async fn as_told(folder: &Path) -> (Process, String) {
    if TcpListener::bind(ADDRESS).is_ok() {
        let mut process = Process::start(roster(folder, &[], &[]));
        let serves = format!("serves gRPC on {ADDRESS}");
        process.wait_for(&serves, |line| line.contains(&serves).then_some(())).await;
        return (process, ADDRESS.to_owned());
    }
    let served = Served::start(folder, &[]).await;
    (served.process, served.address.to_string())
}

#[tokio::test]
async fn the_story_can_be_pasted() {
    let folder = tempfile::tempdir().unwrap();
    let (_process, address) = as_told(folder.path()).await;
    check("README.md", &address, folder.path(), 10).await;
}

/// Each product's page runs on a service of its own, with the configuration that the page shows.
#[tokio::test]
async fn every_product_runs_as_its_page_says() {
    for name in PRODUCTS {
        let folder = tempfile::tempdir().unwrap();
        let page = std::fs::read_to_string(Path::new(ROOT).join(name)).unwrap();
        let shown = page.split_once("```toml\n").map(|(_, rest)| rest.split_once("```").unwrap().0);
        let config = file(folder.path(), "roster.toml", shown.unwrap_or_default());
        let served = Served::start(folder.path(), &[("ROSTER_CONFIG", config.to_str().unwrap())]).await;
        check(name, &served.address.to_string(), folder.path(), 4).await;
    }
}

/// Pastes a document's commands, and holds what they print against what it shows.
async fn check(name: &str, address: &str, folder: &Path, least: usize) {
    let document = std::fs::read_to_string(Path::new(ROOT).join(name)).unwrap();
    let shown = steps(&document);
    assert!(shown.len() > least, "{name}: {shown:#?}");
    let commands = shown.iter().map(|step| step.command.replace(ADDRESS, address)).collect();
    let failed: Vec<&Step> = shown.iter().filter(|step| step.output.contains(NOT_CALLED)).collect();
    assert!(failed.is_empty(), "{name} shows calls that were never made: {failed:#?}");
    for (shown, step) in shown.iter().zip(paste(commands, folder).await) {
        let (expected, printed) = (normal(&shown.output), normal(&step.output));
        assert!(
            agree(&expected, &printed),
            "{}prints\n{}but {name} shows\n{}",
            step.command,
            step.output,
            shown.output
        );
    }
}

#[test]
fn every_link_leads_somewhere() {
    let documents = [
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "docs/configuration.md",
        "docs/events.md",
        "docs/ARCHITECTURE.md",
    ];
    for name in documents.into_iter().chain(PRODUCTS) {
        let path = Path::new(ROOT).join(name);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{name}: {why}"));
        for target in text.split("](").skip(1).map(|rest| rest.split_once(')').unwrap().0) {
            let file = target.split('#').next().unwrap();
            let found = file.is_empty() || target.contains("://") || path.parent().unwrap().join(file).exists();
            assert!(found, "{name} leads to {target}, which is not there");
        }
    }
}

#[test]
fn a_difference_is_seen() {
    let shown = steps("```bash\na \\\n    b\n```\n\n```text\n1\n...\n4\n```\ntext\n```sh\nno\n```\n```bash\nc\n```\n");
    let step = |command: &str, output: &str| Step { command: command.to_owned(), output: output.to_owned() };
    assert_eq!(shown, [step("a \\\n    b\n", "1\n...\n4\n"), step("c\n", "")]);
    let check = |printed: &str| agree(&normal(&shown[0].output), &normal(printed));
    assert!(check("1\n4\n") && check("1\n2\n3\n4\n"));
    assert!(!check("1\n2\n") && !check("4\n") && !check("1\n4\n5\n"));
    let line = r#""team":"01a20139-e4bc-778b-b4ed-7a0d058c1461"}"#;
    assert_eq!(normal(line), [r#""team":"…"}"#]);
    assert_ne!(normal(r#""state": "SENT""#), normal(r#""state": "QUEUED""#));
}
