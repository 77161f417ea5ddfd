//! The watches and the caches that they fill. Each watch has a backoff of its own and its errors are counted and dropped
//! before anything is merged: with one shared backoff a single broken watch can keep all others from ever coming back.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, PoisonError, RwLock};

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

/// A silently dead connection is noticed after this many seconds, when the server should have ended the watch.
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
    _watch: Arc<AbortOnDropHandle<()>>,
}

impl Company {
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
    let references = cluster.references.clone();
    let stream =
        keep(Api::all(client.clone()), "WhatsAppConnection", None, connections_writer).filter_map(move |event| {
            let (references, deleted) = (references.clone(), deleted.clone());
            async move { follow_connection(event, &references, &deleted).await }
        });
    let follow = follow_companies(client.clone(), cluster.clone(), namespaces_writer, look_at, homes);
    let told = Told { look_at: look_at_receiver, deleted: deleted_receiver, homes: homes_receiver };
    (cluster, stream, follow, told)
}

type References = Arc<RwLock<HashMap<ConnectionId, ObjectRef<WhatsAppConnection>>>>;

async fn follow_connection(
    event: Event<WhatsAppConnection>,
    references: &References,
    deleted: &mpsc::Sender<ConnectionId>,
) -> Option<WhatsAppConnection> {
    let id = |connection: &WhatsAppConnection| connection.uid().and_then(|uid| uid.parse::<ConnectionId>().ok());
    match event {
        Event::Apply(connection) | Event::InitApply(connection) => {
            if let Some(id) = id(&connection) {
                let reference = ObjectRef::from_obj(&connection);
                references.write().unwrap_or_else(PoisonError::into_inner).insert(id, reference);
            }
            Some(connection)
        }
        Event::Delete(connection) => {
            if let Some(id) = id(&connection) {
                references.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
                // Fails only during shutdown; the sweep of the next start finds what is left.
                let _ = deleted.send(id).await;
            }
            None
        }
        Event::Init | Event::InitDone => None,
    }
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
    while let Some(event) = events.next().await {
        match event {
            Event::Apply(namespace) | Event::InitApply(namespace) => {
                let name = namespace.name_any();
                let label = namespace.labels().get(COMPANY_LABEL).and_then(|label| label.parse::<CompanyId>().ok());
                let Some(id) = label else {
                    tracing::warn!(namespace = name, "label {COMPANY_LABEL} holds no company id");
                    continue;
                };
                if cluster.company(&name).is_none_or(|known| known.id != id) {
                    tracing::info!(namespace = name, company = %id, "home of a company");
                    let company = watch_company(&client, &name, id.clone(), &look_at);
                    cluster.companies.write().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), company);
                }
                let _ = homes.send((name, id)).await;
            }
            Event::Delete(namespace) => {
                // Dropping the entry ends its watches.
                cluster.companies.write().unwrap_or_else(PoisonError::into_inner).remove(&namespace.name_any());
            }
            Event::Init | Event::InitDone => {}
        }
    }
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
    Company { id, pods, claims, _watch: Arc::new(AbortOnDropHandle::new(task)) }
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
