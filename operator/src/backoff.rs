//! How long to wait before the same connection is tried again: per object, growing, with jitter, forgotten after calm.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use relay::ConnectionId;

/// First and longest wait.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(5);

/// A connection that went on for so long without a new attempt has recovered.
const CALM: SignedDuration = SignedDuration::from_mins(10);

/// What was tried for one connection lately.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Attempts {
    count: u32,
    last: Option<Timestamp>,
    jitter: f64,
}

impl Attempts {
    /// One more attempt. `jitter` (0 to 1) spreads those that began together.
    #[must_use]
    pub fn after_another(&self, now: Timestamp, jitter: f64) -> Self {
        let calm = self.last.is_none_or(|last| now.duration_since(last) > CALM);
        Self { count: if calm { 1 } else { self.count.saturating_add(1) }, last: Some(now), jitter }
    }

    /// The wait that the attempts so far ask for: none after the first, then 1 s doubling up to 5 min, plus up to a half.
    #[must_use]
    pub fn delay(&self) -> Duration {
        let Some(doublings) = self.count.checked_sub(2) else { return Duration::ZERO };
        let base = SHORTEST.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST);
        base.mul_f64(1.0 + self.jitter.clamp(0.0, 1.0) / 2.0)
    }

    /// How long to wait still at `now`; nothing when the next attempt may begin.
    #[must_use]
    pub fn wait_at(&self, now: Timestamp) -> Option<Duration> {
        // A last attempt that lies ahead says that the clock was set back. Nobody knows how long ago it was, and to wait until
        // the clock is there again could take an hour: better one attempt too early.
        let begun = self.last.filter(|last| (SignedDuration::ZERO..=CALM).contains(&now.duration_since(*last)))?;
        // The next attempt is one more than those counted.
        let delay = Self { count: self.count.saturating_add(1), ..self.clone() }.delay();
        let passed = Duration::try_from(now.duration_since(begun)).unwrap_or_default();
        delay.checked_sub(passed).filter(|left| !left.is_zero())
    }
}

/// The attempts of all connections, kept by the process only: after its restart everybody starts afresh.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<HashMap<ConnectionId, Attempts>>);

impl Ledger {
    /// The attempts of one connection.
    #[must_use]
    pub fn of(&self, id: &ConnectionId) -> Attempts {
        self.with(|all| all.get(id).cloned().unwrap_or_default())
    }

    /// Writes one more attempt down and gives the wait that it asks for.
    pub fn another(&self, id: ConnectionId, now: Timestamp, jitter: f64) -> Duration {
        self.with(|all| {
            let entry = all.entry(id).or_default();
            *entry = entry.after_another(now, jitter);
            Attempts { count: entry.count.saturating_add(1), ..entry.clone() }.delay()
        })
    }

    /// Forgets a connection that is well, or gone.
    pub fn forget(&self, id: &ConnectionId) {
        self.with(|all| all.remove(id));
    }

    fn with<T>(&self, read: impl FnOnce(&mut HashMap<ConnectionId, Attempts>) -> T) -> T {
        read(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The generation of each connection that was looked at last: a spec that was edited deserves another try at once.
#[derive(Debug, Default)]
pub struct Generations(Mutex<HashMap<ConnectionId, i64>>);

impl Generations {
    /// Whether the spec was edited since the last look. The first look tells nothing.
    pub fn edited(&self, id: ConnectionId, generation: i64) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(id, generation).is_some_and(|last| last != generation)
    }

    /// Forgets a connection that is gone.
    pub fn forget(&self, id: &ConnectionId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_attempt_is_at_once_and_later_ones_wait_longer_and_longer() {
        let start = Timestamp::UNIX_EPOCH;
        assert_eq!(Attempts::default().wait_at(start), None);
        let mut attempts = Attempts::default();
        let mut waits = Vec::new();
        for _ in 0..12 {
            attempts = attempts.after_another(start, 0.0);
            waits.push(attempts.wait_at(start).unwrap_or_default().as_secs());
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    }

    #[test]
    fn calm_is_rewarded() {
        let attempts = (0..8).fold(Attempts::default(), |a, _| a.after_another(Timestamp::UNIX_EPOCH, 0.0));
        let later = Timestamp::UNIX_EPOCH + SignedDuration::from_mins(11);
        assert_eq!(attempts.wait_at(later), None);
    }

    #[test]
    fn a_clock_that_jumps_costs_one_early_attempt_and_never_an_hour() {
        let (now, hour) = (Timestamp::UNIX_EPOCH + SignedDuration::from_hours(9), SignedDuration::from_hours(1));
        let attempts = (0..8).fold(Attempts::default(), |a, _| a.after_another(now, 0.0));
        assert!(attempts.wait_at(now).is_some());
        for jumped in [now - hour, now + hour] {
            assert_eq!(attempts.wait_at(jumped), None);
            assert!(attempts.after_another(jumped, 0.0).wait_at(jumped).is_some(), "and the next one waits");
        }
    }

    proptest! {
        #[test]
        fn every_failure_waits_and_each_about_twice_as_long_as_the_last(jitters in prop::collection::vec(0.0..1.0, 1..20)) {
            let (ledger, [id, other]) = (Ledger::default(), [1, 2].map(|n| ConnectionId(uuid::Uuid::from_u128(n))));
            for (failure, jitter) in jitters.into_iter().enumerate() {
                let wait = ledger.another(id, Timestamp::UNIX_EPOCH, jitter);
                let base = SHORTEST.saturating_mul(2_u32.saturating_pow(u32::try_from(failure).expect("few"))).min(LONGEST);
                // Half as long again at most, so that those which began together part.
                let off = wait.abs_diff(base.mul_f64(1.0 + jitter / 2.0));
                prop_assert!(off < Duration::from_millis(1), "failure {failure}: {wait:?}");
            }
            prop_assert_eq!(ledger.of(&other).wait_at(Timestamp::UNIX_EPOCH), None);
        }

        #[test]
        fn no_clock_makes_a_hot_loop(jumps in prop::collection::vec((-3600_i64..3600, 0.0..1.0), 1..100)) {
            // Whoever tries as soon as it is allowed, with a clock that jumps about: only one that is set back or jumps ahead of the calm
            // lets it begin anew.
            let (mut attempts, mut now) = (Attempts::default(), Timestamp::UNIX_EPOCH);
            for (jump, jitter) in jumps {
                now += SignedDuration::from_secs(jump);
                let since = attempts.last.map(|last| now.duration_since(last));
                match attempts.wait_at(now) {
                    None => {
                        let first = since.is_none_or(|since| since > CALM || since.is_negative());
                        let doublings = attempts.count.saturating_sub(1).min(9);
                        let due = SignedDuration::from_secs((1_i64 << doublings).min(300));
                        prop_assert!(first || since.is_some_and(|since| since >= due), "{:?} {:?}", attempts, since);
                        attempts = attempts.after_another(now, jitter);
                    }
                    Some(wait) => prop_assert!(!wait.is_zero() && wait <= LONGEST.mul_f64(1.5)),
                }
            }
        }

        #[test]
        fn no_wait_is_longer_than_the_longest_and_its_jitter(count in any::<u32>(), jitter in any::<f64>()) {
            prop_assume!(!jitter.is_nan());
            let delay = Attempts { count, last: None, jitter }.delay();
            prop_assert!(delay <= LONGEST.mul_f64(1.5));
        }
    }
}
