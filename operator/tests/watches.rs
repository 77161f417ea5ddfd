//! What happens to the operator's watches when the way to the API server fails, shown against a real API server behind a
//! proxy. The bounds are shortened; their proportions are those of production.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test without what it stands on has failed")]

mod stage;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crds::WhatsAppConnection;
use harness::{Busy, Fault, Proxy, eventually};
use http::{Method, Request, Response, StatusCode};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::client::Body;
use kube::{Api, Client, ResourceExt};
use operator::watch::Bounds;
use serde_json::{Value, json};
use tower::{BoxError, service_fn};

use stage::{SOON, Stage};

const BOUNDS: Bounds = Bounds { watch_seconds: 2, answer: Duration::from_secs(2), stale: Duration::from_secs(5) };

/// A connection that hears nothing for so long is given up.
const SILENCE: Duration = Duration::from_secs(3);

/// How long an outage lasts that is not over when somebody notices it.
const OUTAGE: Duration = Duration::from_mins(1);

/// An outage costs its own length, the bound that ends a dead connection, and a backoff that has grown to a minute meanwhile.
const RECOVERY: Duration = Duration::from_secs(75);

/// An operator in step, with one connection.
async fn behind_proxy(silence: Duration) -> (Stage, Proxy) {
    let mut stage = Stage::without_operator().await;
    let (config, proxy) = stage.plane.behind_proxy().await;
    stage.settings.watch = BOUNDS;
    stage.start_operator_with(operator::client::from(config, silence).expect("a client"));
    stage.create("before").await;
    stage.pod("before").await;
    (stage, proxy)
}

/// What the liveness probe complains of.
fn complaints(stage: &Stage) -> String {
    stage.health.stopped(Instant::now()).join("; ")
}

async fn liveness_fails(stage: &Stage) {
    eventually(SOON, "liveness to fail", async || match complaints(stage) {
        complaints if complaints.contains("watches") => Ok(()),
        complaints => Err(complaints),
    })
    .await;
}

async fn gone(stage: &Stage, name: &str, left: usize) {
    stage.api::<WhatsAppConnection>().delete(name, &DeleteParams::default()).await.expect("is deleted");
    eventually(RECOVERY, "Redis to forget it", async || match stage.known_to_redis().await {
        known if known == left => Ok(()),
        known => Err(known),
    })
    .await;
}

