//! The operator's settings: environment variables or flags, judged together at start-up.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use crds::Compute;
use jiff::SignedDuration;
use k8s_openapi::api::networking::v1::{NetworkPolicyEgressRule, NetworkPolicyPeer};
use relay::{Credentials, Endpoint};
use runtime::otlp::Collector;
use runtime::settings::{Complaints, RedisArguments, RedisSettings, ServerArguments};
use runtime::telemetry::LogFormat;
use serde::de::DeserializeOwned;

use crate::leader::Election;
use crate::rotation::Rotation;
use crate::watch::Bounds;

/// Runs WhatsApp accounts as session pods.
#[derive(Parser, Debug)]
#[command(version)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RawSettings,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Reconcile (what happens without a subcommand, too).
    Run,
    /// Print the custom resource definitions as YAML.
    Crd,
}

/// What the command line asks for.
#[derive(Debug)]
pub enum Task {
    /// Reconcile until told to stop.
    Run(Box<RawSettings>),
    /// Print the definitions and end.
    PrintDefinitions,
}

impl Arguments {
    /// The task that the command line names.
    #[must_use]
    pub fn task(self) -> Task {
        match self.command {
            Some(Command::Crd) => Task::PrintDefinitions,
            Some(Command::Run) | None => Task::Run(Box::new(self.run)),
        }
    }
}

/// The settings as given, all text, so that every mistake in them can be told at once.
#[derive(Args, Debug)]
pub struct RawSettings {
    /// Image of the session pods.
    #[arg(long, env = "SESSION_IMAGE", default_value = "")]
    session_image: String,
    /// When a node pulls it: Always, `IfNotPresent` or Never.
    #[arg(long, env = "SESSION_IMAGE_PULL_POLICY", default_value = "IfNotPresent")]
    session_image_pull_policy: String,
    /// Arguments for the browser besides the session's own, separated by newlines.
    #[arg(long, env = "SESSION_BROWSER_ARGS", default_value = "--no-sandbox", allow_hyphen_values = true)]
    session_browser_args: String,
    /// CPU and memory of a session where its connection says nothing, as JSON or YAML `{requests: {…}, limits: {…}}`.
    #[arg(
        long,
        env = "SESSION_RESOURCES",
        default_value = "{requests: {cpu: 100m, memory: 512Mi}, limits: {memory: 1536Mi}}"
    )]
    session_resources: String,
    /// Where session pods reach Redis, as JSON or YAML list of `NetworkPolicyPeer`.
    #[arg(long, env = "SESSION_REDIS_PEERS", default_value = "[]")]
    session_redis_peers: String,
    /// Who may read the session pods' metrics, as JSON or YAML list of `NetworkPolicyPeer`.
    #[arg(long, env = "SESSION_METRICS_PEERS", default_value = "[]")]
    session_metrics_peers: String,
    /// What else session pods may reach, as JSON or YAML list of `NetworkPolicyEgressRule`.
    #[arg(long, env = "SESSION_EXTRA_EGRESS", default_value = "[]")]
    session_extra_egress: String,
    /// Age at which a session's Redis password is replaced, such as 720h, at least 1h; or never.
    #[arg(long, env = "SESSION_CREDENTIALS_ROTATE_EVERY", default_value = "720h")]
    session_credentials_rotate_every: String,
    #[command(flatten)]
    redis: RedisArguments,
    #[command(flatten)]
    server: ServerArguments,
    /// Name of this pod, for Events.
    #[arg(long, env = "POD_NAME", default_value = "whatsapp-operator")]
    pod_name: String,
    /// UID of this pod, which tells it apart from all others in the election; unset means one of its own for each start.
    #[arg(long, env = "POD_UID")]
    pod_uid: Option<String>,
    /// Where the Lease of the election is; unset means the namespace of this pod.
    #[arg(long, env = "POD_NAMESPACE")]
    pod_namespace: Option<String>,
    /// Name of that Lease: the same for all replicas of one installation, and another for each installation.
    #[arg(long, env = "LEASE_NAME", default_value = "whatsapp-operator")]
    lease_name: String,
}

