//! Two pods never work on one account: the second waits for the first, and the first stops at once when it is fenced.

use std::time::Duration;

use harness::eventually;
use relay::{Acquired, Lease, Offset, SessionState};
use rustix::process::{Pid, Signal, kill_process};
use session_pod::pod::Exit;

use super::process::Process;
use super::world::{LONG, PHONE, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_second_pod_waits_until_the_first_has_ended() {
    let mut world = World::new().await;
    let first = world.pod_on("pod-1", "first");
    world.state(SessionState::AwaitingLink).await;
    let second = world.pod_on("pod-2", "second");
    // Longer than a lease lives: the first must have renewed its own.
    tokio::time::sleep(Duration::from_secs(18)).await;
    assert_eq!(world.browsers().len(), 1, "two browsers at once");
    assert_eq!(world.status().await.expect("a status").pod_uid, "pod-1");
    assert!(!second.health.missing().is_empty(), "a pod that waits is not ready");

    assert_eq!(first.end().await, Exit::Stopped);
    let (mut api, connection) = (world.api.clone(), world.connection);
    eventually(LONG, "the second pod", async || match api.status(connection).await {
        Ok(Some(status)) if status.payload.pod_uid == "pod-2" => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert_eq!(second.end().await, Exit::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_lost_its_lease_closes_its_browser_and_writes_nothing_more() {
    let mut world = World::new().await;
    let pod = world.pod("pod-1");
    world.state(SessionState::AwaitingLink).await;

    let mut client = world.client();
    let lease = relay::Names(world.connection).lease();
    redis::cmd("DEL").arg(lease).query_async::<()>(&mut client).await.expect("deleted");
    let taken = Lease::acquire(&mut client, world.connection, "pod-2").await.expect("answers");
    assert!(matches!(taken, Acquired::Held(_)), "{taken:?}");
    let status = world.status().await;
    let events = world.api.events(world.connection, Offset::START, 100).await.expect("answers").len();

    assert_eq!(pod.exit().await, Exit::Fenced);
    world.no_browser_is_left().await;
    assert_eq!(world.status().await, status);
    assert_eq!(world.api.events(world.connection, Offset::START, 100).await.expect("answers").len(), events);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_cannot_renew_its_lease_ends_before_another_may_take_it() {
    let mut world = World::new().await;
    let pod = world.pod("pod-1");
    world.state(SessionState::AwaitingLink).await;
    // The worst case: a browser that neither answers nor hears SIGTERM.
    for browser in world.browsers() {
        kill_process(Pid::from_raw(browser).expect("a pid"), Signal::STOP).expect("stopped");
    }
    let cut_off = tokio::time::Instant::now();
    world.redis.stop().await;
    assert_eq!(pod.exit().await, Exit::Fenced);
    // The lease lives for 15 s from its last renewal, which was before; the browser alone takes 1.5 s to be ended.
    let most = Lease::GIVE_UP_AFTER + Duration::from_secs(3);
    assert!(cut_off.elapsed() < most, "{:?}", cut_off.elapsed());
    world.no_browser_is_left().await;
}

/// A disk that hangs holds the loop that would close the browser.
#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_hangs_in_its_volume_and_cannot_renew_its_lease_ends_before_another_may_take_it() {
    let mut world = World::new().await;
    let pod = world.process("pod-1").await;
    world.scan().await;
    // Whoever opens it to write waits for a reader, who never comes.
    let fresh = world.volume().join("session.new");
    let made = std::process::Command::new("mkfifo").arg(&fresh).status().expect("mkfifo starts");
    assert!(made.success(), "{made}");
    world.simulator.log_out(PHONE, None).expect("logged out");
    world.hangs(&pod).await;
    let cut_off = tokio::time::Instant::now();
    world.redis.stop().await;
    assert_eq!(pod.exit().await.code(), Some(3));
    // As above, and for the guard's last line and for this test's own wait.
    let most = Lease::GIVE_UP_AFTER + Duration::from_secs(3);
    assert!(cut_off.elapsed() < most, "{:?}", cut_off.elapsed());
    world.no_browser_is_left().await;
}

impl World {
    /// Waits until a thread of the pod waits for the reader of a pipe.
    async fn hangs(&self, pod: &Process) {
        eventually(LONG, "the pod to hang", async || {
            let threads = std::fs::read_dir(format!("/proc/{}/task", pod.pid())).map_err(|error| error.to_string())?;
            let waits: Vec<_> = threads
                .flatten()
                .map(|thread| std::fs::read_to_string(thread.path().join("wchan")).unwrap_or_default())
                .collect();
            if waits.iter().any(|wait| wait == "wait_for_partner") { Ok(()) } else { Err(format!("{waits:?}")) }
        })
        .await;
    }
}
