//! The time that deadlines are judged by: Redis'. A node whose clock is an hour off, or is put right by an hour, must neither
//! end a send that is wanted nor send one that nobody wants any more.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Redis' clock, as it was read last and has gone on since. Clones are the same clock.
#[derive(Debug, Clone)]
pub struct RedisClock(Arc<Mutex<Reading>>);

/// What Redis said, and when it was asked, by the clock of this process that nobody can set.
#[derive(Debug, Clone, Copy)]
struct Reading {
    redis: Timestamp,
    asked: Instant,
}

impl RedisClock {
    /// A clock that was read once.
    #[must_use]
    pub fn new(redis: Timestamp, asked: Instant) -> Self {
        Self(Arc::new(Mutex::new(Reading { redis, asked })))
    }

    /// It was read again: what the two clocks drifted apart meanwhile is forgotten.
    pub fn read(&self, redis: Timestamp, asked: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Reading { redis, asked };
    }

    /// The time now. Ahead of Redis by at most what its answer took: what is called too late may just have been in time,
    /// and what is called in time is.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).at(Instant::now())
    }
}

impl Reading {
    fn at(self, now: Instant) -> Timestamp {
        let since = SignedDuration::try_from(now.saturating_duration_since(self.asked)).unwrap_or(SignedDuration::MAX);
        self.redis.saturating_add(since).unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_goes_on_from_when_redis_was_asked() {
        let asked = Instant::now();
        let reading = Reading { redis: Timestamp::UNIX_EPOCH, asked };
        assert_eq!(reading.at(asked + Duration::from_millis(2500)).as_millisecond(), 2500);
        assert_eq!(reading.at(asked), Timestamp::UNIX_EPOCH);
    }

    #[test]
    fn it_follows_the_newer_reading_in_every_hand() {
        let clock = RedisClock::new(Timestamp::UNIX_EPOCH, Instant::now());
        let hour = Timestamp::from_second(3600).expect("a time");
        clock.clone().read(hour, Instant::now());
        assert!(clock.now() >= hour);
    }
}
