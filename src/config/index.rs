//! Every key that there is, told by the types of the sections: what is said here of a field is read from it. So a new
//! field is known to everything that goes through keys (variables, secrets from files, what a list's entries must have,
//! the reference), and nothing has to be listed a second time.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::Config;

/// Follows the secret's own name in the key of the file that holds it.
pub(super) const FILE: &str = "_file";

/// A key, or a table around keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    /// Dotted; what stands in each table of a list has `[]` after the list's name: `auth.tokens[].name`.
    pub(super) path: String,
    /// The comment of its field.
    pub(super) meaning: String,
    pub(super) kind: Kind,
    /// Whether each table of the list that it is in must have it.
    pub(super) required: bool,
    /// What stands there by default in each table of the list that it is in, as TOML has it.
    pub(super) default_in_list: Option<String>,
}

/// What stands under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A text, a number or the like.
    Value,
    /// One of these words, with the meaning of each.
    Choice(Vec<(String, String)>),
    /// A list, of tables or of something else.
    List,
    /// A table, whose keys follow.
    Table,
}

impl Key {
    /// The table or the list's table that it is in; empty at the top.
    pub(super) fn table(&self) -> &str {
        self.path.rsplit_once('.').map_or("", |(table, _)| table)
    }

    /// Its name there.
    pub(super) fn name(&self) -> &str {
        self.path.rsplit_once('.').map_or(&self.path, |(_, name)| name)
    }

    /// Whether it stands in the tables of a list, and has no variable of its own.
    pub(super) fn in_list(&self) -> bool {
        self.path.contains("[]")
    }

    /// Whether it is a secret: a file may hold it instead.
    pub(super) fn secret(&self) -> bool {
        let file = format!("{}{FILE}", self.path);
        keys().iter().any(|key| key.path == file)
    }
}

/// All keys, with the tables around them, in the order of the alphabet.
pub(super) fn keys() -> &'static [Key] {
    static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
        let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
        let schema = settings.into_generator().into_root_schema_for::<Config>();
        let mut keys = Vec::new();
        visit(schema.as_value(), "", &mut keys);
        keys
    });
    &KEYS
}

/// Adds what stands in `table`, whose keys begin with `prefix`.
fn visit(table: &Value, prefix: &str, keys: &mut Vec<Key>) {
    for (name, field) in table["properties"].as_object().into_iter().flatten() {
        let path = format!("{prefix}{name}");
        let entries = &field["items"];
        let kind = if field.get("properties").is_some() {
            Kind::Table
        } else if field.get("items").is_some() {
            Kind::List
        } else {
            choice(field).map_or(Kind::Value, Kind::Choice)
        };
        let required = field["x-required"] == true;
        let default_in_list = field.get("default").filter(|value| !value.is_null()).map(ToString::to_string);
        keys.push(Key { path: path.clone(), meaning: text(field), kind, required, default_in_list });
        if entries.get("properties").is_some() {
            let entry = format!("{path}[]");
            keys.push(Key {
                path: entry.clone(),
                meaning: text(entries),
                kind: Kind::Table,
                required: false,
                default_in_list: None,
            });
            visit(entries, &format!("{entry}."), keys);
        }
        visit(field, &format!("{path}."), keys);
    }
}

/// The words of which one has to stand there, if that is so.
fn choice(field: &Value) -> Option<Vec<(String, String)>> {
    let words = field["oneOf"].as_array()?;
    Some(words.iter().filter_map(|word| Some((word["const"].as_str()?.to_owned(), text(word)))).collect())
}

/// The comment of a field, a word or a struct, on one line.
fn text(of: &Value) -> String {
    of["description"].as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(path: &str) -> &'static Key {
        keys().iter().find(|key| key.path == path).unwrap_or_else(|| panic!("{path}"))
    }

    #[test]
    fn a_field_is_told_as_it_is() {
        assert_eq!(key("limits.invitations_per_team").kind, Kind::Table);
        assert_eq!(key("limits.invitations_per_team.count").kind, Kind::Value);
        assert_eq!(key("auth.tokens").kind, Kind::List);
        assert_eq!(key("auth.tokens[]").kind, Kind::Table);
        assert_eq!(key("auth.tokens[].scopes").kind, Kind::List);
        assert!(key("auth.tokens[].scopes").required && !key("auth.tokens[].act_for_users").required);
        let Kind::Choice(words) = &key("events.publisher").kind else { panic!() };
        assert_eq!(words[0], ("none".to_owned(), "Nowhere.".to_owned()));
    }

    #[test]
    fn secrets_are_those_that_a_file_may_hold() {
        let secrets: Vec<_> = keys().iter().filter(|key| key.secret()).map(|key| key.path.as_str()).collect();
        for secret in ["database.url", "events.nats.url", "links.keys[].secret", "mail.smtp.password"] {
            assert!(secrets.contains(&secret), "{secrets:?}");
        }
        assert!(!key("mail.smtp.ca_file").secret() && !secrets.contains(&"mail.smtp.ca"));
    }
}
