//! etcd and a kube-apiserver (`tests/cluster/cluster control-plane`): validation, defaults, CEL, RBAC and watches are the
//! real thing. Nothing else runs (but for [`ControlPlane::start_with_managers`]): no pod starts, nobody collects garbage,
//! and a deleted namespace stays Terminating.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use k8s_openapi::{
    api::core::v1::Namespace, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Config, ResourceExt as _,
    api::{Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use tokio::sync::OnceCell;

use crate::{
    Proxy, eventually, ports,
    server::{Recipe, Server},
};

/// A run of many test processes sets this to the kubeconfig of one control plane for all of them
/// (`tests/harness/with-control-plane`); without it each process starts its own, in 3 s.
const SHARED_KUBECONFIG: &str = "HARNESS_KUBECONFIG";
const ESTABLISHED: Duration = Duration::from_secs(20);

static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();

/// A running API server, shared by many tests: work in namespaces of your own.
pub struct ControlPlane {
    kubeconfig: PathBuf,
    _server: Option<Server>,
}

impl ControlPlane {
    /// The one of this test process, or of the whole run.
    ///
    /// # Panics
    /// See [`ControlPlane::start`].
    pub async fn shared() -> &'static Self {
        SHARED
            .get_or_init(async || match env::var_os(SHARED_KUBECONFIG) {
                Some(path) => Self { kubeconfig: path.into(), _server: None },
                None => Self::start().await,
            })
            .await
    }

    /// One of the test's own, for a test that needs the whole cluster's scope; ended when dropped.
    ///
    /// # Panics
    /// When it does not start; its log says what is missing.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// One with controller manager and scheduler: namespaces end, and what belongs to nothing any more is collected.
    ///
    /// # Panics
    /// See [`ControlPlane::start`].
    pub async fn start_with_managers() -> Self {
        Self::start_with(&["--managers"]).await
    }

    #[expect(clippy::expect_used, reason = "a test without its server has failed")]
    async fn start_with(options: &[&str]) -> Self {
        let directory = tempfile::Builder::new().prefix("harness-cluster-").tempdir().expect("a directory").keep();
        let run = directory.join("run");
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cluster/cluster");
        let mut command = vec![program.display().to_string(), "control-plane".to_owned(), "--foreground".to_owned()];
        command.extend(options.iter().map(|&option| option.to_owned()));
        let mut server = Server::start(Recipe {
            directory: &directory,
            user: None,
            signal: "TERM",
            command,
            environment: vec![
                ("CLUSTER_RUN_DIR", run.display().to_string()),
                ("CLUSTER_PORT", ports::free_block().to_string()),
            ],
        })
        .expect("the control plane starts");
        let log = directory.join("log");
        server
            .ready(async || {
                let text = fs::read_to_string(&log).unwrap_or_default();
                text.contains("control plane up").then_some(()).ok_or_else(|| "not up yet".to_owned())
            })
            .await;
        Self { kubeconfig: run.join("admin.kubeconfig"), _server: Some(server) }
    }

    /// The administrator's kubeconfig, for programs under test.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// What was asked of the API server and by whom, one JSON object a line.
    #[must_use]
    pub fn audit_log(&self) -> PathBuf {
        self.kubeconfig.with_file_name("log").join("audit.log")
    }

    /// The administrator's client. A new one for each test: its connections belong to the test's own runtime.
    ///
    /// # Panics
    /// When the kubeconfig cannot be read.
    #[expect(clippy::expect_used, reason = "a test without its client has failed")]
    pub async fn client(&self) -> Client {
        Client::try_from(self.config().await).expect("a client")
    }

    /// What the administrator's client is made from, for clients that differ in something.
    ///
    /// # Panics
    /// When the kubeconfig cannot be read.
    #[expect(clippy::expect_used, reason = "a test without its client has failed")]
    pub async fn config(&self) -> Config {
        let kubeconfig = Kubeconfig::read_from(&self.kubeconfig).expect("a kubeconfig");
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
        config.expect("a client's configuration")
    }

    /// The same by way of a proxy, and the proxy. The server's certificate holds for 127.0.0.1, whatever the port.
    ///
    /// # Panics
    /// When the kubeconfig cannot be read.
    #[expect(clippy::expect_used, reason = "a test without its client has failed")]
    pub async fn behind_proxy(&self) -> (Config, Proxy) {
        let mut config = self.config().await;
        let proxy = Proxy::start(config.cluster_url.port_u16().expect("a port")).await;
        config.cluster_url = format!("https://{}/", proxy.address()).parse().expect("a URL");
        (config, proxy)
    }

    /// Makes a namespace with these labels, whose name nothing else has, and gives the name.
    ///
    /// # Panics
    /// When the API server refuses.
    #[expect(clippy::expect_used, reason = "a test without its namespace has failed")]
    pub async fn namespace<'a>(&self, client: &Client, labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
        let mut namespace = Namespace::default();
        namespace.metadata.generate_name = Some("test-".to_owned());
        namespace.metadata.labels =
            Some(labels.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect());
        let created = Api::all(client.clone()).create(&PostParams::default(), &namespace).await;
        created.expect("a namespace").name_any()
    }

    /// Applies a custom resource definition and waits until objects of it can be made. Tests may do so side by side.
    ///
    /// # Panics
    /// When the API server refuses it, or does not establish it in time.
    #[expect(clippy::expect_used, reason = "a test without its resource has failed")]
    pub async fn install(&self, client: &Client, definition: &CustomResourceDefinition) {
        let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
        let name = definition.name_any();
        let apply = PatchParams::apply("harness").force();
        definitions.patch(&name, &apply, &Patch::Apply(definition)).await.expect("the definition is accepted");
        eventually(ESTABLISHED, &format!("{name} to be established"), async || {
            let seen = definitions.get(&name).await.map_err(|error| error.to_string())?;
            let conditions = seen.status.and_then(|status| status.conditions).unwrap_or_default();
            let established =
                conditions.iter().any(|condition| condition.type_ == "Established" && condition.status == "True");
            if established { Ok(()) } else { Err(format!("{conditions:?}")) }
        })
        .await;
    }
}
