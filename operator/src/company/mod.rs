//! What a company's namespace needs once, for all its sessions: a network policy. Made when the namespace is seen, put
//! right when it differs.

mod policy;

use std::time::Duration;

use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use relay::CompanyId;

use crate::settings::SessionNetwork;

/// Longest wait for the look and the write together.
const CALL: Duration = Duration::from_secs(10);

/// Makes the namespace fit for session pods. False when that failed; whoever asked asks again soon.
pub async fn prepare(client: &Client, namespace: &str, company: &CompanyId, network: &SessionNetwork) -> bool {
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
