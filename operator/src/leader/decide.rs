//! What to do about the Lease as it was just read. Pure: the time is an argument, and only differences of it count.

use std::time::Duration;

use tokio::time::Instant;

use super::{DURATION, POLL};

/// What matters of a Lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Who has it; empty when it was given back.
    pub holder: String,
    /// Changes with every renewal: its resource version.
    pub version: String,
    /// How long its holder counts on it.
    pub duration: Duration,
}

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Write it: it is ours, free or abandoned.
    Take,
    /// It is somebody else's; look again after this.
    Wait(Duration),
}

/// What was seen last, and since when it has been so.
#[derive(Debug, Default)]
pub struct Observer(Option<(Record, Instant)>);

impl Observer {
    /// Judges what was read at `now`.
    pub fn judge(&mut self, record: Record, me: &str, now: Instant) -> Step {
        let since = match &self.0 {
            Some((seen, since)) if *seen == record => *since,
            _ => now,
        };
        // A holder that asks for less than we do is not given less, or two settings would make two leaders.
        let expires = since + record.duration.max(DURATION);
        let step = if record.holder == me || record.holder.is_empty() || now >= expires {
            Step::Take
        } else {
            Step::Wait(POLL.min(expires.duration_since(now)))
        };
        self.0 = Some((record, since));
        step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(holder: &str, version: &str) -> Record {
        Record { holder: holder.to_owned(), version: version.to_owned(), duration: DURATION }
    }

    #[test]
    fn what_is_ours_or_free_is_taken_at_once() {
        let now = Instant::now();
        assert_eq!(Observer::default().judge(record("me", "1"), "me", now), Step::Take);
        assert_eq!(Observer::default().judge(record("", "1"), "me", now), Step::Take);
    }

    #[test]
    fn somebody_elses_is_taken_only_after_it_stood_still_for_its_whole_duration() {
        let (mut observer, start) = (Observer::default(), Instant::now());
        assert_eq!(observer.judge(record("other", "1"), "me", start), Step::Wait(POLL));
        let later = start + DURATION - Duration::from_secs(1);
        assert_eq!(observer.judge(record("other", "1"), "me", later), Step::Wait(Duration::from_secs(1)));
        assert_eq!(observer.judge(record("other", "2"), "me", later), Step::Wait(POLL), "it was renewed");
        assert_eq!(observer.judge(record("other", "2"), "me", start + DURATION), Step::Wait(POLL));
        assert_eq!(observer.judge(record("other", "2"), "me", later + DURATION), Step::Take);
    }

    #[test]
    fn a_duration_of_nothing_is_not_believed() {
        let (mut observer, start) = (Observer::default(), Instant::now());
        let hasty = Record { duration: Duration::ZERO, ..record("other", "1") };
        assert_eq!(observer.judge(hasty, "me", start), Step::Wait(POLL));
    }
}
