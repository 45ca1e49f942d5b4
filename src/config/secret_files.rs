//! Secrets from files: wherever a secret `x` may stand, `x_file` may name a file that holds it.

use figment::value::{Dict, Value};

use super::error::Problems;
use super::index::{FILE, keys};

/// Reads the files that are named, and puts what they hold where the secret would have stood.
pub(super) fn fill(values: &mut Dict, problems: &mut Problems) {
    for secret in keys().iter().filter(|key| key.secret()) {
        let Some(list) = secret.table().strip_suffix("[]") else {
            if let Some(dict) = find(values, secret.table()) {
                fill_one(dict, secret.name(), secret.table(), problems);
            }
            continue;
        };
        let (table, name) = list.rsplit_once('.').unwrap_or(("", list));
        let Some(Value::Array(_, items)) = find(values, table).and_then(|dict| dict.get_mut(name)) else {
            continue;
        };
        for (index, item) in items.iter_mut().enumerate() {
            if let Value::Dict(_, dict) = item {
                fill_one(dict, secret.name(), &format!("{list}[{index}]"), problems);
            }
        }
    }
}

fn find<'a>(values: &'a mut Dict, table: &str) -> Option<&'a mut Dict> {
    table.split('.').filter(|key| !key.is_empty()).try_fold(values, |dict, key| match dict.get_mut(key) {
        Some(Value::Dict(_, inner)) => Some(inner),
        _ => None,
    })
}

fn fill_one(dict: &mut Dict, key: &str, table: &str, problems: &mut Problems) {
    let file_key = format!("{key}{FILE}");
    let Some(path) = dict.get(&file_key).and_then(Value::as_str) else {
        return;
    };
    if dict.contains_key(key) {
        problems.add(format!("{table}.{key}"), format!("give this or {file_key}, not both"));
        return;
    }
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let secret = text.trim_end_matches(['\r', '\n']);
            dict.insert(key.to_owned(), Value::from(secret));
        }
        Err(error) => {
            problems.add(format!("{table}.{file_key}"), format!("cannot read {path}: {error}"));
        }
    }
}
