//! When the status of a connection may be written again, and what was written last. A session that flaps, a pod that
//! crashes and a scheduler that rewords itself must not become a load on etcd; and the cache may not know our last write yet.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crds::{WhatsAppConnection, WhatsAppConnectionStatus};
use relay::ConnectionId;

use crate::newest::at_least;

/// Shortest time between two status writes of one connection.
const SHORTEST: Duration = Duration::from_secs(1);

/// The first status waits so long for the next one: while a pod is made its status changes by the moment. For each
/// [`CROWD`] connections that wait for theirs it waits as long again: in a burst pods come before words about them, and the
/// API server has no time for both.
const FIRST: Duration = Duration::from_secs(1);
const CROWD: u32 = 20;
const FIRST_AT_MOST: Duration = Duration::from_secs(10);

/// What often passes by itself, as a volume that is being provisioned, gets so long to do so.
const PASSING: Duration = Duration::from_secs(5);

/// What is no news (a node's name, a count, another wording) waits so long for news that takes it along.
const DETAIL: Duration = Duration::from_mins(1);

/// News: ten at once (a link by QR code takes five), then one a minute. With its Event that makes two writes a minute at
/// most for a connection that is broken for good and says something else each time.
const BURST: u32 = 10;
const INTERVAL: Duration = Duration::from_mins(1);

/// How much a change of the status matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A condition or its reason, or the generation that is spoken of.
    News,
    /// News that may be over in a moment.
    Passing,
    /// The very first status, when nothing is wrong.
    First,
    /// Anything else.
    Detail,
}

#[derive(Debug, Default)]
struct Entry {
    /// The status that the cache may not have yet, with its resource version.
    standing: Option<(WhatsAppConnectionStatus, Option<String>)>,
    last: Option<Instant>,
    /// When the change that waits was first seen.
    waiting: Option<Instant>,
    /// When all news so far would have been told at one an interval (the generic cell rate algorithm).
    booked: Option<Instant>,
}

/// The reports of all connections.
#[derive(Debug, Default)]
pub struct Reports(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    entries: HashMap<ConnectionId, Entry>,
    /// Those that wait for their first status.
    newcomers: HashSet<ConnectionId>,
}

impl Reports {
    /// The status that stands: our own last write until the cache has it or something newer.
    pub fn standing(&self, id: ConnectionId, cached: &WhatsAppConnection) -> Option<WhatsAppConnectionStatus> {
        self.entry(id, |entry| {
            let behind = |(_, version): &(_, Option<String>)| {
                !at_least(cached.metadata.resource_version.as_deref(), version.as_deref())
            };
            if !entry.standing.as_ref().is_some_and(behind) {
                entry.standing = None;
            }
            entry.standing.as_ref().map(|(status, _)| status).or(cached.status.as_ref()).cloned()
        })
    }

    /// The time to wait before this change is written; nothing when it may be written now.
    pub fn wait(&self, id: ConnectionId, change: Change) -> Option<Duration> {
        self.wait_at(id, change, Instant::now())
    }

    fn wait_at(&self, id: ConnectionId, change: Change, now: Instant) -> Option<Duration> {
        let crowd = self.crowd(id, change);
        self.entry(id, |entry| {
            let waiting = *entry.waiting.get_or_insert(now);
            // Booked up to here means that the burst is used up.
            let rate = entry.booked.and_then(|booked| booked.checked_sub(INTERVAL * (BURST - 1)));
            let soonest = [entry.last.map(|last| last + SHORTEST), rate].into_iter().flatten().max();
            let due = match change {
                Change::News => soonest,
                Change::Passing => soonest.max(Some(waiting + PASSING)),
                Change::First => Some(waiting + (FIRST * (1 + crowd / CROWD)).min(FIRST_AT_MOST)),
                Change::Detail => Some(entry.last.unwrap_or(waiting) + DETAIL),
            };
            due.map(|due| due.saturating_duration_since(now)).filter(|left| !left.is_zero())
        })
    }

