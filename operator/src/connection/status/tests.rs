//! What people read about a connection, table by table.

use std::sync::Arc;

use crds::{ConditionType, State};
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateTerminated, ContainerStateWaiting, PodCondition, PodStatus,
};
use relay::EngineVersions;

use super::*;
use crate::connection::error::Error;
use crate::connection::plan::fixtures::{being_deleted, connection, nothing, pod, resource};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn pod_with(edit: impl FnOnce(&mut PodStatus)) -> Pod {
    let mut pod = pod(&connection(), 1);
    let mut status = PodStatus { phase: Some("Running".to_owned()), ..PodStatus::default() };
    status.conditions = Some(vec![pod_condition("Ready", "True")]);
    status.container_statuses =
        Some(vec![ContainerStatus { name: CONTAINER.to_owned(), ready: true, ..ContainerStatus::default() }]);
    edit(&mut status);
    pod.status = Some(status);
    pod
}

fn pod_condition(kind: &str, status: &str) -> PodCondition {
    PodCondition { type_: kind.to_owned(), status: status.to_owned(), ..PodCondition::default() }
}

fn waiting(reason: &str) -> impl FnOnce(&mut PodStatus) {
    let reason = reason.to_owned();
    move |status| {
        let container = &mut status.container_statuses.as_mut().expect("has a container")[0];
        let waiting = ContainerStateWaiting { reason: Some(reason), message: Some("as the kubelet says".to_owned()) };
        container.state = Some(ContainerState { waiting: Some(waiting), ..ContainerState::default() });
        let ended = ContainerStateTerminated {
            reason: Some("OOMKilled".to_owned()),
            exit_code: 137,
            ..ContainerStateTerminated::default()
        };
        container.last_state = Some(ContainerState { terminated: Some(ended), ..ContainerState::default() });
        container.restart_count = 4;
    }
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
    next(&resource(state), &Hindrance::None, &seen, NOW)
}

fn reason(status: &WhatsAppConnectionStatus, kind: ConditionType) -> &str {
    &status.conditions.iter().find(|c| c.type_ == kind.as_str()).expect("every condition is there").reason
}

#[test]
fn every_state_of_a_pod_has_its_reason() {
    let unschedulable = |status: &mut PodStatus| status.conditions = Some(vec![pod_condition("PodScheduled", "False")]);
    let lost = |status: &mut PodStatus| status.conditions = Some(vec![pod_condition("Ready", "Unknown")]);
    let table: Vec<(&str, Option<Pod>)> = vec![
        ("Starting", None),
        ("Unschedulable", Some(pod_with(unschedulable))),
        ("ImagePull", Some(pod_with(waiting("ImagePullBackOff")))),
        ("CrashLooping", Some(pod_with(waiting("CrashLoopBackOff")))),
        ("Starting", Some(pod_with(waiting("ContainerCreating")))),
        ("NodeLost", Some(pod_with(lost))),
        ("Replacing", Some(pod_with(|status| status.phase = Some("Failed".to_owned())))),
        ("Replacing", Some(being_deleted(pod_with(|_| {})))),
        ("AsExpected", Some(pod_with(|_| {}))),
    ];
    for (expected, pod) in table {
        let status = told(State::Running, pod.clone(), None);
        assert_eq!(reason(&status, ConditionType::PodReady), expected, "{pod:?}");
    }
    let crashing = told(State::Running, Some(pod_with(waiting("CrashLoopBackOff"))), None);
    assert_eq!(crashing.pod.expect("has a pod").last_exit.as_deref(), Some("OOMKilled (137)"));
}

#[test]
fn every_state_of_a_session_has_its_reason_and_phase() {
    use Phase::{Connected, Connecting, Degraded, Linking, Starting};
    let expected = |state| match state {
        SessionState::Starting | SessionState::Loading | SessionState::Stopping => ("Unknown", Starting),
        SessionState::AwaitingLink => ("AwaitingQr", Linking),
        SessionState::QrIdle => ("QrIdle", Linking),
        SessionState::Syncing => ("Syncing", Connecting),
        SessionState::Connected => ("AsExpected", Connected),
        SessionState::Reconnecting => ("Reconnecting", Connecting),
        SessionState::Conflict => ("Conflict", Degraded),
        SessionState::LoggedOut => ("LoggedOut", Degraded),
        SessionState::Banned => ("Banned", Degraded),
        SessionState::Outdated => ("Unknown", Degraded),
    };
    let pod = pod_with(|_| {});
    for state in SessionState::ALL {
        let status = told(State::Running, Some(pod.clone()), Some(session(*state, &pod)));
        let (ready, phase) = expected(*state);
        assert_eq!((reason(&status, ConditionType::Ready), status.phase), (ready, Some(phase)), "{state:?}");
    }
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
    connection.status = Some(next(&connection, &Hindrance::None, &seen, NOW));
    connection.spec.state = State::Suspended;
    let suspended = next(&connection, &Hindrance::None, &nothing(), NOW);
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
    connection.status = Some(next(&connection, &Hindrance::None, &seen, NOW));
    let later = next(&connection, &Hindrance::None, &seen, NOW + SignedDuration::from_hours(1));
    assert_eq!(connection.status.as_ref(), Some(&later), "an equal status would be written again and again");
}

#[test]
fn what_the_cluster_refuses_is_told() {
    let refused =
        kube::core::Status::failure("pods \"sales\" is forbidden: exceeded quota: pods", "Forbidden").with_code(403);
    let error = Error::Kubernetes { what: "create pod", source: Box::new(kube::Error::Api(Box::new(refused))) };
    let mut connection = resource(State::Running);
    let status = next(&connection, &Hindrance::Failed(&error), &nothing(), NOW);
    assert_eq!(reason(&status, ConditionType::Accepted), "QuotaExceeded");
    assert_eq!(status.phase, Some(Phase::Rejected));
    connection.status = Some(status.clone());
    let waiting = next(&connection, &Hindrance::Waiting, &nothing(), NOW + SignedDuration::from_secs(9));
    assert_eq!(waiting, status, "between two tries the refusal holds: no flapping, no write");
}
