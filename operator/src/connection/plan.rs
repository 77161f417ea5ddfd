//! Decides what to do next for one connection. No I/O, no clock: everything it needs is an argument, so that a property
//! test can drive it through any history. The only place that may decide to delete a pod.

use std::time::Duration;

use crds::State;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::ResourceExt;

use super::build::pod::spec_hash_of;
use super::observe::{Observed, belongs_to};
use super::validate::{Invalid, ValidConnection};
use crate::backoff::Attempts;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// The Redis user and the Secret that holds its credentials.
    Access,
    /// The volume.
    CreateClaim,
    /// A larger volume, as a quantity.
    GrowClaim(String),
    /// The pod. Always after access and claim, which it needs to start.
    CreatePod,
    /// Exactly this pod, by UID: another of the same name may stand there when the call arrives.
    DeletePod {
        /// Its UID.
        uid: String,
        /// Why, for the Event.
        why: DeleteReason,
    },
}

/// Why a pod is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteReason {
    /// The connection was suspended.
    Suspended,
    /// The pod ended and cannot start again.
    Ended,
    /// The spec asks for another pod.
    SpecChanged,
}

/// What to do now, in order, and when to look again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Never holds two creations of one object.
    pub actions: Vec<Action>,
    /// Look again after this even if nothing changes.
    pub again_after: Option<Duration>,
}

impl Plan {
    const fn settled() -> Self {
        Self { actions: Vec::new(), again_after: None }
    }

    fn of(actions: impl IntoIterator<Item = Action>) -> Self {
        Self { actions: actions.into_iter().collect(), again_after: None }
    }
}

/// The plan. An invalid connection is left exactly as it is: whatever runs goes on until somebody says what is meant.
pub fn plan(
    connection: Result<&ValidConnection, &Invalid>,
    seen: &Observed,
    attempts: &Attempts,
    now: Timestamp,
) -> Plan {
    let Ok(connection) = connection else { return Plan::settled() };
    if connection.deleting {
        return Plan::settled();
    }
    match (connection.desired, seen.pod.as_deref()) {
        (_, Some(pod)) if pod.metadata.deletion_timestamp.is_some() || !belongs_to(pod, &seen.id) => Plan::settled(),
        (State::Suspended, Some(pod)) => delete(pod, DeleteReason::Suspended),
        (State::Suspended, None) => Plan::of(growth(connection, seen)),
        (State::Running, Some(pod)) if ended(pod) => delete(pod, DeleteReason::Ended),
        (State::Running, Some(pod)) if spec_hash_of(pod) != Some(&connection.spec_hash()) => {
            delete(pod, DeleteReason::SpecChanged)
        }
        (State::Running, Some(_)) => {
            let access = seen.access_lost.then_some(Action::Access);
            Plan::of(access.into_iter().chain(growth(connection, seen)))
        }
        (State::Running, None) => start(connection, seen, attempts, now),
    }
}

fn start(connection: &ValidConnection, seen: &Observed, attempts: &Attempts, now: Timestamp) -> Plan {
    let going =
        |claim: &PersistentVolumeClaim| claim.metadata.deletion_timestamp.is_some() || !belongs_to(claim, &seen.id);
    if seen.claim.as_deref().is_some_and(going) {
        // The claim of an earlier connection of this name is on its way out; its deletion wakes us.
        return Plan::settled();
    }
    if let Some(wait) = attempts.wait_at(now) {
        return Plan { actions: Vec::new(), again_after: Some(wait) };
    }
    let mut actions = vec![Action::Access];
    actions.extend(seen.claim.is_none().then_some(Action::CreateClaim));
    actions.push(Action::CreatePod);
    // Last: a volume that cannot grow must not keep the account offline.
    actions.extend(growth(connection, seen));
    Plan::of(actions)
}

/// The larger volume, when one is asked for. Volumes never shrink.
fn growth(connection: &ValidConnection, seen: &Observed) -> Option<Action> {
    let claim = seen.claim.as_deref()?;
    let asked = claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?.get("storage");
    let wanted = connection.storage.quantity();
    (asked.and_then(crds::bytes)? < crds::bytes(&wanted)?).then_some(Action::GrowClaim(wanted.0))
}

fn delete(pod: &Pod, why: DeleteReason) -> Plan {
    Plan::of([Action::DeletePod { uid: pod.uid().unwrap_or_default(), why }])
}

/// Restart policy Always: only eviction, preemption, a node's refusal and the like end such a pod, and for good.
fn ended(pod: &Pod) -> bool {
    matches!(pod.status.as_ref().and_then(|status| status.phase.as_deref()), Some("Succeeded" | "Failed"))
}

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;
