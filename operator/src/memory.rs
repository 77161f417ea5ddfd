//! What this process remembers of each connection between two reconciles.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::ResourceExt;
use relay::ConnectionId;

use crate::backoff::{Generations, Ledger};
use crate::connection::fencing::Lease;
use crate::newest::Newest;
use crate::reports::Reports;

/// The ledgers. A connection that is gone leaves all of them at once.
#[derive(Debug)]
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
    /// Leases that were seen not to be renewed.
    pub silences: Silences,
    /// Looks at Secrets.
    pub checks: Checks,
    /// Pods that are gone, as the API server said.
    pub gone_pods: Gone,
    /// Claims that are gone, as the API server said.
    pub gone_claims: Gone,
}

impl Memory {
    /// Of nothing yet.
    #[must_use]
    pub fn new(checking: Checking) -> Self {
        Self {
            attempts: Ledger::default(),
            failures: Ledger::default(),
            refusals: Ledger::default(),
            growths: Ledger::default(),
            generations: Generations::default(),
            reports: Reports::default(),
            pods: Newest::default(),
            claims: Newest::default(),
            endings: Endings::default(),
            silences: Silences::default(),
            checks: Checks { checking, last: Mutex::default() },
            gone_pods: Gone::default(),
            gone_claims: Gone::default(),
        }
    }

    /// Keeps a pod as a write of ours left it. It is there, whatever was said of one of its name.
    pub fn keep_pod(&self, id: ConnectionId, pod: Pod) {
        self.pods.keep(id, Arc::new(pod));
        self.gone_pods.forget(&id);
    }

    /// The same of a claim.
    pub fn keep_claim(&self, id: ConnectionId, claim: PersistentVolumeClaim) {
        self.claims.keep(id, Arc::new(claim));
        self.gone_claims.forget(&id);
    }

    /// Forgets a connection that is gone.
    pub fn forget(&self, id: &ConnectionId) {
        let Self {
            attempts,
            failures,
            refusals,
            growths,
            generations,
            reports,
            pods,
            claims,
            endings,
            silences,
            checks,
            gone_pods,
            gone_claims,
        } = self;
        for ledger in [attempts, failures, refusals, growths] {
            ledger.forget(id);
        }
        generations.forget(id);
        reports.forget(id);
        pods.forget(id);
        claims.forget(id);
        endings.since(*id, None);
        silences.forget(id);
        checks.last.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        gone_pods.forget(id);
        gone_claims.forget(id);
    }
}

/// Objects that the API server was asked for in vain, so that it is asked once.
#[derive(Debug, Default)]
pub struct Gone(Mutex<HashMap<ConnectionId, String>>);

