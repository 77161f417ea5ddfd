//! What this process remembers of each connection between two reconciles.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::ResourceExt;
use relay::ConnectionId;

use crate::backoff::{Generations, Ledger};
use crate::newest::Newest;
use crate::reports::Reports;

/// The ledgers. A connection that is gone leaves all of them at once.
#[derive(Debug, Default)]
pub struct Memory {
    /// Pods made lately.
    pub attempts: Ledger,
    /// Failed reconciles lately.
    pub failures: Ledger,
    /// Refusals by the API server lately that only somebody else can lift.
    pub refusals: Ledger,
    /// Refusals of larger volumes lately.
    pub growths: Ledger,
    /// The generation that was looked at last.
    pub generations: Generations,
    /// Status writes.
    pub reports: Reports,
    /// Pods as our last write left them.
    pub pods: Newest<Pod>,
    /// Claims as our last write left them.
    pub claims: Newest<PersistentVolumeClaim>,
    /// Pods that were seen on their way out.
    pub endings: Endings,
    /// Looks at Secrets.
    pub checks: Checks,
}

impl Memory {
    /// Forgets a connection that is gone.
    pub fn forget(&self, id: &ConnectionId) {
        let Self { attempts, failures, refusals, growths, generations, reports, pods, claims, endings, checks } = self;
        for ledger in [attempts, failures, refusals, growths] {
            ledger.forget(id);
        }
        generations.forget(id);
        reports.forget(id);
        pods.forget(id);
        claims.forget(id);
        endings.since(*id, None);
        checks.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

/// Since when each pod that is being deleted was seen so. By a clock that never jumps: a wrong one must not make the grace
/// of a pod look over.
#[derive(Debug, Default)]
pub struct Endings(Mutex<HashMap<ConnectionId, (Option<String>, Instant)>>);

impl Endings {
    /// How long this pod has been seen on its way out; nothing when it is not. Another pod begins anew.
    pub fn since(&self, id: ConnectionId, pod: Option<&Pod>) -> Option<Duration> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(pod) = pod.filter(|pod| pod.metadata.deletion_timestamp.is_some()) else {
            all.remove(&id);
            return None;
        };
        let entry = all.entry(id).or_insert_with(|| (pod.uid(), Instant::now()));
        if entry.0 != pod.uid() {
            *entry = (pod.uid(), Instant::now());
        }
        Some(entry.1.elapsed())
    }
}

/// Nobody tells of a Secret that was edited or deleted: watching them would take the right to read all of them. So each is
/// looked at once an hour, which is one request.
const CHECK: Duration = Duration::from_hours(1);

/// When each connection's Secret is looked at again.
#[derive(Debug, Default)]
pub struct Checks(Mutex<HashMap<ConnectionId, Instant>>);

impl Checks {
    /// Whether it is time. The first time is some time within the hour, or a new leader would look at all at once.
    pub fn due(&self, id: ConnectionId, jitter: f64) -> bool {
        self.due_at(id, jitter, Instant::now())
    }

    fn due_at(&self, id: ConnectionId, jitter: f64, now: Instant) -> bool {
        let first = || now + CHECK.mul_f64(jitter.clamp(0.0, 1.0));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(id).or_insert_with(first) <= now
    }

    /// It was looked at.
    pub fn done(&self, id: ConnectionId, jitter: f64) {
        let next = Instant::now() + CHECK.mul_f64(1.0 + jitter.clamp(0.0, 1.0) / 10.0);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::plan::fixtures::{being_deleted, connection, id, pod};

    #[test]
    fn a_secret_is_looked_at_once_an_hour() {
        let (checks, start) = (Checks::default(), Instant::now());
        assert!(!checks.due_at(id(), 0.5, start), "all at once after a start");
        assert!(checks.due_at(id(), 0.9, start + CHECK));
        checks.done(id(), 0.0);
        assert!(!checks.due_at(id(), 0.5, Instant::now() + CHECK / 2));
        assert!(checks.due_at(id(), 0.5, Instant::now() + CHECK));
    }

    #[test]
    fn another_pod_on_its_way_out_begins_anew() {
        let (endings, first) = (Endings::default(), being_deleted(pod(&connection(), 1)));
        assert_eq!(endings.since(id(), Some(&pod(&connection(), 1))), None);
        let began = endings.since(id(), Some(&first)).expect("is ending");
        assert!(endings.since(id(), Some(&first)).expect("is ending") >= began);
        let second = being_deleted(pod(&connection(), 2));
        let so_far = endings.since(id(), Some(&first)).expect("is ending");
        assert!(endings.since(id(), Some(&second)).expect("is ending") < so_far);
    }
}
