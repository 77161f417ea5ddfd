//! Decides what to do next for one connection. No I/O, no clock: everything it needs is an argument, so that a property
//! test can drive it through any history. The only place that may decide to delete a pod.

use std::time::Duration;

use crds::{NodeLoss, Reason, State};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::{Resource, ResourceExt};

use super::build;
use super::build::drift::{self, Part};
use super::fencing::{Fencing, fencing};
use super::observe::Observed;
use super::ownership::{Ownership, belongs_to, ownership};
use super::status;
use super::validate::{Invalid, ValidConnection};
use crate::backoff::Attempts;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Secret and, where there is none, volume claim; then the pod, which needs both, and the Redis user.
    Start {
        /// Of the claim.
        claim: Claim,
    },
    /// The Redis user, as the Secret says.
    Access,
    /// A larger volume, as a quantity.
    GrowClaim(String),
    /// The owner reference or the labels that somebody took off.
    PutBack(Child),
    /// Exactly this pod, by UID: another of the same name may stand there when the call arrives.
    DeletePod {
        /// Its UID.
        uid: String,
        /// Why, for the Event.
        why: DeleteReason,
    },
    /// Exactly this pod, whose node does not end it and whose session has stopped itself.
    ForceDeletePod {
        /// Its UID.
        uid: String,
    },
}

/// What a pod's start finds of its volume claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It is there.
    There,
    /// It has to be made, for the first time or because somebody said so.
    New,
    /// Somebody deleted it. No phone was linked, so that an empty one takes its place.
    Again,
}

/// An object of a connection that is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Child {
    /// The pod.
    Pod,
    /// The volume claim.
    Claim,
}

/// Why a pod is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteReason {
    /// The connection was suspended.
    Suspended,
    /// The pod ended and cannot start again, for this reason.
    Ended(Reason),
    /// The spec asks for another pod.
    SpecChanged(Part),
}

impl DeleteReason {
    /// In one word, for metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Suspended => "Suspended",
            Self::Ended(_) => "Ended",
            Self::SpecChanged(_) => "SpecChanged",
        }
    }
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

    const fn later(wait: Duration) -> Self {
        Self { actions: Vec::new(), again_after: Some(wait) }
    }

    fn of(actions: impl IntoIterator<Item = Action>) -> Self {
        Self { actions: actions.into_iter().collect(), again_after: None }
    }
}

/// What was tried lately.
#[derive(Debug, Clone, Default)]
pub struct Tried {
    /// Pods made.
    pub starts: Attempts,
    /// Refusals that only somebody else can lift.
    pub refusals: Attempts,
    /// Refusals of a larger volume.
    pub growths: Attempts,
}

/// The plan. An invalid connection is left exactly as it is: whatever runs goes on until somebody says what is meant.
pub fn plan(connection: Result<&ValidConnection, &Invalid>, seen: &Observed, tried: &Tried, now: Timestamp) -> Plan {
    let Ok(connection) = connection else { return Plan::settled() };
    if connection.deleting {
        return Plan::settled();
    }
    let wanted = match (connection.desired, seen.pod.as_deref()) {
        // On its way out, or of an earlier connection: its end wakes us.
        (_, Some(pod)) if going(pod, seen) => force(connection, pod, seen),
        (State::Suspended, Some(pod)) => delete(pod, DeleteReason::Suspended),
        (State::Suspended, None) => Plan::of(upkeep(connection, seen)),
        (State::Running, Some(pod)) if status::pod::ended(pod) => {
            delete(pod, DeleteReason::Ended(status::pod::end(pod)))
        }
        // Kubernetes keeps a claim for a pod that runs, but not for one that waits for a node: without it that would be for ever.
        (State::Running, Some(_)) if seen.claim.is_none() && seen.lost_volume.is_none() => {
            start(connection, seen, tried, now)
        }
        (State::Running, Some(pod)) => match drift::drift(connection, pod) {
            // The end of this pod would be the end of a volume that is being deleted.
            Some(part) if !volume_at_risk(seen) => delete(pod, DeleteReason::SpecChanged(part)),
            _ => Plan::of(seen.access_doubtful.then_some(Action::Access).into_iter().chain(upkeep(connection, seen))),
        },
        (State::Running, None) => start(connection, seen, tried, now),
    };
    withhold(wanted, tried, now)
}