    /// How many others wait for their first status besides this connection, if it does.
    fn crowd(&self, id: ConnectionId, change: Change) -> u32 {
        let newcomers = &mut self.lock().newcomers;
        if change == Change::First {
            newcomers.insert(id);
        }
        u32::try_from(newcomers.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }

    /// Notes a write: the status with the resource version that it gave.
    pub fn written(&self, id: ConnectionId, status: WhatsAppConnectionStatus, version: Option<String>) {
        self.written_at(id, status, version, Instant::now());
    }

    fn written_at(&self, id: ConnectionId, status: WhatsAppConnectionStatus, version: Option<String>, now: Instant) {
        self.lock().newcomers.remove(&id);
        self.entry(id, |entry| {
            *entry = Entry {
                standing: Some((status, version)),
                last: Some(now),
                waiting: None,
                booked: Some(entry.booked.unwrap_or(now).max(now) + INTERVAL),
            };
        });
    }

    /// Notes that the spec was edited. Whoever did so waits for the answer, and people do not edit faster than etcd writes.
    pub fn edited(&self, id: ConnectionId) {
        self.entry(id, |entry| entry.booked = None);
    }

    /// Notes that nothing waits to be told.
    pub fn settled(&self, id: ConnectionId) {
        self.entry(id, |entry| entry.waiting = None);
    }

    /// Forgets a connection that is gone.
    pub fn forget(&self, id: &ConnectionId) {
        let mut inner = self.lock();
        inner.entries.remove(id);
        inner.newcomers.remove(id);
    }

    fn entry<T>(&self, id: ConnectionId, act: impl FnOnce(&mut Entry) -> T) -> T {
        act(self.lock().entries.entry(id).or_default())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::plan::fixtures::{id, resource};

    fn told(generation: i64) -> WhatsAppConnectionStatus {
        WhatsAppConnectionStatus { observed_generation: Some(generation), ..WhatsAppConnectionStatus::default() }
    }

    #[test]
    fn a_cache_that_lags_does_not_bring_an_older_status_back() {
        let (reports, mut cached) = (Reports::default(), resource(crds::State::Running));
        cached.metadata.resource_version = Some("99".to_owned());
        cached.status = Some(told(1));
        assert_eq!(reports.standing(id(), &cached), Some(told(1)));
        reports.written(id(), told(2), Some("100".to_owned()));
        assert_eq!(reports.standing(id(), &cached), Some(told(2)), "our own write would be repeated or taken back");
        cached.metadata.resource_version = Some("101".to_owned());
        assert_eq!(reports.standing(id(), &cached), Some(told(1)), "whatever is newer is what stands");
    }

    #[test]
    fn news_is_told_within_a_second_and_a_connection_that_never_rests_once_a_minute() {
        let (reports, start) = (Reports::default(), Instant::now());
        let mut writes = Vec::new();
        for tenth in 0..6000_u32 {
            let now = start + Duration::from_millis(100) * tenth;
            if reports.wait_at(id(), Change::News, now).is_none() {
                reports.written_at(id(), told(0), None, now);
                writes.push(now.duration_since(start).as_secs());
            }
        }
        assert_eq!(writes[..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert!(writes.len() <= 20, "{writes:?}");
        let late = writes.iter().filter(|second| (60..600).contains(*second)).count();
        assert!(late <= 9, "more than one a minute: {writes:?}");
    }

    #[test]
    fn an_edit_is_answered_at_once_also_by_a_connection_that_had_much_to_tell() {
        let (reports, start) = (Reports::default(), Instant::now());
        let end = start + SHORTEST * BURST;
        for second in 0..BURST {
            reports.written_at(id(), told(1), None, start + SHORTEST * second);
        }
        assert!(reports.wait_at(id(), Change::News, end).is_some());
        reports.edited(id());
        assert_eq!(reports.wait_at(id(), Change::News, end), None);
    }

    #[test]
    fn in_a_crowd_first_statuses_wait_longer_and_never_for_long() {
        let (reports, now) = (Reports::default(), Instant::now());
        let waits: Vec<_> = (0..1000_u128)
            .map(|n| reports.wait_at(ConnectionId(uuid::Uuid::from_u128(n)), Change::First, now).expect("waits"))
            .collect();
        assert_eq!((waits[0], waits[19], waits[20], waits[999]), (FIRST, FIRST, FIRST * 2, FIRST_AT_MOST));
        // Nobody waits for a crowd that has gone.
        for n in 0..999_u128 {
            reports.written_at(ConnectionId(uuid::Uuid::from_u128(n)), told(1), None, now);
        }
        let last = ConnectionId(uuid::Uuid::from_u128(999));
        assert_eq!(reports.wait_at(last, Change::First, now + FIRST), None);
        assert!(reports.wait_at(last, Change::News, now).is_none(), "what is wrong is told at once");
    }

    #[test]
    fn what_is_no_news_waits_and_others_are_not_held_up() {
        let (reports, now) = (Reports::default(), Instant::now());
        assert_eq!(reports.wait_at(id(), Change::First, now), Some(FIRST));
        assert_eq!(reports.wait_at(id(), Change::First, now + FIRST), None);
        reports.written_at(id(), told(0), None, now + FIRST);
        let left = reports.wait_at(id(), Change::Detail, now + FIRST);
        assert_eq!(left, Some(DETAIL));
        assert_eq!(
            reports.wait_at(id(), Change::Passing, now + FIRST + SHORTEST),
            Some(PASSING.saturating_sub(SHORTEST))
        );
        assert_eq!(reports.wait_at(id(), Change::News, now + FIRST + SHORTEST), None);
        let other = ConnectionId(uuid::Uuid::from_u128(2));
        assert_eq!(reports.wait_at(other, Change::News, now), None);
    }
}