impl Gone {
    /// Whether this very one, by whatever it was known, is gone.
    pub fn is(&self, id: ConnectionId, known: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&id).is_some_and(|gone| gone == known)
    }

    /// It is.
    pub fn note(&self, id: ConnectionId, known: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, known.to_owned());
    }

    /// Another one is there.
    pub fn forget(&self, id: &ConnectionId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
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

/// Since when each pod that is to be taken away by force has been seen without its lease. One look does not tell: a lease
/// that ran out because the clock of Redis was set forward is its holder's again at the next renewal.
#[derive(Debug, Default)]
pub struct Silences(Mutex<HashMap<ConnectionId, (Option<String>, Instant)>>);

impl Silences {
    /// What a look says, and those before it. A lease is believed to be held until it was seen otherwise for as long as one
    /// lives.
    pub fn judge(&self, id: ConnectionId, pod: &Pod, holder: Option<&str>) -> Lease {
        self.judge_at(id, pod, holder, Instant::now())
    }

    fn judge_at(&self, id: ConnectionId, pod: &Pod, holder: Option<&str>, now: Instant) -> Lease {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if holder == pod.metadata.uid.as_deref() {
            all.remove(&id);
            return Lease::Held;
        }
        let entry = all.entry(id).or_insert_with(|| (pod.uid(), now));
        if entry.0 != pod.uid() {
            *entry = (pod.uid(), now);
        }
        let silent = now.saturating_duration_since(entry.1) >= relay::Lease::TIME_TO_LIVE;
        if silent { Lease::NotHeld } else { Lease::Held }
    }

    /// What was seen so far counts no more.
    pub fn forget(&self, id: &ConnectionId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

/// How often the Secret of a connection is looked at. Nobody tells of one that was edited or deleted: watching them would
/// take the right to read all of them.
#[derive(Debug, Clone, Copy)]
pub struct Checking {
    /// While all is well. One request each time.
    pub every: Duration,
    /// While a session that ran before is not ready: Redis may not let it in.
    pub when_shut_out: Duration,
}

impl Default for Checking {
    fn default() -> Self {
        Self { every: Duration::from_hours(1), when_shut_out: Duration::from_mins(5) }
    }
}

/// When each connection's Secret was looked at.
#[derive(Debug, Default)]
pub struct Checks {
    checking: Checking,
    last: Mutex<HashMap<ConnectionId, Looked>>,
}

#[derive(Debug, Clone, Copy)]
struct Looked {
    at: Instant,
    next: Instant,
}

impl Checks {
    /// How long until the next look; zero when it is due. The first is some time within the hour, or a new leader would look
    /// at all at once.
    pub fn wait(&self, id: ConnectionId, shut_out: bool, jitter: f64) -> Duration {
        self.wait_at(id, shut_out, jitter, Instant::now())
    }

    fn wait_at(&self, id: ConnectionId, shut_out: bool, jitter: f64, now: Instant) -> Duration {
        let first = || Looked { at: now, next: now + self.checking.every.mul_f64(jitter.clamp(0.0, 1.0)) };
        let looked = *self.last.lock().unwrap_or_else(PoisonError::into_inner).entry(id).or_insert_with(first);
        let sooner = shut_out.then(|| looked.at + self.checking.when_shut_out);
        sooner.into_iter().chain([looked.next]).min().unwrap_or(looked.next).saturating_duration_since(now)
    }

    /// It was looked at.
    pub fn done(&self, id: ConnectionId, jitter: f64) {
        let at = Instant::now();
        let next = at + self.checking.every.mul_f64(1.0 + jitter.clamp(0.0, 1.0) / 10.0);
        self.last.lock().unwrap_or_else(PoisonError::into_inner).insert(id, Looked { at, next });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::plan::fixtures::{being_deleted, connection, id, pod};

    #[test]
    fn a_secret_is_looked_at_once_an_hour_and_sooner_for_a_session_that_may_be_shut_out() {
        let (checks, start) = (Checks::default(), Instant::now());
        let Checking { every, when_shut_out } = checks.checking;
        assert_eq!(checks.wait_at(id(), false, 0.5, start), every / 2, "not all at once after a start");
        assert_eq!(checks.wait_at(id(), false, 0.9, start + every), Duration::ZERO);
        checks.done(id(), 0.0);
        let now = Instant::now();
        let within = |wait: Duration, most: Duration| wait <= most && wait + Duration::from_secs(10) > most;
        assert!(within(checks.wait_at(id(), false, 0.5, now), every));
        assert!(within(checks.wait_at(id(), true, 0.5, now), when_shut_out));
        assert_eq!(checks.wait_at(id(), true, 0.5, now + when_shut_out), Duration::ZERO);
    }

    #[test]
    fn a_lease_is_not_held_once_it_was_seen_so_for_as_long_as_one_lives() {
        let (silences, start) = (Silences::default(), Instant::now());
        let (first, second) = (pod(&connection(), 1), pod(&connection(), 2));
        let after = |pod: &Pod, holder: Option<&str>, seconds: u64| {
            silences.judge_at(id(), pod, holder, start + Duration::from_secs(seconds))
        };
        assert_eq!(after(&first, None, 0), Lease::Held);
        assert_eq!(after(&first, Some("another"), 14), Lease::Held);
        assert_eq!(after(&first, None, 15), Lease::NotHeld);
        assert_eq!(after(&first, first.uid().as_deref(), 16), Lease::Held, "it renews");
        assert_eq!(after(&first, None, 20), Lease::Held, "from the beginning");
        assert_eq!(after(&second, None, 36), Lease::Held, "of another pod nothing is known");
        assert_eq!(after(&second, None, 51), Lease::NotHeld);
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
