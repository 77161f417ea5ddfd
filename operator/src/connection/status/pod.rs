//! What a pod's own status says about why the session runs or does not: the conditions of Kubernetes, the kubelet's words
//! and those of the scheduler, each as one reason of ours. Pure.

use crds::{NodeLoss, PodSummary, Reason};
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{
    ContainerStateTerminated, ContainerStatus, PersistentVolumeClaim, Pod, PodCondition, PodStatus,
};
use kube::ResourceExt;

use super::verdict::Verdict;
use crate::connection::build::pod::CONTAINER;
use crate::connection::observe::{Observed, StorageClass};

/// A container that lived for so long did not end because of how it starts. The kubelet forgives after the same time.
const LIVED: SignedDuration = SignedDuration::from_mins(10);

/// What stands around a pod.
pub(super) struct Around<'a> {
    /// Its volume claim.
    pub(super) claim: Option<&'a PersistentVolumeClaim>,
    /// The class of the claim, when somebody had a reason to look.
    pub(super) class: StorageClass,
    /// What happens when its node is lost.
    pub(super) node_loss: NodeLoss,
}

/// Whether a pod that is wanted runs.
pub(super) fn ready(pod: &Pod, around: &Around<'_>) -> Verdict {
    let status = pod.status.clone().unwrap_or_default();
    // Before the deletion: a pod of a lost node is deleted after some minutes and stays, because nobody there ends it.
    if node_lost(pod) {
        return node_loss(around.node_loss);
    }
    if ended(pod) || pod.metadata.deletion_timestamp.is_some() {
        return ending(pod, &status);
    }
    if let Some(scheduled) = condition(&status, "PodScheduled").filter(|c| c.status == "False") {
        return unscheduled(scheduled, around);
    }
    let Some(container) = container(&status) else {
        return Verdict::saying(Reason::Starting, "The container is being made.");
    };
    if is_ready(pod) {
        return going_volume(around.claim);
    }
    if let Some(waiting) = container.state.as_ref().and_then(|state| state.waiting.as_ref()) {
        let (reason, said) = (waiting.reason.as_deref().unwrap_or_default(), waiting.message.as_deref());
        match reason {
            "ErrImagePull"
            | "ImagePullBackOff"
            | "InvalidImageName"
            | "ErrImageNeverPull"
            | "RegistryUnavailable"
            | "ImageInspectError" => {
                return Verdict::seen(Reason::ImagePull, said.unwrap_or(reason));
            }
            "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
                return Verdict::seen(Reason::ContainerError, said.unwrap_or(reason));
            }
            _ => {}
        }
    }
    starting(container)
}

/// Whether its probes succeed.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    pod.status.as_ref().and_then(|status| condition(status, "Ready")).is_some_and(|c| c.status == "True")
}

/// Whether its session may have said something.
pub(crate) fn has_run(pod: &Pod) -> bool {
    let container = pod.status.as_ref().and_then(container);
    container.is_some_and(|container| {
        let runs = container.state.as_ref().is_some_and(|state| state.running.is_some());
        runs || container.ready || container.restart_count > 0
    })
}

/// A container that was started again and is not ready: what its session needs may have changed meanwhile.
pub(crate) fn is_unready_again(pod: &Pod) -> bool {
    let again = pod.status.as_ref().and_then(container).is_some_and(|container| container.restart_count > 0);
    again && !is_ready(pod)
}

/// The node controller has no word of its own for it in the pod: it turns Ready alone to False or Unknown, which no kubelet
/// does while the container counts as ready; and what deletes the pod then names itself.
pub(crate) fn node_lost(pod: &Pod) -> bool {
    let Some(status) = &pod.status else { return false };
    let is = |kind: &str, wanted: &str| condition(status, kind).is_some_and(|c| c.status == wanted);
    status.reason.as_deref() == Some("NodeLost")
        || is("Ready", "Unknown")
        || (is("Ready", "False") && is("ContainersReady", "True"))
        || disruption(status) == Some("DeletionByTaintManager")
}

fn node_loss(policy: NodeLoss) -> Verdict {
    Verdict::seen(
        Reason::NodeLost,
        match policy {
            NodeLoss::Wait => "The pod is made again once the node is back, or somebody deletes the pod with --force.",
            NodeLoss::ForceDelete => "The pod is replaced once its browser must have stopped.",
        },
    )
}

/// A pod that ended or is being ended by somebody, and is made again.
fn ending(pod: &Pod, status: &PodStatus) -> Verdict {
    let said = [&status.reason, &status.message].into_iter().flatten().cloned().collect::<Vec<_>>().join(": ");
    let reason = end(pod);
    if said.is_empty() { Verdict::bad(reason) } else { Verdict::seen(reason, &format!("{said}.")) }
}

/// Why a pod ended or is being ended.
pub(crate) fn end(pod: &Pod) -> Reason {
    let Some(status) = &pod.status else { return Reason::Replacing };
    match (status.reason.as_deref(), disruption(status)) {
        // A node that is short of something says so in both; one that shuts down, and one whose pod ended in good order, in the
        // condition alone.
        (Some("Evicted"), _) | (_, Some("EvictionByEvictionAPI" | "TerminationByKubelet")) => Reason::Evicted,
        (Some("Preempting"), _) | (_, Some("PreemptionByScheduler")) => Reason::Preempted,
        _ if ended(pod) && container(status).and_then(last_end).is_some_and(out_of_memory) => Reason::OOMKilled,
        _ => Reason::Replacing,
    }
}

