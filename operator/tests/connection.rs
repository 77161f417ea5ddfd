//! The operator against a real API server and a real Redis. No kubelet runs: where one is needed, the test says what it
//! would have written. What a user would lose if one of these failed stands in the name.

mod stage;

use crds::{COMPANY_LABEL, WhatsAppConnection};
use harness::eventually;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim, Pod, Secret};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use relay::SessionState;
use serde_json::json;

use stage::{SOON, Stage, status};

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_becomes_its_objects_and_its_session_becomes_its_status() {
    let stage = Stage::new().await;
    let id = stage.create("sales").await;
    let pod = stage.pod("sales").await;
    for owners in [
        pod.owner_references(),
        stage.api::<Secret>().get("sales-relay").await.expect("is there").owner_references(),
        stage.api::<PersistentVolumeClaim>().get("sales-profile").await.expect("is there").owner_references(),
    ] {
        assert_eq!(owners[0].uid, id.to_string(), "an object that does not go with its connection");
    }
    eventually(SOON, "the network policy", async || stage.api::<NetworkPolicy>().get("whatsapp-sessions").await).await;
    stage.condition("sales", "PodReady", "False", "Starting").await;

    let uid = pod.uid().expect("has a UID");
    stage.ready("sales").await;
    let mut session = stage.session(id, "sales", &uid).await;
    session.set_status(&status(SessionState::AwaitingLink, &uid), Timestamp::UNIX_EPOCH).await.expect("is written");
    stage.condition("sales", "Linked", "False", "AwaitingQr").await;
    session.set_status(&status(SessionState::Connected, &uid), Timestamp::UNIX_EPOCH).await.expect("is written");
    stage.condition("sales", "Ready", "True", "AsExpected").await;
    let connection: WhatsAppConnection = stage.api().get("sales").await.expect("is there");
    let told = connection.status.expect("has a status");
    assert_eq!(told.account.expect("has an account").push_name.as_deref(), Some("Ana"));
    assert_eq!(told.observed_generation, connection.metadata.generation);
}

#[tokio::test(flavor = "multi_thread")]
async fn suspending_ends_the_pod_and_keeps_the_volume_and_resuming_brings_a_pod_back() {
    let stage = Stage::new().await;
    stage.create("sales").await;
    let first = stage.pod("sales").await.uid();
    stage.edit("sales", json!({"state": "Suspended"})).await;
    eventually(SOON, "the pod to be gone", async || match stage.api::<Pod>().get_opt("sales").await {
        Ok(None) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    stage.condition("sales", "Ready", "False", "Suspended").await;
    stage.api::<PersistentVolumeClaim>().get("sales-profile").await.expect("the volume is kept");
    stage.edit("sales", json!({"state": "Running"})).await;
    assert_ne!(stage.pod("sales").await.uid(), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_was_killed_or_has_failed_comes_back() {
    let stage = Stage::new().await;
    stage.create("sales").await;
    let another_than = async |before: Option<String>| {
        eventually(SOON, "another pod", async || match stage.api::<Pod>().get_opt("sales").await {
            Ok(Some(pod)) if pod.uid() != before => Ok(pod.uid()),
            other => Err(format!("{other:?}")),
        })
        .await
    };
    let first = stage.pod("sales").await.uid();
    let now = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
    stage.api::<Pod>().delete("sales", &now).await.expect("is deleted");
    let second = another_than(first).await;
    stage.kubelet("sales", json!({"phase": "Failed", "reason": "Evicted"})).await;
    another_than(second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_in_redis_of_a_deleted_connection_even_if_nobody_saw_it_go() {
    let mut stage = Stage::new().await;
    for name in ["seen", "unseen"] {
        stage.create(name).await;
        stage.pod(name).await;
    }
    let connections = stage.api::<WhatsAppConnection>();
    connections.delete("seen", &DeleteParams::default()).await.expect("nothing blocks a deletion");
    eventually(SOON, "one to be forgotten", async || match stage.known_to_redis().await {
        1 => Ok(()),
        n => Err(n),
    })
    .await;
    stage.stop_operator().await;
    connections.delete("unseen", &DeleteParams::default()).await.expect("nothing blocks a deletion");
    stage.start_operator();
    stage.forgotten_by_redis().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_somebody_else_is_left_alone_and_said() {
    let stage = Stage::new().await;
    let foreign = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "sales-relay"}, "stringData": {"theirs": "x"}});
    let foreign: Secret = serde_json::from_value(foreign).expect("valid");
    stage.api::<Secret>().create(&PostParams::default(), &foreign).await.expect("is made");
    stage.create("sales").await;
    stage.condition("sales", "Accepted", "False", "NotOwned").await;
    let there: Secret = stage.api().get("sales-relay").await.expect("is there");
    assert!(there.data.expect("has data").contains_key("theirs"));

    stage.create("lost").await;
    stage.edit("sales", json!({"displayName": "North"})).await;
    let mut elsewhere: WhatsAppConnection = stage.api().get("lost").await.expect("is there");
    elsewhere.metadata = kube::core::ObjectMeta { name: Some("lost".to_owned()), ..Default::default() };
    elsewhere.spec.company_id = "globex".to_owned();
    stage.api::<WhatsAppConnection>().delete("lost", &DeleteParams::default()).await.expect("is deleted");
    eventually(SOON, "the name to be free", async || {
        stage.api::<WhatsAppConnection>().create(&PostParams::default(), &elsewhere).await
    })
    .await;
    stage.condition("lost", "Accepted", "False", "CompanyMismatch").await;
}

/// What would be lost: an account for good, because its resource came before the label of its namespace.
#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_without_its_companys_label_is_said_and_its_label_is_noticed() {
    let stage = Stage::new().await;
    let unlabelled: [(&str, &str); 0] = [];
    let namespace = stage.plane.namespace(&stage.client, unlabelled).await;
    let connections: Api<WhatsAppConnection> = Api::namespaced(stage.client.clone(), &namespace);
    let connection =
        WhatsAppConnection::new("sales", serde_json::from_value(json!({"companyId": "globex"})).expect("valid"));
    connections.create(&PostParams::default(), &connection).await.expect("is accepted");
    eventually(SOON, "the reason", async || {
        let conditions =
            connections.get("sales").await.map_err(|error| error.to_string())?.status.unwrap_or_default().conditions;
        let said = conditions.iter().any(|c| c.type_ == "Accepted" && c.reason == "CompanyMismatch");
        if said { Ok(()) } else { Err(format!("{conditions:?}")) }
    })
    .await;
    let pods: Api<Pod> = Api::namespaced(stage.client.clone(), &namespace);
    assert!(pods.get_opt("sales").await.expect("answers").is_none());

    let label = Patch::Merge(json!({"metadata": {"labels": {COMPANY_LABEL: "globex"}}}));
    let namespaces: Api<Namespace> = Api::all(stage.client.clone());
    namespaces.patch(&namespace, &PatchParams::default(), &label).await.expect("is labelled");
    eventually(SOON, "the pod", async || pods.get("sales").await).await;
}
