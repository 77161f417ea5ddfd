//! The operator's metrics, by name. Labels are words from fixed lists, never the name of an object.

use std::time::Duration;

/// Seconds that a reconcile took, by outcome (`ok`, `error`).
pub const RECONCILE_SECONDS: &str = "whatsapp_operator_reconcile_seconds";
/// Failed reconciles, by category.
pub const RECONCILE_ERRORS: &str = "whatsapp_operator_reconcile_errors_total";
/// Errors of watches, by kind. Each is followed by a new try of that watch alone.
pub const WATCH_ERRORS: &str = "whatsapp_operator_watch_errors_total";
/// Seconds since the most neglected watch of a kind was last given anything (objects, bookmarks, a list), by kind.
pub const WATCH_AGE: &str = "whatsapp_operator_watch_last_event_age_seconds";
/// Steps of rotations of sessions' Redis passwords, by step (`rotated`, `retired`).
pub const ROTATIONS: &str = "whatsapp_operator_credential_rotations_total";
/// 1 while this operator leads, 0 while it stands by.
pub const LEADING: &str = "whatsapp_operator_leading";
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

/// Tells how old what the watches know is.
pub fn watch_ages(ages: impl IntoIterator<Item = (&'static str, Duration)>) {
    for (kind, age) in ages {
        metrics::gauge!(WATCH_AGE, "kind" => kind).set(age.as_secs_f64());
    }
}

/// Counts a step of a rotation.
pub fn rotated(step: &'static str) {
    metrics::counter!(ROTATIONS, "step" => step).increment(1);
}

/// Tells whether this operator leads.
pub fn leading(leads: bool) {
    metrics::gauge!(LEADING).set(f64::from(u8::from(leads)));
}

/// Counts a transition.
pub fn transition(reason: &'static str) {
    metrics::counter!(TRANSITIONS, "reason" => reason).increment(1);
}

/// Counts a clean-up.
pub fn cleaned(found_by: &'static str) {
    metrics::counter!(CLEANED, "found_by" => found_by).increment(1);
}
