//! What goes wrong around a session pod, as the kubelet, the scheduler and the API server tell it: each trouble has its
//! reason on the connection, costs few writes, and is over when its cause is.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test without what it stands on has failed")]

mod stage;

use std::time::Duration;

use crds::{ConditionType, WhatsAppConnection};
use futures::{StreamExt, TryStreamExt};
use harness::eventually;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, Pod, ResourceQuota, Secret};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::{Api, CustomResourceExt, ResourceExt};
use relay::{SessionState, SessionStatus};
use serde_json::{Value, json};
use stage::{COMPANY, SOON, Stage, status};
use tokio::time::{Instant, interval, timeout_at};

/// A container of the session in this state, ready or not.
fn container(ready: bool, state: &Value, last: &Value, restarts: i32) -> Value {
    json!({
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}],
        "containerStatuses": [{
            "name": "session", "ready": ready, "restartCount": restarts, "image": "", "imageID": "",
            "state": state, "lastState": last,
        }],
    })
}

fn waiting(reason: &str) -> Value {
    json!({"waiting": {"reason": reason, "message": "as the kubelet says"}})
}

fn ended(reason: &str, code: i32) -> Value {
    json!({"terminated": {"reason": reason, "exitCode": code}})
}

fn unscheduled(said: &str) -> Value {
    let condition = json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": said});
    json!({"phase": "Pending", "conditions": [condition]})
}

async fn create(stage: &Stage, name: &str, mut spec: Value) {
    spec["companyId"] = json!(COMPANY);
    let object = json!({"apiVersion": "whatsapp-operator.dev/v1alpha1", "kind": "WhatsAppConnection", "metadata": {"name": name}, "spec": spec});
    let connection: WhatsAppConnection = serde_json::from_value(object).expect("valid");
    stage.api().create(&PostParams::default(), &connection).await.expect("is accepted");
}

/// One cluster serves all of them, side by side: its start is most of what each would take alone.
#[tokio::test(flavor = "multi_thread")]
async fn troubles() {
    let stage = Stage::new().await;
    tokio::join!(
        the_ordinary_way_up_costs_two_status_writes_and_no_event(&stage),
        each_trouble_of_a_pod_is_told_with_its_reason_until_its_cause_is_over(&stage),
        a_pod_that_does_not_get_ready_is_told_with_its_sessions_own_reason(&stage),
        a_broken_connection_is_no_load_however_fast_its_trouble_changes(&stage),
        what_somebody_else_has_to_bring_is_named_and_its_coming_is_noticed(&stage),
        only_what_a_pod_cannot_take_over_restarts_it_and_an_event_says_what_it_was(&stage),
    );
}

