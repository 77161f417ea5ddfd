//! What people read about a connection, table by table.

use std::sync::Arc;

use crate::connection::build::pod::CONTAINER;
use crate::connection::observe::StorageClass;
use crds::Phase;
use crds::{ConditionType, State};
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus, Pod, PodCondition, PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use relay::{EngineVersions, SessionState};

use super::*;
use crate::connection::error::Error;
use crate::connection::plan::fixtures::{being_deleted, connection, nothing, pod, resource};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn pod_with(edit: impl FnOnce(&mut PodStatus)) -> Pod {
    let mut pod = pod(&connection(), 1);
    let mut status = PodStatus { phase: Some("Running".to_owned()), ..PodStatus::default() };
    status.conditions = Some(vec![pod_condition("Ready", "True", "")]);
    status.container_statuses =
        Some(vec![ContainerStatus { name: CONTAINER.to_owned(), ready: true, ..ContainerStatus::default() }]);
    edit(&mut status);
    pod.status = Some(status);
    pod
}

fn pod_condition(kind: &str, status: &str, reason: &str) -> PodCondition {
    let reason = (!reason.is_empty()).then(|| reason.to_owned());
    PodCondition { type_: kind.to_owned(), status: status.to_owned(), reason, ..PodCondition::default() }
}

/// A pod whose only condition is this one.
fn conditioned(kind: &'static str, status: &'static str, reason: &'static str) -> Pod {
    pod_with(|pod| pod.conditions = Some(vec![pod_condition(kind, status, reason)]))
}

fn unscheduled(said: &'static str) -> Pod {
    pod_with(|pod| {
        let message = Some(said.to_owned());
        pod.conditions =
            Some(vec![PodCondition { message, ..pod_condition("PodScheduled", "False", "Unschedulable") }]);
    })
}

/// A pod that has ended for good.
fn failed(reason: &'static str) -> Pod {
    pod_with(|pod| {
        pod.phase = Some("Failed".to_owned());
        pod.reason = Some(reason.to_owned());
        pod.message = Some("as the node says".to_owned());
    })
}

/// The ends and waits of a container that is not ready: what it waits for, how it ended last, how often it was started
/// again, and how many seconds it had lived.
fn container(waits: Option<&str>, ended: Option<(&str, i32)>, restarts: i32, lived: i64) -> Pod {
    let waiting = waits.map(|reason| ContainerStateWaiting {
        reason: Some(reason.to_owned()),
        message: Some("as the kubelet says".to_owned()),
    });
    let at = |second: i64| Some(Time(Timestamp::from_second(second).expect("a time")));
    let terminated = ended.map(|(reason, exit_code)| ContainerStateTerminated {
        reason: Some(reason.to_owned()),
        exit_code,
        started_at: at(0),
        finished_at: at(lived),
        ..ContainerStateTerminated::default()
    });
    pod_with(|pod| {
        pod.conditions = Some(vec![pod_condition("Ready", "False", "")]);
        let container = &mut pod.container_statuses.as_mut().expect("has a container")[0];
        container.state = waiting.map(|waiting| ContainerState { waiting: Some(waiting), ..ContainerState::default() });
        container.last_state =
            terminated.map(|ended| ContainerState { terminated: Some(ended), ..ContainerState::default() });
        container.restart_count = restarts;
    })
}

fn session(state: SessionState, pod: &Pod) -> SessionStatus {
    SessionStatus {
        state,
        reason: None,
        since: NOW,
        sequence: 1,
        pod_uid: pod.uid().expect("has a UID"),
        account: Some(relay::Account {
            id: "5511999999999@c.us".to_owned(),
            lid: None,
            push_name: None,
            linked_at: None,
        }),
        last_connected_at: None,
        last_disconnect: None,
        engine: EngineVersions::default(),
        link: None,
    }
}

