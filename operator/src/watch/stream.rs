//! One watch as a stream that lasts, and the bounds within which it must hear something.

use std::fmt::Debug;
use std::time::Duration;

use futures::{Stream, StreamExt, future};
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::{self, Event, watcher};
use kube::runtime::{WatchStreamExt, watcher::DefaultBackoff};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::life::{Lives, listening};
use crate::metrics;

/// How long a watch may be without a sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The server ends a watch after this many seconds, and the next one's beginning is a sign of life. Bookmarks come once
    /// a minute, but the API server promises none, and sends none of a kind of which nothing ever changed. Longer than a
    /// minute, so that it is mostly they that tell; shorter than [`crate::client::SILENCE`], which ends a connection.
    pub watch_seconds: u32,
    /// Longest wait for an answer to begin. Longer than the API server's own 60 s for a request.
    pub answer: Duration,
    /// A watch that heard nothing for so long fails the liveness probe. The worst honest case is shorter: a silence of
    /// 90 s ends the connection, a backoff takes up to 60 s, and the next answer up to 65 s to begin.
    pub stale: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { watch_seconds: 75, answer: Duration::from_secs(65), stale: Duration::from_mins(5) }
    }
}

/// What every watch needs.
#[derive(Clone)]
pub struct Watches {
    pub client: Client,
    pub lives: Lives,
    pub bounds: Bounds,
}

impl Watches {
    /// A watch that lasts, with the objects' managedFields dropped: they are nine tenths of what a cache would hold.
    pub fn keep<K, A>(
        &self,
        api: A,
        kind: &'static str,
        labels: Option<&str>,
        writer: Writer<K>,
    ) -> impl Stream<Item = Event<K>> + Send + use<K, A>
    where
        A: FnOnce(Client) -> Api<K>,
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    {
        // Held by the client and so by the stream: a watch that ended is not taken for a silent one.
        let life = self.lives.begin(kind);
        let api = api(listening(&self.client, &life, self.bounds.answer));
        let config = watcher::Config { label_selector: labels.map(str::to_owned), ..watcher::Config::default() };
        watcher(api, config.timeout(self.bounds.watch_seconds))
            .modify(|object| object.managed_fields_mut().clear())
            .backoff(DefaultBackoff::default())
            .reflect(writer)
            .filter_map(move |outcome| {
                future::ready(
                    outcome
                        .map_err(|error| {
                            metrics::watch_failed(kind);
                            tracing::warn!(kind, %error, "watch failed, trying again");
                        })
                        .ok(),
                )
            })
    }
}

/// Every object that appeared, changed or went: a pod that is gone must be looked at most of all.
pub fn touched<K: Send>(events: impl Stream<Item = Event<K>> + Send) -> impl Stream<Item = K> + Send {
    events.filter_map(|event| {
        future::ready(match event {
            Event::Apply(object) | Event::InitApply(object) | Event::Delete(object) => Some(object),
            Event::Init | Event::InitDone => None,
        })
    })
}
