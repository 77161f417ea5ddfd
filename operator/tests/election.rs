//! Two operators, each the real program, and one Lease. What a user would lose: that one acts when the other is gone, and
//! that never both do.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test without what it stands on has failed")]

mod stage;

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use harness::{Fault, Proxy, eventually};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use stage::{SOON, Stage};

/// What is promised when a leader is lost without a word.
const COLD: Duration = Duration::from_secs(20);
/// What is promised when it ends in order.
const ORDERLY: Duration = Duration::from_secs(5);

/// One operator as a process. The API server knows it by a user of its own, so that the audit log tells the two apart.
struct Replica {
    name: &'static str,
    process: Child,
    admin: u16,
}

impl Replica {
    fn start(stage: &Stage, name: &'static str, redis: String) -> Self {
        let admin = harness::free_block();
        let process = Command::new(env!("CARGO_BIN_EXE_operator"))
            .env("KUBECONFIG", kubeconfig(stage, name))
            .envs([("REDIS_URL", redis), ("SESSION_IMAGE", "session:1".to_owned())])
            .envs([("POD_NAME", name), ("POD_UID", "1"), ("LOG_FORMAT", "text")])
            .envs([("POD_NAMESPACE", "default".to_owned()), ("ADMIN_ADDRESS", format!("127.0.0.1:{admin}"))])
            .kill_on_drop(true)
            .spawn()
            .expect("starts");
        Self { name, process, admin }
    }

    fn signal(&self, signal: Signal) {
        let id = self.process.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw).expect("runs");
        kill_process(id, signal).expect("is there");
    }

    /// What the readiness probe hears.
    async fn ready(&self) -> Result<(), String> {
        let exchange = async {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.admin)).await?;
            stream.write_all(b"GET /ready HTTP/1.0\r\n\r\n").await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            Ok::<_, std::io::Error>(answer)
        };
        match exchange.await {
            Ok(answer) if answer.starts_with("HTTP/1.0 200") => Ok(()),
            Ok(answer) => Err(answer),
            Err(error) => Err(error.to_string()),
        }
    }

    fn identity(&self) -> String {
        format!("{}_1", self.name)
    }
}

/// The administrator's, acting as another user with the same rights.
fn kubeconfig(stage: &Stage, name: &str) -> PathBuf {
    let own = fs::read_to_string(stage.plane.kubeconfig()).expect("is there");
    let mut config: Value = serde_saphyr::from_str(&own).expect("is YAML");
    let user = &mut config["users"][0]["user"];
    user["as"] = name.into();
    user["as-groups"] = serde_json::json!(["system:masters"]);
    let path = stage.plane.kubeconfig().with_file_name(format!("{name}.kubeconfig"));
    fs::write(&path, config.to_string()).expect("is written");
    path
}

async fn leads(stage: &Stage, replica: &Replica, within: Duration) -> Duration {
    let (began, leases) = (Instant::now(), Api::<Lease>::namespaced(stage.client.clone(), "default"));
    eventually(within, &format!("{} to lead", replica.name), async || {
        let lease = leases.get("whatsapp-operator").await.map_err(|error| error.to_string())?;
        match lease.spec.and_then(|spec| spec.holder_identity) {
            Some(holder) if holder == replica.identity() => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    began.elapsed()
}

async fn makes_a_pod(stage: &Stage, name: &str, within: Duration) {
    stage.create(name).await;
    eventually(within, &format!("the pod {name}"), async || stage.api::<Pod>().get(name).await).await;
}

/// What one replica has asked of the API server so far, as that noted it: verb and resource.
fn requests(stage: &Stage, by: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(stage.plane.audit_log()).expect("is there");
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    lines
        .filter(|line| line["impersonatedUser"]["username"] == by)
        .map(|line| (word(&line["verb"]), word(&line["objectRef"]["resource"])))
        .collect()
}

fn looks_at_the_lease(stage: &Stage, by: &str) -> usize {
    requests(stage, by).iter().filter(|(verb, resource)| verb == "get" && resource == "leases").count()
}

fn writes(stage: &Stage, by: &str) -> Vec<(String, String)> {
    let reads = ["get", "list", "watch"];
    let all = requests(stage, by).into_iter();
    all.filter(|(verb, resource)| !reads.contains(&verb.as_str()) && resource != "leases").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_acts_another_takes_over_and_who_was_deposed_writes_nothing() {
    let stage = Stage::without_operator().await;
    let first = Replica::start(&stage, "first", stage.redis.url());
    leads(&stage, &first, SOON).await;
    makes_a_pod(&stage, "one", SOON).await;
    let one = stage.pod("one").await.uid();

    let way = Proxy::start(stage.redis.port()).await;
    let mut second = Replica::start(&stage, "second", format!("redis://{}/", way.address()));
    eventually(SOON, "a standby to be ready", async || second.ready().await).await;
    eventually(SOON, "a standby to look at the lease", async || match looks_at_the_lease(&stage, "second") {
        0 => Err("not yet"),
        _ => Ok(()),
    })
    .await;
    assert!(writes(&stage, "second").is_empty(), "a standby writes nothing");

    // Stopped in the middle of whatever it does, as a node that is out of memory or a hypervisor does it.
    first.signal(Signal::STOP);
    let cold = leads(&stage, &second, COLD).await;
    makes_a_pod(&stage, "two", ORDERLY).await;

    // What tempts the one that was stopped: a connection that it sees without a pod, while it believes to lead. The one that
    // leads is stopped meanwhile, for less than its lease lasts, or it would be faster and nothing left to do.
    let (written, looked) = (writes(&stage, "first"), looks_at_the_lease(&stage, "first"));
    second.signal(Signal::STOP);
    stage.create("three").await;
    first.signal(Signal::CONT);
    eventually(SOON, "the deposed leader to have looked around", async || {
        let looks = looks_at_the_lease(&stage, "first") - looked;
        if looks >= 3 { Ok(()) } else { Err(format!("{looks} looks at the lease")) }
    })
    .await;
    assert_eq!(writes(&stage, "first"), written, "a deposed leader writes nothing");
    second.signal(Signal::CONT);
    stage.pod("three").await;
    assert_eq!(writes(&stage, "first"), written, "and leaves it to the one that leads");

    // In the middle of something that does not come to its end.
    way.set(Fault::Hang);
    makes_a_pod(&stage, "busy", SOON).await;
    second.signal(Signal::TERM);
    let orderly = leads(&stage, &first, ORDERLY).await;
    assert!(second.process.wait().await.expect("ends").success(), "an orderly end");
    makes_a_pod(&stage, "four", ORDERLY).await;
    assert_eq!(stage.pod("one").await.uid(), one, "a change of leaders restarts nobody");
    println!("took over: {cold:?} cold, {orderly:?} in order");
}
