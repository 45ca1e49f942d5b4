//! From untyped values to [`Config`], collecting every mistake on the way.

use figment::Figment;
use figment::error::Kind;
use figment::providers::Serialized;
use figment::value::{Dict, Value};

use super::error::Problems;
use super::{Config, DatabaseUrl};

/// Keys that each table of a list must have; a secret may also come from a file.
const REQUIRED: [(&str, &[&str]); 4] = [
    ("auth.tokens", &["name", "sha256", "scopes"]),
    ("auth.certificates", &["name", "san", "scopes"]),
    ("links.keys", &["id", "secret"]),
    ("roles", &["id", "name", "permissions"]),
];

/// Makes a configuration of `values`; the result is of use only if `problems` stays empty.
///
/// Deserialisation stops at the first mistake. So each mistake is recorded and taken out, its
/// default stands in, and the rest is tried again, until all have been found.
pub(super) fn extract(mut values: Dict, problems: &mut Problems) -> Config {
    require_in_lists(&values, problems);
    let config = loop {
        let figment = Figment::from(Serialized::defaults(&values));
        let errors = match figment.extract_lossy::<Config>() {
            Ok(config) => break config,
            Err(errors) => errors,
        };
        for error in errors {
            let removed = remove(&mut values, &error.path);
            problems.add(key_text(&error.path), message(&error.kind));
            if !removed {
                return Config::default();
            }
        }
    };
    follow_data_dir(config, &values)
}

/// The database and the mail folder are in `data_dir` unless they are placed elsewhere.
fn follow_data_dir(mut config: Config, values: &Dict) -> Config {
    let given = |path: &str| Value::from(values.clone()).find(path).is_some();
    if !given("database.url") {
        config.database.url = DatabaseUrl::sqlite(&config.data_dir.join("roster.db"));
    }
    if !given("mail.file.folder") {
        config.mail.file.folder = config.data_dir.join("mail");
    }
    config
}

fn require_in_lists(values: &Dict, problems: &mut Problems) {
    for (list, keys) in REQUIRED {
        let Some(Value::Array(_, items)) = Value::from(values.clone()).find(list) else {
            continue;
        };
        for (index, item) in items.iter().enumerate() {
            let Value::Dict(_, dict) = item else { continue };
            for key in keys {
                let given = dict.contains_key(*key) || dict.contains_key(&format!("{key}_file"));
                problems.require(given, &format!("{list}[{index}].{key}"), "is required");
            }
        }
    }
}

/// Takes the value at `path` out, or the nearest table entry around it. Entries of a list stay
/// in their places, so that later problems still name the right one.
fn remove(dict: &mut Dict, path: &[String]) -> bool {
    let Some((key, rest)) = path.split_first() else {
        return false;
    };
    let removed_within = match dict.get_mut(key) {
        Some(Value::Dict(_, inner)) => remove(inner, rest),
        Some(Value::Array(_, items)) => rest.split_first().is_some_and(|(index, rest)| {
            match index.parse().ok().and_then(|index: usize| items.get_mut(index)) {
                Some(Value::Dict(_, inner)) => remove(inner, rest),
                _ => false,
            }
        }),
        _ => false,
    };
    removed_within || dict.remove(key).is_some()
}

/// `["auth", "tokens", "0", "name"]` → `auth.tokens[0].name`.
fn key_text(path: &[String]) -> String {
    path.iter().fold(String::new(), |text, part| {
        if part.bytes().all(|byte| byte.is_ascii_digit()) {
            format!("{text}[{part}]")
        } else if text.is_empty() {
            part.clone()
        } else {
            format!("{text}.{part}")
        }
    })
}

/// What is wrong, without repeating the value: it may be a secret, or stand where one belongs.
fn message(kind: &Kind) -> String {
    match kind {
        Kind::UnknownField(_, known) => {
            format!("is not a known key; known here: {}", known.join(", "))
        }
        Kind::UnknownVariant(given, known) => {
            format!("{given:?} is not one of {}", known.join(", "))
        }
        Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) => format!("expected {}", plain(expected)),
        Kind::Message(text) if text == "invalid socket address syntax" => {
            "expected an address and a port such as \"127.0.0.1:50051\"".to_owned()
        }
        other => other.to_string(),
    }
}

/// What the deserialiser expected, for people.
fn plain(expected: &str) -> &str {
    match expected {
        "a duration" => "a duration such as \"500ms\", \"30s\" or \"14days\"",
        "u8" => "a whole number up to 255",
        "u16" => "a whole number up to 65535",
        "u32" | "usize" => "a whole number",
        "f64" => "a number",
        other => other,
    }
}
