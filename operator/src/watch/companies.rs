//! Follows the companies' namespaces, and watches pods, claims and the network policy in exactly those.

use std::collections::HashSet;

use crds::{COMPANY_LABEL, WhatsAppConnection};
use futures::{StreamExt, future};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim, Pod};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::store::{Writer, store};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::Event;
use kube::{Api, Client, Resource, ResourceExt};
use relay::CompanyId;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::cache::Cache;
use super::cluster::{self, Cluster, Company, Policy};
use super::life::{CLAIM, NAMESPACE, POD, POLICY};
use super::stream::{Watches, touched};
use super::tell_all;
use crate::connection::build::{MANAGED_BY, names};

/// The label by which the API server refuses pods that are not `restricted`; whoever makes the namespace sets it.
const POD_SECURITY: (&str, &str) = ("pod-security.kubernetes.io/enforce", "restricted");

/// Watches pods, claims and the network policy in exactly the namespaces that are companies' homes: the operator has no rights elsewhere.
pub async fn follow(
    watches: Watches,
    cluster: Cluster,
    writer: Writer<PartialObjectMeta<Namespace>>,
    look_at: mpsc::Sender<ObjectRef<WhatsAppConnection>>,
    homes: mpsc::Sender<(String, CompanyId)>,
) {
    let mut events = Box::pin(watches.keep(Api::all, NAMESPACE, Some(COMPANY_LABEL), writer));
    let mut listed = HashSet::new();
    while let Some(event) = events.next().await {
        let changed = match event {
            Event::Apply(namespace) => settle(&watches, &cluster, &namespace, &look_at, &homes).await,
            Event::InitApply(namespace) => {
                listed.insert(namespace.name_any());
                settle(&watches, &cluster, &namespace, &look_at, &homes).await
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
        tell_all(&look_at, changed).await;
    }
}

/// Takes a namespace in as a home, or no more as one. Gives the connections for which that changes something.
async fn settle(
    watches: &Watches,
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
        let company = watch_company(watches, &name, &id, cluster.connections.clone(), look_at, homes);
        cluster.settle(name.clone(), company);
    }
    let _ = homes.send((name.clone(), id)).await;
    if known { Vec::new() } else { cluster.connections_in(&name) }
}

fn watch_company(
    watches: &Watches,
    namespace: &str,
    id: &CompanyId,
    connections: Store<WhatsAppConnection>,
    look_at: &mpsc::Sender<ObjectRef<WhatsAppConnection>>,
    homes: &mpsc::Sender<(String, CompanyId)>,
) -> Company {
    let (pods, pods_writer) = store();
    let (claims, claims_writer) = store();
    let (_, policies_writer) = store();
    let ours = format!("{}={}", MANAGED_BY.0, MANAGED_BY.1);
    let pod_events = watches.keep(within::<Pod>(namespace), POD, Some(&ours), pods_writer);
    let (pods, pod_events) = Cache::new(pods, pod_events);
    let pod_events = touched(pod_events).map(|pod| pod.name_any());
    let claim_events = watches.keep(within::<PersistentVolumeClaim>(namespace), CLAIM, Some(&ours), claims_writer);
    let (claims, claim_events) = Cache::new(claims, claim_events);
    let claim_events = touched(claim_events).filter_map(|claim| {
        let name = claim.labels().get(crds::CONNECTION_LABEL).cloned();
        future::ready(name.filter(|name| names::claim(name) == claim.name_any()))
    });
    let mut both = Box::pin(futures::stream::select(pod_events, claim_events));
    let mut policies = Box::pin(watches.keep(
        within::<PartialObjectMeta<NetworkPolicy>>(namespace),
        POLICY,
        Some(&ours),
        policies_writer,
    ));
    let policy = Policy::default();
    let (pods_filled, claims_filled) = (pods.store.clone(), claims.store.clone());
    // Fails only when the watches have ended, and with them who waits here.
    let filled = async move { _ = (pods_filled.wait_until_ready().await, claims_filled.wait_until_ready().await) };
    let (mut filled, mut began) = (Box::pin(filled), false);
    let (look_at, homes, namespace) = (look_at.clone(), homes.clone(), namespace.to_owned());
    let (home, stands) = ((namespace.clone(), id.clone()), policy.clone());
    let task = tokio::spawn(async move {
        loop {
            let told = tokio::select! {
                // Rights may have come late, and with them the pods of connections that have long been waiting.
                () = &mut filled, if !began => {
                    began = true;
                    tell_all(&look_at, cluster::within(&connections, &namespace)).await
                }
                Some(name) = both.next() => look_at.send(ObjectRef::new(&name).within(&namespace)).await.is_ok(),
                Some(event) = policies.next() => match event {
                    // Until it stands again no session pod may be made.
                    Event::Delete(_) => {
                        stands.fell();
                        homes.send(home.clone()).await.is_ok()
                    }
                    // A list tells nothing of what went while the watch was broken.
                    Event::Apply(_) | Event::InitDone => homes.send(home.clone()).await.is_ok(),
                    Event::Init | Event::InitApply(_) => true,
                },
                else => return,
            };
            if !told {
                return;
            }
        }
    });
    Company::new(id.clone(), pods, claims, policy, AbortOnDropHandle::new(task))
}

fn within<K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>>(
    namespace: &str,
) -> impl FnOnce(Client) -> Api<K> + use<K> {
    let namespace = namespace.to_owned();
    move |client| Api::namespaced(client, &namespace)
}
