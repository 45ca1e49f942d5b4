//! The layers below the typed configuration: one TOML file and the environment, merged into one
//! table of untyped values. Defaults are not here; they belong to the sections.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use figment::Figment;
use figment::providers::Serialized;
use figment::value::{Dict, Value};

use super::error::{Error, Problems, covers};

/// Start of the name of every variable that configures Roster.
const PREFIX: &str = "ROSTER_";
/// Keys at the top level, whose variables have no `__`. Any other variable without `__` is left
/// alone: Kubernetes injects `ROSTER_SERVICE_HOST` and `ROSTER_PORT` beside a service called roster.
const TOP_LEVEL: [&str; 2] = ["data_dir", "roles"];
/// Keys that hold a list; their variables hold a TOML array.
const LISTS: [&str; 7] = [
    "roles",
    "server.grpc_web.allowed_origins",
    "auth.tokens",
    "auth.certificates",
    "auth.jwt.algorithms",
    "auth.jwt.user_scopes",
    "links.keys",
];

/// What was given, before any type or default.
#[derive(Debug, Default)]
pub(super) struct Layers {
    /// The merged table: the environment wins over the file, key by key.
    pub(super) values: Dict,
    /// Which variable set which key.
    variables: BTreeMap<String, String>,
}

impl Layers {
    /// Reads the file, if one is named, and lays the variables over it.
    pub(super) fn read(
        file: Option<&Path>,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        problems: &mut Problems,
    ) -> Result<Self, Error> {
        let mut figment = Figment::new();
        if let Some(path) = file {
            figment = figment.merge(Serialized::defaults(read_file(path)?));
        }
        let mut names = BTreeMap::new();
        for (name, value) in variables {
            let Some(name) = name.to_str() else { continue };
            let Some(key) = key_of(name) else { continue };
            if value.is_empty() {
                continue;
            }
            names.insert(key.clone(), name.to_owned());
            match read_value(&key, value) {
                Ok(value) => figment = figment.merge(Serialized::default(&key, value)),
                Err(message) => problems.add(key, message),
            }
        }
        // Merging plain tables cannot fail; were it to, the empty table would be refused later.
        let values = figment.extract().unwrap_or_default();
        Ok(Self { values, variables: names })
    }

    /// The variable that set `key`, or set the list or table it is in.
    pub(super) fn variable_of(&self, key: &str) -> Option<String> {
        let known = |(set, _): &(&String, &String)| covers(set, key);
        self.variables.iter().find(known).map(|(_, name)| name.clone())
    }
}

/// `ROSTER_SERVER__MAX_DEADLINE` → `server.max_deadline`; `None` for what configures nothing.
fn key_of(variable: &str) -> Option<String> {
    let name = variable.strip_prefix(PREFIX)?.to_ascii_lowercase();
    (name.contains("__") || TOP_LEVEL.contains(&&*name)).then(|| name.replace("__", "."))
}

/// A variable's value: TOML where the key holds a list, else the text as it stands. It is not
/// guessed at, so that a password of digits stays a text; numbers are made where a number is due.
fn read_value(key: &str, value: OsString) -> Result<Value, String> {
    let text = value.into_string().map_err(|_| "is not UTF-8")?;
    if !LISTS.contains(&key) {
        return Ok(Value::from(text));
    }
    toml::from_str::<Dict>(&format!("value = {text}"))
        .ok()
        .and_then(|mut table| table.remove("value"))
        .ok_or_else(|| "expected a TOML array such as [\"…\"] or [{ id = \"…\" }]".to_owned())
}

fn read_file(path: &Path) -> Result<Dict, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Unreadable { path: path.to_owned(), source })?;
    toml::from_str(&text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        Error::Syntax {
            path: path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before.chars().rev().take_while(|c| *c != '\n').count() + 1,
            message: error.message().to_owned(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_names_a_key_by_double_underscores() {
        assert_eq!(key_of("ROSTER_SERVER__LISTEN").as_deref(), Some("server.listen"));
        assert_eq!(key_of("ROSTER_MAIL__SMTP__CA_FILE").as_deref(), Some("mail.smtp.ca_file"));
        assert_eq!(key_of("ROSTER_DATA_DIR").as_deref(), Some("data_dir"));
    }

    #[test]
    fn variables_of_others_are_left_alone() {
        for name in ["PATH", "ROSTER_CONFIG", "ROSTER_SERVICE_HOST", "ROSTER_PORT_50051_TCP"] {
            assert_eq!(key_of(name), None, "{name}");
        }
    }
}