async fn each_trouble_of_a_pod_is_told_with_its_reason_until_its_cause_is_over(stage: &Stage) {
    create(stage, "each", json!({})).await;
    stage.pod("each").await;
    let crash = ended("Error", 3);
    for (reason, status) in [
        ("ImagePull", container(false, &waiting("ImagePullBackOff"), &json!({}), 0)),
        ("ContainerError", container(false, &waiting("CreateContainerConfigError"), &json!({}), 0)),
        ("CrashLooping", container(false, &waiting("CrashLoopBackOff"), &crash, 2)),
        ("OOMKilled", container(false, &waiting("CrashLoopBackOff"), &ended("OOMKilled", 137), 3)),
        ("Unschedulable", unscheduled("0/1 nodes are available: 1 Insufficient memory.")),
    ] {
        stage.kubelet("each", status).await;
        stage.condition("each", "PodReady", "False", reason).await;
        stage.condition("each", "Ready", "False", reason).await;
    }
    stage.ready("each").await;
    stage.condition("each", "PodReady", "True", "AsExpected").await;
    let first = stage.pod("each").await.uid();
    stage
        .kubelet("each", json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory."}))
        .await;
    eventually(SOON, "another pod", async || match stage.api::<Pod>().get_opt("each").await {
        Ok(Some(pod)) if pod.uid() != first => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    told(stage, "each", "Evicted").await;
}

/// An Event about a connection.
async fn told(stage: &Stage, name: &str, reason: &str) -> Event {
    let about = ListParams::default().fields(&format!("involvedObject.name={name},reason={reason}"));
    eventually(SOON, &format!("an Event {reason}"), async || {
        let events = stage.api::<Event>().list(&about).await.map_err(|error| error.to_string())?;
        events.items.into_iter().next().ok_or_else(|| "none".to_owned())
    })
    .await
}

/// How often the operator writes about a connection (its status, and Events) while `trouble` goes on for `window`.
async fn writes(stage: &Stage, name: &str, window: Duration, mut trouble: impl AsyncFnMut(i32)) -> usize {
    let connections = stage.api::<WhatsAppConnection>();
    let from = connections.get(name).await.expect("is there").resource_version().expect("has one");
    let selected = WatchParams::default().fields(&format!("metadata.name={name}"));
    let mut changes = connections.watch(&selected, &from).await.expect("can be watched").boxed();
    let events = async || {
        let about = ListParams::default().fields(&format!("involvedObject.name={name}"));
        let events = stage.api::<Event>().list(&about).await.expect("can be listed");
        events.iter().map(|event| event.series.as_ref().and_then(|series| series.count).unwrap_or(1)).sum::<i32>()
    };
    let (before, end) = (events().await, Instant::now() + window);
    let (mut tick, mut round, mut count) = (interval(Duration::from_millis(100)), 0, 0);
    while Instant::now() < end {
        tokio::select! {
            _ = tick.tick() => {
                round += 1;
                trouble(round).await;
            }
            change = timeout_at(end, changes.try_next()) => {
                count += usize::from(matches!(change, Ok(Ok(Some(WatchEvent::Modified(_))))));
            }
        }
    }
    count + usize::try_from(events().await - before).expect("Events do not go")
}

/// Why a browser does not start keeps its pod from being ready, and only the session knows.
async fn a_pod_that_does_not_get_ready_is_told_with_its_sessions_own_reason(stage: &Stage) {
    let id = stage.create("browserless").await;
    let uid = stage.pod("browserless").await.uid().expect("has a UID");
    stage.kubelet("browserless", container(false, &json!({"running": {}}), &json!({}), 0)).await;
    stage.condition("browserless", "PodReady", "False", "Starting").await;
    let mut session = stage.session(id, "browserless", &uid).await;
    let lost = SessionStatus { reason: Some("BrowserLost".to_owned()), ..status(SessionState::Starting, &uid) };
    session.set_status(&lost, Timestamp::UNIX_EPOCH).await.expect("is written");
    // A detail, which waits a minute at most.
    eventually(Duration::from_secs(75), "the session's reason", async || {
        let connection: WhatsAppConnection = stage.api().get("browserless").await.map_err(|error| error.to_string())?;
        let status = connection.status.unwrap_or_default();
        match status.condition(ConditionType::PodReady) {
            Some(ready) if ready.status == "False" && ready.message.ends_with("BrowserLost") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

/// With the three creations (Secret, claim, pod) that makes five requests for a connection.
async fn the_ordinary_way_up_costs_two_status_writes_and_no_event(stage: &Stage) {
    create(stage, "ordinary", json!({})).await;
    let count = writes(stage, "ordinary", Duration::from_secs(8), async |round| match round {
        // What comes to a pod in a healthy cluster, one after the other within two seconds.
        2 => {
            stage.pod("ordinary").await;
            stage.kubelet("ordinary", unscheduled("waiting for a volume to be created")).await;
        }
        4 => stage.kubelet("ordinary", json!({"phase": "Pending", "conditions": []})).await,
        8 => stage.kubelet("ordinary", container(false, &waiting("ContainerCreating"), &json!({}), 0)).await,
        20 => stage.ready("ordinary").await,
        _ => {}
    });
    let count = count.await;
    assert!((1..=2).contains(&count), "{count} writes");
}

async fn a_broken_connection_is_no_load_however_fast_its_trouble_changes(stage: &Stage) {
    const WINDOW: Duration = Duration::from_secs(12);
    for name in ["crash", "image", "full"] {
        create(stage, name, json!({})).await;
        stage.pod(name).await;
        stage.condition(name, "PodReady", "False", "Starting").await;
    }
    // Each round of the kubelet or the scheduler is another text and another count, ten times a second.
    let crash = writes(stage, "crash", WINDOW, async |round| {
        let rounds = [waiting("CrashLoopBackOff"), json!({"running": {}}), ended("Error", 1)];
        let seen = &rounds[usize::try_from(round).expect("counts up") % 3];
        stage.kubelet("crash", container(false, seen, &ended("Error", 1), round + 2)).await;
    });
    let image = writes(stage, "image", WINDOW, async |round| {
        let reason = ["ErrImagePull", "ImagePullBackOff"][usize::try_from(round).expect("counts up") % 2];
        stage.kubelet("image", container(false, &waiting(reason), &json!({}), 0)).await;
    });
    let full = writes(stage, "full", WINDOW, async |round| {
        stage.kubelet("full", unscheduled(&format!("0/{round} nodes are available"))).await;
    });
    let (crash, image, full) = tokio::join!(crash, image, full);
    // The news and its Event. Everything after is detail, which waits a minute (tests in reports.rs).
    assert!([crash, image, full].iter().all(|count| (1..=2).contains(count)), "{crash} {image} {full}");
}

async fn what_somebody_else_has_to_bring_is_named_and_its_coming_is_noticed(stage: &Stage) {
    create(stage, "class", json!({"storage": {"storageClassName": "fast"}})).await;
    stage.pod("class").await;
    let said = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.";
    stage.kubelet("class", unscheduled(said)).await;
    stage.condition("class", "PodReady", "False", "StorageClassMissing").await;
    let class = json!({"metadata": {"name": "fast"}, "provisioner": "example.com/fast"});
    let class: StorageClass = serde_json::from_value(class).expect("valid");
    Api::all(stage.client.clone()).create(&PostParams::default(), &class).await.expect("is made");
    stage.kubelet("class", unscheduled(&format!("{said} preemption: 0/1"))).await;
    stage.condition("class", "PodReady", "False", "VolumePending").await;

    create(stage, "proxy", json!({"proxySecretName": "way-out"})).await;
    stage.condition("proxy", "Accepted", "False", "ProxySecretMissing").await;
    assert_eq!(stage.api::<Pod>().get_opt("proxy").await.expect("answers"), None, "a pod that would hang");
    let secret = json!({"metadata": {"name": "way-out"}, "stringData": {"url": "http://proxy:3128"}});
    let secret: Secret = serde_json::from_value(secret).expect("valid");
    stage.api::<Secret>().create(&PostParams::default(), &secret).await.expect("is made");
    stage.pod("proxy").await;
    stage.condition("proxy", "Accepted", "True", "AsExpected").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_is_told_and_a_greater_one_is_noticed() {
    let stage = Stage::new().await;
    let allow = async |pods: &str| {
        let quota = json!({"metadata": {"name": "few"}, "spec": {"hard": {"pods": pods}}});
        let apply = PatchParams::apply("test").force();
        let whole = json!({"apiVersion": "v1", "kind": "ResourceQuota"});
        let mut quota = quota;
        quota.as_object_mut().expect("is one").extend(whole.as_object().expect("is one").clone());
        let api = stage.api::<ResourceQuota>();
        api.patch("few", &apply, &Patch::Apply(&quota)).await.expect("is taken");
        // What the quota controller, which does not run here, would say.
        let status = json!({"status": {"hard": {"pods": pods}, "used": {"pods": "0"}}});
        api.patch_status("few", &PatchParams::default(), &Patch::Merge(status)).await.expect("is taken");
    };
    allow("0").await;
    create(&stage, "sales", json!({})).await;
    stage.condition("sales", "Accepted", "False", "QuotaExceeded").await;
    allow("9").await;
    stage.condition_within(Duration::from_secs(40), "sales", "Accepted", "True", "AsExpected").await;
}

async fn only_what_a_pod_cannot_take_over_restarts_it_and_an_event_says_what_it_was(stage: &Stage) {
    create(stage, "restart", json!({})).await;
    let first = stage.pod("restart").await.uid();
    stage.edit("restart", json!({"displayName": "North", "nodeLoss": "ForceDelete"})).await;
    // The status speaks of the new generation: the operator has seen it, and decided.
    eventually(SOON, "the edit to be seen", async || {
        let connection: WhatsAppConnection = stage.api().get("restart").await.map_err(|error| error.to_string())?;
        let seen = connection.status.and_then(|status| status.observed_generation);
        if seen == connection.metadata.generation { Ok(()) } else { Err(format!("{seen:?}")) }
    })
    .await;
    assert_eq!(stage.pod("restart").await.uid(), first);
    stage.edit("restart", json!({"resources": {"limits": {"memory": "2Gi"}}})).await;
    eventually(SOON, "another pod", async || match stage.api::<Pod>().get_opt("restart").await {
        Ok(Some(pod)) if pod.uid() != first => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    told(stage, "restart", "ResourcesChanged").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_is_newer_than_the_definition_says_so_and_does_not_become_ready() {
    let mut stage = Stage::without_operator().await;
    let mut older = serde_json::to_value(WhatsAppConnection::crd()).expect("JSON");
    let status = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties";
    older.pointer_mut(status).and_then(Value::as_object_mut).expect("is there").remove("volume");
    stage.plane.install(&stage.client, &serde_json::from_value(older).expect("a definition")).await;
    stage.start_operator();
    let missing = || stage.health.missing().join("; ");
    eventually(SOON, "CRDOutdated", async || {
        let missing = missing();
        if missing.contains("CRDOutdated") && missing.contains("status.volume") { Ok(()) } else { Err(missing) }
    })
    .await;
    stage.plane.install(&stage.client, &WhatsAppConnection::crd()).await;
    eventually(SOON, "readiness", async || match missing() {
        missing if missing.is_empty() => Ok(()),
        missing => Err(missing),
    })
    .await;
}
