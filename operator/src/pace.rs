//! At most one status write a second for each connection: a session that flaps must not become a load on etcd.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use relay::ConnectionId;

/// Shortest time between two status writes of one connection.
const SHORTEST: Duration = Duration::from_secs(1);

/// When each connection's status was last written.
#[derive(Debug, Default)]
pub struct Pace(Mutex<HashMap<ConnectionId, Instant>>);

impl Pace {
    /// The time to wait before the next write; when there is none, this write is counted.
    pub fn wait(&self, id: ConnectionId) -> Option<Duration> {
        self.wait_at(id, Instant::now())
    }

    fn wait_at(&self, id: ConnectionId, now: Instant) -> Option<Duration> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = last.get(&id).map(|at| now.saturating_duration_since(*at));
        if let Some(left) = since.and_then(|since| SHORTEST.checked_sub(since)).filter(|left| !left.is_zero()) {
            return Some(left);
        }
        last.insert(id, now);
        None
    }

    /// Forgets a connection that is gone.
    pub fn forget(&self, id: &ConnectionId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_write_of_a_second_waits_and_others_are_not_held_up() {
        let (pace, now) = (Pace::default(), Instant::now());
        let id = |n| ConnectionId(uuid::Uuid::from_u128(n));
        assert_eq!(pace.wait_at(id(1), now), None);
        assert!(pace.wait_at(id(1), now + Duration::from_millis(400)).is_some());
        assert_eq!(pace.wait_at(id(2), now + Duration::from_millis(400)), None);
        assert_eq!(pace.wait_at(id(1), now + Duration::from_secs(1)), None);
    }
}
