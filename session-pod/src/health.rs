//! Whether the pod can relay (ready: it holds the lease, Redis answers, a browser has started) and whether its supervisor
//! still turns (live). How the session does, from a page that is loaded anew to a phone that logged out, is said by its
//! state and never here: what it lacks then no restart and no other pod brings.

use std::time::Duration;

use runtime::health::{Gate, Health, Pulse};

/// The supervisor turns at least every few seconds, except while it closes the browser, which takes up to 25 s.
pub(crate) const SILENT: Duration = Duration::from_mins(1);

/// The parts of this pod's health.
#[derive(Clone)]
pub struct Parts {
    /// The session is ours.
    pub lease: Gate,
    /// Redis answers.
    pub redis: Gate,
    /// A browser has started in the life of this process. One that dies is replaced, and the pod stays ready meanwhile.
    pub browser: Gate,
    /// The supervisor's loop.
    pub supervisor: Pulse,
}

impl Parts {
    /// In the process' health.
    #[must_use]
    pub fn of(health: &Health) -> Self {
        let supervisor = health.pulse("supervisor", SILENT);
        Self { lease: health.gate("lease"), redis: health.gate("redis"), browser: health.gate("browser"), supervisor }
    }
}
