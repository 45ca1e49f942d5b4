//! What can be wrong with a configuration: everything at once, each problem under its key.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Why no configuration could be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration file that was named cannot be read.
    #[error("cannot read the configuration file {}", path.display())]
    Unreadable {
        /// The file that was asked for.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The configuration file is not TOML. The offending line is not repeated: it may hold a
    /// secret.
    #[error("{}, line {line}, column {column}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line of the mistake, from 1.
        line: usize,
        /// Column of the mistake in characters, from 1.
        column: usize,
        /// What the parser expected.
        message: String,
    },
    /// Some keys are unknown, missing or hold values that cannot be used.
    #[error("{0}")]
    Invalid(Problems),
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key, dotted and with list positions: `auth.tokens[0].sha256`.
    pub key: String,
    /// What is wrong with it. Never holds the value of a key that may be secret.
    pub message: String,
    /// The environment variable that set the key, if one did.
    pub variable: Option<String>,
}

/// Every problem of a configuration, in the order of discovery, at most one per key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problem {
    /// A problem of a key.
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into(), variable: None }
    }
}

impl FromIterator<Problem> for Problems {
    fn from_iter<T: IntoIterator<Item = Problem>>(problems: T) -> Self {
        Self(problems.into_iter().collect())
    }
}

impl Problems {
    /// Records a problem, unless one is known for this key or for a table around it: what was
    /// refused has been replaced by a default, and judging that would only mislead.
    pub(super) fn add(&mut self, key: impl Into<String>, message: impl Into<String>) {
        let (key, message) = (key.into(), message.into());
        if !self.0.iter().any(|known| covers(&known.key, &key)) {
            self.0.push(Problem::new(key, message));
        }
    }

    /// Whether a problem is known of what stands at `key` or in it.
    pub(super) fn within(&self, key: &str) -> bool {
        self.0.iter().any(|known| covers(key, &known.key))
    }

    /// Records a problem unless `holds`.
    pub(super) fn require(&mut self, holds: bool, key: &str, message: &str) {
        if !holds {
            self.add(key, message);
        }
    }

    /// Records a problem if `duration` is nothing.
    pub(super) fn positive(&mut self, duration: Duration, key: &str) {
        self.require(!duration.is_zero(), key, "must be longer than 0s");
    }

    /// Names the environment variable behind each problem that has one.
    pub(super) fn attribute(&mut self, variable_of: impl Fn(&str) -> Option<String>) {
        for problem in &mut self.0 {
            problem.variable = variable_of(&problem.key);
        }
    }

    /// Fails with all problems on one line if there are any.
    pub(super) fn none(self) -> Result<(), String> {
        if self.0.is_empty() {
            return Ok(());
        }
        let told = self.0.iter().map(|Problem { key, message, .. }| format!("{key}: {message}"));
        Err(told.collect::<Vec<_>>().join("; "))
    }

    /// The problems.
    #[must_use]
    pub fn as_slice(&self) -> &[Problem] {
        &self.0
    }
}

/// Whether a problem at `known` says enough about `key`: the same key, or a table or list it is in.
pub(super) fn covers(known: &str, key: &str) -> bool {
    key.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => write!(f, "the configuration has a problem:")?,
            n => write!(f, "the configuration has {n} problems:")?,
        }
        for Problem { key, message, variable } in &self.0 {
            write!(f, "\n  {key}: {message}")?;
            if let Some(variable) = variable {
                write!(f, " (set by {variable})")?;
            }
        }
        Ok(())
    }
}