fn told(state: State, pod: Option<Pod>, session: Option<SessionStatus>) -> WhatsAppConnectionStatus {
    let seen = Observed { pod: pod.map(Arc::new), session, ..nothing() };
    next(&resource(state), None, &Hindrance::None, &seen, NOW)
}

fn after(
    connection: &WhatsAppConnection,
    hindrance: &Hindrance<'_>,
    seen: &Observed,
    now: Timestamp,
) -> WhatsAppConnectionStatus {
    next(connection, connection.status.as_ref(), hindrance, seen, now)
}

fn reason(status: &WhatsAppConnectionStatus, kind: ConditionType) -> &str {
    &status.conditions.iter().find(|c| c.type_ == kind.as_str()).expect("every condition is there").reason
}

#[test]
fn every_state_of_a_pod_has_its_reason() {
    let crash = Some(("Error", 1));
    let table: Vec<(&str, Option<Pod>)> = vec![
        ("Starting", None),
        ("AsExpected", Some(pod_with(|_| {}))),
        ("Starting", Some(container(None, None, 0, 0))),
        ("Starting", Some(container(Some("ContainerCreating"), None, 0, 0))),
        ("ImagePull", Some(container(Some("ErrImagePull"), None, 0, 0))),
        ("ImagePull", Some(container(Some("ImagePullBackOff"), None, 0, 0))),
        ("ImagePull", Some(container(Some("InvalidImageName"), None, 0, 0))),
        ("ContainerError", Some(container(Some("CreateContainerConfigError"), None, 0, 0))),
        ("CrashLooping", Some(container(Some("CrashLoopBackOff"), crash, 1, 3))),
        // Between two ends it runs, and is no less broken for that.
        ("CrashLooping", Some(container(None, crash, 2, 3))),
        // It ended once, or after a long life: that is what restarts are for.
        ("Starting", Some(container(None, crash, 1, 3))),
        ("Starting", Some(container(None, crash, 7, 86_400))),
        ("OOMKilled", Some(container(Some("CrashLoopBackOff"), Some(("OOMKilled", 137)), 4, 3))),
        ("OOMKilled", Some(container(None, Some(("OOMKilled", 137)), 1, 86_400))),
        ("Unschedulable", Some(unscheduled("0/3 nodes are available: 3 Insufficient cpu."))),
        ("Evicted", Some(failed("Evicted"))),
        ("Evicted", Some(being_deleted(conditioned("DisruptionTarget", "True", "EvictionByEvictionAPI")))),
        ("Evicted", Some(being_deleted(conditioned("DisruptionTarget", "True", "TerminationByKubelet")))),
        ("Preempted", Some(failed("Preempting"))),
        ("Preempted", Some(being_deleted(conditioned("DisruptionTarget", "True", "PreemptionByScheduler")))),
        ("Replacing", Some(failed("NodeShutdown"))),
        ("Replacing", Some(being_deleted(pod_with(|_| {})))),
        ("NodeLost", Some(conditioned("Ready", "Unknown", ""))),
        ("NodeLost", Some(being_deleted(conditioned("DisruptionTarget", "True", "DeletionByTaintManager")))),
        (
            "NodeLost",
            Some(pod_with(|pod| {
                // What the node controller leaves behind: no kubelet writes these two side by side.
                let ready = pod_condition("Ready", "False", "");
                pod.conditions = Some(vec![ready, pod_condition("ContainersReady", "True", "")]);
            })),
        ),
    ];
    for (expected, pod) in table {
        let status = told(State::Running, pod.clone(), None);
        assert_eq!(reason(&status, ConditionType::PodReady), expected, "{pod:?}");
        let ready = status.conditions.iter().find(|c| c.type_ == "PodReady").expect("is there");
        assert!(ready.status == "True" || ready.message.len() > 20, "a message that says nothing: {ready:?}");
    }
    let crashing = told(State::Running, Some(container(Some("CrashLoopBackOff"), Some(("Error", 3)), 4, 3)), None);
    assert_eq!(crashing.pod.expect("has a pod").last_exit.as_deref(), Some("Error (3)"));
    let message = &crashing.conditions.iter().find(|c| c.type_ == "PodReady").expect("is there").message;
    assert!(message.contains("4 times, last: Error (3)"), "{message}");
}

