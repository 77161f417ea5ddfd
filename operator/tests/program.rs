//! The program itself, as its container starts it, against a real API server and a real Redis.
#![expect(clippy::expect_used, reason = "a test without what it stands on has failed")]

use std::process::Stdio;
use std::time::Duration;

use crds::{COMPANY_LABEL, WhatsAppConnection};
use harness::{Clock, Collector, ControlPlane, Redis, eventually, http_get};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client, CustomResourceExt};
use runtime::metrics::undeclared;
use serde_json::json;

/// The census counts every 15 s.
const SOON: Duration = Duration::from_secs(40);

/// A cluster with one connection, a Redis, and the program.
struct Stage {
    client: Client,
    namespace: String,
    admin: u16,
    log: tempfile::NamedTempFile,
    _all: (ControlPlane, Redis, tokio::process::Child),
}

impl Stage {
    async fn new(annotations: serde_json::Value, environment: &[(&str, &str)]) -> Self {
        // One of its own: an operator looks at the whole cluster.
        let plane = ControlPlane::start().await;
        let client = plane.client().await;
        plane.install(&client, &WhatsAppConnection::crd()).await;
        let namespace = plane.namespace(&client, [(COMPANY_LABEL, "acme")]).await;
        let api: Api<WhatsAppConnection> = Api::namespaced(client.clone(), &namespace);
        api.create(&PostParams::default(), &connection("sales", &annotations)).await.expect("is accepted");

        let (redis, admin) = (Redis::start().await, harness::free_block());
        let log = tempfile::NamedTempFile::new().expect("a log");
        let program = tokio::process::Command::new(env!("CARGO_BIN_EXE_operator"))
            .kill_on_drop(true)
            .env_clear()
            .env("KUBECONFIG", plane.kubeconfig())
            .env("REDIS_URL", redis.url())
            .env("SESSION_IMAGE", "session:1")
            .env("ADMIN_ADDRESS", format!("127.0.0.1:{admin}"))
            .envs(environment.iter().copied())
            .stderr(Stdio::from(log.reopen().expect("a log")))
            .spawn()
            .expect("starts");
        Self { client, namespace, admin, log, _all: (plane, redis, program) }
    }
}

/// A test that failed shows what the program said.
impl Drop for Stage {
    #[expect(clippy::print_stderr, reason = "it is for whoever reads the test's output")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", std::fs::read_to_string(self.log.path()).unwrap_or_default());
        }
    }
}

fn connection(name: &str, annotations: &serde_json::Value) -> WhatsAppConnection {
    let object = json!({"apiVersion": "whatsapp-operator.dev/v1alpha1", "kind": "WhatsAppConnection",
        "metadata": {"name": name, "annotations": annotations}, "spec": {"companyId": "acme"}});
    serde_json::from_value(object).expect("a connection")
}

/// What would be lost: alerts. They are made of these metrics, whose names and words are promised.
#[tokio::test(flavor = "multi_thread")]
async fn its_metrics_say_where_connections_stand_and_hold_nothing_undeclared() {
    let stage = Stage::new(json!({}), &[]).await;
    let line = "whatsapp_operator_connections{condition=\"Ready\",reason=\"Starting\"} 1";
    let metrics = eventually(SOON, line, async || {
        let metrics = http_get(stage.admin, "/metrics").await.map_err(|error| error.to_string())?;
        if metrics.lines().any(|shown| shown == line) { Ok(metrics) } else { Err(metrics) }
    })
    .await;
    assert_eq!(undeclared(operator::metrics::ALL, &metrics), Vec::<String>::new());
    for line in ["whatsapp_operator_pods_created_total 1", "whatsapp_operator_ready 1"] {
        assert!(metrics.lines().any(|shown| shown == line), "{line} is missing in\n{metrics}");
    }
}

/// What would be lost: whatever collects logs and reads them as JSON, each line for itself; and people who asked for text.
#[tokio::test(flavor = "multi_thread")]
async fn its_log_is_json_line_by_line_or_text() {
    let (json, text) = tokio::join!(Stage::new(json!({}), &[]), Stage::new(json!({}), &[("LOG_FORMAT", "text")]));
    for (stage, is_json) in [(json, true), (text, false)] {
        let log = eventually(SOON, "the pod to be told", async || match std::fs::read_to_string(stage.log.path()) {
            Ok(log) if log.contains("pod made") && log.ends_with('\n') => Ok(log),
            other => Err(format!("{other:?}")),
        })
        .await;
        for line in log.lines() {
            let read = serde_json::from_str::<serde_json::Value>(line);
            let whole =
                read.is_ok_and(|line| ["timestamp", "level", "message"].iter().all(|key| line.get(key).is_some()));
            assert_eq!(whole, is_json, "{line}");
        }
    }
}

