//! The operator's metrics. Labels are words from fixed lists, never the name of an object. `docs/reference/metrics.md` is
//! made from here.

use std::time::Duration;

use crds::{ConditionType, Reason};

use crate::connection::error::Error;
use crate::watch::KINDS;

runtime::declare_metrics! {
    /// Whether the operator is ready, as its readiness probe says.
    READY: Gauge = "whatsapp_operator_ready";
    /// Connections, by condition and its reason; `AsExpected` means that the condition holds.
    CONNECTIONS: Gauge = "whatsapp_operator_connections" ["condition": ConditionType::NAMES, "reason": Reason::NAMES];
    /// How long the connection that has this reason for longest has had it, as far as this process saw; 0 when none has it.
    OLDEST: Gauge = "whatsapp_operator_connections_oldest_seconds" ["reason": Reason::NAMES];
    /// Transitions of connections, by the reason of `Ready` that began.
    TRANSITIONS: Counter = "whatsapp_operator_transitions_total" ["reason": Reason::NAMES];
    /// What a reconcile took.
    RECONCILE_SECONDS: Histogram = "whatsapp_operator_reconcile_seconds" ["outcome": &["ok", "error"]];
    /// Failed reconciles, by what failed.
    RECONCILE_ERRORS: Counter = "whatsapp_operator_reconcile_errors_total" ["category": Error::CATEGORIES];
    /// Errors of watches; each is followed by a new try of that watch alone.
    WATCH_ERRORS: Counter = "whatsapp_operator_watch_errors_total"
        ["kind": &KINDS];
    /// Since when the most neglected watch of a kind has been given nothing: no object, no bookmark, no list.
    WATCH_AGE: Gauge = "whatsapp_operator_watch_last_event_age_seconds"
        ["kind": &KINDS];
    /// Steps of rotations of sessions' Redis passwords: a new one is valid, the old one is not any more.
    ROTATIONS: Counter = "whatsapp_operator_credential_rotations_total" ["step": &["rotated", "retired"]];
    /// 1 while this operator leads, 0 while it stands by.
    LEADING: Gauge = "whatsapp_operator_leading";
    /// Sweeps of Redis that failed.
    SWEEP_ERRORS: Counter = "whatsapp_operator_sweep_errors_total";
    /// Session pods that were made.
    PODS_CREATED: Counter = "whatsapp_operator_pods_created_total";
    /// Session pods that were deleted, by why.
    PODS_DELETED: Counter = "whatsapp_operator_pods_deleted_total" ["why": &["Suspended", "Ended", "SpecChanged", "Forced"]];
    /// Connections whose remains in Redis were cleared, by how they were found.
    CLEANED: Counter = "whatsapp_operator_cleaned_connections_total" ["found_by": &["watch", "sweep"]];
}

/// Counts a reconcile.
pub fn reconciled(took: Duration, error: Option<&'static str>) {
    RECONCILE_SECONDS.observe(took, [if error.is_some() { "error" } else { "ok" }]);
    if let Some(category) = error {
        RECONCILE_ERRORS.count([category]);
    }
}

/// Counts an error of a watch.
pub fn watch_failed(kind: &'static str) {
    WATCH_ERRORS.count([kind]);
}

/// Tells how old what the watches know is.
pub fn watch_ages(ages: impl IntoIterator<Item = (&'static str, Duration)>) {
    for (kind, age) in ages {
        WATCH_AGE.set(age.as_secs_f64(), [kind]);
    }
}

/// Counts a step of a rotation.
pub fn rotated(step: &'static str) {
    ROTATIONS.count([step]);
}

/// Tells whether this operator leads.
pub fn leading(leads: bool) {
    LEADING.set(f64::from(u8::from(leads)), []);
}

/// Counts a transition.
pub fn transition(reason: &'static str) {
    TRANSITIONS.count([reason]);
}

/// Counts a clean-up.
pub fn cleaned(found_by: &'static str) {
    CLEANED.count([found_by]);
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_metrics_reference_is_what_is_declared() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/metrics.md");
        harness::golden_section(file.as_ref(), "operator", &runtime::metrics::section(super::ALL));
    }
}