/// What every session pod is made with, besides its connection's spec.
#[derive(Debug, Clone)]
pub struct SessionDefaults {
    /// Image of the container.
    pub image: String,
    /// When it is pulled.
    pub image_pull_policy: String,
    /// Extra arguments for the browser, separated by newlines.
    pub browser_args: String,
    /// CPU and memory to ask for.
    pub requests: Compute,
    /// CPU and memory at most.
    pub limits: Compute,
    /// Redis.
    pub redis: SessionRedis,
    /// json or text, as the operator's own.
    pub log_format: String,
    /// Where traces go, as the operator's own.
    pub collector: Option<Collector>,
}

/// Where session pods find Redis. Who they are there stands in their Secrets.
#[derive(Debug, Clone)]
pub struct SessionRedis {
    /// The URL, without credentials.
    pub url: String,
    /// Who may have signed its certificate (PEM); empty means public authorities.
    pub authorities: String,
}

/// What the session pods of every company may reach and be reached by.
#[derive(Debug, Clone)]
pub struct SessionNetwork {
    /// Redis.
    pub redis_peers: Vec<NetworkPolicyPeer>,
    /// Redis' port.
    pub redis_port: i32,
    /// Prometheus.
    pub metrics_peers: Vec<NetworkPolicyPeer>,
    /// Whatever else was configured.
    pub extra_egress: Vec<NetworkPolicyEgressRule>,
}

/// The settings, ready for use.
#[derive(Debug, Clone)]
pub struct Settings {
    /// For pods.
    pub session: SessionDefaults,
    /// For network policies.
    pub network: SessionNetwork,
    /// Redis, with the operator's own credentials.
    pub redis: Endpoint,
    /// Where the admin server listens.
    pub admin_address: SocketAddr,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Where traces go.
    pub collector: Option<Collector>,
    /// This pod.
    pub pod_name: String,
    /// Who of the replicas acts.
    pub election: Election,
    /// When sessions get another Redis password.
    pub rotation: Rotation,
    /// How long a watch may be silent.
    pub watch: Bounds,
    /// What a pod that is to be taken away by force gets besides its grace.
    pub fencing_margin: Duration,
    /// How often the Secret of a session is looked at.
    pub checking: crate::memory::Checking,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Amounts {
    #[serde(default)]
    requests: Compute,
    #[serde(default)]
    limits: Compute,
}

impl RawSettings {
    /// The settings, or everything that is wrong with them.
    pub fn validate(self) -> Result<Settings, Complaints> {
        let mut complaints = Complaints::default();
        complaints.require("SESSION_IMAGE", !self.session_image.is_empty(), "must name the image of the session pods");
        complaints.require(
            "SESSION_IMAGE_PULL_POLICY",
            ["Always", "IfNotPresent", "Never"].contains(&self.session_image_pull_policy.as_str()),
            "must be Always, IfNotPresent or Never",
        );
        let amounts: Option<Amounts> = complaints.check("SESSION_RESOURCES", yaml(&self.session_resources));
        let redis_peers = complaints.check("SESSION_REDIS_PEERS", yaml(&self.session_redis_peers));
        let metrics_peers = complaints.check("SESSION_METRICS_PEERS", yaml(&self.session_metrics_peers));
        let extra_egress = complaints.check("SESSION_EXTRA_EGRESS", yaml(&self.session_extra_egress));
        let every = rotation_period(&self.session_credentials_rotate_every);
        let every = complaints.check("SESSION_CREDENTIALS_ROTATE_EVERY", every);
        let (session_redis, redis) = redis(&self.redis, &mut complaints).unzip();
        let redis_port = redis.as_ref().and_then(|redis| {
            complaints.check(
                "REDIS_URL",
                port_of(&redis.address()).ok_or("must name a host and a port, for session pods to reach"),
            )
        });
        let admin_address = self.server.admin_address(&mut complaints);
        let log_format = self.server.log_format(&mut complaints);
        let collector = self.server.collector(&mut complaints);
        let all = (|| {
            let Amounts { requests, limits } = amounts?;
            let redis = redis?;
            let session = SessionDefaults {
                image: self.session_image,
                image_pull_policy: self.session_image_pull_policy,
                browser_args: self.session_browser_args,
                requests,
                limits,
                redis: session_redis?,
                log_format: log_format?.to_string(),
                collector: collector.clone()?,
            };
            let network = SessionNetwork {
                redis_peers: redis_peers?,
                redis_port: redis_port?,
                metrics_peers: metrics_peers?,
                extra_egress: extra_egress?,
            };
            let (admin_address, log_format, pod_name) = (admin_address?, log_format?, self.pod_name);
            let uid = self.pod_uid.unwrap_or_else(|| runtime::ambient::new_id().to_string());
            let identity = format!("{pod_name}_{uid}");
            let election = Election { namespace: self.pod_namespace, name: self.lease_name, identity };
            let watch = Bounds::default();
            let rotation = Rotation::every(every?);
            let fencing_margin = crate::connection::fencing::MARGIN;
            Some(Settings {
                session,
                network,
                redis,
                admin_address,
                log_format,
                collector: collector?,
                pod_name,
                election,
                rotation,
                watch,
                fencing_margin,
                checking: crate::memory::Checking::default(),
            })
        })();
        complaints.into_result(all)
    }
}

/// What session pods are told, and the endpoint for ourselves.
fn redis(arguments: &RedisArguments, complaints: &mut Complaints) -> Option<(SessionRedis, Endpoint)> {
    let RedisSettings { url, login, authorities } = arguments.read(complaints)?;
    complaints.require("REDIS_CA", authorities.len() <= LARGEST_AUTHORITIES, "must not be larger than 64 KiB");
    let trusted = complaints.check("REDIS_CA", authorities.parse());
    // A URL with credentials would be copied into every session pod.
    complaints.require("REDIS_URL", !url.contains('@'), "must not hold credentials; use REDIS_PASSWORD_FILE");
    let credentials = login.map(|(user, password)| Credentials::new(user, password));
    let endpoint = complaints.check("REDIS_URL", Endpoint::new(&url, credentials.as_ref()))?;
    let endpoint = complaints.check("REDIS_CA", endpoint.trusting(trusted?))?;
    Some((SessionRedis { url, authorities }, endpoint))
}

/// It stands in every session pod, as a variable of its environment, of which none may be larger than 128 KiB.
const LARGEST_AUTHORITIES: usize = 64 * 1024;

/// JSON is YAML, so one reader serves both.
fn yaml<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_saphyr::from_str(text).map_err(|error| error.to_string())
}

