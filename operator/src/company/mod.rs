//! What a company's namespace needs once, for all its sessions: a network policy. Made when the namespace is seen, put
//! right when it differs. One of its name that is somebody else's is left alone; then no session runs there.

mod policy;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use relay::CompanyId;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::connection::build::MANAGED_BY;
use crate::context::Context;
use crate::events;
use crate::settings::SessionNetwork;
use crate::watch::tell_all;

/// Namespaces are put right this often, and those where it failed this often.
const SWEEP: Duration = Duration::from_mins(10);
const RETRY: Duration = Duration::from_secs(5);

/// Namespaces that are put right at once: one whose API server hangs must not hold up a thousand others.
const AT_ONCE: usize = 16;

/// Longest wait for the look and the write together.
const CALL: Duration = Duration::from_secs(10);

/// Puts companies' namespaces right: when they are seen, soon again where that failed, and regularly.
pub async fn keep(mut homes: mpsc::Receiver<(String, CompanyId)>, context: Arc<Context>, network: SessionNetwork) {
    let mut again = interval(RETRY);
    again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut next_sweep = Instant::now() + SWEEP;
    let mut gained = Box::pin(context.leadership.gained());
    let (mut seen, mut stood) = (Vec::new(), HashSet::new());
    loop {
        let due: Vec<String> = tokio::select! {
            count = homes.recv_many(&mut seen, AT_ONCE) => {
                if count == 0 {
                    return;
                }
                seen.drain(..).map(|(namespace, _)| namespace).collect()
            }
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
        let due = due.into_iter().filter(|_| context.leadership.holds());
        let looks = due.map(|namespace| {
            let (context, network, stood) = (&context, &network, stood.contains(&namespace));
            async move {
                let home = context.cluster.company(&namespace)?;
                let before = home.policy.moment();
                let stands = prepare(&namespace, &home.id, network, stood, context).await?;
                Some((namespace, home, before, stands))
            }
        });
        let mut looks = stream::iter(looks.collect::<Vec<_>>()).buffer_unordered(AT_ONCE);
        while let Some(looked) = looks.next().await {
            // Where the API server did not say, it is asked again in a moment.
            let Some((namespace, home, before, stands)) = looked else { continue };
            if !stands {
                home.policy.fell();
                continue;
            }
            let waited = !home.is_prepared();
            home.policy.stands(before);
            if waited {
                // Its connections may have waited for it for long.
                tell_all(&context.look_again, context.cluster.connections_in(&namespace)).await;
            }
            stood.insert(namespace);
        }
    }
}

/// Why the policy does not stand.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Kubernetes(#[from] kube::Error),
    #[error("NetworkPolicy {0} exists and belongs to somebody else: no session runs here before it is gone")]
    NotOwned(String),
}

/// Makes the namespace fit for session pods. Gives whether it is; nothing when the API server did not say.
async fn prepare(
    namespace: &str,
    company: &CompanyId,
    network: &SessionNetwork,
    stood: bool,
    context: &Context,
) -> Option<bool> {
    match tokio::time::timeout(CALL, ensure(namespace, company, network, context)).await {
        Ok(Ok(done)) => {
            if done == Done::PutBack || (done == Done::Made && stood) {
                events::policy_put_back(namespace, company, policy::NAME, context).await;
            }
            Some(true)
        }
        Ok(Err(error)) => {
            tracing::error!(%error, namespace, %company, "network policy was not put in place");
            matches!(error, Error::NotOwned(_)).then_some(false)
        }
        Err(_) => {
            tracing::error!(namespace, %company, "network policy was not put in place in time");
            None
        }
    }
}

/// What had to be done.
#[derive(Debug, PartialEq, Eq)]
enum Done {
    Nothing,
    Made,
    /// Its rules are others than an operator wrote.
    PutBack,
    /// Its rules are those of an operator with other settings.
    Updated,
}

async fn ensure(
    namespace: &str,
    company: &CompanyId,
    network: &SessionNetwork,
    context: &Context,
) -> Result<Done, Error> {
    let api: Api<NetworkPolicy> = Api::namespaced(context.client.clone(), namespace);
    let wanted = policy::policy(namespace, company, network);
    let name = wanted.name_any();
    let Some(there) = api.get_opt(&name).await? else {
        api.create(&PostParams::default(), &wanted).await?;
        return Ok(Done::Made);
    };
    // Either is enough: what somebody took off is put back.
    let hash = there.annotations().get(policy::HASH);
    if hash.is_none() && there.labels().get(MANAGED_BY.0).map(String::as_str) != Some(MANAGED_BY.1) {
        return Err(Error::NotOwned(name));
    }
    let same_settings = hash == wanted.annotations().get(policy::HASH);
    let labelled = wanted.labels().iter().all(|(key, value)| there.labels().get(key) == Some(value));
    if same_settings && labelled && there.spec == wanted.spec {
        return Ok(Done::Nothing);
    }
    tracing::info!(namespace, %company, "network policy differs and is put right");
    let parameters = PatchParams::apply("whatsapp-operator").force();
    api.patch(&name, &parameters, &Patch::Apply(wanted)).await?;
    Ok(if same_settings { Done::PutBack } else { Done::Updated })
}