#[test]
fn a_volume_that_does_not_come_is_told_apart_from_a_full_cluster() {
    let waits = "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims.";
    let mut claim = crate::connection::plan::fixtures::claim(&connection());
    let mut told = |class: Option<&str>, exists: StorageClass, said: &'static str| {
        claim.spec.as_mut().expect("has a spec").storage_class_name = class.map(str::to_owned);
        let seen = Observed {
            pod: Some(Arc::new(unscheduled(said))),
            claim: Some(Arc::new(claim.clone())),
            storage_class: exists,
            ..nothing()
        };
        let looks = pod::waits_for_class(&seen).is_some();
        let status = next(&resource(State::Running), None, &Hindrance::None, &seen, NOW);
        (reason(&status, ConditionType::PodReady).to_owned(), looks)
    };
    let of = |reason: &str, looks: bool| (reason.to_owned(), looks);
    assert_eq!(told(None, StorageClass::Unknown, waits), of("StorageClassMissing", false));
    assert_eq!(told(Some("fast"), StorageClass::Missing, waits), of("StorageClassMissing", true));
    assert_eq!(told(Some("fast"), StorageClass::Exists, waits), of("VolumePending", true));
    assert_eq!(told(Some("fast"), StorageClass::Unknown, waits), of("VolumePending", true));
    let full = "0/3 nodes are available: 3 Insufficient memory.";
    assert_eq!(told(Some("fast"), StorageClass::Exists, full), of("Unschedulable", false));
}

#[test]
fn a_lost_volume_is_told_with_its_name_whether_the_connection_runs_or_not() {
    let lost = crds::Volume { claim: "sales-profile".to_owned(), uid: "of-the-lost".to_owned() };
    for (state, ready) in [(State::Running, "VolumeLost"), (State::Suspended, "Suspended")] {
        let seen = Observed { lost_volume: Some(lost.clone()), ..nothing() };
        let status = next(&resource(state), None, &Hindrance::None, &seen, NOW);
        assert_eq!(reason(&status, ConditionType::Ready), ready);
        assert_eq!(reason(&status, ConditionType::Linked), "VolumeLost");
        let linked = status.conditions.iter().find(|c| c.type_ == "Linked").expect("is there");
        assert!(linked.message.contains("of-the-lost"), "{}", linked.message);
        assert_eq!(status.volume.as_ref(), Some(&lost), "what is missed is not forgotten");
    }
}

#[test]
fn a_running_pod_says_that_its_volume_is_going() {
    let claim = being_deleted(crate::connection::plan::fixtures::claim(&connection()));
    let seen = Observed { pod: Some(Arc::new(pod_with(|_| {}))), claim: Some(Arc::new(claim)), ..nothing() };
    let status = next(&resource(State::Running), None, &Hindrance::None, &seen, NOW);
    let ready = status.conditions.iter().find(|c| c.type_ == "PodReady").expect("is there");
    assert_eq!((ready.status.as_str(), ready.message.contains("Back it up")), ("True", true), "{ready:?}");
}

#[test]
fn what_is_left_of_an_earlier_connection_is_told() {
    let mut earlier = pod_with(|_| {});
    earlier.metadata.owner_references.as_mut().expect("has one")[0].uid = "another".to_owned();
    assert_eq!(reason(&told(State::Running, Some(earlier), None), ConditionType::PodReady), "Leftover");
    let secret = Error::Leftover("Secret sales-relay".to_owned());
    let status = next(&resource(State::Running), None, &Hindrance::Failed(&secret), &nothing(), NOW);
    assert_eq!(reason(&status, ConditionType::PodReady), "Leftover");
}

