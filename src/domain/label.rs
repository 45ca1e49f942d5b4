//! The caller's own key-value data on teams and invitations. Roster stores it and gives it back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Invalid;

/// Labels or metadata: a bounded map, in the order of its keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(BTreeMap<String, String>);

impl Labels {
    /// A team's labels: at most 64, keys of 1 to 63 characters, values of at most 255.
    pub fn team(map: BTreeMap<String, String>) -> Result<Self, Invalid> {
        Self::bounded(map, 64, 255, "must hold at most 64 entries, keys of 1 to 63 characters, values of at most 255")
    }

    /// An invitation's metadata: at most 32, keys of 1 to 63 characters, values of at most 500.
    pub fn metadata(map: BTreeMap<String, String>) -> Result<Self, Invalid> {
        Self::bounded(map, 32, 500, "must hold at most 32 entries, keys of 1 to 63 characters, values of at most 500")
    }

    fn bounded(
        map: BTreeMap<String, String>,
        entries: usize,
        value: usize,
        why: &'static str,
    ) -> Result<Self, Invalid> {
        // NUL is the one character that PostgreSQL cannot keep in text; no caller needs a control character here.
        let plain = |text: &str| !text.chars().any(char::is_control);
        let fits = map.len() <= entries
            && map.iter().all(|(k, v)| {
                (1..=63).contains(&k.chars().count()) && v.chars().count() <= value && plain(k) && plain(v)
            });
        if fits { Ok(Self(map)) } else { Err(Invalid::new(why)) }
    }

    /// The entries.
    pub fn as_map(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}
