//! The configuration as an operator meets it: the page of every key, held to what the program takes, and the command that
//! looks at a configuration without starting anything.

use std::{collections::BTreeSet, ffi::OsString, path::Path};

use roster::config::{Config, Error, Problem, reference};

use crate::support::{
    database::TestDatabase,
    parts,
    process::{file, roster, run},
    sink::Sink,
};

/// A line of a table on the page.
struct Row {
    key: String,
    variable: Option<String>,
    default: String,
}

/// The page, and every key on it.
fn page() -> (String, Vec<Row>) {
    let page = reference();
    let code = |cell: &str| cell.strip_prefix('`').and_then(|text| text.strip_suffix('`')).map(ToOwned::to_owned);
    let row = |line: &str| {
        let cells: Vec<_> = line.strip_prefix("| `")?.split(" | ").collect();
        let [key, variable, default, meaning] = cells[..] else { panic!("a cell too many or too few: {line}") };
        assert!(meaning.len() > 3, "{line} explains nothing");
        Some(Row { key: key.trim_end_matches('`').to_owned(), variable: code(variable), default: default.to_owned() })
    };
    let rows = page.lines().filter_map(row).collect();
    (page, rows)
}

/// The configuration with this variable set, or what is wrong with it.
fn with(variable: &str, value: &str) -> Result<String, Vec<Problem>> {
    match Config::load_with(None, [(OsString::from(variable), OsString::from(value))]) {
        Ok(config) => Ok(config.to_toml().unwrap()),
        Err(Error::Invalid(problems)) => Err(problems.as_slice().to_vec()),
        Err(other) => panic!("{variable}: {other}"),
    }
}

#[test]
fn the_page_of_every_key_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration-reference.md");
    let page = format!("{}\n", reference().trim_end());
    assert!(
        std::fs::read_to_string(path).unwrap() == page,
        "docs/configuration-reference.md is not current; this makes it so:\n  \
         cargo run -- config reference > docs/configuration-reference.md"
    );
}

#[test]
fn the_page_has_every_key_that_is_taken_and_no_other() {
    let (page, rows) = page();
    let keys: BTreeSet<&str> = rows.iter().map(|row| row.key.as_str()).collect();
    assert_eq!(keys.len(), rows.len(), "each once");
    let sections = page.lines().filter_map(|line| line.strip_prefix("## `")?.strip_suffix('`'));
    let tables: Vec<&str> = std::iter::once("").chain(sections).collect();
    for table in &tables {
        // Whoever asks for what is not there is told what is.
        let known = known_in(table);
        assert!(!known.is_empty(), "{table}");
        for name in &known {
            let key = [table, name.as_str()].join(".").trim_start_matches('.').to_owned();
            assert!(keys.contains(key.as_str()) || tables.contains(&key.as_str()), "the page lacks {key}");
        }
        let here = |key: &&&str| key.rsplit_once('.').map_or("", |(table, _)| table) == *table;
        for key in keys.iter().filter(here) {
            let name = key.rsplit('.').next().unwrap();
            assert!(known.iter().any(|known| known == name), "nobody takes {key}");
        }
    }
}

/// The names that the program knows in a table.
fn known_in(table: &str) -> Vec<String> {
    let toml = match table.strip_suffix("[]") {
        Some(list) => format!("[[{list}]]\nnope = 1"),
        None if table.is_empty() => "nope = 1".to_owned(),
        None => format!("[{table}]\nnope = 1"),
    };
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "roster.toml", &toml);
    let Err(Error::Invalid(problems)) = Config::load_with(Some(&path), []) else { panic!("{toml}") };
    let unknown = problems.as_slice().iter().find(|problem| problem.key.ends_with("nope")).unwrap();
    let (_, known) = unknown.message.split_once("known here: ").unwrap();
    known.split(", ").map(ToOwned::to_owned).collect()
}

#[test]
fn every_variable_sets_its_key() {
    let (_, rows) = page();
    let defaults = Config::default().to_toml().unwrap();
    for row in rows.iter().filter(|row| !row.key.contains("[]")) {
        let variable = row.variable.as_ref().unwrap_or_else(|| panic!("{} has no variable", row.key));
        // No key takes this for what it has by default.
        let changed = with(variable, "[\"\u{1}\"]");
        assert_ne!(changed.as_ref().ok(), Some(&defaults), "{variable} does nothing");
        for problem in changed.err().unwrap_or_default() {
            assert!(!problem.message.contains("is not a known key"), "{variable}: {}", problem.message);
            let culprit = problem.variable.as_deref().is_none_or(|named| named == variable);
            assert!(culprit, "{variable}: {problem:?}");
        }
    }
}

