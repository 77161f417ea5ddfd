//! How a failing page or browser is helped, and when that ends: first a reload, then the browser anew with a growing
//! pause, at last the whole container, which the kubelet starts again with a backoff of its own. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// A fault that comes this long after the one before it is the first of a new series.
pub(super) const QUIET: SignedDuration = SignedDuration::from_mins(10);

/// Faults of a series after which the container is given up: the pauses before (1, 2, 4, 8, 16 s) and the starts
/// between them took about a minute and a half.
const MOST: u32 = 6;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The faults of the current series.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Faults {
    count: u32,
    last: Option<Timestamp>,
}

/// What helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    Reload,
    Restart(Duration),
    GiveUp,
}

impl Faults {
    pub(super) const fn new() -> Self {
        Self { count: 0, last: None }
    }

    /// The page failed while the browser runs.
    pub(super) fn page(&mut self, now: Timestamp) -> Remedy {
        match self.count(now) {
            1 => Remedy::Reload,
            count => restart(count),
        }
    }

    /// The page gets nowhere. Of another container nobody expects more than of another browser, and messages do not wait
    /// for either: it is tried for ever.
    pub(super) fn stuck(&mut self, now: Timestamp) -> Remedy {
        match self.page(now) {
            Remedy::GiveUp => Remedy::Restart(LONGEST_PAUSE),
            remedy => remedy,
        }
    }

    /// The browser failed.
    pub(super) fn browser(&mut self, now: Timestamp) -> Remedy {
        restart(self.count(now))
    }

    fn count(&mut self, now: Timestamp) -> u32 {
        let quiet = self.last.is_none_or(|last| now.duration_since(last) > QUIET);
        self.count = if quiet { 1 } else { self.count.saturating_add(1) };
        self.last = Some(now);
        self.count
    }
}

fn restart(count: u32) -> Remedy {
    if count >= MOST {
        return Remedy::GiveUp;
    }
    let factor = 1_u32.checked_shl(count.saturating_sub(1)).unwrap_or(u32::MAX);
    Remedy::Restart(FIRST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reload_then_restart_ever_later_then_give_up() {
        let now = Timestamp::UNIX_EPOCH;
        let mut faults = Faults::new();
        assert_eq!(faults.page(now), Remedy::Reload);
        let pauses: Vec<_> = (0..4).map(|_| faults.browser(now)).collect();
        assert_eq!(pauses, [2, 4, 8, 16].map(|s| Remedy::Restart(Duration::from_secs(s))));
        assert_eq!(faults.page(now), Remedy::GiveUp);
    }

    #[test]
    fn a_page_that_gets_nowhere_is_tried_for_ever() {
        let (now, mut stuck) = (Timestamp::UNIX_EPOCH, Faults::new());
        assert_eq!(stuck.stuck(now), Remedy::Reload);
        let pauses: Vec<_> = (0..6).map(|_| stuck.stuck(now)).collect();
        assert_eq!(pauses, [2, 4, 8, 16, 30, 30].map(|s| Remedy::Restart(Duration::from_secs(s))));
    }

    #[test]
    fn after_a_quiet_time_everything_is_forgiven() {
        let mut faults = Faults::new();
        for _ in 0..5 {
            let _ = faults.browser(Timestamp::UNIX_EPOCH);
        }
        let later = Timestamp::UNIX_EPOCH + SignedDuration::from_mins(11);
        assert_eq!(faults.page(later), Remedy::Reload);
    }
}
