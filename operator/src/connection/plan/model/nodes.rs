//! What runs on the model's nodes: kubelets that start and end pods, and sessions that hold the lease.

use k8s_openapi::api::core::v1::{Pod, PodCondition, PodStatus};
use kube::ResourceExt;

use super::super::super::status::pod::ended;
use super::super::fixtures::being_deleted;
use super::{Model, Node, Process, Redis};

impl Model {
    pub(super) fn kubelets(&mut self) {
        let there = self.objects.pod.as_ref().and_then(ResourceExt::uid);
        // A node that is reached ends what has no object, and a dead one runs nothing.
        self.processes.retain(|uid, process| match process.node {
            Node::Up => Some(uid) == there.as_ref(),
            Node::Deaf | Node::Alone => true,
            Node::Dead => false,
        });
        let (Some(uid), Some(pod)) = (there, &mut self.objects.pod) else { return };
        if uid == "theirs" {
            return;
        }
        let failed = ended(pod);
        let node = self.processes.get(&uid).map(|process| process.node);
        let was_there = pod.status.is_some();
        match node {
            Some(Node::Deaf | Node::Alone) => lose(pod),
            // Its node died with it.
            None if was_there && !failed && pod.metadata.deletion_timestamp.is_none() => lose(pod),
            Some(Node::Up | Node::Dead) | None if pod.metadata.deletion_timestamp.is_some() => {
                // Nobody ends the pod of a dead node, except where it never ran.
                if node.is_some() || !was_there || failed {
                    self.processes.remove(&uid);
                    self.objects.pod = None;
                }
            }
            Some(Node::Up | Node::Dead) | None if failed => {
                self.processes.remove(&uid);
            }
            Some(Node::Up | Node::Dead) | None => {
                self.processes.entry(uid).or_insert(Process { node: Node::Up, browser: false });
                pod.status = Some(PodStatus { phase: Some("Running".to_owned()), ..PodStatus::default() });
            }
        }
    }

    /// A browser runs where the lease is held, and nowhere else.
    pub(super) fn sessions(&mut self) {
        let there = self.redis != Redis::Away;
        let reaches = |process: &Process| there && matches!(process.node, Node::Up | Node::Deaf);
        let holds = self.lease.as_ref().and_then(|holder| self.processes.get(holder)).is_some_and(reaches);
        if !holds && there {
            self.lease = None;
        }
        if self.lease.is_none() && there {
            self.lease = self.processes.iter().find(|(_, process)| reaches(process)).map(|(uid, _)| uid.clone());
        }
        for (uid, process) in &mut self.processes {
            process.browser = there && self.lease.as_ref() == Some(uid) && process.node != Node::Alone;
        }
    }
}

pub(super) fn end(pod: &mut Pod) {
    if pod.metadata.deletion_timestamp.is_none() {
        *pod = being_deleted(pod.clone());
        pod.metadata.deletion_grace_period_seconds = Some(45);
    }
}

/// What the controllers of Kubernetes make of a pod whose node does not answer.
fn lose(pod: &mut Pod) {
    let unknown = PodCondition { type_: "Ready".to_owned(), status: "Unknown".to_owned(), ..PodCondition::default() };
    pod.status.get_or_insert_default().conditions = Some(vec![unknown]);
    end(pod);
}
