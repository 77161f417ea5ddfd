//! The operator's metrics, by name. Labels are words from fixed lists, never the name of an object.

use std::time::Duration;

/// Seconds that a reconcile took, by outcome (`ok`, `error`).
pub const RECONCILE_SECONDS: &str = "whatsapp_operator_reconcile_seconds";
/// Failed reconciles, by category.
pub const RECONCILE_ERRORS: &str = "whatsapp_operator_reconcile_errors_total";
/// Errors of watches, by kind. Each is followed by a new try of that watch alone.
pub const WATCH_ERRORS: &str = "whatsapp_operator_watch_errors_total";
/// Events that told of a transition, by reason.
pub const TRANSITIONS: &str = "whatsapp_operator_transitions_total";
/// Connections whose remains in Redis were cleared, by how they were found (`watch`, `sweep`).
pub const CLEANED: &str = "whatsapp_operator_cleaned_connections_total";

/// Counts a reconcile.
pub fn reconciled(took: Duration, error: Option<&'static str>) {
    let outcome = if error.is_some() { "error" } else { "ok" };
    metrics::histogram!(RECONCILE_SECONDS, "outcome" => outcome).record(took);
    if let Some(category) = error {
        metrics::counter!(RECONCILE_ERRORS, "category" => category).increment(1);
    }
}

/// Counts an error of a watch.
pub fn watch_failed(kind: &'static str) {
    metrics::counter!(WATCH_ERRORS, "kind" => kind).increment(1);
}

/// Counts a transition.
pub fn transition(reason: &'static str) {
    metrics::counter!(TRANSITIONS, "reason" => reason).increment(1);
}

/// Counts a clean-up.
pub fn cleaned(found_by: &'static str) {
    metrics::counter!(CLEANED, "found_by" => found_by).increment(1);
}
