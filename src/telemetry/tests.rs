use std::sync::{Arc, Mutex};

use super::*;

/// A log in memory.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl io::Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Memory {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

fn logged(config: &Telemetry, provider: Option<&SdkTracerProvider>, act: impl FnOnce()) -> String {
    let memory = Memory::default();
    let subscriber = subscriber(config, memory.clone(), false, provider).unwrap();
    tracing::subscriber::with_default(subscriber, act);
    String::from_utf8(memory.0.lock().unwrap().clone()).unwrap()
}

fn with(log_filter: &str, log_format: LogFormat) -> Telemetry {
    Telemetry { log_filter: log_filter.to_owned(), log_format, ..Telemetry::default() }
}

#[test]
fn json_has_the_fields_of_the_event_and_of_its_span() {
    let line = logged(&with("info", LogFormat::Auto), None, || {
        tracing::info_span!("request", rpc = "GetTeam").in_scope(|| tracing::info!(code = "OK", "served"));
    });
    let mut object: serde_json::Value = serde_json::from_str(&line).unwrap();
    object["timestamp"].take();
    insta::assert_snapshot!(object, @r#"{"code":"OK","level":"INFO","message":"served","span":{"name":"request","rpc":"GetTeam"},"target":"roster::telemetry::tests","timestamp":null}"#);
}

#[test]
fn json_names_the_trace() {
    let provider = SdkTracerProvider::builder().build();
    // A filter that is too coarse for the span does not cut off the trace.
    let line = logged(&with("warn", LogFormat::Json), Some(&provider), || {
        tracing::info_span!("request").in_scope(|| tracing::warn!("slow"));
    });
    let object: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(object["trace_id"].as_str().map(str::len), Some(32), "{line}");
    assert_eq!(object["span_id"].as_str().map(str::len), Some(16), "{line}");
}

#[test]
fn text_names_the_trace() {
    let provider = SdkTracerProvider::builder().build();
    let log = logged(&with("info", LogFormat::Text), Some(&provider), || {
        tracing::info_span!("request").in_scope(|| tracing::info!("inside"));
        tracing::info!("outside");
    });
    let [inside, outside] = log.lines().collect::<Vec<_>>()[..] else { panic!("{log}") };
    let (_, ids) = inside.split_once("inside trace_id=").expect(inside);
    let (trace, span) = ids.split_once(" span_id=").expect(inside);
    assert_eq!((trace.len(), span.len()), (32, 16), "{inside}");
    assert!(outside.ends_with("outside"), "{outside}");
}

#[test]
fn the_client_of_nats_says_little_unless_it_is_asked() {
    let told = |filter: &str| {
        let log = logged(&with(filter, LogFormat::Text), None, || {
            tracing::info!(target: "async_nats", "event: client error");
            tracing::warn!(target: "async_nats", "slow consumer");
        });
        (log.contains("client error"), log.contains("slow consumer"))
    };
    assert_eq!(told("info"), (false, true));
    assert_eq!(told("warn,roster=info"), (false, true));
    assert_eq!(told("debug"), (true, true));
    assert_eq!(told("info,async_nats=info"), (true, true));
    assert_eq!(told("info,async_nats=error"), (false, false));
}

#[test]
fn text_has_no_colours_away_from_a_terminal() {
    let line = logged(&with("info", LogFormat::Text), None, || tracing::info!(code = "OK", "served"));
    assert!(line.contains("served code=\"OK\"") && !line.contains('\u{1b}'), "{line}");
}

#[test]
fn libraries_never_log_what_they_were_given() {
    let log = logged(&with("trace", LogFormat::Text), None, || {
        tracing::trace!("own");
        tracing::debug!(target: "sqlx::query", "a statement");
        tracing::trace_span!(target: "sea_orm::driver", "connect", options = "hunter2")
            .in_scope(|| tracing::debug!("inside"));
        tracing::trace!(target: "rosters", "hunter2");
    });
    assert!(log.contains("own") && log.contains("a statement") && log.contains("inside"), "{log}");
    assert!(!log.contains("hunter2"), "{log}");
}

#[test]
fn the_filter_holds() {
    let log = logged(&with("warn,roster::telemetry=debug", LogFormat::Text), None, || {
        tracing::debug!("fine");
        tracing::trace!("finer");
        tracing::info!(target: "roster::app", "elsewhere");
    });
    assert!(log.contains("fine") && !log.contains("finer") && !log.contains("elsewhere"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_collector_delays_the_end_by_its_limit_at_most() {
    let config = Telemetry { otlp_endpoint: Some("http://127.0.0.1:9".parse().unwrap()), ..Telemetry::default() };
    let provider = exporting(config.otlp_endpoint.as_ref().unwrap(), &config, &resource(&config).unwrap()).unwrap();
    let subscriber = subscriber(&config, io::sink, false, Some(&provider)).unwrap();
    tracing::subscriber::with_default(subscriber, || tracing::info_span!("request").in_scope(|| {}));
    let end = Guard(Some(provider)).shutdown();
    tokio::time::timeout(FLUSH_LIMIT + Duration::from_secs(2), end).await.unwrap();
}