/// What would be lost: sessions, for as long as the clock of the operator's node was wrong, when it is put right.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_by_an_hour_holds_nothing_up() {
    let folder = tempfile::tempdir().expect("folder");
    let clock = Clock::new(folder.path());
    // Ahead, or the certificates of a cluster that was just made would not be valid yet.
    clock.set("+1h");
    let environment = clock.environment();
    let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    let stage = Stage::new(json!({}), &environment).await;
    let pods: Api<Pod> = Api::namespaced(stage.client.clone(), &stage.namespace);
    let connections: Api<WhatsAppConnection> = Api::namespaced(stage.client.clone(), &stage.namespace);
    let made = async |name: &str, not: Option<String>| {
        let look = async || match pods.get(name).await {
            Ok(pod) if pod.metadata.uid != not => Ok(pod.metadata.uid),
            other => Err(format!("{other:?}")),
        };
        eventually(SOON, &format!("the pod of {name}"), look).await
    };
    let mut last = made("sales", None).await;
    for (jump, name) in [("+2h", "ahead"), ("+1h", "back"), ("+0", "right")] {
        clock.set(jump);
        pods.delete("sales", &DeleteParams::default().grace_period(0)).await.expect("is deleted");
        last = made("sales", last).await;
        connections.create(&PostParams::default(), &connection(name, &json!({}))).await.expect("is accepted");
        made(name, None).await;
    }
    // Four for the first connection, one for each of the others, and none twice.
    eventually(SOON, "seven pods", async || {
        let metrics = http_get(stage.admin, "/metrics").await.map_err(|error| error.to_string())?;
        let made = metrics.lines().find_map(|line| line.strip_prefix("whatsapp_operator_pods_created_total "));
        if made == Some("7") { Ok(()) } else { Err(format!("{made:?}")) }
    })
    .await;
}

/// What would be lost: the way from a request to the pod that was made for it.
#[tokio::test(flavor = "multi_thread")]
async fn the_trace_of_a_connection_goes_on_in_its_pod() {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let collector = Collector::start().await;
    let annotations = json!({crds::TRACE_ANNOTATION: format!("00-{TRACE}-00f067aa0ba902b7-01")});
    let stage = Stage::new(annotations, &[("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())]).await;
    let pods: Api<Pod> = Api::namespaced(stage.client.clone(), &stage.namespace);
    let pod = eventually(SOON, "the pod", async || pods.get("sales").await.map_err(|error| error.to_string())).await;
    let environment = pod.spec.clone().expect("a spec").containers.remove(0).env.expect("variables");
    let value = |name: &str| environment.iter().find(|variable| variable.name == name)?.value.clone();
    assert_eq!(value("OTEL_EXPORTER_OTLP_ENDPOINT").as_deref(), Some(collector.url()));
    let handed_on = value("TRACEPARENT").expect("a trace");
    // Its access, its claim and the pod itself may each have been made in a pass of their own.
    let spans = eventually(SOON, "the span that made the pod", async || {
        let spans = collector.trace(TRACE);
        let made_it = spans.iter().any(|span| handed_on == format!("00-{TRACE}-{}-01", span.id));
        if made_it { Ok(spans) } else { Err(format!("{handed_on} is of none of {spans:?}")) }
    })
    .await;
    for span in spans {
        assert_eq!((span.service.as_str(), span.name.as_str()), ("whatsapp-operator", "apply"));
        assert_eq!(span.parent, "00f067aa0ba902b7");
    }

    let connections: Api<WhatsAppConnection> = Api::namespaced(stage.client.clone(), &stage.namespace);
    eventually(SOON, "the spec to be answered", async || match connections.get_status("sales").await {
        Ok(sales) if sales.status.as_ref().is_some_and(|s| s.observed_generation == sales.metadata.generation) => {
            Ok(())
        }
        other => Err(format!("{other:?}")),
    })
    .await;
    // A pod that is made for one that was killed belongs to nobody's request.
    pods.delete("sales", &DeleteParams::default().grace_period(0)).await.expect("is deleted");
    let another = eventually(SOON, "another pod", async || match pods.get("sales").await {
        Ok(another) if another.metadata.uid != pod.metadata.uid => Ok(another),
        other => Err(format!("{other:?}")),
    })
    .await;
    let environment = another.spec.expect("a spec").containers.remove(0).env.expect("variables");
    assert!(
        !environment.iter().any(|v| v.value.as_deref().is_some_and(|value| value.contains(TRACE))),
        "{environment:?}"
    );
}
