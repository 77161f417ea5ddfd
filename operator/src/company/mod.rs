//! What a company's namespace needs once, for all its sessions: a network policy. Made when the namespace is seen, put
//! right when it differs.

mod policy;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use relay::CompanyId;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::context::Context;
use crate::settings::SessionNetwork;

/// Namespaces are put right this often, and those where it failed this often.
const SWEEP: Duration = Duration::from_mins(10);
const RETRY: Duration = Duration::from_secs(5);

/// Longest wait for the look and the write together.
const CALL: Duration = Duration::from_secs(10);

/// Puts companies' namespaces right: when they are seen, soon again where that failed, and regularly.
pub async fn keep(mut homes: mpsc::Receiver<(String, CompanyId)>, context: Arc<Context>, network: SessionNetwork) {
    let mut again = interval(RETRY);
    again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut next_sweep = Instant::now() + SWEEP;
    let mut gained = Box::pin(context.leadership.gained());
    loop {
        let due: Vec<String> = tokio::select! {
            home = homes.recv() => match home {
                Some((namespace, _)) => vec![namespace],
                None => return,
            },
            Some(()) = gained.next() => context.cluster.homes(),
            _ = again.tick() => {
                let all = Instant::now() >= next_sweep;
                if all {
                    next_sweep = Instant::now() + SWEEP;
                }
                let unprepared = |namespace: &String| context.cluster.company(namespace).is_some_and(|home| !home.is_prepared());
                context.cluster.homes().into_iter().filter(|namespace| all || unprepared(namespace)).collect()
            }
        };
        // A standby keeps away; it comes back to all of them when it leads.
        for namespace in due.into_iter().filter(|_| context.leadership.holds()) {
            let Some(home) = context.cluster.company(&namespace) else { continue };
            if prepare(&context.client, &namespace, &home.id, &network).await {
                home.set_prepared();
            }
        }
    }
}

/// Makes the namespace fit for session pods. False when that failed; whoever asked asks again soon.
async fn prepare(client: &Client, namespace: &str, company: &CompanyId, network: &SessionNetwork) -> bool {
    match tokio::time::timeout(CALL, ensure(client, namespace, company, network)).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => tracing::error!(%error, namespace, %company, "network policy was not put in place"),
        Err(_) => tracing::error!(namespace, %company, "network policy was not put in place in time"),
    }
    false
}

async fn ensure(
    client: &Client,
    namespace: &str,
    company: &CompanyId,
    network: &SessionNetwork,
) -> Result<(), kube::Error> {
    let api: Api<NetworkPolicy> = Api::namespaced(client.clone(), namespace);
    let wanted = policy::policy(namespace, company, network);
    let name = wanted.name_any();
    match api.get_opt(&name).await? {
        None => api.create(&PostParams::default(), &wanted).await.map(drop),
        Some(there)
            if there.annotations().get(policy::HASH) == wanted.annotations().get(policy::HASH)
                && there.spec == wanted.spec =>
        {
            Ok(())
        }
        Some(_) => {
            tracing::info!(namespace, %company, "network policy differs and is put right");
            let parameters = PatchParams::apply("whatsapp-operator").force();
            api.patch(&name, &parameters, &Patch::Apply(wanted)).await.map(drop)
        }
    }
}
