//! The stream that events are published to: made if it is missing, never changed.

use std::time::Duration;

use async_nats::jetstream::{
    Context, ErrorCode,
    context::GetStreamErrorKind,
    stream::{Config, RetentionPolicy, StorageType},
};

use crate::{causes::on_one_line, config};

/// How long the stream remembers which events it has: a publish that was repeated within this time leaves no copy.
const DUPLICATE_WINDOW: Duration = Duration::from_mins(2);

/// What the stream is made like.
pub(super) fn wanted(settings: &config::Nats) -> Config {
    Config {
        name: settings.stream.clone(),
        description: Some("Changes of teams, members and invitations, published by Roster.".to_owned()),
        subjects: vec![format!("{}.>", settings.subject_prefix)],
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        duplicate_window: DUPLICATE_WINDOW,
        num_replicas: settings.replicas,
        ..Config::default()
    }
}

/// Makes the stream if it is missing; else checks what an operator made of it. Fails with what is wrong, in words.
pub(super) async fn ensure(jetstream: &Context, wanted: &Config) -> Result<(), String> {
    match jetstream.get_stream(&wanted.name).await {
        Ok(stream) => check(wanted, &stream.cached_info().config),
        Err(error) if is_missing(&error.kind()) => match jetstream.create_stream(wanted.clone()).await {
            Ok(_) => {
                tracing::info!(stream = wanted.name, subjects = ?wanted.subjects, "made the NATS stream");
                Ok(())
            }
            Err(error) => Err(format!("cannot make the NATS stream {}: {}", wanted.name, on_one_line(&error))),
        },
        Err(error) => Err(format!("cannot look at the NATS stream {}: {}", wanted.name, on_one_line(&error))),
    }
}

fn is_missing(error: &GetStreamErrorKind) -> bool {
    matches!(error, GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

/// Refuses a stream that would lose or miss events. Limits, replicas and all else are the operator's to choose.
fn check(wanted: &Config, found: &Config) -> Result<(), String> {
    let subject = &wanted.subjects[0];
    let mut wrong = Vec::new();
    if found.retention != RetentionPolicy::Limits {
        // With another policy a message is gone once it is consumed, and its copy would be taken for a new one.
        wrong.push("its retention policy must be limits".to_owned());
    }
    if found.storage != StorageType::File {
        wrong.push("its storage must be file".to_owned());
    }
    if !found.subjects.iter().any(|pattern| covers(pattern, subject)) {
        wrong.push(format!("its subjects must include {subject}"));
    }
    if found.duplicate_window < wanted.duplicate_window {
        wrong.push(format!("its duplicate window must be at least {} s", DUPLICATE_WINDOW.as_secs()));
    }
    if found.no_ack {
        wrong.push("it must acknowledge messages".to_owned());
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let name = &wanted.name;
    Err(format!(
        "the NATS stream {name} exists, but {}; change it, or name another in the configuration",
        wrong.join(", ")
    ))
}

/// Whether every subject that `inner` matches is matched by `outer`.
fn covers(outer: &str, inner: &str) -> bool {
    let mut inner = inner.split('.');
    for token in outer.split('.') {
        match (token, inner.next()) {
            (">", Some(_)) => return true,
            ("*", Some(other)) if other != ">" => {}
            (token, Some(other)) if token == other => {}
            _ => return false,
        }
    }
    inner.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wider_subject_covers() {
        let inner = "roster.events.v1.>";
        for outer in ["roster.events.v1.>", "roster.events.>", "roster.*.v1.>", "*.>", ">"] {
            assert!(covers(outer, inner), "{outer}");
        }
        for outer in
            ["roster.events.v1.*", "roster.events.v1", "roster.events.v2.>", "roster.events.v1.users.>", "*", ""]
        {
            assert!(!covers(outer, inner), "{outer}");
        }
    }

    #[test]
    fn what_would_lose_events_is_refused_and_the_rest_is_the_operators() {
        let wanted = wanted(&config::Nats::default());
        let chosen = Config {
            subjects: vec!["audit.>".to_owned(), "roster.>".to_owned()],
            max_age: Duration::from_hours(24),
            num_replicas: 3,
            duplicate_window: Duration::from_mins(10),
            ..wanted.clone()
        };
        assert_eq!(check(&wanted, &chosen), Ok(()));

        let unfit = Config {
            retention: RetentionPolicy::WorkQueue,
            storage: StorageType::Memory,
            subjects: vec!["roster.events.v1.*".to_owned()],
            duplicate_window: Duration::from_secs(1),
            no_ack: true,
            ..wanted.clone()
        };
        insta::assert_snapshot!(check(&wanted, &unfit).unwrap_err(), @"the NATS stream ROSTER_EVENTS exists, but its retention policy must be limits, its storage must be file, its subjects must include roster.events.v1.>, its duplicate window must be at least 120 s, it must acknowledge messages; change it, or name another in the configuration");
    }
}
