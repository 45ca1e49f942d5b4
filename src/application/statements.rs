//! Groups of statements as the database's share of a call: a transaction, or the reads that answer one question. Each is
//! measured, and is a span of the call that it is for.

use tokio::time::Instant;
use tracing::{Span, field::Empty};

use super::{Error, Result};
use crate::{
    metrics::Metrics,
    repository::{self, Database},
    trace,
};

/// Measures groups of statements on one database.
#[derive(Debug, Clone)]
pub(super) struct Statements {
    metrics: Metrics,
    /// The database as the OpenTelemetry conventions call it.
    system: &'static str,
}

impl Statements {
    pub(super) fn new(database: &Database, metrics: Metrics) -> Self {
        Self { metrics, system: if database.is_postgres() { "postgresql" } else { "sqlite" } }
    }

    /// Does `work` as one group under this name.
    pub(super) async fn group<T, E: AsRef<Error>>(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let mut group = Group { statements: self, name, span: self.span(name), begun: Instant::now(), end: Some(GONE) };
        let result = work.await;
        group.end = result.as_ref().err().and_then(|error| failure(error.as_ref()));
        result
    }

    fn span(&self, name: &'static str) -> Span {
        // What is done for no call has no trace that it could be a part of, and is done too often to have its own.
        if !trace::is_kept() {
            return Span::none();
        }
        tracing::info_span!(
            "statements",
            otel.name = name,
            otel.kind = "client",
            otel.status_code = Empty,
            db.system.name = self.system,
            db.operation.name = name,
            error.type = Empty,
        )
    }
}

/// How a group ends that nobody waits for any more.
const GONE: &str = "CANCELLED";

/// A group under way.
struct Group<'a> {
    statements: &'a Statements,
    name: &'static str,
    span: Span,
    begun: Instant,
    /// How it failed, if it did.
    end: Option<&'static str>,
}

impl Drop for Group<'_> {
    fn drop(&mut self) {
        if let Some(error) = self.end {
            self.span.record("error.type", error);
            if error != GONE {
                self.span.record("otel.status_code", "ERROR");
            }
        }
        let Statements { metrics, system } = self.statements;
        metrics.statements(system, self.name, self.end, self.begun.elapsed());
    }
}

/// How the database failed. That a caller is refused is no failure of its.
fn failure(error: &Error) -> Option<&'static str> {
    let Error::Storage(error) = error else { return None };
    match error {
        repository::Error::Conflict(_) => Some("CONFLICT"),
        repository::Error::Unavailable(_) => Some("UNAVAILABLE"),
        repository::Error::Timeout(_) => Some("TIMEOUT"),
        repository::Error::Corrupt { .. } => Some("CORRUPT"),
        repository::Error::Duplicate(_)
        | repository::Error::TooLarge { .. }
        | repository::Error::Locked(_)
        | repository::Error::Other(_) => Some("_OTHER"),
    }
}
