//! How long a page that takes no script is left alone, and when it is called outdated. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// Injections in a row that failed after which the page is called outdated: one may have met a page in the middle of a
/// change, and the next ones follow after five seconds each.
const FAILED: u32 = 3;
/// Between two injections into the same document after that, doubled each time. A new document is tried at once.
const FAILED_RETRY: (Duration, Duration) = (Duration::from_secs(10), Duration::from_mins(5));

/// Injections in a row that failed because a script threw, or left nothing behind. While they do nothing is told of new
/// lives: there is none before one succeeds, and a state that changed with each try would say less than one that stays.
pub(super) struct Failed {
    pub(super) times: u32,
    /// In which document the last one was, and when the next one into it is due.
    document: f64,
    due: Instant,
    pause: Duration,
}

impl Failed {
    pub(super) fn never() -> Self {
        Self { times: 0, document: 0.0, due: Instant::now(), pause: FAILED_RETRY.0 }
    }

    pub(super) fn is_outdated(&self) -> bool {
        self.times >= FAILED
    }

    /// Whether the page is to be left alone for now.
    pub(super) fn rests(&self, document: f64, now: Instant) -> bool {
        self.is_outdated() && self.document.to_bits() == document.to_bits() && now < self.due
    }

    /// One more; `fraction` is random, from 0 to 1.
    pub(super) fn again(&mut self, document: f64, fraction: f64, now: Instant) {
        (self.times, self.document) = (self.times.saturating_add(1), document);
        if self.is_outdated() {
            self.due = now + self.pause.mul_f64(0.5 + fraction / 2.0);
            self.pause = (self.pause * 2).min(FAILED_RETRY.1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_that_takes_no_script_is_left_alone_ever_longer_and_a_new_one_is_tried_at_once() {
        let (mut failed, now) = (Failed::never(), Instant::now());
        for _ in 0..FAILED {
            assert!(!failed.is_outdated() && !failed.rests(1.0, now));
            failed.again(1.0, 1.0, now);
        }
        let mut pauses = Vec::new();
        for _ in 0..7 {
            assert!(failed.is_outdated() && failed.rests(1.0, now) && !failed.rests(2.0, now));
            pauses.push(failed.due.duration_since(now).as_secs());
            assert!(!failed.rests(1.0, failed.due));
            failed.again(1.0, 1.0, now);
        }
        assert_eq!(pauses, [10, 20, 40, 80, 160, 300, 300]);
        failed.again(1.0, 0.0, now);
        assert_eq!(failed.due.duration_since(now), FAILED_RETRY.1 / 2, "half of it at least");
    }
}
