//! The process itself: how it refuses wrong settings and how it ends on SIGTERM.

use std::process::Stdio;
use std::time::Duration;

use harness::eventually;
use relay::SessionState;
use runtime::metrics::undeclared;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;

use super::world::{LONG, World, stat};

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

/// In a namespace of its own the process is what it is in its container: the first one, to which every orphan falls.
#[tokio::test(flavor = "multi_thread")]
async fn as_init_of_its_container_it_leaves_no_zombie_of_a_killed_browser() {
    let mut world = World::new().await;
    let mut init = Command::new("unshare")
        .args(["--fork", "--pid", "--mount-proc", "--kill-child", PROGRAM])
        .args(world.command_line("pod-1", "volume").into_iter().skip(1))
        .arg("--admin-address=127.0.0.1:0")
        .kill_on_drop(true)
        .spawn()
        .expect("unshare starts (it needs root)");
    world.state(SessionState::AwaitingLink).await;
    let browser = world.browsers().pop().expect("a browser");
    let pod = stat(browser).map(|stat| stat.parent).expect("the pod is its parent");
    kill_process(Pid::from_raw(browser).expect("a pid"), Signal::KILL).expect("killed");
    eventually(LONG, "another browser and no zombie", async || {
        let zombies: Vec<_> = zombies_of(pod).collect();
        match (world.browsers().as_slice(), zombies.is_empty()) {
            ([new], true) if *new != browser => Ok(()),
            (browsers, _) => Err(format!("browsers {browsers:?}, zombies {zombies:?}")),
        }
    })
    .await;
    world.state(SessionState::AwaitingLink).await;
    kill_process(Pid::from_raw(pod).expect("a pid"), Signal::TERM).expect("signalled");
    let status = tokio::time::timeout(Duration::from_secs(45), init.wait()).await.expect("in time").expect("waited");
    assert_eq!(status.code(), Some(0));
}

fn zombies_of(parent: i32) -> impl Iterator<Item = i32> {
    std::fs::read_dir("/proc")
        .expect("proc")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(move |pid| stat(*pid).is_some_and(|stat| stat.state == 'Z' && stat.parent == parent))
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_closes_the_browser_gives_the_lease_back_and_ends_well() {
    let mut world = World::new().await;
    let mut line = world.command_line("pod-1", "volume");
    let admin = harness::free_block();
    line.push(format!("--admin-address=127.0.0.1:{admin}"));
    let mut process = Command::new(PROGRAM)
        .args(line.into_iter().skip(1))
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("starts");
    world.state(SessionState::AwaitingLink).await;
    world.code().await;
    let metrics = harness::http_get(admin, "/metrics").await.expect("metrics");
    assert!(metrics.contains("whatsapp_session_link_codes_total{kind=\"qr\"} 1"), "{metrics}");
    assert_eq!(undeclared(session_pod::metrics::ALL, &metrics), Vec::<String>::new());
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
