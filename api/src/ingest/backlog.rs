//! Which connections have events in Redis that are not stored yet, and since when, as far as their last turns told. Pure.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use relay::{ConnectionId, Offset};

/// How a turn left its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Everything is stored.
    Nothing,
    /// This is stored, and there is more after it.
    After(Offset),
    /// It failed, and this is the oldest event that may not be stored; none where Redis did not tell.
    Failed(Option<Offset>),
}

/// The connections that are behind, with the time of their oldest event.
#[derive(Debug, Default)]
pub struct Backlog {
    behind: HashMap<ConnectionId, Timestamp>,
    /// Since when nobody stores anything.
    stands_still: Option<Timestamp>,
}

impl Backlog {
    /// A turn ended.
    pub fn note(&mut self, connection: ConnectionId, left: Left, now: Timestamp) {
        let since = match left {
            Left::Nothing => {
                self.behind.remove(&connection);
                return;
            }
            Left::After(offset) | Left::Failed(Some(offset)) => now - offset.age(now),
            // Whatever it was, it has not become younger.
            Left::Failed(None) => self.behind.get(&connection).copied().unwrap_or(now),
        };
        self.behind.insert(connection, since);
    }

    /// Forgets the connections of which `keep` says no.
    pub fn retain(&mut self, keep: impl Fn(ConnectionId) -> bool) {
        self.behind.retain(|connection, _| keep(*connection));
    }

    /// Whether anybody stores events at all. While nobody does, nobody looks how old the oldest is: it may be as old as that.
    pub fn stands_still(&mut self, still: bool, now: Timestamp) {
        self.stands_still = still.then(|| self.stands_still.unwrap_or(now));
    }

    /// The age of the oldest event that is not stored, as far as it is known.
    #[must_use]
    pub fn lag(&self, now: Timestamp) -> Duration {
        let oldest = self.behind.values().chain(&self.stands_still).min();
        oldest.map_or(Duration::ZERO, |since| now.duration_since(*since).try_into().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> ConnectionId {
        ConnectionId(uuid::Uuid::from_u128(number))
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn offset(second: u64) -> Offset {
        format!("{}-0", second * 1000).parse().unwrap()
    }

    #[test]
    fn the_oldest_event_of_all_counts_until_it_is_stored() {
        let mut backlog = Backlog::default();
        backlog.note(id(1), Left::Failed(Some(offset(90))), at(100));
        backlog.note(id(2), Left::After(offset(95)), at(100));
        assert_eq!(backlog.lag(at(100)), Duration::from_secs(10));
        assert_eq!(backlog.lag(at(130)), Duration::from_secs(40), "it grows while nobody looks");
        backlog.note(id(1), Left::Failed(None), at(140));
        assert_eq!(backlog.lag(at(140)), Duration::from_secs(50), "Redis is silent: still the same event");
        backlog.note(id(1), Left::Nothing, at(150));
        assert_eq!(backlog.lag(at(150)), Duration::from_secs(55));
        backlog.retain(|connection| connection != id(2));
        assert_eq!(backlog.lag(at(160)), Duration::ZERO);
    }

    /// What would be lost: the alarm for the outage that stops all work.
    #[test]
    fn while_nobody_stores_anything_the_lag_grows() {
        let mut backlog = Backlog::default();
        backlog.stands_still(true, at(100));
        backlog.stands_still(true, at(110));
        assert_eq!(backlog.lag(at(160)), Duration::from_mins(1));
        backlog.stands_still(false, at(170));
        assert_eq!(backlog.lag(at(170)), Duration::ZERO);
    }
}
