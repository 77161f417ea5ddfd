//! One company's home in a cluster of its own, an operator that looks after it, and a Redis of their own. No kubelet runs:
//! where one is needed, the test says what it would have written.
#![expect(clippy::expect_used, reason = "a test without what it stands on has failed")]
#![allow(dead_code, clippy::allow_attributes, reason = "each test binary compiles this and uses its own part of it")]

use std::time::Duration;

use crds::{COMPANY_LABEL, WhatsAppConnection};
use harness::{ControlPlane, Redis, eventually};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, CustomResourceExt, ResourceExt};
use operator::settings::{SessionDefaults, SessionNetwork, Settings};
use relay::{
    Acquired, ConnectionId, Credentials, Endpoint, EngineVersions, Lease, OperatorRelay, SessionRelay, SessionState,
    SessionStatus,
};
use runtime::health::Health;
use runtime::shutdown::Shutdown;
use serde_json::json;

/// What takes longer than this has failed.
pub const SOON: Duration = Duration::from_secs(15);
/// The company.
pub const COMPANY: &str = "acme";

/// What a test stands on.
pub struct Stage {
    pub client: Client,
    pub namespace: String,
    pub redis: Redis,
    pub plane: ControlPlane,
    pub settings: Settings,
    pub health: Health,
    operator: Option<Shutdown>,
}

impl Stage {
    pub async fn new() -> Self {
        Self::on(ControlPlane::start().await).await
    }

    pub async fn on(plane: ControlPlane) -> Self {
        let mut stage = Self::without_operator_on(plane).await;
        stage.start_operator();
        stage
    }

    /// Each test has a control plane of its own: an operator looks at the whole cluster.
    pub async fn without_operator() -> Self {
        Self::without_operator_on(ControlPlane::start().await).await
    }

    async fn without_operator_on(plane: ControlPlane) -> Self {
        let client = plane.client().await;
        plane.install(&client, &WhatsAppConnection::crd()).await;
        let namespace = plane.namespace(&client, [(COMPANY_LABEL, COMPANY)]).await;
        let redis = Redis::start().await;
        let settings = settings(&redis.url());
        Self { client, namespace, redis, plane, settings, health: Health::default(), operator: None }
    }

    pub fn start_operator(&mut self) {
        self.start_operator_with(self.client.clone());
    }

    /// With a client that goes another way than the test's own.
    pub fn start_operator_with(&mut self, client: Client) {
        let shutdown = Shutdown::default();
        self.health = Health::default();
        operator::operate(self.settings.clone(), client, &self.health, &shutdown).expect("starts");
        self.operator = Some(shutdown);
    }

    pub async fn stop_operator(&mut self) {
        let operator = self.operator.take().expect("runs");
        operator.begin();
        assert!(operator.finished(SOON).await, "the operator did not end in order");
    }

