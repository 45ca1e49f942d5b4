//! How the log looks: text for people, a line an event, or JSON for machines, one object a line with the event's fields at
//! the top. Both end with the ids of the trace, by which a line and its trace are found from each other.

use std::fmt;

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, Json, JsonFields, Writer, json as as_json};
use tracing_subscriber::fmt::{self as log, FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;

/// The layer that writes JSON to `writer`.
pub(super) fn json<S, W>(writer: W) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
{
    let format = as_json().flatten_event(true).with_current_span(true).with_span_list(false);
    log::layer().with_writer(writer).fmt_fields(JsonFields::new()).event_format(InJson(format))
}

/// The layer that writes text to `writer`.
pub(super) fn text<S, W>(writer: W, terminal: bool) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
{
    let layer = log::layer().with_writer(writer);
    // Where there is a terminal, the library decides: it knows NO_COLOR.
    let layer = if terminal { layer } else { layer.with_ansi(false) };
    let [plain, coloured] = [false, true].map(|ansi| Format::default().with_ansi(ansi));
    layer.event_format(InText { plain, coloured })
}

struct InJson(Format<Json>);

impl<S, N> FormatEvent<S, N> for InJson
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let Some(span) = current() else { return self.0.format_event(context, to, event) };
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        let open = line.trim_end().strip_suffix('}').ok_or(fmt::Error)?;
        writeln!(to, r#"{open},"trace_id":"{}","span_id":"{}"}}"#, span.trace_id(), span.span_id())
    }
}

struct InText {
    plain: Format,
    coloured: Format,
}

impl<S, N> FormatEvent<S, N> for InText
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let format = if to.has_ansi_escapes() { &self.coloured } else { &self.plain };
        let Some(span) = current() else { return format.format_event(context, to, event) };
        let mut line = String::new();
        format.format_event(context, Writer::new(&mut line), event)?;
        writeln!(to, "{} trace_id={} span_id={}", line.trim_end(), span.trace_id(), span.span_id())
    }
}

/// The span that the event happens in, if it belongs to a trace.
fn current() -> Option<SpanContext> {
    let current = Context::current();
    Some(current.span().span_context().clone()).filter(SpanContext::is_valid)
}
