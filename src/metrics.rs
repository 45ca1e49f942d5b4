//! What this process counts and measures: every instrument is made here, and recorded by a method that says what happened.
//!
//! Whoever reports holds a [`Metrics`] and knows neither names nor libraries. The names are those of the OpenTelemetry
//! semantic conventions (1.45) where they have one, and `roster.*` elsewhere; `docs/operations.md` lists them, and a test
//! holds it to that. Attributes have few values: never an id, an address or anything that a caller made up. What is found
//! by a query ([`Waiting`]) is asked for now and then by whoever leads, and not when somebody looks at the numbers. Where
//! the numbers go is `telemetry`'s business.

mod instruments;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use opentelemetry::{
    KeyValue,
    metrics::{Meter, MeterProvider as _, NoopMeterProvider},
};

use instruments::Instruments;

/// Where to report what happens. Clones share it.
#[derive(Debug, Clone)]
pub struct Metrics {
    instruments: Arc<Instruments>,
    state: Arc<State>,
}

/// What is told when somebody looks at the numbers.
#[derive(Debug)]
struct State {
    leads: AtomicBool,
    waiting: Mutex<Option<Waiting>>,
    /// [`NOBODY`] while this instance publishes nothing.
    held_back: AtomicU64,
}

const NOBODY: u64 = u64::MAX;

/// What waits to be done outside of the database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waiting {
    /// How many events have not been handed over.
    pub events: u64,
    /// For how long the oldest of them has been waiting.
    pub oldest_event: Duration,
    /// How many mails could be sent now.
    pub mails_due: u64,
    /// How many mails are being sent, or wait for their next try.
    pub mails_put_off: u64,
    /// For how long the oldest of all these mails has been waiting.
    pub oldest_mail: Duration,
}

/// How a call ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended<'a> {
    /// The full name of the RPC; none if there is no such one.
    pub method: Option<&'a Arc<str>>,
    /// The name of its status.
    pub code: &'static str,
    /// The reason that the caller was given.
    pub reason: Option<&'static str>,
    /// Whether it is the server's fault.
    pub failed: bool,
    /// How long it took.
    pub elapsed: Duration,
}

/// How an attempt to send a mail ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailOutcome {
    /// It was taken.
    Sent,
    /// It was not taken, and will be tried again.
    Deferred,
    /// It was given up.
    Failed,
}

/// Something that goes on for as long as this lives.
#[derive(Debug)]
#[must_use = "it is over when this is dropped"]
pub struct Ongoing {
    metrics: Metrics,
    what: fn(&Instruments) -> &opentelemetry::metrics::UpDownCounter<i64>,
}

impl Drop for Ongoing {
    fn drop(&mut self) {
        (self.what)(&self.metrics.instruments).add(-1, &[]);
    }
}

impl Default for Metrics {
    /// Reports to nobody.
    fn default() -> Self {
        Self::new(&NoopMeterProvider::new().meter("roster"))
    }
}

impl Metrics {
    /// Reports by the instruments of this meter.
    pub fn new(meter: &Meter) -> Self {
        let state = Arc::new(State {
            leads: AtomicBool::new(false),
            waiting: Mutex::default(),
            held_back: AtomicU64::new(NOBODY),
        });
        Self { instruments: Arc::new(Instruments::new(meter, &state)), state }
    }

    /// A call has begun.
    pub fn call(&self) -> Ongoing {
        self.ongoing(|instruments| &instruments.calls_in_flight)
    }

    /// A call has ended.
    pub fn ended(&self, end: Ended<'_>) {
        let method = end
            .method
            .map_or_else(|| KeyValue::new("rpc.method", "_OTHER"), |name| KeyValue::new("rpc.method", name.clone()));
        let code = KeyValue::new("rpc.response.status_code", end.code);
        if let Some(reason) = end.reason {
            let attributes = [method.clone(), code.clone(), KeyValue::new("roster.error.reason", reason)];
            self.instruments.failures.add(1, &attributes);
        }
        let (seconds, system) = (end.elapsed.as_secs_f64(), KeyValue::new("rpc.system.name", "grpc"));
        if end.failed {
            let attributes = [system, method, code, KeyValue::new("error.type", end.code)];
            self.instruments.call_duration.record(seconds, &attributes);
        } else {
            self.instruments.call_duration.record(seconds, &[system, method, code]);
        }
    }

    /// No more calls than these are served at a time.
    pub fn limit_calls(&self, most: usize) {
        self.instruments.calls_limit.record(most as u64, &[]);
    }