/// Without what was refused lately. Each refusal holds back what it was said of and nothing else: a volume that may not grow
/// keeps no pod away, and a pod that may not be made keeps nobody from ending one.
fn withhold(plan: Plan, tried: &Tried, now: Timestamp) -> Plan {
    let Plan { mut actions, mut again_after } = plan;
    actions.retain(|action| {
        let wait = match action {
            Action::Start { .. } | Action::Access | Action::DeletePod { why: DeleteReason::SpecChanged(_), .. } => {
                tried.refusals.wait_at(now)
            }
            Action::GrowClaim(_) => tried.growths.wait_at(now),
            Action::PutBack(_) | Action::DeletePod { .. } | Action::ForceDeletePod { .. } => None,
        };
        again_after = again_after.into_iter().chain(wait).min();
        wait.is_none()
    });
    Plan { actions, again_after }
}

fn start(connection: &ValidConnection, seen: &Observed, tried: &Tried, now: Timestamp) -> Plan {
    let claim = seen.claim.as_deref();
    if claim.is_some_and(|claim| going(claim, seen)) || seen.lost_volume.is_some() {
        // The claim of an earlier connection is on its way out, which wakes us; or a person has to say what is meant.
        return Plan::settled();
    }
    if let Some(wait) = tried.starts.wait_at(now) {
        return Plan::later(wait);
    }
    // Upkeep last: a volume that cannot grow must not keep the account offline.
    let claim = match claim {
        Some(_) => Claim::There,
        None if seen.had_volume => Claim::Again,
        None => Claim::New,
    };
    Plan::of(std::iter::once(Action::Start { claim }).chain(upkeep(connection, seen)))
}

/// Whether an object of the needed name is on its way out: it is being deleted, or its connection is gone.
fn going<K: Resource>(object: &K, seen: &Observed) -> bool {
    object.meta().deletion_timestamp.is_some() || ownership(object, &seen.id) == Ownership::Earlier
}

/// A pod on its way out is waited for; when it does not come to its end and that was asked for, it is taken away.
fn force(connection: &ValidConnection, pod: &Pod, seen: &Observed) -> Plan {
    match (connection.node_loss, seen.ending.filter(|_| belongs_to(pod, &seen.id))) {
        (NodeLoss::Wait, _) | (_, None) => Plan::settled(),
        (NodeLoss::ForceDelete, Some(ending)) => match fencing(pod, ending, seen.lease) {
            Fencing::Wait(left) => Plan::later(left),
            Fencing::Fenced => Plan::of([Action::ForceDeletePod { uid: pod.uid().unwrap_or_default() }]),
        },
    }
}

/// Whether the link to the phone goes with the end of the pod.
fn volume_at_risk(seen: &Observed) -> bool {
    seen.linked && seen.claim.as_deref().is_none_or(|claim| going(claim, seen))
}

/// What is put right without a restart.
fn upkeep(connection: &ValidConnection, seen: &Observed) -> impl Iterator<Item = Action> {
    let bare = |is: bool, child| is.then_some(Action::PutBack(child));
    let pod = seen.pod.as_deref().is_some_and(|pod| is_bare(pod, connection));
    let claim = seen.claim.as_deref().is_some_and(|claim| is_bare(claim, connection));
    [bare(pod, Child::Pod), bare(claim, Child::Claim), growth(connection, seen)].into_iter().flatten()
}

/// Whether an object of ours lacks what makes it ours to Kubernetes and to our watches.
pub(super) fn is_bare<K: Resource>(object: &K, connection: &ValidConnection) -> bool {
    match ownership(object, &connection.id) {
        Ownership::Orphaned => true,
        Ownership::Ours => !build::has_labels(object, connection),
        Ownership::Earlier | Ownership::Foreign => false,
    }
}

/// The larger volume, when one is asked for. Volumes never shrink.
fn growth(connection: &ValidConnection, seen: &Observed) -> Option<Action> {
    let claim: &PersistentVolumeClaim = seen.claim.as_deref().filter(|claim| !going(*claim, seen))?;
    let asked = claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?.get("storage");
    let wanted = connection.storage.quantity();
    (asked.and_then(crds::bytes)? < crds::bytes(&wanted)?).then_some(Action::GrowClaim(wanted.0))
}

fn delete(pod: &Pod, why: DeleteReason) -> Plan {
    Plan::of([Action::DeletePod { uid: pod.uid().unwrap_or_default(), why }])
}

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
