//! Distributed traces: which spans are part of one, and the `traceparent` (W3C Trace Context) by which one process hands
//! it to the next, as text. Ids are given out always, so that log lines of one story can be found by one `trace_id`;
//! spans are exported only where a collector is set (`telemetry`).

use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Target of the spans that are part of traces. Others are for the log only: a span that lives as long as its process would
/// be told of when it is too late, and what hangs below it would grow for ever.
pub const TARGET: &str = "trace";

/// Name of the field by which W3C Trace Context goes over HTTP, and here everywhere else.
pub const FIELD: &str = "traceparent";

/// Makes a new span of [`TARGET`] the child of what another process did. Without a parent it belongs to the span around
/// it, or begins a trace. Writes the trace's id into the span's field `trace_id`, for the log.
pub fn follow(span: &Span, parent: Option<impl Display>) {
    if let Some(parent) = parent {
        let carrier = HashMap::from([(FIELD.to_owned(), parent.to_string())]);
        // Fails only where nobody traces.
        let _ = span.set_parent(TraceContextPropagator::new().extract(&carrier));
    }
    let context = span.context();
    let of_span = context.span().span_context().clone();
    if of_span.is_valid() {
        span.record("trace_id", tracing::field::display(of_span.trace_id()));
    }
}

/// The `traceparent` for whoever goes on with what is done now; nothing outside of a trace.
#[must_use]
pub fn current<T: FromStr>() -> Option<T> {
    of(&Span::current())
}

/// The `traceparent` of a span.
#[must_use]
pub fn of<T: FromStr>(span: &Span) -> Option<T> {
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(&span.context(), &mut carrier);
    carrier.get(FIELD)?.parse().ok()
}
