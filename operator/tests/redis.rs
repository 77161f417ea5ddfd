//! Sessions keep their way into Redis: after a Redis that forgot its users, and while their passwords change.
#![expect(clippy::expect_used, reason = "a test without what it stands on has failed")]

mod stage;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use harness::{Fault, Proxy, eventually};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt;
use operator::rotation::Rotation;
use relay::{Acquired, ConnectionId, Credentials, Endpoint, Lease, RelayError, SessionRelay, SessionState};
use serde_json::json;

use stage::{SOON, Stage, status};

/// What is said of a session whose Redis came back: longer than this, and its pod would have noticed.
const BACK: Duration = Duration::from_secs(10);

async fn speaks(session: &mut SessionRelay, state: SessionState, pod: &str) -> Result<(), RelayError> {
    session.set_status(&status(state, pod), Timestamp::UNIX_EPOCH).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_lost_its_users_gets_them_back_before_a_session_has_to_give_up() {
    let mut stage = Stage::new().await;
    let id = stage.create("sales").await;
    let pod = stage.pod("sales").await.uid().expect("has a UID");
    let mut session = stage.session(id, "sales", &pod).await;
    speaks(&mut session, SessionState::Connected, &pod).await.expect("is let in");
    stage.ready("sales").await;
    stage.condition("sales", "Ready", "True", "AsExpected").await;

    stage.redis.stop().await;
    // A session that cannot relay is not ready, and that is told without Redis.
    let unready = json!({
        "phase": "Running", "conditions": [{"type": "Ready", "status": "False"}, {"type": "ContainersReady", "status": "False"}],
        "containerStatuses": [{"name": "session", "ready": false, "restartCount": 0, "image": "", "imageID": ""}],
    });
    stage.kubelet("sales", unready).await;
    stage.condition("sales", "Ready", "False", "Starting").await;
    let users = stage.redis.directory().join("users.acl");
    fs::write(&users, "user default on nopass sanitize-payload ~* &* +@all\n").expect("is written");
    stage.redis.resume().await;
    let began = Instant::now();
    eventually(BACK, "the session to be let in again", async || {
        speaks(&mut session, SessionState::Syncing, &pod).await
    })
    .await;
    println!("let in again after {:?}", began.elapsed());
    assert_eq!(stage.pod("sales").await.uid(), Some(pod), "no pod was made anew for it");
}

/// `current` and `previous` as they stand in the Secret.
async fn passwords(stage: &Stage) -> (String, Option<String>) {
    let secret: Secret = stage.api().get("sales-relay").await.expect("is there");
    let data = secret.data.expect("has data");
    let text = |key: &str| data.get(key).map(|bytes| String::from_utf8(bytes.0.clone()).expect("is text"));
    (text("password").expect("is there"), text("previous-password"))
}

/// Whether Redis lets the session in with this password.
async fn login(stage: &Stage, id: ConnectionId, password: &str) -> Result<(), String> {
    let credentials = Credentials::of_session(id, password.to_owned());
    let mut redis = stage.endpoint(Some(&credentials)).connect().expect("lazy");
    redis::cmd("PING").query_async::<()>(&mut redis).await.map_err(|error| error.to_string())
}

/// What the kubelet does, some time after a Secret was changed.
async fn bring(stage: &Stage, id: ConnectionId, folder: &Path) {
    let (current, _) = passwords(stage).await;
    fs::write(folder.join("username"), Credentials::of_session(id, String::new()).user).expect("is written");
    fs::write(folder.join("password"), current).expect("is written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_replaced_while_both_are_valid_and_its_session_goes_on() {
    let mut stage = Stage::without_operator().await;
    // The shortest in which a test on a busy machine can look at each state before the next one comes.
    stage.settings.rotation = Rotation { every: Some(Duration::from_secs(8)), overlap: Duration::from_secs(6) };
    stage.start_operator();
    let id = stage.create("sales").await;
    let pod = stage.pod("sales").await.uid().expect("has a UID");
    let folder = stage.redis.directory().join("credentials");
    fs::create_dir(&folder).expect("is made");
    bring(&stage, id, &folder).await;
    let endpoint = Endpoint::with_credentials_in(&stage.redis.url(), folder.clone()).expect("valid");
    let mut redis = endpoint.connect().expect("lazy");
    let Acquired::Held(lease) = Lease::acquire(&mut redis, id, &pod, None).await.expect("the user may") else {
        unreachable!("nobody else is there")
    };
    let mut session = SessionRelay::new(redis, id, &lease);
    let (first, _) = passwords(&stage).await;

    let second = eventually(SOON * 2, "a second password", async || match passwords(&stage).await {
        (current, Some(previous)) if previous == first => Ok(current),
        other => Err(format!("{:?}", (other.0 == first, other.1.is_some()))),
    })
    .await;
    login(&stage, id, &first).await.expect("who has not heard of it yet is let in");
    login(&stage, id, &second).await.expect("who has heard of it is let in");
    speaks(&mut session, SessionState::Connected, &pod).await.expect("who is in stays in");

    eventually(SOON, "the first to be refused", async || match login(&stage, id, &first).await {
        Err(error) if error.contains("AuthenticationFailed") => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    speaks(&mut session, SessionState::Syncing, &pod).await.expect("who is in stays in, whatever it logged in with");

    // A reconnect finds what the kubelet brought meanwhile.
    stage.redis.restart().await;
    eventually(BACK, "the session to be let in with what it finds", async || {
        bring(&stage, id, &folder).await;
        speaks(&mut session, SessionState::Connected, &pod).await
    })
    .await;
    assert_eq!(stage.pod("sales").await.uid(), Some(pod), "no pod was made anew for it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_takes_two_seconds_makes_everything_slower_and_nothing_wrong() {
    const SLOWLY: Duration = Duration::from_secs(45);
    let mut stage = Stage::without_operator().await;
    let proxy = Proxy::start(stage.redis.port()).await;
    proxy.set(Fault::Slow(Duration::from_secs(2)));
    stage.settings.redis = Endpoint::new(&format!("redis://{}/", proxy.address()), None).expect("valid");
    stage.start_operator();
    let id = stage.create("sales").await;
    let pod = eventually(SLOWLY, "the pod", async || stage.api::<Pod>().get("sales").await).await;
    let uid = pod.uid().expect("has a UID");
    stage.ready("sales").await;
    let mut session = stage.session(id, "sales", &uid).await;
    speaks(&mut session, SessionState::Connected, &uid).await.expect("its own way is not slow");
    stage.condition_within(SLOWLY, "sales", "Ready", "True", "AsExpected").await;
    assert_eq!(stage.pod("sales").await.uid(), Some(uid), "slowness ends no pod");
    let complaints = stage.health.stopped(Instant::now());
    assert!(complaints.is_empty(), "slowness is no death: {complaints:?}");
}
