//! Our own last writes, until the caches have them. A watch may lag by seconds under load; whoever decides by a cache that
//! does not know its own last write does it again, or takes it back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kube::Resource;
use relay::ConnectionId;

use crate::watch::Word;

/// After so long the cache is believed whatever it says: an object may have come and gone while its watch was broken, so that
/// nothing newer was ever seen. In a burst of a thousand connections watches lag by half a minute, and to believe them would
/// start each connection again, which makes them lag more. One that lags longer is the watchdog's business, and a name that is
/// taken still refuses a second object.
const BELIEVED: Duration = Duration::from_mins(1);

/// Whether the first of two versions of one resource is at least as new. The API server promises since 1.35 that they are
/// numbers that grow; where they are not, equal is all that can be told.
#[must_use]
pub fn at_least(version: Option<&str>, other: Option<&str>) -> bool {
    match (version.map(str::parse::<u64>), other.map(str::parse::<u64>)) {
        (Some(Ok(version)), Some(Ok(other))) => version >= other,
        _ => version == other,
    }
}

/// The newest object of one kind that a write of ours gave, of each connection whose cache may be behind.
#[derive(Debug)]
pub struct Newest<K>(Mutex<HashMap<ConnectionId, Write<K>>>);

#[derive(Debug)]
struct Write<K> {
    gave: Arc<K>,
    at: Instant,
    /// Whether the cache may never have held the object. What we deleted because the cache held it has gone once it does not.
    unseen: bool,
}

impl<K> Default for Newest<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Resource> Newest<K> {
    /// Keeps what a write gave.
    pub fn keep(&self, id: ConnectionId, written: Arc<K>) {
        self.with(|all| {
            let unseen =
                written.meta().deletion_timestamp.is_none() || all.get(&id).is_some_and(|before| before.unseen);
            all.insert(id, Write { gave: written, at: Instant::now(), unseen })
        });
    }

    /// What we wrote, as long as it is believed and no cache is known to have it.
    pub fn written(&self, id: &ConnectionId) -> Option<Arc<K>> {
        self.believed(id)?;
        self.with(|all| all.get(id).map(|write| write.gave.clone()))
    }

    /// The newer of what the cache says and what we wrote. What a cache has is forgotten here, so that nothing else may be
    /// given for one.
    pub fn newest(&self, id: ConnectionId, cached: Word<K>) -> Option<Arc<K>> {
        self.newest_at(id, cached, Instant::now())
    }

    fn newest_at(&self, id: ConnectionId, Word { object: cached, up_to }: Word<K>, now: Instant) -> Option<Arc<K>> {
        self.with(|all| {
            let Some(Write { gave, at, unseen }) = all.get(&id) else { return cached };
            let version = gave.meta().resource_version.as_deref();
            let behind = |cached: &Arc<K>| !at_least(cached.meta().resource_version.as_deref(), version);
            // A cache that is as far as our write, and does not hold it, has seen it go: somebody may have deleted it, or taken
            // its labels off, before we looked again.
            let passed = version.and_then(|version| version.parse().ok()).is_some_and(|version: u64| up_to >= version);
            let to_come = || *unseen && !passed;
            if cached.as_ref().map_or_else(to_come, behind) && now.saturating_duration_since(*at) < BELIEVED {
                return Some(gave.clone());
            }
            all.remove(&id);
            cached
        })
    }

    /// How long our own write is still believed against the cache; nothing when it is not, or the cache is as new.
    pub fn believed(&self, id: &ConnectionId) -> Option<Duration> {
        self.believed_at(id, Instant::now())
    }

    fn believed_at(&self, id: &ConnectionId, now: Instant) -> Option<Duration> {
        let left = |at: Instant| BELIEVED.checked_sub(now.saturating_duration_since(at));
        self.with(|all| all.get(id).and_then(|write| left(write.at))).filter(|left| !left.is_zero())
    }

