//! The plan against a small model of the cluster: it gets there from anywhere, never makes two pods, and then is silent.

use std::sync::Arc;

use crds::State;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::PodStatus;
use proptest::prelude::*;

use super::fixtures::{being_deleted, claim, connection, nothing, pod, resources_with_memory};
use super::*;

/// What can happen to a cluster between two looks at it.
#[derive(Debug, Clone, Copy)]
enum Happening {
    Suspend,
    Resume,
    ChangeSpec,
    PodFails,
    SomebodyDeletesThePod,
    Nothing,
}

/// One namespace with one connection in it.
struct Model {
    connection: ValidConnection,
    seen: Observed,
    attempts: Attempts,
    now: Timestamp,
    next_uid: u128,
    pods_made: usize,
}

impl Model {
    fn new() -> Self {
        let (now, attempts) = (Timestamp::UNIX_EPOCH, Attempts::default());
        Self { connection: connection(), seen: nothing(), attempts, now, next_uid: 100, pods_made: 0 }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Suspend => self.connection.desired = State::Suspended,
            Happening::Resume => self.connection.desired = State::Running,
            Happening::ChangeSpec => {
                self.connection.resources = resources_with_memory(&format!("{}Mi", 600 + self.next_uid));
            }
            Happening::PodFails => self.edit_pod(|pod| {
                pod.status = Some(PodStatus { phase: Some("Failed".to_owned()), ..PodStatus::default() });
            }),
            Happening::SomebodyDeletesThePod => self.edit_pod(|pod| *pod = being_deleted(pod.clone())),
            Happening::Nothing => {}
        }
    }

    fn edit_pod(&mut self, edit: impl FnOnce(&mut Pod)) {
        if let Some(pod) = &self.seen.pod {
            let mut pod = (**pod).clone();
            edit(&mut pod);
            self.seen.pod = Some(Arc::new(pod));
        }
    }

    /// The kubelet finishes what was being deleted.
    fn pass_time(&mut self) {
        self.now += SignedDuration::from_mins(1);
        self.seen.pod = self.seen.pod.take().filter(|pod| pod.metadata.deletion_timestamp.is_none());
    }

    fn step(&mut self) -> Plan {
        let plan = plan(Ok(&self.connection), &self.seen, &self.attempts, self.now);
        for action in &plan.actions {
            match action {
                Action::Access => {}
                Action::CreateClaim => {
                    assert!(self.seen.claim.is_none(), "a second claim");
                    self.seen.claim = Some(Arc::new(claim(&self.connection)));
                }
                Action::GrowClaim(_) => self.seen.claim = Some(Arc::new(claim(&self.connection))),
                Action::CreatePod => {
                    assert!(self.seen.pod.is_none(), "a second pod while one is there");
                    assert!(self.seen.claim.is_some(), "a pod without its volume");
                    self.next_uid += 1;
                    self.pods_made += 1;
                    self.attempts = self.attempts.after_another(self.now, 0.5);
                    self.seen.pod = Some(Arc::new(pod(&self.connection, self.next_uid)));
                }
                Action::DeletePod { uid, .. } => {
                    assert_eq!(self.seen.pod.as_ref().and_then(|pod| pod.uid()).as_ref(), Some(uid), "another pod");
                    self.edit_pod(|pod| *pod = being_deleted(pod.clone()));
                }
            }
        }
        plan
    }
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    use Happening::{ChangeSpec, Nothing, PodFails, Resume, SomebodyDeletesThePod, Suspend};
    prop::collection::vec(
        prop::sample::select(vec![Suspend, Resume, ChangeSpec, PodFails, SomebodyDeletesThePod, Nothing]),
        0..30,
    )
}

proptest! {
    #[test]
    fn it_gets_there_from_anywhere_and_then_does_nothing(happenings in happenings()) {
        let mut model = Model::new();
        for happening in happenings {
            model.happen(happening);
            model.step();
            model.pass_time();
        }
        for _ in 0..8 {
            model.step();
            model.pass_time();
        }
        let settled = model.step();
        prop_assert_eq!(settled, Plan::settled());
        let runs = model.seen.pod.as_ref().is_some_and(|pod| !ended(pod) && pod.metadata.deletion_timestamp.is_none());
        prop_assert_eq!(runs, model.connection.desired == State::Running);
    }
}

#[test]
fn a_new_connection_gets_access_then_volume_then_pod() {
    let plan = Model::new().step();
    assert_eq!(plan.actions, [Action::Access, Action::CreateClaim, Action::CreatePod]);
}

#[test]
fn a_pod_on_its_way_out_is_waited_for() {
    let mut model = Model::new();
    model.step();
    model.happen(Happening::SomebodyDeletesThePod);
    assert_eq!(model.step(), Plan::settled(), "the volume may still be in use");
    model.pass_time();
    model.step();
    assert_eq!(model.pods_made, 2);
}

#[test]
fn pods_that_fail_at_once_are_made_ever_more_slowly() {
    let mut model = Model::new();
    let mut made = 0;
    for _ in 0..600 {
        model.step();
        model.happen(Happening::PodFails);
        model.step();
        model.pass_time();
        model.now -= SignedDuration::from_secs(59);
        made = model.pods_made;
    }
    assert!(made <= 12, "{made} pods in ten minutes are a hot loop");
}

#[test]
fn an_invalid_connection_is_left_as_it_is() {
    let mut model = Model::new();
    model.step();
    let invalid = Invalid { reason: crds::Reason::InvalidSpec, message: String::new() };
    assert_eq!(plan(Err(&invalid), &model.seen, &model.attempts, model.now), Plan::settled());
}

#[test]
fn the_volume_grows_when_asked_and_never_shrinks() {
    let mut model = Model::new();
    model.step();
    model.connection.storage.size = "2048Mi".to_owned();
    assert_eq!(model.step().actions, [Action::GrowClaim("2048Mi".to_owned())]);
    model.connection.storage.size = "1Gi".to_owned();
    assert_eq!(model.step(), Plan::settled());
}

#[test]
fn a_session_whose_user_redis_has_lost_gets_it_back_without_a_restart() {
    let mut model = Model::new();
    model.step();
    model.seen.access_lost = true;
    assert_eq!(model.step().actions, [Action::Access]);
    assert_eq!(model.pods_made, 1);
}

#[test]
fn nothing_is_made_for_a_connection_that_is_being_deleted() {
    let mut model = Model::new();
    model.connection.deleting = true;
    assert_eq!(model.step(), Plan::settled());
}