/// Whether a pod has ended for good. Restart policy Always: only eviction, preemption, a node's refusal and the like do that.
pub(crate) fn ended(pod: &Pod) -> bool {
    matches!(pod.status.as_ref().and_then(|status| status.phase.as_deref()), Some("Succeeded" | "Failed"))
}

fn unscheduled(scheduled: &PodCondition, around: &Around<'_>) -> Verdict {
    let said = scheduled.message.as_deref().unwrap_or_default();
    let Some(claim) = around.claim.filter(|claim| waits_for(claim, said)) else {
        return Verdict::seen(Reason::Unschedulable, said);
    };
    match (class_of(claim), around.class) {
        (None, _) => Verdict::seen(Reason::StorageClassMissing, "spec.storage.storageClassName is not set."),
        (Some(name), StorageClass::Missing) => {
            Verdict::seen(Reason::StorageClassMissing, &format!("{name} does not exist."))
        }
        (Some(_), StorageClass::Unknown | StorageClass::Exists) => {
            Verdict::seen(Reason::VolumePending, &format!("Claim: {}. {said}", claim.name_any()))
        }
    }
}

/// Whether the scheduler waits for this volume. A claim that waits for its first consumer is pending, too: only the
/// scheduler knows what it waits for, and says it only in words.
fn waits_for(claim: &PersistentVolumeClaim, said: &str) -> bool {
    let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref());
    let said = said.to_lowercase();
    phase.is_none_or(|phase| phase == "Pending") && ["volume", "storageclass"].iter().any(|word| said.contains(word))
}

fn class_of(claim: &PersistentVolumeClaim) -> Option<&str> {
    claim.spec.as_ref()?.storage_class_name.as_deref()
}

/// The class whose absence would explain why the pod is not scheduled.
pub(crate) fn waits_for_class(seen: &Observed) -> Option<&str> {
    let status = seen.own_pod()?.status.as_ref()?;
    let scheduled = condition(status, "PodScheduled").filter(|c| c.status == "False")?;
    let claim = seen.own_claim()?;
    class_of(claim).filter(|_| waits_for(claim, scheduled.message.as_deref().unwrap_or_default()))
}

/// Not ready: on its way for the first time, or ended before. A container that ends again and again is running in between,
/// so only how it ended last tells the two apart; the reason must not flicker with each round.
fn starting(container: &ContainerStatus) -> Verdict {
    let waiting = container.state.as_ref().and_then(|state| state.waiting.as_ref());
    let waits = waiting.and_then(|waiting| waiting.reason.as_deref());
    let Some(ended) = last_end(container) else {
        return Verdict::saying(
            Reason::Starting,
            match waits {
                Some(_) => "The container is being made.",
                None => "The browser is starting.",
            },
        );
    };
    let exit = exit(ended);
    if out_of_memory(ended) {
        return Verdict::seen(Reason::OOMKilled, &format!("Ended {} times.", container.restart_count.max(1)));
    }
    // The kubelet's word for a container that ended several times and waits before it is started again.
    if waits == Some("CrashLoopBackOff") || (container.restart_count > 1 && !lived(ended)) {
        let message = format!("Ended {} times, last: {exit}.", container.restart_count);
        return Verdict::seen(Reason::CrashLooping, &message);
    }
    Verdict::saying(Reason::Starting, &format!("The session is starting again; it ended with {exit}."))
}

/// Running, but on a volume that is being deleted.
fn going_volume(claim: Option<&PersistentVolumeClaim>) -> Verdict {
    match claim.filter(|claim| claim.metadata.deletion_timestamp.is_some()) {
        None => Verdict::good(),
        Some(claim) => Verdict {
            message: format!(
                "{} is being deleted and goes with the end of this pod, and the link to the phone with it. Back it up now.",
                claim.name_any()
            ),
            ..Verdict::good()
        },
    }
}

fn condition<'a>(status: &'a PodStatus, kind: &str) -> Option<&'a PodCondition> {
    status.conditions.iter().flatten().find(|c| c.type_ == kind)
}

/// Who put an end to the pod, when it was one of Kubernetes' own.
fn disruption(status: &PodStatus) -> Option<&str> {
    condition(status, "DisruptionTarget").filter(|c| c.status == "True")?.reason.as_deref()
}

fn container(status: &PodStatus) -> Option<&ContainerStatus> {
    status.container_statuses.iter().flatten().find(|status| status.name == CONTAINER)
}

/// How the container ended last, be it just now or before it was started again.
fn last_end(container: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    [&container.state, &container.last_state].into_iter().flatten().find_map(|state| state.terminated.as_ref())
}

fn out_of_memory(ended: &ContainerStateTerminated) -> bool {
    ended.reason.as_deref() == Some("OOMKilled")
}

fn lived(ended: &ContainerStateTerminated) -> bool {
    let (Some(from), Some(to)) = (&ended.started_at, &ended.finished_at) else { return false };
    to.0.duration_since(from.0) >= LIVED
}

fn exit(ended: &ContainerStateTerminated) -> String {
    format!("{} ({})", ended.reason.as_deref().unwrap_or("Exited"), ended.exit_code)
}

/// The pod, as far as people need it.
pub(super) fn summary(pod: &Pod) -> PodSummary {
    let container = pod.status.as_ref().and_then(container);
    PodSummary {
        name: pod.name_any(),
        node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
        started_at: pod.status.as_ref().and_then(|status| status.start_time.clone()),
        restarts: container.map_or(0, |container| container.restart_count),
        last_exit: container.and_then(|container| container.last_state.as_ref()?.terminated.as_ref()).map(exit),
    }
}
