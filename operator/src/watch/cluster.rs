//! The caches, as reconciles read them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crds::WhatsAppConnection;
use futures::future;
use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim, Pod};
use kube::Resource;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::{ObjectRef, Store};
use relay::{CompanyId, ConnectionId};
use tokio_util::task::AbortOnDropHandle;

use super::cache::Cache;

/// Where every connection stands, by its id.
pub type References = Arc<RwLock<HashMap<ConnectionId, ObjectRef<WhatsAppConnection>>>>;

/// All caches. Clones share them.
#[derive(Clone)]
pub struct Cluster {
    /// Every connection.
    pub connections: Store<WhatsAppConnection>,
    namespaces: Store<PartialObjectMeta<Namespace>>,
    companies: Arc<RwLock<HashMap<String, Company>>>,
    pub(super) references: References,
}

/// The home of one company and what is cached of it.
#[derive(Clone)]
pub struct Company {
    /// The company.
    pub id: CompanyId,
    /// Its session pods.
    pub pods: Cache<Pod>,
    /// Their volumes.
    pub claims: Cache<PersistentVolumeClaim>,
    /// Whether its network policy stands.
    pub policy: Policy,
    /// Since when something has been seen missing.
    lacking: Arc<Mutex<Option<Instant>>>,
    _watch: Arc<AbortOnDropHandle<()>>,
}

/// Whether a home's network policy stands, as far as was seen: without it no session pod is made, or it would run without.
/// Clones share it. The number is odd while it stands, and grows whenever it fell: who saw it stand before that is too late.
#[derive(Debug, Clone, Default)]
pub struct Policy(Arc<AtomicU64>);

impl Policy {
    /// Before somebody looks.
    pub fn moment(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// It was seen to stand, by a look that began at that moment.
    pub fn stands(&self, since: u64) {
        // Otherwise it fell meanwhile, and whoever saw that had it looked at again.
        let _ = self.0.compare_exchange(since, since | 1, Ordering::AcqRel, Ordering::Acquire);
    }

    /// It is gone, or somebody else's.
    pub fn fell(&self) {
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |moment| Some((moment | 1).wrapping_add(1)));
    }
}

impl Company {
    /// Of caches that the task fills as long as somebody holds this.
    pub(super) fn new(
        id: CompanyId,
        pods: Cache<Pod>,
        claims: Cache<PersistentVolumeClaim>,
        policy: Policy,
        watch: AbortOnDropHandle<()>,
    ) -> Self {
        Self { id, pods, claims, policy, lacking: Arc::default(), _watch: Arc::new(watch) }
    }

    /// Whether session pods may be made: the network policy stands.
    #[must_use]
    pub fn is_prepared(&self) -> bool {
        self.policy.moment() % 2 == 1
    }

    /// What is missing before its connections can be dealt with, and for how long; nothing when all is there.
    #[must_use]
    pub fn lacks(&self) -> Option<(&'static str, Duration)> {
        let lack = if !self.is_prepared() {
            Some("the network policy does not stand")
        } else if !filled(&self.pods.store) || !filled(&self.claims.store) {
            Some("pods and claims cannot be watched")
        } else {
            None
        };
        let mut since = self.lacking.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(lack) = lack else {
            *since = None;
            return None;
        };
        Some((lack, since.get_or_insert_with(Instant::now).elapsed()))
    }
}

/// The connections in a namespace.
pub(super) fn within(all: &Store<WhatsAppConnection>, namespace: &str) -> Vec<ObjectRef<WhatsAppConnection>> {
    let here = |connection: &WhatsAppConnection| connection.metadata.namespace.as_deref() == Some(namespace);
    all.state()
        .iter()
        .filter(|connection| here(connection))
        .map(|connection| ObjectRef::from_obj(&**connection))
        .collect()
}

fn filled<K: Resource<DynamicType = ()> + Clone + 'static>(store: &Store<K>) -> bool {
    matches!(future::FutureExt::now_or_never(store.wait_until_ready()), Some(Ok(())))
}

impl Cluster {
    pub(super) fn new(connections: Store<WhatsAppConnection>, namespaces: Store<PartialObjectMeta<Namespace>>) -> Self {
        Self { connections, namespaces, companies: Arc::default(), references: Arc::default() }
    }

    /// The company whose home a namespace is.
    #[must_use]
    pub fn company(&self, namespace: &str) -> Option<Company> {
        self.companies.read().unwrap_or_else(PoisonError::into_inner).get(namespace).cloned()
    }

    /// The namespaces that are homes of companies.
    #[must_use]
    pub fn homes(&self) -> Vec<String> {
        self.companies.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// Takes a namespace in as a company's home.
    pub(super) fn settle(&self, namespace: String, company: Company) {
        self.companies.write().unwrap_or_else(PoisonError::into_inner).insert(namespace, company);
    }

    /// Takes a namespace out of the homes, which ends its watches. Gives the connections in it.
    pub(super) fn leave(&self, namespace: &str) -> Vec<ObjectRef<WhatsAppConnection>> {
        let left = self.companies.write().unwrap_or_else(PoisonError::into_inner).remove(namespace);
        left.map(|_| self.connections_in(namespace)).unwrap_or_default()
    }

    /// The connections in a namespace.
    #[must_use]
    pub fn connections_in(&self, namespace: &str) -> Vec<ObjectRef<WhatsAppConnection>> {
        within(&self.connections, namespace)
    }

    /// Whether every home is known. Before that, a namespace without one may only not have been seen yet.
    #[must_use]
    pub fn companies_known(&self) -> bool {
        filled(&self.namespaces)
    }

    /// Whether every connection is known. Before that, nothing may be called left over.
    #[must_use]
    pub fn connections_known(&self) -> bool {
        filled(&self.connections)
    }

    /// The ids of all connections.
    #[must_use]
    pub fn ids(&self) -> Vec<ConnectionId> {
        self.references.read().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    /// Where the connection with this id stands.
    #[must_use]
    pub fn reference(&self, id: &ConnectionId) -> Option<ObjectRef<WhatsAppConnection>> {
        self.references.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }
}
