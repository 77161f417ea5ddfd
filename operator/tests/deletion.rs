//! Deletions, in whatever order somebody thinks of: nothing blocks them, and in the end nothing is left.

mod stage;

use std::time::Duration;

use crds::{COMPANY_LABEL, WhatsAppConnection};
use harness::{ControlPlane, eventually};
use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim, Pod, Secret};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, CustomResourceExt, ResourceExt};

use stage::{COMPANY, Stage};

/// Controllers of Kubernetes take their time, the more so on a busy machine.
const IN_THE_END: Duration = Duration::from_mins(1);

async fn gone<K>(api: &Api<K>, name: &str)
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    eventually(IN_THE_END, &format!("{name} to be gone"), async || match api.get_opt(name).await {
        Ok(None) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}

/// Waits until Kubernetes' garbage collector has taken everything that was made for connections.
async fn collected(stage: &Stage) {
    eventually(IN_THE_END, "the objects to be collected", async || {
        let all = ListParams::default();
        let pods = stage.api::<Pod>().list(&all).await.map_err(|error| error.to_string())?.items.len();
        let claims = stage.api::<PersistentVolumeClaim>().list(&all).await.map_err(|error| error.to_string())?;
        let secrets = stage.api::<Secret>().list(&all).await.map_err(|error| error.to_string())?.items.len();
        match (pods, claims.items.len(), secrets) {
            (0, 0, 0) => Ok(()),
            left => Err(format!("pods, claims, secrets: {left:?}")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_a_deletion_is_done_at_once_and_the_rest_follows() {
    let mut stage = Stage::new().await;
    stage.create("sales").await;
    stage.pod("sales").await;
    stage.redis.stop().await;
    let connections = stage.api::<WhatsAppConnection>();
    connections.delete("sales", &DeleteParams::default()).await.expect("nothing blocks a deletion");
    assert!(connections.get_opt("sales").await.expect("answers").is_none(), "a finalizer holds it");
    stage.redis.resume().await;
    stage.forgotten_by_redis().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_definition_may_go_first_and_come_back() {
    let stage = Stage::on(ControlPlane::start_with_managers().await).await;
    // The collector looks for new kinds of objects now and then: it knows this one when it has collected for it once.
    stage.create("first").await;
    stage.pod("first").await;
    stage.api::<WhatsAppConnection>().delete("first", &DeleteParams::default()).await.expect("nothing blocks it");
    collected(&stage).await;
    stage.create("sales").await;
    stage.pod("sales").await;
    let definitions: Api<CustomResourceDefinition> = Api::all(stage.client.clone());
    let name = WhatsAppConnection::crd_name();
    definitions.delete(name, &DeleteParams::default()).await.expect("nothing blocks a deletion");
    gone(&definitions, name).await;
    collected(&stage).await;
    stage.forgotten_by_redis().await;

    stage.plane.install(&stage.client, &WhatsAppConnection::crd()).await;
    stage.create("service").await;
    // The watch has failed meanwhile and its backoff has grown.
    eventually(IN_THE_END, "the operator to be in step", async || stage.api::<Pod>().get("service").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_goes_with_its_namespace_and_comes_back_under_the_same_name() {
    let stage = Stage::on(ControlPlane::start_with_managers().await).await;
    stage.create("sales").await;
    stage.pod("sales").await;
    let namespaces: Api<Namespace> = Api::all(stage.client.clone());
    namespaces.delete(&stage.namespace, &DeleteParams::default()).await.expect("nothing blocks a deletion");
    gone(&namespaces, &stage.namespace).await;
    stage.forgotten_by_redis().await;

    let mut again = Namespace::default();
    again.metadata.name = Some(stage.namespace.clone());
    again.labels_mut().insert(COMPANY_LABEL.to_owned(), COMPANY.to_owned());
    namespaces.create(&kube::api::PostParams::default(), &again).await.expect("the name is free");
    stage.create("sales").await;
    stage.pod("sales").await;

    // One connection alone: what was made for it goes with it.
    stage.api::<WhatsAppConnection>().delete("sales", &DeleteParams::default()).await.expect("nothing blocks it");
    collected(&stage).await;
    stage.forgotten_by_redis().await;
}