    pub fn endpoint(&self, credentials: Option<&Credentials>) -> Endpoint {
        Endpoint::new(&self.redis.url(), credentials).expect("valid")
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub async fn create(&self, name: &str) -> ConnectionId {
        let spec = json!({"companyId": COMPANY});
        let object = json!({"apiVersion": "whatsapp-operator.dev/v1alpha1", "kind": "WhatsAppConnection", "metadata": {"name": name}, "spec": spec});
        let connection = serde_json::from_value(object).expect("valid");
        let made: WhatsAppConnection =
            self.api().create(&PostParams::default(), &connection).await.expect("is accepted");
        made.uid().expect("has a UID").parse().expect("is one")
    }

    pub async fn edit(&self, name: &str, spec: serde_json::Value) {
        let patch = Patch::Merge(json!({"spec": spec}));
        self.api::<WhatsAppConnection>().patch(name, &PatchParams::default(), &patch).await.expect("is accepted");
    }

    pub async fn pod(&self, name: &str) -> Pod {
        eventually(SOON, "the pod", async || self.api::<Pod>().get(name).await).await
    }

    /// What a kubelet writes once the probes succeed, or whatever else the test wants it to have written.
    pub async fn kubelet(&self, name: &str, status: serde_json::Value) {
        let patch = Patch::Merge(json!({"status": status}));
        self.api::<Pod>().patch_status(name, &PatchParams::default(), &patch).await.expect("is written");
    }

    pub async fn ready(&self, name: &str) {
        let status = json!({
            "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"name": "session", "ready": true, "restartCount": 0, "image": "", "imageID": ""}],
        });
        self.kubelet(name, status).await;
    }

    /// The session as its pod's Redis user, with the credentials out of the Secret; pod and user are made side by side. An
    /// earlier pod that ended without a word holds the lease for 15 s.
    pub async fn session(&self, id: ConnectionId, name: &str, pod_uid: &str) -> SessionRelay {
        eventually(SOON * 2, "the session to be let in", async || {
            let secret: Secret = self.api().get(&format!("{name}-relay")).await.map_err(|error| error.to_string())?;
            let data = secret.data.unwrap_or_default();
            let text = |key: &str| data.get(key).and_then(|bytes| String::from_utf8(bytes.0.clone()).ok());
            let (user, password) = text("username").zip(text("password")).ok_or("the Secret is not whole")?;
            let credentials = Credentials::new(user, password);
            let mut redis = self.endpoint(Some(&credentials)).connect().expect("lazy");
            match Lease::acquire(&mut redis, id, pod_uid, None).await.map_err(|error| error.to_string())? {
                Acquired::Held(lease) => Ok(SessionRelay::new(redis, id, &lease)),
                Acquired::HeldByOther { left, .. } => Err(format!("held by another for {left:?}")),
            }
        })
        .await
    }

    pub async fn condition(&self, name: &str, kind: &str, status: &str, reason: &str) {
        self.condition_within(SOON, name, kind, status, reason).await;
    }

    pub async fn condition_within(&self, limit: Duration, name: &str, kind: &str, status: &str, reason: &str) {
        let what = format!("{kind}={status} because of {reason}");
        eventually(limit, &what, async || {
            let connection: WhatsAppConnection = self.api().get(name).await.map_err(|error| error.to_string())?;
            let conditions = connection.status.unwrap_or_default().conditions;
            let holds = conditions.iter().any(|c| c.type_ == kind && c.status == status && c.reason == reason);
            if holds { Ok(()) } else { Err(format!("{conditions:#?}")) }
        })
        .await;
    }

    pub async fn known_to_redis(&self) -> usize {
        let redis = self.endpoint(None).connect().expect("lazy");
        OperatorRelay::new(redis).known().await.expect("Redis answers").len()
    }

    pub async fn forgotten_by_redis(&self) {
        eventually(SOON, "Redis to be empty", async || match self.known_to_redis().await {
            0 => Ok(()),
            left => Err(format!("{left} left")),
        })
        .await;
    }
}

/// What a session would say.
pub fn status(state: SessionState, pod_uid: &str) -> SessionStatus {
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

/// Settings for an operator under test.
pub fn settings(redis: &str) -> Settings {
    Settings {
        session: SessionDefaults {
            image: "session:1".to_owned(),
            image_pull_policy: "Never".to_owned(),
            browser_args: String::new(),
            requests: crds::Compute::default(),
            limits: crds::Compute::default(),
            redis: operator::settings::SessionRedis { url: redis.to_owned(), authorities: String::new() },
            log_format: "json".to_owned(),
            collector: None,
        },
        network: SessionNetwork { redis_peers: vec![], redis_port: 6379, metrics_peers: vec![], extra_egress: vec![] },
        redis: Endpoint::new(redis, None).expect("valid"),
        admin_address: ([127, 0, 0, 1], 0).into(),
        log_format: runtime::telemetry::LogFormat::Text,
        collector: None,
        pod_name: "operator-under-test".to_owned(),
        election: operator::leader::Election {
            namespace: None,
            name: "whatsapp-operator".to_owned(),
            // Each start is a process of its own, as far as the election can see.
            identity: runtime::ambient::new_id().to_string(),
        },
        rotation: operator::rotation::Rotation::every(None),
        watch: operator::watch::Bounds::default(),
        fencing_margin: Duration::from_secs(2),
        checking: operator::memory::Checking { when_shut_out: Duration::from_secs(3), ..Default::default() },
    }
}