/// Shorter than this, and the overlap of two passwords would be most of the time.
const SHORTEST_PERIOD: Duration = Duration::from_hours(1);

fn rotation_period(text: &str) -> Result<Option<Duration>, &'static str> {
    if text == "never" {
        return Ok(None);
    }
    let period = text.parse::<SignedDuration>().ok().and_then(|period| Duration::try_from(period).ok());
    period.filter(|period| *period >= SHORTEST_PERIOD).map(Some).ok_or("must be a duration of at least 1h, or never")
}

fn port_of(address: &str) -> Option<i32> {
    address.rsplit_once(':')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Settings, Complaints> {
        let all = std::iter::once("operator").chain(arguments.iter().copied());
        match Arguments::try_parse_from(all).expect("known flags").task() {
            Task::Run(settings) => settings.validate(),
            Task::PrintDefinitions => panic!("not asked for"),
        }
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let wrong = parse(&[
            "--redis-url=redis://user:secret@redis/",
            "--log-format=xml",
            "--session-resources={cpu: 1}",
            "--session-credentials-rotate-every=5m",
        ]);
        let complaints = wrong.expect_err("five settings are wrong");
        for name in
            ["SESSION_IMAGE", "SESSION_RESOURCES", "SESSION_CREDENTIALS_ROTATE_EVERY", "REDIS_URL", "LOG_FORMAT"]
        {
            assert!(
                complaints.all().iter().any(|c| c.starts_with(name)),
                "{name} is not complained of: {complaints:?}"
            );
        }
        assert!(!format!("{complaints:?}").contains("secret"));
    }

    #[test]
    fn peers_and_rules_are_read_as_kubernetes_writes_them() {
        let settings = parse(&[
            "--session-image=session:1",
            "--redis-url=redis://redis:6380/",
            r#"--session-redis-peers=[{"podSelector": {"matchLabels": {"app": "redis"}}}]"#,
            "--session-extra-egress=[{to: [{ipBlock: {cidr: 10.0.0.0/8}}], ports: [{port: 443}]}]",
        ]);
        let network = settings.expect("all is right").network;
        assert_eq!((network.redis_port, network.redis_peers.len(), network.extra_egress.len()), (6380, 1, 1));
    }
}
