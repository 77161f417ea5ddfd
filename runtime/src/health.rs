//! Whether the process can work (ready) and whether it still lives (live), each as named parts that report themselves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The health of a process. Clones share it.
#[derive(Clone, Default, Debug)]
pub struct Health(Arc<Mutex<Parts>>);

#[derive(Default, Debug)]
struct Parts {
    gates: BTreeMap<&'static str, Option<String>>,
    pulses: BTreeMap<&'static str, (Instant, Duration)>,
}

/// One thing that must be so before the process is ready. Closed until opened.
#[derive(Clone, Debug)]
pub struct Gate {
    health: Health,
    name: &'static str,
}

/// One loop that must keep turning, or the process is not alive.
#[derive(Clone, Debug)]
pub struct Pulse {
    health: Health,
    name: &'static str,
    longest: Duration,
}

impl Health {
    /// Adds a gate, closed.
    #[must_use]
    pub fn gate(&self, name: &'static str) -> Gate {
        self.with(|parts| parts.gates.insert(name, Some("not yet".to_owned())));
        Gate { health: self.clone(), name }
    }

    /// Adds a loop that must beat at least this often, from now on.
    #[must_use]
    pub fn pulse(&self, name: &'static str, longest: Duration) -> Pulse {
        let pulse = Pulse { health: self.clone(), name, longest };
        pulse.beat();
        pulse
    }

    /// What is missing for readiness; empty when ready.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        self.with(|parts| {
            parts.gates.iter().filter_map(|(name, why)| why.as_ref().map(|why| format!("{name}: {why}"))).collect()
        })
    }

    /// The loops that have not turned for too long at `now`; empty when alive.
    #[must_use]
    pub fn stopped(&self, now: Instant) -> Vec<String> {
        self.with(|parts| {
            let late = |(since, longest): &(Instant, Duration)| now.saturating_duration_since(*since) > *longest;
            parts
                .pulses
                .iter()
                .filter(|(_, pulse)| late(pulse))
                .map(|(name, (since, _))| {
                    format!("{name}: silent for {} s", now.saturating_duration_since(*since).as_secs())
                })
                .collect()
        })
    }

    fn with<T>(&self, read: impl FnOnce(&mut Parts) -> T) -> T {
        // Nothing panics while it holds the lock; were it so, the maps would still be whole.
        read(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Gate {
    /// This part is ready.
    pub fn open(&self) {
        self.health.with(|parts| parts.gates.insert(self.name, None));
    }

    /// This part is not ready (any more), and why.
    pub fn close(&self, why: impl Into<String>) {
        self.health.with(|parts| parts.gates.insert(self.name, Some(why.into())));
    }

    /// Opens or closes by the outcome of something.
    pub fn follow<T, E: std::fmt::Display>(&self, outcome: &Result<T, E>) {
        match outcome {
            Ok(_) => self.open(),
            Err(error) => self.close(error.to_string()),
        }
    }
}

impl Pulse {
    /// The loop turned once more.
    pub fn beat(&self) {
        self.beat_at(Instant::now());
    }

    /// The loop was last known to turn at this time, which may lie in the past.
    pub fn beat_at(&self, when: Instant) {
        self.health.with(|parts| parts.pulses.insert(self.name, (when, self.longest)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_only_when_every_gate_is_open_and_says_what_is_missing() {
        let health = Health::default();
        let (redis, watch) = (health.gate("redis"), health.gate("watch"));
        redis.open();
        assert_eq!(health.missing(), ["watch: not yet"]);
        watch.open();
        assert!(health.missing().is_empty());
        redis.close("connection refused");
        assert_eq!(health.missing(), ["redis: connection refused"]);
    }

    #[test]
    fn a_loop_that_stopped_turning_is_noticed() {
        let health = Health::default();
        let pulse = health.pulse("supervisor", Duration::from_secs(10));
        let now = Instant::now();
        assert!(health.stopped(now + Duration::from_secs(5)).is_empty());
        assert_eq!(health.stopped(now + Duration::from_mins(1)).len(), 1);
        pulse.beat();
        assert!(health.stopped(Instant::now()).is_empty());
    }
}
