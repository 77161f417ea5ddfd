//! A replica as a process of its own, which can be killed, paused and asked to end.

use std::process::{Command, ExitStatus, Stdio};

use harness::{ControlPlane, eventually};
use tokio::process::Child;

use crate::http::Caller;
use crate::world::{SECRET, SOON, World};

pub struct Replica {
    process: Child,
    admin: Caller,
    /// Where it serves.
    pub base: String,
}

impl Replica {
    /// A running one that is ready, with more of an environment than it needs.
    pub async fn start(world: &World, environment: &[(&str, &str)]) -> Self {
        let replica = Self::begin(world, environment).await;
        replica.ready().await;
        replica
    }

    pub async fn begin(world: &World, environment: &[(&str, &str)]) -> Self {
        let shown = std::env::var_os("REPLICA_LOG").is_some();
        Self::logging_to(if shown { Stdio::inherit() } else { Stdio::null() }, world, environment).await
    }

    /// The same, with its log elsewhere.
    pub async fn logging_to(log: Stdio, world: &World, environment: &[(&str, &str)]) -> Self {
        // Not ports that the kernel gives to outgoing connections: one of those can be taken before the program binds it.
        let port = harness::free_block();
        let admin = port + 1;
        // A measurement brings an optimised one.
        let program = std::env::var_os("API_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_api").into());
        let process = tokio::process::Command::new(program)
            .kill_on_drop(true)
            .env_clear()
            .env("DATABASE_URL", &world.database_url)
            .env("REDIS_URL", world.redis.url())
            .env("JWT_SECRET", SECRET)
            .env("PORT", port.to_string())
            .env("ADMIN_ADDRESS", format!("127.0.0.1:{admin}"))
            .env("KUBECONFIG", ControlPlane::shared().await.kubeconfig())
            .env("LOG_FORMAT", "text")
            .env("DRAIN_SECONDS", "0")
            .envs(environment.iter().copied())
            .stderr(log)
            .spawn()
            .unwrap();
        let admin = Caller::new(&format!("http://127.0.0.1:{admin}"), None);
        Self { process, admin, base: format!("http://127.0.0.1:{port}") }
    }

    pub async fn ready(&self) {
        eventually(SOON, "the replica to be ready", async || self.readiness().await).await;
    }

    /// Ok when it is ready, or what is missing.
    pub async fn readiness(&self) -> Result<(), String> {
        let answer = self.admin.try_send("GET", "/ready", &[], "").await.map_err(|error| format!("{error:?}"))?;
        if answer.status.is_success() { Ok(()) } else { Err(answer.text()) }
    }

    /// All of `/metrics`.
    pub async fn metrics(&self) -> String {
        self.admin.get("/metrics").await.text()
    }

    /// The sum of a metric over all its labels.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = self.metrics().await;
        let of_it = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        text.lines().filter(of_it).filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.process.id().expect("it runs")
    }

    /// Without a word: SIGKILL.
    pub async fn kill(&mut self) {
        self.process.kill().await.unwrap();
    }

    /// SIGTERM, SIGSTOP or SIGCONT.
    pub fn signal(&self, name: &str) {
        assert!(Command::new("kill").args(["-s", name, &self.id().to_string()]).status().unwrap().success());
    }

    pub async fn ended(&mut self) -> ExitStatus {
        eventually(SOON, "the replica to end", async || match self.process.try_wait().unwrap() {
            Some(status) => Ok(status),
            None => Err("it runs"),
        })
        .await
    }

    pub fn is_running(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }
}

/// Of two replicas the one that owns the connection first, then the other. The owner has read its first events.
pub async fn by_ownership(replicas: [Replica; 2]) -> [Replica; 2] {
    let [one, other] = replicas;
    let owner = eventually(SOON, "one replica to read events", async || {
        let read = (one.metric("whatsapp_api_events_total").await, other.metric("whatsapp_api_events_total").await);
        match read {
            (a, b) if (a > 0.0) != (b > 0.0) => Ok(a > 0.0),
            _ => Err(format!("{read:?}")),
        }
    })
    .await;
    if owner { [one, other] } else { [other, one] }
}