#[test]
fn every_state_of_a_session_has_its_reason_and_phase() {
    use Phase::{Connected, Connecting, Degraded, Linking, Starting};
    let expected = |state| match state {
        SessionState::Starting | SessionState::Loading => ("Starting", Starting),
        SessionState::Stopping => ("Stopping", Starting),
        SessionState::AwaitingLink => ("AwaitingQr", Linking),
        SessionState::QrIdle => ("QrIdle", Linking),
        SessionState::Syncing => ("Syncing", Connecting),
        SessionState::Connected => ("AsExpected", Connected),
        SessionState::Reconnecting => ("Reconnecting", Connecting),
        SessionState::Deaf => ("Deaf", Degraded),
        SessionState::Conflict => ("Conflict", Degraded),
        SessionState::LoggedOut => ("LoggedOut", Degraded),
        SessionState::Banned => ("Banned", Degraded),
        SessionState::Outdated => ("Outdated", Degraded),
    };
    let pod = pod_with(|_| {});
    for state in SessionState::ALL {
        let status = told(State::Running, Some(pod.clone()), Some(session(*state, &pod)));
        let (ready, phase) = expected(*state);
        assert_eq!((reason(&status, ConditionType::Ready), status.phase), (ready, Some(phase)), "{state:?}");
    }
}

#[test]
fn a_session_that_gets_nowhere_is_named_with_its_own_reason_and_unlinks_nobody() {
    let pod = pod_with(|_| {});
    let mut stuck = session(SessionState::Loading, &pod);
    stuck.reason = Some("VolumeFailing".to_owned());
    let mut before = told(State::Running, Some(pod.clone()), Some(stuck.clone()));
    for kind in [ConditionType::Ready, ConditionType::Linked, ConditionType::Connected] {
        let condition = before.condition(kind).expect("told");
        assert_eq!((condition.status.as_str(), condition.reason.as_str()), ("False", "Starting"), "{kind:?}");
        assert!(condition.message.ends_with("VolumeFailing"), "{kind:?}: {}", condition.message);
    }
    for (state, linked) in [(SessionState::Connected, "AsExpected"), (SessionState::LoggedOut, "LoggedOut")] {
        for now in [session(state, &pod), stuck.clone()] {
            let seen = Observed { session: Some(now), pod: Some(Arc::new(pod.clone())), ..nothing() };
            before = next(&resource(State::Running), Some(&before), &Hindrance::None, &seen, NOW);
            assert_eq!(reason(&before, ConditionType::Linked), linked);
        }
    }
    // A browser that does not start keeps its pod from being ready.
    let mut lost = session(SessionState::Starting, &pod);
    lost.reason = Some("BrowserLost".to_owned());
    let unready = conditioned("Ready", "False", "");
    let status = told(State::Running, Some(unready), Some(lost));
    let condition = status.condition(ConditionType::PodReady).expect("told");
    assert_eq!(condition.reason, "Starting");
    assert!(condition.message.ends_with("BrowserLost"), "{}", condition.message);
}

#[test]
fn an_outdated_session_names_what_it_misses() {
    let pod = pod_with(|_| {});
    let mut misfit = session(SessionState::Outdated, &pod);
    misfit.reason = Some("ModulesMissing".to_owned());
    misfit.engine.missing = vec!["WAWebChatCollection".to_owned(), "WPP.whatsapp.ChatStore".to_owned()];
    let status = told(State::Running, Some(pod), Some(misfit));
    let connected = status.conditions.iter().find(|c| c.type_ == ConditionType::Connected.as_str()).expect("told");
    assert_eq!(connected.reason, "Outdated");
    assert!(
        connected.message.ends_with("ModulesMissing: WAWebChatCollection, WPP.whatsapp.ChatStore"),
        "{}",
        connected.message
    );
}

