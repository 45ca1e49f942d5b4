//! The instruments: their names, units and descriptions, and the buckets of their histograms.

use std::sync::{Arc, PoisonError, atomic::Ordering};

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Gauge, Histogram, Meter, UpDownCounter},
};

use super::{NOBODY, Pool, State, Waiting};

/// Seconds. Finer at the lower end than what the conventions advise, which begin with 5 ms: most calls take less.
const CALL_BUCKETS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Seconds. As the conventions advise, and half a millisecond: a read by a key takes less than 1 ms.
const STATEMENT_BUCKETS: [f64; 10] = [0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];
/// Seconds. A mail server takes its time, and `mail.attempt_timeout` is half a minute.
const MAIL_BUCKETS: [f64; 9] = [0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// What is recorded when it happens.
#[derive(Debug)]
pub(super) struct Instruments {
    pub(super) call_duration: Histogram<f64>,
    pub(super) failures: Counter<u64>,
    pub(super) calls_in_flight: UpDownCounter<i64>,
    pub(super) calls_limit: Gauge<u64>,
    pub(super) panics: Counter<u64>,
    pub(super) streams: UpDownCounter<i64>,
    pub(super) statements_duration: Histogram<f64>,
    pub(super) retries: Counter<u64>,
    pub(super) replays: Counter<u64>,
    pub(super) sequenced: Counter<u64>,
    pub(super) publish_duration: Histogram<f64>,
    pub(super) messages: Counter<u64>,
    pub(super) duplicates: Counter<u64>,
    pub(super) mail_duration: Histogram<f64>,
}

impl Instruments {
    /// Makes them all, and what tells of `state`.
    pub(super) fn new(meter: &Meter, state: &Arc<State>) -> Self {
        observe(meter, state);
        let histogram = |name, buckets: &[f64], text| {
            let builder = meter.f64_histogram(name).with_unit("s").with_boundaries(buckets.to_vec());
            builder.with_description(text).build()
        };
        let counter = |name, unit, text| meter.u64_counter(name).with_unit(unit).with_description(text).build();
        let number = |name, unit, text| {
            let made = meter.i64_up_down_counter(name).with_unit(unit).with_description(text).build();
            made.add(0, &[]);
            made
        };
        // One that has never counted would be missing, and its first increase would go unseen.
        let zero = |counter: Counter<u64>| {
            counter.add(0, &[]);
            counter
        };
        Self {
            call_duration: histogram("rpc.server.call.duration", &CALL_BUCKETS, "Duration of calls that came in"),
            failures: counter("roster.rpc.failures", "{call}", "Calls that were refused or failed, by reason"),
            calls_in_flight: number("roster.rpc.in_flight", "{call}", "Calls that have not ended, streams among them"),
            calls_limit: meter
                .u64_gauge("roster.rpc.max_in_flight")
                .with_unit("{call}")
                .with_description("The most calls that are served at a time")
                .build(),
            panics: zero(counter("roster.panics", "{panic}", "Panics that were caught")),
            streams: number("roster.watch.streams", "{stream}", "Watch streams that are open"),
            statements_duration: histogram(
                "db.client.operation.duration",
                &STATEMENT_BUCKETS,
                "Duration of transactions, and of the reads of one question",
            ),
            retries: zero(counter(
                "roster.transaction.retries",
                "{transaction}",
                "Transactions that were run again after a conflict",
            )),
            replays: zero(counter(
                "roster.idempotency.replays",
                "{call}",
                "Retries that were answered with what was kept of the first try",
            )),
            sequenced: zero(counter("roster.events.sequenced", "{event}", "Events that were given their position")),
            publish_duration: histogram(
                "messaging.client.operation.duration",
                &CALL_BUCKETS,
                "Duration of handing an event to the broker",
            ),
            messages: counter("messaging.client.sent.messages", "{message}", "Events that were handed to the broker"),
            duplicates: zero(counter(
                "roster.events.duplicates",
                "{event}",
                "Events that were handed to the broker again, which had them",
            )),
            mail_duration: histogram(
                "roster.mail.attempt.duration",
                &MAIL_BUCKETS,
                "Duration of attempts to send a mail",
            ),
        }
    }
}

/// What is told when somebody looks. What is not known is not told: no number is better than an old one.
fn observe(meter: &Meter, state: &Arc<State>) {
    let gauge = |name, unit, text, value: fn(&State) -> Option<u64>| {
        let state = Arc::clone(state);
        let builder = meter.u64_observable_gauge(name).with_unit(unit).with_description(text);
        builder.with_callback(move |told| value(&state).into_iter().for_each(|value| told.observe(value, &[]))).build()
    };
    gauge("roster.relay.leader", "{instance}", "Whether this instance orders and publishes events", |state| {
        Some(state.leads.load(Ordering::Relaxed).into())
    });
    gauge("roster.outbox.pending", "{event}", "Events that have not been handed over", |state| {
        state.waiting(|waiting| waiting.events)
    });
    gauge("roster.outbox.held_back", "{subject}", "Teams and people whose events the broker does not take", |state| {
        Some(state.held_back.load(Ordering::Relaxed)).filter(|number| *number != NOBODY)
    });
    let age = |name, text, value: fn(&Waiting) -> f64| {
        let state = Arc::clone(state);
        let builder = meter.f64_observable_gauge(name).with_unit("s").with_description(text);
        builder
            .with_callback(move |told| state.waiting(value).into_iter().for_each(|value| told.observe(value, &[])))
            .build()
    };
    age("roster.outbox.oldest_age", "For how long the oldest event has not been handed over", |waiting| {
        waiting.oldest_event.as_secs_f64()
    });
    age("roster.mail.oldest_age", "For how long the oldest mail has been waiting", |waiting| {
        waiting.oldest_mail.as_secs_f64()
    });
    let state = Arc::clone(state);
    let queue = meter.u64_observable_gauge("roster.mail.queue").with_unit("{mail}");
    queue
        .with_description("Mails that wait, due now or put off")
        .with_callback(move |told| {
            for (name, number) in state.waiting(Waiting::mails).into_iter().flatten() {
                told.observe(number, &[KeyValue::new("roster.mail.state", name)]);
            }
        })
        .build();
}

impl Waiting {
    fn mails(&self) -> [(&'static str, u64); 2] {
        [("due", self.mails_due), ("put_off", self.mails_put_off)]
    }
}

impl State {
    fn waiting<T>(&self, read: impl FnOnce(&Waiting) -> T) -> Option<T> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(read)
    }
}

/// The pools of connections.
pub(super) fn pools(meter: &Meter, look: Arc<dyn Fn() -> Vec<Pool> + Send + Sync>) {
    let named = |pool: &Pool| KeyValue::new("db.client.connection.pool.name", pool.name);
    let most = Arc::clone(&look);
    meter
        .i64_observable_up_down_counter("db.client.connection.max")
        .with_unit("{connection}")
        .with_description("The most connections that there may be")
        .with_callback(move |told| most().iter().for_each(|pool| told.observe(pool.max.into(), &[named(pool)])))
        .build();
    meter
        .i64_observable_up_down_counter("db.client.connection.count")
        .with_unit("{connection}")
        .with_description("Connections, by whether somebody uses them")
        .with_callback(move |told| {
            for pool in look() {
                for (state, number) in [("idle", pool.idle), ("used", pool.used)] {
                    let state = KeyValue::new("db.client.connection.state", state);
                    told.observe(number.into(), &[named(&pool), state]);
                }
            }
        })
        .build();
}

/// Whether calls should be sent here.
pub(super) fn readiness(meter: &Meter, look: impl Fn() -> bool + Send + Sync + 'static) {
    meter
        .u64_observable_gauge("roster.ready")
        .with_unit("{instance}")
        .with_description("Whether calls should be sent here")
        .with_callback(move |told| told.observe(look().into(), &[]))
        .build();
}
