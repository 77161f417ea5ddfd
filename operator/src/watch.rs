//! The watches and the caches that they fill. Each watch has a backoff of its own and its errors are counted and dropped
//! before anything is merged: with one shared backoff a single broken watch can keep all others from ever coming back.

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard};

use crds::{COMPANY_LABEL, WhatsAppConnection};
use futures::{Stream, StreamExt, future};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim, Pod};
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::store::{Writer, store};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::{self, Event, watcher};
use kube::runtime::{WatchStreamExt, watcher::DefaultBackoff};
use kube::{Api, Client, Resource, ResourceExt};
use relay::{CompanyId, ConnectionId};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::connection::build::{MANAGED_BY, names};
use crate::metrics;

/// The server ends a watch after this many seconds; a connection that died silently is given up a few seconds later.
const WATCH_SECONDS: u32 = 240;

/// A watch that lasts, with the objects' managedFields dropped: they are nine tenths of what a cache would hold.
fn keep<K>(
    api: Api<K>,
    kind: &'static str,
    labels: Option<&str>,
    writer: Writer<K>,
) -> impl Stream<Item = Event<K>> + Send + use<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let config = watcher::Config { label_selector: labels.map(str::to_owned), ..watcher::Config::default() };
    watcher(api, config.timeout(WATCH_SECONDS))
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

/// The label by which the API server refuses pods that are not `restricted`; whoever makes the namespace sets it.
const POD_SECURITY: (&str, &str) = ("pod-security.kubernetes.io/enforce", "restricted");

/// The caches, as reconciles read them. Clones share them.
#[derive(Clone)]
pub struct Cluster {
    /// Every connection.
    pub connections: Store<WhatsAppConnection>,
    namespaces: Store<PartialObjectMeta<Namespace>>,
    companies: Arc<RwLock<HashMap<String, Company>>>,
    references: Arc<RwLock<HashMap<ConnectionId, ObjectRef<WhatsAppConnection>>>>,
}

/// The home of one company and what is cached of it.
#[derive(Clone)]
pub struct Company {
    /// The company.
    pub id: CompanyId,
    /// Its session pods.
    pub pods: Store<Pod>,
    /// Their volumes.
    pub claims: Store<PersistentVolumeClaim>,
    prepared: Arc<AtomicBool>,
    _watch: Arc<AbortOnDropHandle<()>>,
}

impl Company {
    /// From now on session pods may be made: the network policy stands.
    pub fn set_prepared(&self) {
        self.prepared.store(true, Ordering::Release);
    }

    /// Whether the network policy has stood once. Before that no session pod is made, or it would run without.
    #[must_use]
    pub fn is_prepared(&self) -> bool {
        self.prepared.load(Ordering::Acquire)
    }

    /// Whether both caches hold what the cluster holds.
    #[must_use]
    pub fn filled(&self) -> bool {
        filled(&self.pods) && filled(&self.claims)
    }
}

fn filled<K: Resource<DynamicType = ()> + Clone + 'static>(store: &Store<K>) -> bool {
    matches!(future::FutureExt::now_or_never(store.wait_until_ready()), Some(Ok(())))
}

impl Cluster {
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

    /// Takes a namespace out of the homes, which ends its watches. Gives the connections in it.
    fn leave(&self, namespace: &str) -> Vec<ObjectRef<WhatsAppConnection>> {
        let left = self.companies.write().unwrap_or_else(PoisonError::into_inner).remove(namespace);
        left.map(|_| self.connections_in(namespace)).unwrap_or_default()
    }