    /// Forgets what was written for a connection: it is gone, or was taken away by ourselves.
    pub fn forget(&self, id: &ConnectionId) {
        self.with(|all| all.remove(id));
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<ConnectionId, Write<K>>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use kube::ResourceExt;

    use super::*;

    fn pod(version: &str) -> Arc<Pod> {
        let mut pod = Pod::default();
        pod.metadata.resource_version = Some(version.to_owned());
        Arc::new(pod)
    }

    /// What a cache says that has come so far.
    fn word(cached: Option<&str>, up_to: u64) -> Word<Pod> {
        Word { object: cached.map(pod), up_to }
    }

    fn version(pod: Option<Arc<Pod>>) -> Option<String> {
        pod.and_then(|pod| pod.resource_version())
    }

    #[test]
    fn a_cache_that_is_behind_does_not_hide_our_own_write_and_one_that_is_not_wins() {
        let (newest, id) = (Newest::default(), ConnectionId(uuid::Uuid::from_u128(1)));
        newest.keep(id, pod("9"));
        assert_eq!(version(newest.newest(id, word(None, 8))).as_deref(), Some("9"));
        assert_eq!(version(newest.newest(id, word(Some("8"), 8))).as_deref(), Some("9"));
        assert_eq!(version(newest.newest(id, word(Some("10"), 10))).as_deref(), Some("10"), "compared as numbers");
        assert_eq!(newest.newest(id, word(None, 10)), None, "once the cache was there, its word is the last");
    }

    #[test]
    fn looking_at_what_we_wrote_does_not_make_it_the_caches() {
        let (newest, id) = (Newest::default(), ConnectionId(uuid::Uuid::from_u128(1)));
        newest.keep(id, pod("9"));
        for _ in 0..3 {
            assert_eq!(version(newest.newest(id, word(None, 0))).as_deref(), Some("9"), "a cache that is far behind");
            assert_eq!(version(newest.written(&id)).as_deref(), Some("9"));
        }
        assert_eq!(version(newest.newest(id, word(Some("9"), 9))).as_deref(), Some("9"));
        assert_eq!(newest.written(&id), None);
    }

    #[test]
    fn what_somebody_deleted_before_we_looked_again_is_gone_as_soon_as_the_cache_is_further_than_our_write() {
        let (newest, id) = (Newest::default(), ConnectionId(uuid::Uuid::from_u128(1)));
        newest.keep(id, pod("9"));
        assert_eq!(version(newest.newest(id, word(None, 8))).as_deref(), Some("9"), "it may not have come there yet");
        assert_eq!(newest.newest(id, word(None, 9)), None, "it would hold it");
        assert_eq!(newest.believed(&id), None, "and nobody waits for it any more");
        newest.keep(id, pod("11"));
        assert_eq!(newest.newest(id, word(None, 13)), None);
    }

    #[test]
    fn a_pod_that_we_deleted_is_gone_when_the_cache_that_held_it_says_so() {
        let (newest, id) = (Newest::default(), ConnectionId(uuid::Uuid::from_u128(1)));
        let ending = |version| Arc::new(crate::connection::plan::fixtures::being_deleted((*pod(version)).clone()));
        newest.keep(id, ending("9"));
        assert_eq!(newest.newest(id, word(None, 0)), None);
        newest.keep(id, pod("10"));
        newest.keep(id, ending("11"));
        assert_eq!(version(newest.newest(id, word(None, 8))).as_deref(), Some("11"), "made and deleted within its lag");
        assert_eq!(newest.newest(id, word(None, 12)), None);
    }

    #[test]
    fn nothing_is_believed_for_long_against_the_cache() {
        let (newest, id) = (Newest::default(), ConnectionId(uuid::Uuid::from_u128(1)));
        newest.keep(id, pod("9"));
        let later = Instant::now() + BELIEVED;
        assert!(newest.believed(&id).is_some_and(|left| left <= BELIEVED));
        assert_eq!(newest.believed_at(&id, later), None, "whoever waited for the end of it would wait for ever");
        assert_eq!(newest.newest_at(id, word(None, 0), later), None);
    }
}
