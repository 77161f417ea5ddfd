//! The Lease object: read, taken, renewed and given back. Each write names the version that was read, so that of two who
//! find it free only one gets it.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::decide::{Observer, Record, Step};
use super::{DURATION, Leadership, POLL};
use crate::metrics;

/// Longest wait for one answer. A poll, a renewal, a pause, a look and another renewal (2 + 2 + 1 + 2 + 2 s) fit into what a
/// leader may go without one.
const CALL: Duration = Duration::from_secs(2);

/// A failed look or renewal is tried again after this.
const RETRY: Duration = Duration::from_secs(1);

/// Where the Lease is, and who we are.
#[derive(Debug, Clone)]
pub struct Election {
    /// Its namespace; nothing means the client's own.
    pub namespace: Option<String>,
    /// Its name: one for each installation.
    pub name: String,
    /// Unique among all processes that ever run; but the same after a restart of the container in its pod, which then
    /// leads again at once. A kubelet never runs two containers of one name in a pod.
    pub identity: String,
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Kubernetes(#[from] kube::Error),
    #[error("no answer in time")]
    Deadline(#[from] tokio::time::error::Elapsed),
}

/// Stands for election until `stop`, then waits for `idle` (nobody writes any more) and gives the Lease back, so that the
/// next one need not wait. `beat` is called each round.
pub async fn campaign(
    client: &Client,
    election: Election,
    leadership: Leadership,
    beat: impl Fn(),
    stop: CancellationToken,
    idle: impl Future<Output = ()>,
) {
    let api = match &election.namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::default_namespaced(client.clone()),
    };
    let mut candidate = Candidate { api, election, observer: Observer::default(), held: None };
    let mut idle = std::pin::pin!(idle);
    loop {
        beat();
        let wait = candidate.round(&leadership).await;
        metrics::leading(leadership.holds());
        tokio::select! {
            () = sleep(wait) => {}
            // Goes on renewing until the last reconcile has ended: only then may somebody else begin.
            () = &mut idle, if stop.is_cancelled() => break,
            () = stop.cancelled(), if !stop.is_cancelled() => {}
        }
    }
    leadership.give_up();
    metrics::leading(false);
    candidate.give_back().await;
}

struct Candidate {
    api: Api<Lease>,
    election: Election,
    observer: Observer,
    /// As we wrote it last; nothing when it has to be read first.
    held: Option<Lease>,
}

impl Candidate {
    /// Looks at the Lease, takes or renews it. Gives the time until the next round.
    async fn round(&mut self, leadership: &Leadership) -> Duration {
        match self.step(leadership).await {
            Ok(wait) => wait,
            Err(error) => {
                // Whatever we believe of it may be wrong: a write whose answer was lost may have been done.
                self.held = None;
                tracing::warn!(%error, leading = leadership.holds(), "lease was not renewed");
                RETRY
            }
        }
    }

    async fn step(&mut self, leadership: &Leadership) -> Result<Duration, Failure> {
        let began = Instant::now();
        let found = match self.held.take() {
            Some(held) => Some(held),
            None => timeout(CALL, self.api.get_opt(&self.election.name)).await??,
        };
        if let Some(found) = &found
            && let Step::Wait(wait) = self.observer.judge(record(found), &self.election.identity, began)
        {
            if leadership.holds() {
                tracing::warn!(holder = record(found).holder, "somebody else leads now");
                leadership.give_up();
            }
            return Ok(wait);
        }
        let wanted = self.wanted(found.as_ref());
        let written = match &found {
            None => timeout(CALL, self.api.create(&PostParams::default(), &wanted)).await?,
            Some(_) => timeout(CALL, self.api.replace(&self.election.name, &PostParams::default(), &wanted)).await?,
        };
        match written {
            Ok(lease) => {
                self.held = Some(lease);
                if leadership.extend(began) {
                    tracing::info!(identity = self.election.identity, "leads");
                }
                Ok(POLL)
            }
            // Somebody was faster: look again.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(RETRY),
            Err(error) => Err(error.into()),
        }
    }

    /// The Lease with us as its holder, based on what was found.
    fn wanted(&self, found: Option<&Lease>) -> Lease {
        let mut lease = found.cloned().unwrap_or_default();
        lease.metadata.name = Some(self.election.name.clone());
        lease.metadata.managed_fields = None;
        let now = MicroTime(runtime::ambient::now());
        let before = lease.spec.take().unwrap_or_default();
        let ours = before.holder_identity.as_ref() == Some(&self.election.identity);
        let taken = before.lease_transitions.unwrap_or_default();
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(self.election.identity.clone()),
            lease_duration_seconds: Some(i32::try_from(DURATION.as_secs()).unwrap_or(i32::MAX)),
            acquire_time: if ours { before.acquire_time } else { Some(now.clone()) },
            lease_transitions: Some(if ours { taken } else { taken.saturating_add(1) }),
            renew_time: Some(now),
            ..LeaseSpec::default()
        });
        lease
    }

    async fn give_back(mut self) {
        let Some(mut lease) = self.held.take() else { return };
        lease.metadata.managed_fields = None;
        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = Some(String::new());
        }
        match timeout(CALL, self.api.replace(&self.election.name, &PostParams::default(), &lease)).await {
            Ok(Ok(_)) => tracing::info!("gave the lease back"),
            Ok(Err(error)) => tracing::warn!(%error, "lease was not given back; another waits for its end"),
            Err(_) => tracing::warn!("lease was not given back in time; another waits for its end"),
        }
    }
}

fn record(lease: &Lease) -> Record {
    let spec = lease.spec.as_ref();
    let seconds = spec.and_then(|spec| spec.lease_duration_seconds).and_then(|seconds| u64::try_from(seconds).ok());
    Record {
        holder: spec.and_then(|spec| spec.holder_identity.clone()).unwrap_or_default(),
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
        duration: Duration::from_secs(seconds.unwrap_or_default()),
    }
}
