//! Whether the pod can relay (ready) and whether its supervisor still turns (live). A logged-out session is both: what
//! it lacks is a person with a phone, and no restart brings that.

use std::time::Duration;

use runtime::health::{Gate, Health, Pulse};

/// The supervisor turns at least every few seconds, except while it closes the browser, which takes up to 25 s.
const SILENT: Duration = Duration::from_mins(1);

/// The parts of this pod's health.
#[derive(Clone)]
pub struct Parts {
    /// Redis answers.
    pub redis: Gate,
    /// WhatsApp's page is loaded and the scripts in it are ready.
    pub page: Gate,
    /// The supervisor's loop.
    pub supervisor: Pulse,
}

impl Parts {
    /// In the process' health.
    #[must_use]
    pub fn of(health: &Health) -> Self {
        Self { redis: health.gate("redis"), page: health.gate("page"), supervisor: health.pulse("supervisor", SILENT) }
    }
}
