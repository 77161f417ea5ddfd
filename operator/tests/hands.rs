//! What people do to the objects of a connection by hand: what is ours is put back, what is not stays as it is, and the
//! volume with the link to the phone is never replaced behind anybody's back.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test without what it stands on has failed")]

mod stage;

use std::time::Duration;

use crds::WhatsAppConnection;
use harness::eventually;
use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Event, PersistentVolumeClaim, Pod, Secret};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Resource, ResourceExt};
use relay::SessionState;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use stage::{SOON, Stage, status};

/// What was refused a few times is tried again within this.
const RETRIED: Duration = Duration::from_secs(40);

async fn told(stage: &Stage, name: &str, reason: &str) {
    told_of(stage, name, reason, "").await;
}

/// With these words in it.
async fn told_of(stage: &Stage, name: &str, reason: &str, words: &str) {
    let about = ListParams::default().fields(&format!("involvedObject.name={name},reason={reason}"));
    let said = |event: &Event| event.message.as_deref().is_some_and(|message| message.contains(words));
    eventually(SOON, &format!("an Event {reason} {words}"), async || match stage.api::<Event>().list(&about).await {
        Ok(events) if events.items.iter().any(said) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}

async fn merge<K>(stage: &Stage, name: &str, patch: Value)
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
{
    stage.api::<K>().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.expect("is taken");
}

async fn make<K>(stage: &Stage, object: Value) -> K
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned
        + Serialize,
{
    let object = serde_json::from_value(object).expect("valid");
    stage.api::<K>().create(&PostParams::default(), &object).await.expect("is made")
}

/// Takes an object away at once, as the garbage collector and the controllers that do not run here would.
async fn remove<K>(stage: &Stage, name: &str)
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
{
    let now = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
    stage.api::<K>().delete(name, &now).await.expect("is deleted");
    if stage.api::<K>().get_opt(name).await.expect("answers").is_some() {
        merge::<K>(stage, name, json!({"metadata": {"finalizers": null}})).await;
    }
}

fn a_pod(name: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "theirs", "image": "theirs"}]}})
}

fn a_claim(name: &str) -> Value {
    let spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
    json!({"metadata": {"name": name}, "spec": spec})
}

/// One cluster serves all of them, side by side: its start is most of what each would take alone.
#[tokio::test(flavor = "multi_thread")]
async fn hands() {
    let stage = Stage::new().await;
    tokio::join!(
        what_belongs_to_somebody_else_is_left_alone_and_said_until_it_is_gone(&stage),
        an_owner_reference_that_was_taken_off_is_put_back(&stage),
        a_connection_that_is_made_again_at_once_waits_for_what_is_left_of_the_first(&stage),
        a_secret_that_was_spoilt_is_put_back_before_the_next_pod_needs_it(&stage),
        a_secret_that_was_changed_or_deleted_is_put_back_once_its_session_is_shut_out(&stage),
        labels_that_were_taken_off_are_put_back_and_nothing_is_called_lost(&stage),
        a_volume_without_a_link_is_made_again_and_that_is_told(&stage),
        a_volume_out_of_a_backup_is_taken_over_by_a_word_and_never_by_itself(&stage),
        a_volume_that_held_a_link_is_not_replaced_until_somebody_gives_it_up(&stage),
        the_pod_of_a_lost_node_is_replaced_only_when_asked_for_and_when_its_session_has_let_go(&stage),
    );
    // After the others: meanwhile no pod is made.
    the_network_policy_is_put_back_and_nothing_runs_without_it(&stage).await;
}

