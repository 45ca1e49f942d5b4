//! Reading what rows hold: a value that this program never wrote is reported with its place.

use std::fmt::Display;

use serde::de::DeserializeOwned;

use super::{Error, Result};

/// Where a value stands.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    table: &'static str,
    row: &'a dyn Display,
}

impl<'a> At<'a> {
    pub(super) fn new(table: &'static str, row: &'a dyn Display) -> Self {
        Self { table, row }
    }

    /// The value, or which column is damaged and how.
    pub(super) fn check<T, E: Display>(self, column: &'static str, value: Result<T, E>) -> Result<T> {
        value.map_err(|why| self.corrupt(column, &why))
    }

    /// The value of a document.
    pub(super) fn json<T: DeserializeOwned>(self, column: &'static str, value: serde_json::Value) -> Result<T> {
        self.check(column, serde_json::from_value(value))
    }

    /// The variant that a word stands for.
    pub(super) fn word<T: Copy>(self, column: &'static str, words: &[(&'static str, T)], word: &str) -> Result<T> {
        let found = words.iter().find(|(known, _)| *known == word);
        found.map(|(_, value)| *value).ok_or_else(|| self.corrupt(column, &format_args!("unknown word {word:?}")))
    }

    /// The report of a damaged value.
    pub(super) fn corrupt(self, column: &'static str, why: &dyn Display) -> Error {
        Error::Corrupt { table: self.table, column, row: self.row.to_string(), why: why.to_string() }
    }
}

/// The word that stands for a variant.
pub(super) fn word_of<T: PartialEq>(words: &[(&'static str, T)], value: &T) -> String {
    words.iter().find(|(_, known)| known == value).map_or_else(String::new, |(word, _)| (*word).to_owned())
}

/// A document of a value. Domain values are maps of plain values, which always have one.
pub(super) fn to_json(value: &impl serde::Serialize) -> serde_json::Value {
    serde_json::to_value(value).unwrap_or_default()
}