/// What an operator in step does: it makes the pod of a new connection, clears up after a deleted one, and is alive.
async fn in_step_again(stage: &Stage) {
    let others = stage.known_to_redis().await;
    stage.create("after").await;
    eventually(RECOVERY, "the pod of a new connection", async || stage.api::<Pod>().get("after").await).await;
    // Made beside the pod.
    eventually(RECOVERY, "its Redis user", async || match stage.known_to_redis().await {
        known if known == others + 1 => Ok(()),
        known => Err(known),
    })
    .await;
    gone(stage, "after", others).await;
    eventually(RECOVERY, "every watch to be alive", async || match complaints(stage) {
        none if none.is_empty() => Ok(()),
        complaints => Err(complaints),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_hangs_is_noticed_and_caught_up_with() {
    let (stage, proxy) = behind_proxy(SILENCE).await;
    proxy.set(Fault::Hang);
    stage.create("during").await;
    liveness_fails(&stage).await;
    proxy.set(Fault::None);
    eventually(RECOVERY, "what was made meanwhile", async || stage.api::<Pod>().get("during").await).await;
    gone(&stage, "during", 1).await;
    in_step_again(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_died_silently_is_noticed_and_made_again() {
    // Without the client's own bound the watch is left to what kube does: it gives up 5 s after the server should have.
    let (stage, proxy) = behind_proxy(Duration::from_mins(5)).await;
    proxy.set(Fault::Forget);
    stage.create("during").await;
    liveness_fails(&stage).await;
    eventually(RECOVERY, "what was made meanwhile", async || stage.api::<Pod>().get("during").await).await;
    gone(&stage, "during", 1).await;
    in_step_again(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_reset_for_a_minute_do_no_harm() {
    let (stage, proxy) = behind_proxy(SILENCE).await;
    let begun = Instant::now();
    proxy.set(Fault::Reset);
    stage.create("during").await;
    liveness_fails(&stage).await;
    tokio::time::sleep_until((begun + OUTAGE).into()).await;
    proxy.set(Fault::None);
    eventually(RECOVERY, "what was made meanwhile", async || stage.api::<Pod>().get("during").await).await;
    gone(&stage, "during", 1).await;
    in_step_again(&stage).await;
}

/// How many pods the API server made for the operator.
fn pods_made(stage: &Stage) -> usize {
    let log = fs::read_to_string(stage.plane.audit_log()).expect("is there");
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines
        .filter(|line| line["userAgent"].as_str().is_some_and(|agent| agent.starts_with("whatsapp-operator/")))
        .filter(|line| line["verb"] == "create" && line["objectRef"]["resource"] == "pods")
        .filter(|line| line["responseStatus"]["code"] == 201)
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_refuses_for_a_minute_makes_everything_later_and_nothing_twice() {
    let mut stage = Stage::without_operator().await;
    let client = operator::client::from(stage.plane.config().await, SILENCE * 10).expect("a client");
    let busy = Busy::default();
    stage.start_operator_with(busy.client(client, "/leases"));
    stage.create("before").await;
    let before = stage.pod("before").await.uid();

    let begun = Instant::now();
    busy.set(true);
    stage.create("during").await;
    // It tries the lease once a second: refused for longer than a leader may go without.
    eventually(SOON * 3, "the leadership to lapse", async || match busy.refused() {
        enough if enough >= 12 => Ok(()),
        few => Err(few),
    })
    .await;
    tokio::time::sleep_until((begun + OUTAGE).into()).await;
    busy.set(false);
    eventually(RECOVERY, "what was made meanwhile", async || stage.api::<Pod>().get("during").await).await;
    in_step_again(&stage).await;

    assert_eq!(stage.pod("before").await.uid(), before, "a refusal ends no pod");
    assert_eq!(pods_made(&stage), 3, "a pod for each connection, and no other");
}

/// A client through which the answer to the `nth` pod that is made comes only once something was done to that pod, and the
/// watches had time to see both.
fn meddling<F>(client: Client, nth: usize, meddle: impl Fn() -> F + Clone + Send + 'static) -> Client
where
    F: Future<Output = ()> + Send,
{
    let made = Arc::new(AtomicUsize::new(0));
    let service = service_fn(move |request: Request<Body>| {
        let (client, made, meddle) = (client.clone(), made.clone(), meddle.clone());
        async move {
            let makes_a_pod = request.method() == Method::POST && request.uri().path().ends_with("/pods");
            let response = client.send(request).await?;
            if makes_a_pod
                && response.status() == StatusCode::CREATED
                && made.fetch_add(1, Ordering::Relaxed) + 1 == nth
            {
                meddle().await;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Ok::<Response<Body>, BoxError>(response)
        }
    });
    Client::new(service, "default")
}

/// An operator to whose `nth` pod something is done before it hears of it, with one connection.
async fn meddled_with<F>(nth: usize, meddle: impl Fn(Api<Pod>) -> F + Clone + Send + 'static) -> Stage
where
    F: Future<Output = ()> + Send,
{
    let mut stage = Stage::without_operator().await;
    let client = operator::client::from(stage.plane.config().await, SILENCE * 10).expect("a client");
    let pods = stage.api::<Pod>();
    stage.start_operator_with(meddling(client, nth, move || meddle(pods.clone())));
    stage.create("sales").await;
    stage
}

/// That so many pods were made, and that there is one which pleases.
async fn made_so_far(stage: &Stage, pods: usize, pleases: impl Fn(&Pod) -> bool) {
    eventually(SOON, "the pod", async || match (pods_made(stage), stage.api::<Pod>().get_opt("sales").await) {
        (made, Ok(Some(pod))) if made == pods && pleases(&pod) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}

/// What would be lost: a minute of a session, for a pod that was taken away before the operator had seen it stand.
#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_goes_before_its_maker_hears_of_it_is_not_believed_to_stand() {
    let now = DeleteParams::default().grace_period(0);
    let stage = meddled_with(1, move |pods| {
        let now = now.clone();
        async move { drop(pods.delete("sales", &now).await.expect("is deleted")) }
    })
    .await;
    made_so_far(&stage, 2, |_| true).await;
    // And none twice: by the time that another one has its pod, that would have happened.
    stage.create("next").await;
    stage.pod("next").await;
    made_so_far(&stage, 3, |_| true).await;
}

/// What would be lost: a session that runs, which nobody would watch, or end when it is suspended.
#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_loses_its_labels_before_its_maker_hears_of_it_is_found() {
    const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
    // Not the first: that one's end was asked for, and the answer must not be taken for the next one's.
    let stage = meddled_with(2, |pods| async move {
        let off = Patch::Merge(json!({"metadata": {"labels": {MANAGED_BY: null}, "annotations": {"taken": "off"}}}));
        pods.patch("sales", &PatchParams::default(), &off).await.expect("is patched");
    })
    .await;
    made_so_far(&stage, 1, |_| true).await;
    stage.condition("sales", "PodReady", "False", "Starting").await;
    stage.api::<Pod>().delete("sales", &DeleteParams::default().grace_period(0)).await.expect("is deleted");
    made_so_far(&stage, 2, |pod| pod.annotations().contains_key("taken") && pod.labels().contains_key(MANAGED_BY))
        .await;
    stage.edit("sales", json!({"state": "Suspended"})).await;
    eventually(SOON, "the pod to be gone", async || match stage.api::<Pod>().get_opt("sales").await {
        Ok(None) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}