async fn the_network_policy_is_put_back_and_nothing_runs_without_it(stage: &Stage) {
    const NAME: &str = "whatsapp-sessions";
    let stands = stage.api::<NetworkPolicy>().get(NAME).await.expect("is there").spec;
    let put_back = async || {
        eventually(SOON, "the policy", async || match stage.api::<NetworkPolicy>().get(NAME).await {
            Ok(policy) if policy.spec == stands => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
    };
    merge::<NetworkPolicy>(stage, NAME, json!({"spec": {"egress": [{}], "policyTypes": ["Ingress"]}})).await;
    put_back().await;
    told(stage, NAME, "PutBack").await;
    remove::<NetworkPolicy>(stage, NAME).await;
    put_back().await;
    eventually(SOON, "a second Event", async || {
        let about = ListParams::default().fields(&format!("involvedObject.name={NAME},reason=PutBack"));
        let events = stage.api::<Event>().list(&about).await.map_err(|error| error.to_string())?;
        let times = events.iter().map(|event| event.series.as_ref().and_then(|series| series.count).unwrap_or(1));
        if times.sum::<i32>() >= 2 { Ok(()) } else { Err(format!("{events:?}")) }
    })
    .await;

    // Somebody else's of that name: it stays as it is, and no session runs behind it. Made out of ours, because the operator is
    // faster than whoever deletes that and makes another.
    let theirs = json!({
        "metadata": {"labels": {"app.kubernetes.io/managed-by": null}, "annotations": null},
        "spec": {"podSelector": {"matchLabels": {"theirs": "x"}}},
    });
    merge::<NetworkPolicy>(stage, NAME, theirs).await;
    let theirs: NetworkPolicy = stage.api().get(NAME).await.expect("is there");
    stage.create("unprotected").await;
    stage.condition_within(RETRIED, "unprotected", "Accepted", "False", "NamespaceNotReady").await;
    let there: NetworkPolicy = stage.api().get(NAME).await.expect("is there");
    assert_eq!(there.resource_version(), theirs.resource_version());
    assert_eq!(stage.api::<Pod>().get_opt("unprotected").await.expect("answers"), None);
    remove::<NetworkPolicy>(stage, NAME).await;
    put_back().await;
    stage.pod("unprotected").await;
}

async fn what_belongs_to_somebody_else_is_left_alone_and_said_until_it_is_gone(stage: &Stage) {
    let pod: Pod = make(stage, a_pod("pod")).await;
    let claim: PersistentVolumeClaim = make(stage, a_claim("claim-profile")).await;
    let secret: Secret =
        make(stage, json!({"metadata": {"name": "secret-relay"}, "stringData": {"theirs": "x"}})).await;
    for name in ["pod", "claim", "secret"] {
        stage.create(name).await;
        stage.condition(name, "Accepted", "False", "NotOwned").await;
    }
    // Neither the object, nor one of the names that a refused connection might have begun to use.
    assert_eq!(stage.api::<Pod>().get("pod").await.expect("is there").resource_version(), pod.resource_version());
    let there: PersistentVolumeClaim = stage.api().get("claim-profile").await.expect("is there");
    assert_eq!(there.resource_version(), claim.resource_version());
    let there: Secret = stage.api().get("secret-relay").await.expect("is there");
    assert_eq!(there.resource_version(), secret.resource_version());
    for name in ["claim", "secret"] {
        assert_eq!(stage.api::<Pod>().get_opt(name).await.expect("answers"), None);
    }
    remove::<Pod>(stage, "pod").await;
    remove::<PersistentVolumeClaim>(stage, "claim-profile").await;
    remove::<Secret>(stage, "secret-relay").await;
    for name in ["pod", "claim", "secret"] {
        stage.condition_within(RETRIED, name, "Accepted", "True", "AsExpected").await;
        let made = stage.pod(name).await;
        assert_eq!(made.owner_references().len(), 1, "another's pod is taken for ours");
    }
}

async fn an_owner_reference_that_was_taken_off_is_put_back(stage: &Stage) {
    let id = stage.create("orphan").await.to_string();
    let pod = stage.pod("orphan").await;
    let bare = json!({"metadata": {"ownerReferences": null}});
    merge::<Pod>(stage, "orphan", bare.clone()).await;
    merge::<PersistentVolumeClaim>(stage, "orphan-profile", bare.clone()).await;
    eventually(SOON, "the owner to be back", async || {
        let pod: Pod = stage.api().get("orphan").await.map_err(|error| error.to_string())?;
        let claim: PersistentVolumeClaim =
            stage.api().get("orphan-profile").await.map_err(|error| error.to_string())?;
        let owner = |owners: &[k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference]| {
            owners.first().map(|owner| owner.uid.clone())
        };
        let owners = [owner(pod.owner_references()), owner(claim.owner_references())];
        if owners.iter().all(|owner| owner.as_ref() == Some(&id)) { Ok(()) } else { Err(format!("{owners:?}")) }
    })
    .await;
    assert_eq!(stage.pod("orphan").await.uid(), pod.uid(), "it is no reason for a restart");
    told(stage, "orphan", "PutBack").await;
}

async fn a_connection_that_is_made_again_at_once_waits_for_what_is_left_of_the_first(stage: &Stage) {
    let first = stage.create("again").await;
    stage.pod("again").await;
    stage.api::<WhatsAppConnection>().delete("again", &DeleteParams::default()).await.expect("nothing blocks it");
    let second = stage.create("again").await;
    assert_ne!(first, second);
    stage.condition("again", "PodReady", "False", "Leftover").await;
    assert_eq!(
        stage.pod("again").await.owner_references()[0].uid,
        first.to_string(),
        "it is the collector's to remove"
    );
    remove::<Pod>(stage, "again").await;
    remove::<Secret>(stage, "again-relay").await;
    remove::<PersistentVolumeClaim>(stage, "again-profile").await;
    eventually(SOON, "a pod of the second", async || match stage.api::<Pod>().get_opt("again").await {
        Ok(Some(pod)) if pod.owner_references()[0].uid == second.to_string() => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}

async fn a_secret_that_was_spoilt_is_put_back_before_the_next_pod_needs_it(stage: &Stage) {
    let id = stage.create("spoilt").await;
    let first = stage.pod("spoilt").await.uid();
    merge::<Secret>(stage, "spoilt-relay", json!({"data": {"password": null}})).await;
    remove::<Pod>(stage, "spoilt").await;
    let second = another_pod(stage, "spoilt", first).await;
    told(stage, "spoilt", "PutBack").await;
    // With what stands in it now, Redis lets the session in.
    stage.session(id, "spoilt", &second).await;
}

/// Either is noticed within minutes by the pod, which does not get ready any more: by the next look at the Secret.
async fn a_secret_that_was_changed_or_deleted_is_put_back_once_its_session_is_shut_out(stage: &Stage) {
    let edit = json!({"stringData": {"password": "theirs"}});
    let patch = async || {
        stage.api::<Secret>().patch("changed-relay", &PatchParams::default(), &Patch::Merge(edit)).await.map(drop)
    };
    let delete = async || stage.api::<Secret>().delete("deleted-relay", &DeleteParams::default()).await.map(drop);
    let mut pods = Vec::new();
    for (name, words) in [("changed", "Secret changed-relay: what it holds"), ("deleted", "Secret deleted-relay")] {
        let id = stage.create(name).await;
        let pod = stage.pod(name).await.uid().expect("has a UID");
        stage.session(id, name, &pod).await;
        pods.push((name, words, id, pod));
    }
    patch().await.expect("is changed");
    delete().await.expect("is deleted");
    for (name, words, id, pod) in &pods {
        stage.kubelet(name, shut_out()).await;
        told_of(stage, name, "PutBack", words).await;
        let secret: Secret = stage.api().get(&format!("{name}-relay")).await.expect("is there");
        assert_ne!(secret.data.expect("holds something")["password"].0, b"theirs", "{name}");
        stage.session(*id, name, pod).await;
    }

    // Before the next pod starts it is noticed at once.
    remove::<Secret>(stage, "deleted-relay").await;
    let (_, _, id, first) = pods.remove(1);
    remove::<Pod>(stage, "deleted").await;
    let second = another_pod(stage, "deleted", Some(first)).await;
    stage.session(id, "deleted", &second).await;
}

/// What the kubelet says of a container that was started again and does not get ready.
fn shut_out() -> Value {
    let container = json!({"name": "session", "image": "session:1", "imageID": "", "ready": false, "restartCount": 1});
    let unready = ["Ready", "ContainersReady"].map(|kind| json!({"type": kind, "status": "False"}));
    json!({"phase": "Running", "conditions": unready, "containerStatuses": [container]})
}

async fn another_pod(stage: &Stage, name: &str, first: Option<String>) -> String {
    eventually(SOON, "another pod", async || match stage.api::<Pod>().get_opt(name).await {
        Ok(Some(pod)) if pod.uid() != first => Ok(pod.uid().unwrap_or_default()),
        other => Err(format!("{other:?}")),
    })
    .await
}

/// By them the watches find what is ours, and the network policy the pod.
async fn labels_that_were_taken_off_are_put_back_and_nothing_is_called_lost(stage: &Stage) {
    let id = stage.create("bare").await;
    let pod = stage.pod("bare").await;
    let uid = pod.uid().expect("has a UID");
    stage.ready("bare").await;
    let mut session = stage.session(id, "bare", &uid).await;
    session.set_status(&status(SessionState::Connected, &uid), Timestamp::UNIX_EPOCH).await.expect("is written");
    stage.condition("bare", "Ready", "True", "AsExpected").await;
    let claim: PersistentVolumeClaim = stage.api().get("bare-profile").await.expect("is there");

    // The one by which the watches look, and the one by which the policy does.
    for label in ["app.kubernetes.io/managed-by", "app.kubernetes.io/name"] {
        let off = json!({"metadata": {"labels": {label: null}}});
        merge::<Pod>(stage, "bare", off.clone()).await;
        merge::<PersistentVolumeClaim>(stage, "bare-profile", off).await;
        eventually(SOON, "the labels to be back", async || {
            let now: Pod = stage.api().get("bare").await.map_err(|error| error.to_string())?;
            let its: PersistentVolumeClaim =
                stage.api().get("bare-profile").await.map_err(|error| error.to_string())?;
            assert_eq!((now.uid(), its.uid()), (pod.uid(), claim.uid()), "nothing was made anew");
            if now.labels() == pod.labels() && its.labels() == claim.labels() { Ok(()) } else { Err(label.to_owned()) }
        })
        .await;
    }
    told_of(stage, "bare", "PutBack", "Pod bare: its labels").await;
    told_of(stage, "bare", "PutBack", "PersistentVolumeClaim bare-profile: its labels").await;
    stage.condition("bare", "Ready", "True", "AsExpected").await;
}

async fn a_volume_without_a_link_is_made_again_and_that_is_told(stage: &Stage) {
    stage.create("unlinked").await;
    let pod = stage.pod("unlinked").await.uid();
    let claim: PersistentVolumeClaim = stage.api().get("unlinked-profile").await.expect("is there");
    eventually(SOON, "the volume to stand in the status", async || {
        let connection: WhatsAppConnection = stage.api().get("unlinked").await.map_err(|error| error.to_string())?;
        let known = connection.status.and_then(|status| status.volume).map(|volume| volume.uid);
        if known == claim.uid() { Ok(()) } else { Err(format!("{known:?}")) }
    })
    .await;
    let marked = stage.api::<PersistentVolumeClaim>().delete("unlinked-profile", &DeleteParams::default()).await;
    marked.expect("is marked");
    remove::<Pod>(stage, "unlinked").await;
    merge::<PersistentVolumeClaim>(stage, "unlinked-profile", json!({"metadata": {"finalizers": null}})).await;
    another_pod(stage, "unlinked", pod).await;
    let again: PersistentVolumeClaim = stage.api().get("unlinked-profile").await.expect("is there");
    assert_ne!(again.uid(), claim.uid());
    told_of(stage, "unlinked", "PutBack", "PersistentVolumeClaim unlinked-profile, which is empty").await;
}

/// A backup brings objects back with owners that are not there any more. They are the garbage collector's, like those of
/// any earlier connection; a volume that shall be kept is handed over by its annotation.
async fn a_volume_out_of_a_backup_is_taken_over_by_a_word_and_never_by_itself(stage: &Stage) {
    let mut restored = a_claim("restored-profile");
    restored["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "whatsapp-operator.dev/v1alpha1", "kind": "WhatsAppConnection", "name": "restored",
        "uid": "00000000-0000-4000-8000-000000000001", "controller": true,
    }]);
    restored["metadata"]["labels"] = json!({"app.kubernetes.io/managed-by": "whatsapp-operator"});
    let claim: PersistentVolumeClaim = make(stage, restored).await;
    let id = stage.create("restored").await;
    stage.condition("restored", "PodReady", "False", "Leftover").await;
    let hand_over = json!({"metadata": {
        "ownerReferences": null,
        "annotations": {"whatsapp-operator.dev/connection-uid": id.to_string()},
        "labels": {"whatsapp-operator.dev/connection": "restored"},
    }});
    merge::<PersistentVolumeClaim>(stage, "restored-profile", hand_over).await;
    stage.pod("restored").await;
    eventually(SOON, "the volume to have an owner", async || {
        let there: PersistentVolumeClaim =
            stage.api().get("restored-profile").await.map_err(|error| error.to_string())?;
        let owner = there.owner_references().first().map(|owner| owner.uid.clone());
        assert_eq!(there.uid(), claim.uid(), "it was replaced");
        if owner == Some(id.to_string()) { Ok(()) } else { Err(format!("{owner:?}")) }
    })
    .await;
}

/// Waits until the operator has looked at the connection as it is.
async fn seen(stage: &Stage, name: &str) {
    eventually(SOON, "the edit to be seen", async || {
        let connection: WhatsAppConnection = stage.api().get(name).await.map_err(|error| error.to_string())?;
        let seen = connection.status.and_then(|status| status.observed_generation);
        if seen == connection.metadata.generation { Ok(()) } else { Err(format!("{seen:?}")) }
    })
    .await;
}

/// How often anybody was told that there is no such object.
fn questions(stage: &Stage, resource: &str, name: &str) -> usize {
    let log = std::fs::read_to_string(stage.plane.audit_log()).expect("is there");
    let asks = |line: &&str| {
        let record: Value = serde_json::from_str(line).unwrap_or_default();
        record["verb"] == "get"
            && record["stage"] == "ResponseComplete"
            && record["objectRef"]["resource"] == resource
            && record["objectRef"]["name"] == name
            && record["responseStatus"]["code"] == 404
    };
    log.lines().filter(asks).count()
}

async fn a_volume_that_held_a_link_is_not_replaced_until_somebody_gives_it_up(stage: &Stage) {
    let id = stage.create("linked").await;
    let uid = stage.pod("linked").await.uid().expect("has a UID");
    stage.ready("linked").await;
    let mut session = stage.session(id, "linked", &uid).await;
    session.set_status(&status(SessionState::Connected, &uid), Timestamp::UNIX_EPOCH).await.expect("is written");
    stage.condition("linked", "Ready", "True", "AsExpected").await;
    let linked: WhatsAppConnection = stage.api().get("linked").await.expect("is there");
    let volume = linked.status.expect("has a status").volume.expect("is known");

    // In use: Kubernetes keeps it until the pod is gone, and the operator says what is coming.
    stage.api::<PersistentVolumeClaim>().delete("linked-profile", &DeleteParams::default()).await.expect("is marked");
    told(stage, "linked", "VolumeBeingDeleted").await;
    stage.edit("linked", json!({"resources": {"limits": {"memory": "2Gi"}}})).await;
    seen(stage, "linked").await;
    stage.condition("linked", "PodReady", "True", "AsExpected").await;
    assert_eq!(stage.pod("linked").await.uid().as_ref(), Some(&uid), "we must not end the last pod on it");

    remove::<Pod>(stage, "linked").await;
    merge::<PersistentVolumeClaim>(stage, "linked-profile", json!({"metadata": {"finalizers": null}})).await;
    stage.condition("linked", "PodReady", "False", "VolumeLost").await;
    stage.condition("linked", "Linked", "False", "VolumeLost").await;
    told(stage, "linked", "VolumeLost").await;
    assert_eq!(stage.api::<Pod>().get_opt("linked").await.expect("answers"), None);
    // However often it is looked at: the API server was asked once whether the volume is really gone.
    for round in ["1", "2", "3"] {
        stage.edit("linked", json!({"resources": {"requests": {"cpu": format!("{round}00m")}}})).await;
        seen(stage, "linked").await;
    }
    let asked = questions(stage, "persistentvolumeclaims", "linked-profile");
    assert!(asked <= 1, "asked {asked} times");
    let there = stage.api::<PersistentVolumeClaim>().get_opt("linked-profile").await.expect("answers");
    assert_eq!(there, None, "an empty volume in its place");

    let given_up = json!({"metadata": {"annotations": {"whatsapp-operator.dev/give-up-volume": volume.uid}}});
    merge::<WhatsAppConnection>(stage, "linked", given_up).await;
    stage.pod("linked").await;
    let there: PersistentVolumeClaim = stage.api().get("linked-profile").await.expect("is there");
    assert_ne!(there.uid(), Some(volume.uid));
}

/// No node and no kubelet run here: two pods are bound to a node that never was, and deleted as the taint manager does it.
async fn the_pod_of_a_lost_node_is_replaced_only_when_asked_for_and_when_its_session_has_let_go(stage: &Stage) {
    let mut pods = Vec::new();
    for (name, node_loss) in [("wait", "Wait"), ("force", "ForceDelete"), ("alive", "ForceDelete")] {
        let id = stage.create(name).await;
        stage.edit(name, json!({"nodeLoss": node_loss})).await;
        let uid = stage.pod(name).await.uid().expect("has a UID");
        let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": {"kind": "Node", "name": "gone"}});
        let pods_api = stage.api::<Pod>();
        pods_api
            .create_subresource::<_, Value>("binding", name, &PostParams::default(), &binding)
            .await
            .expect("is bound");
        pods.push((name, id, uid));
    }
    for (name, id, uid) in &pods {
        stage.kubelet(name, json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "Unknown"}]})).await;
        stage.condition(name, "PodReady", "False", "NodeLost").await;
        if *name == "alive" {
            // Cut off from Kubernetes, not from Redis: it holds its lease, for 15 s from here.
            stage.session(*id, name, uid).await;
        }
        let soon = DeleteParams { grace_period_seconds: Some(1), ..DeleteParams::default() };
        stage.api::<Pod>().delete(name, &soon).await.expect("is marked");
    }
    let ((_, _, lost), (alive, id, uid)) = (&pods[1], &pods[2]);
    let renews = async {
        loop {
            stage.session(*id, alive, uid).await;
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
    };
    tokio::select! {
        () = renews => {}
        () = async {
            // Its lease is looked at twice, as far from one another as a lease lives.
            eventually(SOON * 3, "the pod to be taken away", async || match stage.api::<Pod>().get_opt("force").await {
                Ok(Some(pod)) if pod.uid().as_ref() == Some(lost) => Err("it is there"),
                _ => Ok(()),
            })
            .await;
            another_pod(stage, "force", Some(lost.clone())).await;
            told(stage, "force", "ForceDeleted").await;
        } => {}
    }
    for (name, _, uid) in [&pods[0], &pods[2]] {
        assert_eq!(stage.pod(name).await.uid().as_ref(), Some(uid), "{name} was taken away");
    }
}
