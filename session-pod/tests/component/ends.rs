//! The process itself: how it refuses wrong settings and how it ends on SIGTERM.

use std::process::Stdio;
use std::time::Duration;

use relay::SessionState;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;

use super::world::World;

const PROGRAM: &str = env!("CARGO_BIN_EXE_session-pod");

#[tokio::test(flavor = "multi_thread")]
async fn wrong_settings_are_all_told_at_once_and_nothing_is_started() {
    let output = Command::new(PROGRAM)
        .env_clear()
        .args(["--connection-id=1", "--company-id=acme", "--pod-uid=p", "--redis-url=x", "--page-dir=/nowhere"])
        .output()
        .await
        .expect("runs");
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    for name in ["CONNECTION_ID", "REDIS_URL", "PAGE_DIR"] {
        assert!(told.contains(name), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_closes_the_browser_gives_the_lease_back_and_ends_well() {
    let mut world = World::new().await;
    let mut line = world.command_line("pod-1", "volume");
    line.push("--admin-address=127.0.0.1:0".to_owned());
    let mut process = Command::new(PROGRAM)
        .args(line.into_iter().skip(1))
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("starts");
    world.state(SessionState::AwaitingLink).await;
    let pid = process.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw).expect("a pid");
    kill_process(pid, Signal::TERM).expect("signalled");
    let status = tokio::time::timeout(Duration::from_secs(45), process.wait()).await.expect("in time").expect("waited");
    assert_eq!(status.code(), Some(0));
    assert_eq!(world.status().await.expect("a status").state, SessionState::Stopping);
    let lease: Option<String> = redis::cmd("GET")
        .arg(relay::Names(world.connection).lease())
        .query_async(&mut world.client())
        .await
        .expect("answers");
    assert_eq!(lease, None);
    world.no_browser_is_left().await;
}
