//! The reference for operators: a page of every key, its variable, its default and its meaning.

use std::fmt::Write as _;

use toml::{Table, Value};

use super::Config;
use super::index::{FILE, Key, Kind, keys};
use super::layers::variable_of;

const HEAD: &str = "\
<!-- Made by `roster config reference` of the comments in src/config; change it there. -->

# Every key

Each key with the variable that sets it, the value that it has if nobody sets it, and its meaning.
[configuration.md](configuration.md) says how files and variables go together, and has an example for production.
";

const COLUMNS: &str = "\n| key | variable | default | meaning |\n| --- | --- | --- | --- |\n";

/// The page, as Markdown.
pub fn reference() -> String {
    let defaults = Table::try_from(Config::default()).unwrap_or_default();
    let mut page = HEAD.to_owned();
    page.push_str(COLUMNS);
    rows("", &defaults, &mut page);
    for table in keys().iter().filter(|key| key.kind == Kind::Table) {
        let _ = write!(page, "\n## `{}`\n\n{}\n", table.path, table.meaning);
        if keys().iter().any(|key| key.table() == table.path && key.kind != Kind::Table) {
            page.push_str(COLUMNS);
            rows(&table.path, &defaults, &mut page);
        }
    }
    page
}

/// The keys that stand in `table` itself.
fn rows(table: &str, defaults: &Table, page: &mut String) {
    for key in keys().iter().filter(|key| key.table() == table && key.kind != Kind::Table) {
        let variable = if key.in_list() { String::new() } else { format!("`{}`", variable_of(&key.path)) };
        let _ = writeln!(page, "| `{}` | {variable} | {} | {} |", key.path, default(key, defaults), meaning(key));
    }
}

fn default(key: &Key, defaults: &Table) -> String {
    if key.required {
        return "required".to_owned();
    }
    if key.in_list() {
        return key.default_in_list.as_ref().map_or_else(|| "none".to_owned(), |value| format!("`{value}`"));
    }
    let (mut names, last) = (key.table().split('.').filter(|name| !name.is_empty()), key.name());
    let table = names.try_fold(defaults, |table, name| table.get(name)?.as_table());
    match table.and_then(|table| table.get(last)) {
        None => "none".to_owned(),
        Some(Value::Array(items)) if items.iter().any(Value::is_table) => {
            format!("[these](configuration.md#{last})")
        }
        Some(value) => format!("`{value}`"),
    }
}

fn meaning(key: &Key) -> String {
    let mut text = key.meaning.clone();
    if let Kind::Choice(words) = &key.kind {
        for (word, meaning) in words {
            let _ = write!(text, " `{word}`: {meaning}");
        }
    }
    if key.secret() {
        let _ = write!(text, " **Secret**: can stand in a file that `{}{FILE}` names.", key.name());
    }
    text.replace('|', "\\|")
}
