//! The clock and the source of randomness. Only shells read them; what decides takes their values as arguments.
#![expect(clippy::disallowed_methods, reason = "this is the one place that may")]

use jiff::Timestamp;
use uuid::Uuid;

/// The time now.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// Random bytes fit for ids and passwords.
#[must_use]
pub fn random_bytes<const N: usize>() -> [u8; N] {
    rand::random()
}

/// A number from 0 up to, not including, 1: for the jitter of backoffs.
#[must_use]
pub fn random_fraction() -> f64 {
    rand::random()
}

/// A new id that sorts by the time it was made.
#[must_use]
pub fn new_id() -> Uuid {
    Uuid::now_v7()
}