#[test]
fn the_word_of_an_earlier_pod_connects_nobody() {
    let pod = pod_with(|_| {});
    let mut old = session(SessionState::Connected, &pod);
    old.pod_uid = "another".to_owned();
    let status = told(State::Running, Some(pod), Some(old));
    assert_ne!(status.phase, Some(Phase::Connected));
}

#[test]
fn a_suspended_connection_stays_linked() {
    let pod = pod_with(|_| {});
    let mut connection = resource(State::Running);
    let seen =
        Observed { session: Some(session(SessionState::Connected, &pod)), pod: Some(Arc::new(pod)), ..nothing() };
    connection.status = Some(after(&connection, &Hindrance::None, &seen, NOW));
    connection.spec.state = State::Suspended;
    let suspended = after(&connection, &Hindrance::None, &nothing(), NOW);
    assert_eq!(suspended.phase, Some(Phase::Suspended));
    assert_eq!(reason(&suspended, ConditionType::Linked), "AsExpected");
    assert_eq!(reason(&suspended, ConditionType::Ready), "Suspended");
    assert!(suspended.account.is_some(), "whose account it is stays known");
}

#[test]
fn times_move_only_with_the_status_and_nothing_changes_by_itself() {
    let pod = pod_with(|_| {});
    let mut connection = resource(State::Running);
    let seen = Observed { session: Some(session(SessionState::Syncing, &pod)), pod: Some(Arc::new(pod)), ..nothing() };
    connection.status = Some(after(&connection, &Hindrance::None, &seen, NOW));
    let later = after(&connection, &Hindrance::None, &seen, NOW + SignedDuration::from_hours(1));
    assert_eq!(connection.status.as_ref(), Some(&later), "an equal status would be written again and again");
}

#[test]
fn a_namespace_that_is_not_ready_is_told_and_takes_nothing_back() {
    let pod = pod_with(|_| {});
    let mut connection = resource(State::Running);
    let lack = Error::HomeNotReady {
        namespace: "company-acme".to_owned(),
        lack: "the network policy does not stand",
        lasts: true,
    };
    let first = unready_namespace(&connection, None, &lack, NOW);
    assert_eq!((reason(&first, ConditionType::Accepted), first.phase), ("NamespaceNotReady", Some(Phase::Rejected)));
    assert_eq!(reason(&first, ConditionType::PodReady), "Unknown");
    let seen =
        Observed { session: Some(session(SessionState::Connected, &pod)), pod: Some(Arc::new(pod)), ..nothing() };
    connection.status = Some(after(&connection, &Hindrance::None, &seen, NOW));
    let later = unready_namespace(&connection, connection.status.as_ref(), &lack, NOW + SignedDuration::from_secs(9));
    let ready = later.conditions.iter().find(|c| c.type_ == "Ready").expect("is there");
    assert!(ready.status == "False" && ready.message.ends_with("the network policy does not stand"), "{ready:?}");
    assert_eq!(reason(&later, ConditionType::Connected), "AsExpected", "sessions that run go on");
    assert_eq!(later.pod, connection.status.and_then(|status| status.pod));
}

#[test]
fn what_the_cluster_refuses_is_told() {
    let refused =
        kube::core::Status::failure("pods \"sales\" is forbidden: exceeded quota: pods", "Forbidden").with_code(403);
    let error = Error::Kubernetes { what: "create pod", source: Box::new(kube::Error::Api(Box::new(refused))) };
    let mut connection = resource(State::Running);
    let status = after(&connection, &Hindrance::Failed(&error), &nothing(), NOW);
    assert_eq!(reason(&status, ConditionType::Accepted), "QuotaExceeded");
    assert_eq!(status.phase, Some(Phase::Rejected));
    connection.status = Some(status.clone());
    let waiting = after(&connection, &Hindrance::Waiting, &nothing(), NOW + SignedDuration::from_secs(9));
    assert_eq!(waiting, status, "between two tries the refusal holds: no flapping, no write");
}