#[test]
fn every_default_is_the_real_one() {
    let (_, rows) = page();
    let defaults = Config::load_with(None, []).unwrap().to_toml().unwrap();
    for row in rows.iter().filter(|row| !row.key.contains("[]")) {
        let Some(shown) = row.default.strip_prefix('`').map(|text| text.trim_end_matches('`')) else {
            assert!(row.default == "none" || row.key == "roles", "{}: {}", row.key, row.default);
            continue;
        };
        // A variable holds texts as they are, and all else as TOML has it.
        let shown: toml::Value = format!("value = {shown}").parse::<toml::Table>().unwrap()["value"].clone();
        let text = shown.as_str().map_or_else(|| shown.to_string(), ToOwned::to_owned);
        let variable = row.variable.as_ref().unwrap();
        assert_eq!(with(variable, &text).as_deref(), Ok(defaults.as_str()), "{}", row.key);
    }
}

/// What `roster config check` ends with, and says.
async fn checked(folder: &Path, toml: &str, arguments: &[&str]) -> (i32, String) {
    let path = file(folder, "roster.toml", toml).display().to_string();
    let output = run(roster(folder, &[&["--config", &path, "config", "check"], arguments].concat(), &[])).await;
    let told = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(told).unwrap())
}

#[tokio::test]
async fn a_check_finds_nothing_to_say_of_the_defaults_and_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(checked(folder.path(), "", &[]).await, (0, "ok\n".to_owned()));
    assert_eq!(checked(folder.path(), "", &["--connect"]).await, (0, "ok\n".to_owned()));
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["roster.toml"]);
}

#[tokio::test]
async fn a_check_reads_every_file_that_is_named() {
    let folder = tempfile::tempdir().unwrap();
    file(folder.path(), "data/secret.key", "short");
    file(folder.path(), "templates/de/invitation.subject.txt", "{{ nobody.knows.this }}");
    file(folder.path(), "ca.pem", "no certificate");
    file(folder.path(), "a-file", "");
    let toml = r#"
        [database]
        url = "sqlite://a-file/roster.db"
        [server.tls]
        certificate_file = "nowhere.pem"
        key_file = "nowhere.key"
        [mail]
        transport = "smtp"
        templates = "templates"
        [mail.smtp]
        host = "localhost"
        ca_file = "ca.pem"
        [events]
        publisher = "nats"
        [events.nats]
        credentials_file = "nowhere.creds"
    "#;
    let (status, told) = checked(folder.path(), toml, &[]).await;
    assert_eq!(status, 2, "{told}");
    for problem in [
        "the configuration has 6 problems:",
        "mail.templates: ",
        "links.keys: ./data/secret.key does not hold a key",
        "database.url: a-file is no folder",
        "events.nats: cannot use the NATS credentials in nowhere.creds",
        "server.tls: ",
        "mail.smtp: ca.pem holds no usable PEM certificate",
    ] {
        assert!(told.contains(problem), "{problem}\n{told}");
    }
    let (status, told) = checked(folder.path(), "server.port = 1\nevents.retention = \"1day\"", &[]).await;
    assert!(status == 2 && told.contains("has 2 problems") && told.contains("server.port"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_can_look_whether_servers_answer() {
    let database = TestDatabase::new(crate::support::Db::Postgres).await;
    let sink = Sink::start(&[]).await;
    let nats = parts::nats_url();
    let folder = tempfile::tempdir().unwrap();
    let config = |database: &str, nats: &str, smtp: u16| {
        format!(
            r#"
            database.url = "{database}"
            events = {{ publisher = "nats", nats = {{ url = "{nats}" }} }}
            mail = {{ transport = "smtp", smtp = {{ host = "127.0.0.1", port = {smtp}, security = "plaintext" }} }}
            "#
        )
    };
    let right = config(&database.url, &nats, sink.port);
    assert_eq!(checked(folder.path(), &right, &["--connect"]).await, (0, "ok\n".to_owned()));
    let wrong = config("postgres://roster:s3cr3t@127.0.0.1:1/roster", "nats://127.0.0.1:1", 1);
    assert_eq!(checked(folder.path(), &wrong, &[]).await, (0, "ok\n".to_owned()), "nobody is asked");
    let (status, told) = checked(folder.path(), &wrong, &["--connect"]).await;
    assert!(status == 2 && !told.contains("s3cr3t"), "{told}");
    for key in ["the configuration has 3 problems:", "database.url: ", "events.nats: ", "mail.smtp: "] {
        assert!(told.contains(key), "{key}\n{told}");
    }
}
