//! The operator against a real API server and a real Redis. No kubelet runs: where one is needed, the test says what it
//! would have written. What a user would lose if one of these failed stands in the name.
#![expect(clippy::expect_used, clippy::panic, reason = "a test without what it stands on has failed")]

use std::time::Duration;

use crds::{COMPANY_LABEL, WhatsAppConnection};
use harness::{ControlPlane, Redis, eventually};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, CustomResourceExt, ResourceExt};
use operator::settings::{SessionDefaults, SessionNetwork, Settings};
use relay::{
    Acquired, ConnectionId, Credentials, Endpoint, EngineVersions, Lease, OperatorRelay, SessionRelay, SessionState,
    SessionStatus,
};
use runtime::health::Health;
use runtime::shutdown::Shutdown;
use serde_json::json;

const SOON: Duration = Duration::from_secs(15);
const COMPANY: &str = "acme";

/// One company's home, an operator that looks after it, and a Redis of their own.
struct Stage {
    client: Client,
    namespace: String,
    redis: Redis,
    operator: Option<Shutdown>,
}

impl Stage {
    async fn new() -> Self {
        // Each test has a control plane of its own: an operator looks at the whole cluster.
        let plane = Box::leak(Box::new(ControlPlane::start().await));
        let client = plane.client().await;
        plane.install(&client, &WhatsAppConnection::crd()).await;
        let namespace = plane.namespace(&client, [(COMPANY_LABEL, COMPANY)]).await;
        let mut stage = Self { client, namespace, redis: Redis::start().await, operator: None };
        stage.start_operator();
        stage
    }

    fn start_operator(&mut self) {
        let (shutdown, health) = (Shutdown::default(), Health::default());
        operator::operate(self.settings(), self.client.clone(), &health, &shutdown).expect("starts");
        self.operator = Some(shutdown);
    }

    async fn stop_operator(&mut self) {
        let operator = self.operator.take().expect("runs");
        operator.begin();
        assert!(operator.finished(SOON).await, "the operator did not end in order");
    }

    fn endpoint(&self, credentials: Option<&Credentials>) -> Endpoint {
        Endpoint::new(&self.redis.url(), credentials).expect("valid")
    }

    fn settings(&self) -> Settings {
        Settings {
            session: SessionDefaults {
                image: "session:1".to_owned(),
                image_pull_policy: "Never".to_owned(),
                browser_args: String::new(),
                requests: crds::Compute::default(),
                limits: crds::Compute::default(),
                redis_url: self.redis.url(),
                log_format: "json".to_owned(),
            },
            network: SessionNetwork {
                redis_peers: vec![],
                redis_port: 6379,
                metrics_peers: vec![],
                extra_egress: vec![],
            },
            redis: self.endpoint(None),
            admin_address: ([127, 0, 0, 1], 0).into(),
            log_format: runtime::telemetry::LogFormat::Text,
            pod_name: "operator-under-test".to_owned(),
        }
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    async fn create(&self, name: &str) -> ConnectionId {
        let spec = json!({"companyId": COMPANY});
        let object = json!({"apiVersion": "whatsapp-operator.dev/v1alpha1", "kind": "WhatsAppConnection", "metadata": {"name": name}, "spec": spec});
        let connection = serde_json::from_value(object).expect("valid");
        let made: WhatsAppConnection =
            self.api().create(&PostParams::default(), &connection).await.expect("is accepted");
        made.uid().expect("has a UID").parse().expect("is one")
    }

    async fn edit(&self, name: &str, spec: serde_json::Value) {
        let patch = Patch::Merge(json!({"spec": spec}));
        self.api::<WhatsAppConnection>().patch(name, &PatchParams::default(), &patch).await.expect("is accepted");
    }

    async fn pod(&self, name: &str) -> Pod {
        eventually(SOON, "the pod", async || self.api::<Pod>().get(name).await).await
    }

    /// What a kubelet writes once the probes succeed, or whatever else the test wants it to have written.
    async fn kubelet(&self, name: &str, status: serde_json::Value) {
        let patch = Patch::Merge(json!({"status": status}));
        self.api::<Pod>().patch_status(name, &PatchParams::default(), &patch).await.expect("is written");
    }

    async fn ready(&self, name: &str) {
        let status = json!({
            "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"name": "session", "ready": true, "restartCount": 0, "image": "", "imageID": ""}],
        });
        self.kubelet(name, status).await;
    }

    /// The session as its pod's Redis user, with the credentials out of the Secret.
    async fn session(&self, id: ConnectionId, name: &str, pod_uid: &str) -> SessionRelay {
        let secret: Secret = self.api().get(&format!("{name}-relay")).await.expect("is there");
        let text =
            |key: &str| String::from_utf8(secret.data.as_ref().expect("has data")[key].0.clone()).expect("is text");
        let credentials = Credentials::new(text("username"), text("password"));
        let mut redis = self.endpoint(Some(&credentials)).connect().expect("lazy");
        match Lease::acquire(&mut redis, id, pod_uid).await.expect("the user may") {
            Acquired::Held(lease) => SessionRelay::new(redis, id, &lease),
            Acquired::HeldByOther(_) => panic!("nobody else is there"),
        }
    }

    async fn condition(&self, name: &str, kind: &str, status: &str, reason: &str) {
        let what = format!("{kind}={status} because of {reason}");
        eventually(SOON, &what, async || {
            let connection: WhatsAppConnection = self.api().get(name).await.map_err(|error| error.to_string())?;
            let conditions = connection.status.unwrap_or_default().conditions;
            let holds = conditions.iter().any(|c| c.type_ == kind && c.status == status && c.reason == reason);
            if holds { Ok(()) } else { Err(format!("{conditions:#?}")) }
        })
        .await;
    }

    async fn known_to_redis(&self) -> usize {
        let redis = self.endpoint(None).connect().expect("lazy");
        OperatorRelay::new(redis).known().await.expect("Redis answers").len()
    }

    async fn forgotten_by_redis(&self) {
        eventually(SOON, "Redis to be empty", async || match self.known_to_redis().await {
            0 => Ok(()),
            left => Err(format!("{left} left")),
        })
        .await;
    }
}

fn status(state: SessionState, pod_uid: &str) -> SessionStatus {
    SessionStatus {
        state,
        reason: None,
        since: Timestamp::UNIX_EPOCH,
        sequence: 1,
        pod_uid: pod_uid.to_owned(),
        account: Some(relay::Account {
            id: "5511999999999@c.us".to_owned(),
            lid: None,
            push_name: Some("Ana".to_owned()),
            linked_at: None,
        }),
        last_connected_at: Some(Timestamp::UNIX_EPOCH),
        last_disconnect: None,
        engine: EngineVersions::default(),
        link: None,
    }
}

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
