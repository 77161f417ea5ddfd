//! One cache and how far it has come: by versions it can tell that it knows of a write and not merely lags.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::{Stream, StreamExt};
use kube::Resource;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::Event;

/// The objects of one watch.
#[derive(Clone)]
pub struct Cache<K: Resource<DynamicType: Eq + Hash> + 'static> {
    pub(super) store: Store<K>,
    progress: Progress,
}

/// What a cache says of one object.
#[derive(Debug)]
pub struct Word<K> {
    /// The object, when it is there.
    pub object: Option<Arc<K>>,
    /// It has seen every change up to this version; zero before the first.
    pub up_to: u64,
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> Cache<K> {
    /// Of a store that has taken in what these events tell. Who reads on gets them from here.
    pub(super) fn new<S: Stream<Item = Event<K>>>(
        store: Store<K>,
        events: S,
    ) -> (Self, impl Stream<Item = Event<K>> + use<K, S>) {
        let progress = Progress::default();
        let events = progress.clone().follow(events);
        (Self { store, progress }, events)
    }

    /// What it says of this object.
    #[must_use]
    pub fn word(&self, of: &ObjectRef<K>) -> Word<K> {
        // First how far it has come: whatever the store takes in until it is read can only be newer.
        let up_to = self.progress.0.load(Ordering::Acquire);
        Word { object: self.store.get(of), up_to }
    }
}

/// How far a cache has come: the newest version among the changes that its store holds.
#[derive(Debug, Clone, Default)]
struct Progress(Arc<AtomicU64>);

impl Progress {
    /// A list counts when it is whole: until then the store holds the one before.
    fn follow<K: Resource, S: Stream<Item = Event<K>>>(self, events: S) -> impl Stream<Item = Event<K>> + use<K, S> {
        let mut listed = 0;
        events.inspect(move |event| match event {
            Event::Init => listed = 0,
            Event::InitApply(object) => listed = listed.max(version(object)),
            Event::InitDone => self.reached(listed),
            Event::Apply(object) | Event::Delete(object) => self.reached(version(object)),
        })
    }

    fn reached(&self, version: u64) {
        self.0.fetch_max(version, Ordering::Release);
    }
}

/// What went bears the version of its going. Zero for what is no number, which says nothing.
fn version(object: &impl Resource) -> u64 {
    object.meta().resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use k8s_openapi::api::core::v1::Pod;

    use super::*;

    fn pod(version: &str) -> Pod {
        let mut pod = Pod::default();
        pod.metadata.resource_version = Some(version.to_owned());
        pod
    }

    #[tokio::test]
    async fn a_cache_is_as_far_as_the_newest_change_that_it_holds_and_a_list_counts_when_it_is_whole() {
        let progress = Progress::default();
        let events = vec![
            (Event::Init, 0),
            (Event::InitApply(pod("7")), 0),
            (Event::InitApply(pod("5")), 0),
            (Event::InitDone, 7),
            (Event::Apply(pod("9")), 9),
            (Event::Delete(pod("11")), 11),
            (Event::Apply(pod("10")), 11),
            (Event::Apply(pod("no number")), 11),
            // The watch was lost, and the list that begins it anew is an old one's remains.
            (Event::Init, 11),
            (Event::InitApply(pod("20")), 11),
            (Event::Init, 11),
            (Event::InitDone, 11),
        ];
        let (events, expected): (Vec<_>, Vec<_>) = events.into_iter().unzip();
        let reached = progress.clone();
        let seen: Vec<u64> =
            progress.follow(stream::iter(events)).map(move |_| reached.0.load(Ordering::Acquire)).collect().await;
        assert_eq!(seen, expected);
    }
}