    fn connections_in(&self, namespace: &str) -> Vec<ObjectRef<WhatsAppConnection>> {
        let all = self.connections.state();
        all.iter()
            .filter(|c| c.metadata.namespace.as_deref() == Some(namespace))
            .map(|c| ObjectRef::from_obj(&**c))
            .collect()
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

/// What the watches tell besides filling the caches. Bounded: a slow reader slows the watch, which then relists.
pub struct Told {
    /// A connection's object changed, or something of its own did.
    pub look_at: mpsc::Receiver<ObjectRef<WhatsAppConnection>>,
    /// A connection is gone.
    pub deleted: mpsc::Receiver<ConnectionId>,
    /// A namespace is, or became again, a company's home.
    pub homes: mpsc::Receiver<(String, CompanyId)>,
}

/// Notes that wait for their reader.
const QUEUE: usize = 4096;

/// Sets the caches up and gives the stream of connections, which the controller polls, and the task that follows the
/// companies' namespaces, which the caller owns.
pub fn start(
    client: &Client,
) -> (Cluster, impl Stream<Item = WhatsAppConnection> + Send + 'static, impl Future<Output = ()> + Send + 'static, Told)
{
    let (connections, connections_writer) = store();
    let (namespaces, namespaces_writer) = store();
    let cluster = Cluster { connections, namespaces, companies: Arc::default(), references: Arc::default() };
    let (look_at, look_at_receiver) = mpsc::channel(QUEUE);
    let (deleted, deleted_receiver) = mpsc::channel(QUEUE);
    let (homes, homes_receiver) = mpsc::channel(QUEUE);
    let followed = Arc::new(Followed { references: cluster.references.clone(), listed: Mutex::default(), deleted });
    let stream =
        keep(Api::all(client.clone()), "WhatsAppConnection", None, connections_writer).filter_map(move |event| {
            let followed = followed.clone();
            async move { followed.follow(event).await }
        });
    let follow = follow_companies(client.clone(), cluster.clone(), namespaces_writer, look_at, homes);
    let told = Told { look_at: look_at_receiver, deleted: deleted_receiver, homes: homes_receiver };
    (cluster, stream, follow, told)
}

type References = Arc<RwLock<HashMap<ConnectionId, ObjectRef<WhatsAppConnection>>>>;

/// Where every connection stands, and which of them the list under way has shown so far.
struct Followed {
    references: References,
    listed: Mutex<HashSet<ConnectionId>>,
    deleted: mpsc::Sender<ConnectionId>,
}

impl Followed {
    /// The connection to reconcile, if the event is about one. A list tells nothing of what went while the watch was
    /// broken: whatever it does not show is gone.
    async fn follow(&self, event: Event<WhatsAppConnection>) -> Option<WhatsAppConnection> {
        match event {
            Event::Init => {
                self.listed().clear();
                None
            }
            Event::InitApply(connection) => {
                self.listed().extend(self.note(&connection));
                Some(connection)
            }
            Event::Apply(connection) => {
                self.note(&connection);
                Some(connection)
            }
            Event::Delete(connection) => {
                self.forget(id_of(&connection).into_iter().collect()).await;
                None
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut *self.listed());
                let known: Vec<_> = self.references().keys().copied().collect();
                self.forget(known.into_iter().filter(|id| !listed.contains(id)).collect()).await;
                None
            }
        }
    }

    fn note(&self, connection: &WhatsAppConnection) -> Option<ConnectionId> {
        let id = id_of(connection)?;
        self.references().insert(id, ObjectRef::from_obj(connection));
        Some(id)
    }

    async fn forget(&self, gone: Vec<ConnectionId>) {
        for id in gone {
            self.references().remove(&id);
            // Fails only during shutdown; the sweep of the next start finds what is left.
            let _ = self.deleted.send(id).await;
        }
    }

    fn listed(&self) -> MutexGuard<'_, HashSet<ConnectionId>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn references(&self) -> RwLockWriteGuard<'_, HashMap<ConnectionId, ObjectRef<WhatsAppConnection>>> {
        self.references.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn id_of(connection: &WhatsAppConnection) -> Option<ConnectionId> {
    connection.uid()?.parse().ok()
}

/// Watches pods and claims in exactly the namespaces that are companies' homes: the operator has no rights elsewhere.
async fn follow_companies(
    client: Client,
    cluster: Cluster,
    writer: Writer<PartialObjectMeta<Namespace>>,
    look_at: mpsc::Sender<ObjectRef<WhatsAppConnection>>,
    homes: mpsc::Sender<(String, CompanyId)>,
) {
    let api: Api<PartialObjectMeta<Namespace>> = Api::all(client.clone());
    let mut events = Box::pin(keep(api, "Namespace", Some(COMPANY_LABEL), writer));
    let mut listed = HashSet::new();
    while let Some(event) = events.next().await {
        let changed = match event {
            Event::Apply(namespace) => settle(&client, &cluster, &namespace, &look_at, &homes).await,
            Event::InitApply(namespace) => {
                listed.insert(namespace.name_any());
                settle(&client, &cluster, &namespace, &look_at, &homes).await
            }
            Event::Delete(namespace) => cluster.leave(&namespace.name_any()),
            Event::Init => {
                listed.clear();
                Vec::new()
            }
            // A list tells nothing of what lost its label while the watch was broken: whatever it does not show is no home.
            Event::InitDone => cluster
                .homes()
                .iter()
                .filter(|home| !listed.contains(*home))
                .flat_map(|home| cluster.leave(home))
                .collect(),
        };
        // Its connections may have waited for the label, or must be told that it went.
        for reference in changed {
            let _ = look_at.send(reference).await;
        }
    }
}

/// Takes a namespace in as a home, or no more as one. Gives the connections for which that changes something.
async fn settle(
    client: &Client,
    cluster: &Cluster,
    namespace: &PartialObjectMeta<Namespace>,
    look_at: &mpsc::Sender<ObjectRef<WhatsAppConnection>>,
    homes: &mpsc::Sender<(String, CompanyId)>,
) -> Vec<ObjectRef<WhatsAppConnection>> {
    let name = namespace.name_any();
    let label = namespace.labels().get(COMPANY_LABEL).and_then(|label| label.parse::<CompanyId>().ok());
    let Some(id) = label else {
        tracing::warn!(namespace = name, "label {COMPANY_LABEL} holds no company id");
        return cluster.leave(&name);
    };
    if namespace.labels().get(POD_SECURITY.0).map(String::as_str) != Some(POD_SECURITY.1) {
        tracing::warn!(namespace = name, company = %id, "label {}={} is missing: nothing enforces it here", POD_SECURITY.0, POD_SECURITY.1);
    }
    let known = cluster.company(&name).is_some_and(|known| known.id == id);
    if !known {
        tracing::info!(namespace = name, company = %id, "home of a company");
        let company = watch_company(client, &name, id.clone(), look_at);
        cluster.companies.write().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), company);
    }
    let _ = homes.send((name.clone(), id)).await;
    if known { Vec::new() } else { cluster.connections_in(&name) }
}

fn watch_company(
    client: &Client,
    namespace: &str,
    id: CompanyId,
    look_at: &mpsc::Sender<ObjectRef<WhatsAppConnection>>,
) -> Company {
    let (pods, pods_writer) = store();
    let (claims, claims_writer) = store();
    let ours = format!("{}={}", MANAGED_BY.0, MANAGED_BY.1);
    let pod_events =
        touched(keep(api::<Pod>(client, namespace), "Pod", Some(&ours), pods_writer)).map(|pod| pod.name_any());
    let claim_events = touched(keep(
        api::<PersistentVolumeClaim>(client, namespace),
        "PersistentVolumeClaim",
        Some(&ours),
        claims_writer,
    ))
    .filter_map(|claim| {
        future::ready(
            claim.labels().get(crds::CONNECTION_LABEL).cloned().filter(|name| names::claim(name) == claim.name_any()),
        )
    });
    let mut both = Box::pin(futures::stream::select(pod_events, claim_events));
    let (look_at, namespace) = (look_at.clone(), namespace.to_owned());
    let task = tokio::spawn(async move {
        while let Some(name) = both.next().await {
            if look_at.send(ObjectRef::new(&name).within(&namespace)).await.is_err() {
                return;
            }
        }
    });
    Company { id, pods, claims, prepared: Arc::default(), _watch: Arc::new(AbortOnDropHandle::new(task)) }
}

fn api<K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>>(client: &Client, namespace: &str) -> Api<K> {
    Api::namespaced(client.clone(), namespace)
}

/// Every object that appeared, changed or went: a pod that is gone must be looked at most of all.
fn touched<K: Send>(events: impl Stream<Item = Event<K>> + Send) -> impl Stream<Item = K> + Send {
    events.filter_map(|event| {
        future::ready(match event {
            Event::Apply(object) | Event::InitApply(object) | Event::Delete(object) => Some(object),
            Event::Init | Event::InitDone => None,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::plan::fixtures::{id, resource};

    #[tokio::test]
    async fn a_deletion_that_only_a_new_list_shows_is_told() {
        let (deleted, mut told) = mpsc::channel(8);
        let followed = Followed { references: References::default(), listed: Mutex::default(), deleted };
        let connection = resource(crds::State::Running);
        for event in [Event::Init, Event::InitApply(connection.clone()), Event::InitDone] {
            followed.follow(event).await;
        }
        assert!(told.try_recv().is_err(), "it is there");
        for event in [Event::Init, Event::InitDone] {
            followed.follow(event).await;
        }
        assert_eq!(told.try_recv(), Ok(id()));
        assert!(followed.references().is_empty(), "the sweep would take it for alive");
    }
}