    /// A panic was caught.
    pub fn panicked(&self) {
        self.instruments.panics.add(1, &[]);
    }

    /// A stream of events is being fed.
    pub fn stream(&self) -> Ongoing {
        self.ongoing(|instruments| &instruments.streams)
    }

    /// A group of statements has come to its end: a transaction, or the reads of one question. `error` says how it failed.
    pub fn statements(
        &self,
        system: &'static str,
        operation: &'static str,
        error: Option<&'static str>,
        elapsed: Duration,
    ) {
        let seconds = elapsed.as_secs_f64();
        let (system, operation) =
            (KeyValue::new("db.system.name", system), KeyValue::new("db.operation.name", operation));
        match error {
            Some(error) => {
                let attributes = [system, operation, KeyValue::new("error.type", error)];
                self.instruments.statements_duration.record(seconds, &attributes);
            }
            None => self.instruments.statements_duration.record(seconds, &[system, operation]),
        }
    }

    /// A transaction is run again.
    pub fn retried(&self) {
        self.instruments.retries.add(1, &[]);
    }

    /// A retry was answered with what was kept of the first try.
    pub fn replayed(&self) {
        self.instruments.replays.add(1, &[]);
    }

    /// Whether this instance leads. What waits is told by the leader alone.
    pub fn leads(&self, leads: bool) {
        self.state.leads.store(leads, Ordering::Relaxed);
        if !leads {
            self.waiting(None);
        }
    }

    /// What waits, or that it is not known.
    pub fn waiting(&self, waiting: Option<Waiting>) {
        *self.state.waiting.lock().unwrap_or_else(PoisonError::into_inner) = waiting;
    }

    /// Events were given their positions.
    pub fn sequenced(&self, events: u64) {
        self.instruments.sequenced.add(events, &[]);
    }

    /// For so many teams and people the broker does not take events; none when this instance publishes nothing.
    pub fn held_back(&self, subjects: Option<usize>) {
        let number = subjects.map_or(NOBODY, |number| number as u64);
        self.state.held_back.store(number, Ordering::Relaxed);
    }

    /// An event was handed to the broker called `system`. `error` says why it was not taken.
    pub fn published(&self, system: &'static str, error: Option<&'static str>, elapsed: Duration) {
        let seconds = elapsed.as_secs_f64();
        let [system, name, kind] = [
            KeyValue::new("messaging.system", system),
            KeyValue::new("messaging.operation.name", "publish"),
            KeyValue::new("messaging.operation.type", "send"),
        ];
        let record = |attributes: &[KeyValue]| {
            self.instruments.publish_duration.record(seconds, attributes);
            self.instruments.messages.add(1, attributes);
        };
        match error {
            Some(error) => record(&[system, name, kind, KeyValue::new("error.type", error)]),
            None => record(&[system, name, kind]),
        }
    }

    /// The broker had an event already.
    pub fn duplicate(&self) {
        self.instruments.duplicates.add(1, &[]);
    }

    /// An attempt to send a mail has ended.
    pub fn mail(&self, outcome: MailOutcome, elapsed: Duration) {
        let outcome = match outcome {
            MailOutcome::Sent => "sent",
            MailOutcome::Deferred => "deferred",
            MailOutcome::Failed => "failed",
        };
        self.instruments.mail_duration.record(elapsed.as_secs_f64(), &[KeyValue::new("roster.mail.outcome", outcome)]);
    }

    fn ongoing(&self, what: fn(&Instruments) -> &opentelemetry::metrics::UpDownCounter<i64>) -> Ongoing {
        what(&self.instruments).add(1, &[]);
        Ongoing { metrics: self.clone(), what }
    }
}

/// A pool of connections.
#[derive(Debug, Clone, Copy)]
pub struct Pool {
    /// Its name.
    pub name: &'static str,
    /// The connections that nobody uses.
    pub idle: u32,
    /// The connections that somebody uses.
    pub used: u32,
    /// The most that there may be.
    pub max: u32,
}

/// Has `look` called for the pools of connections whenever somebody looks at the numbers. It must not wait for anything.
pub fn watch_pools(meter: &Meter, look: impl Fn() -> Vec<Pool> + Send + Sync + 'static) {
    instruments::pools(meter, Arc::new(look));
}

/// Has `look` called for whether calls should be sent here whenever somebody looks at the numbers.
pub fn watch_readiness(meter: &Meter, look: impl Fn() -> bool + Send + Sync + 'static) {
    instruments::readiness(meter, look);
}
