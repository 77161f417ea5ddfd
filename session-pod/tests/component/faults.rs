//! Everything that a page and a browser can do to a session: crash, run out of memory, hang, load anew. What the person
//! sees is the state and its reason; what they must never see is a new code, or a gap.

use std::time::Duration;

use harness::eventually;
use relay::SessionState;
use rustix::process::{Pid, Signal, kill_process};
use session_pod::pod::Exit;
use tokio::time::Instant;

use super::hand::Hand;
use super::world::{ANA, LONG, PHONE, World};

/// The promise of `docs/architecture.md`: from the fault until messages flow again.
const BACK: Duration = Duration::from_mins(1);

fn signal(pids: &[i32], signal: Signal) {
    for pid in pids {
        kill_process(Pid::from_raw(*pid).expect("a pid"), signal).expect("signalled");
    }
}

/// Waits for the reason, writes to the person meanwhile, and waits until they have it. Gives the time from the fault.
async fn comes_back(world: &mut World, since: Instant, reason: &str) -> Duration {
    let codes = world.links_shown().await;
    let status = world.state(SessionState::Reconnecting).await;
    assert_eq!(status.reason.as_deref(), Some(reason));
    let words = format!("while {reason} {:?}", since.elapsed());
    world.simulator.receive_text(PHONE, ANA, &words).expect("received");
    world.state(SessionState::Connected).await;
    let took = since.elapsed();
    world.message(&words).await;
    assert_eq!(world.times_told(&words).await, 1);
    assert_eq!(world.links_shown().await, codes, "a code was shown");
    println!("{reason}: back after {took:?}");
    assert!(took < BACK, "{reason}: {took:?}");
    took
}

/// The ladder: the first fault of a page loads it anew, further ones start the browser again, ever later. Its end, when
/// the sixth fault ends the pod, is in `storage.rs`.
#[tokio::test(flavor = "multi_thread")]
async fn faults_that_follow_each_other_are_met_with_ever_harsher_remedies() {
    let mut world = World::new().await;
    world.browser_arguments = "--js-flags=--max-old-space-size=256".to_owned();
    let pod = world.pod("pod-1");
    world.scan().await;

    // A page that loads itself anew is no fault.
    let first = world.browsers();
    let since = Instant::now();
    Hand::on(&world).await.run("location.reload()");
    comes_back(&mut world, since, "PageReloaded").await;

    // 1: the page runs out of memory, and is loaded anew in the same browser.
    let since = Instant::now();
    Hand::on(&world).await.run("const all = []; for (;;) all.push(new Array(10_000).fill(0).map(Math.random))");
    comes_back(&mut world, since, "PageCrashed").await;
    assert_eq!(world.browsers(), first, "a reload was enough");

    // 2: it crashes again: now in another browser.
    let since = Instant::now();
    let hand = Hand::on(&world).await;
    tokio::spawn(async move {
        let hand = hand;
        hand.page.goto("chrome://crash").await.map(drop)
    });
    comes_back(&mut world, since, "PageCrashed").await;
    let second = world.browsers();
    assert!(second.len() == 1 && second != first, "{first:?} {second:?}");

    // 3: the kernel takes the browser, as it does with the largest process of a pod without memory.
    let since = Instant::now();
    signal(&second, Signal::KILL);
    comes_back(&mut world, since, "BrowserLost").await;

    assert_eq!(pod.end().await, Exit::Stopped);
}

/// Nothing is heard of a hang: each call has a deadline of ours, or nobody would notice. Both side by side, because they
/// are half a minute of silence each.
#[tokio::test(flavor = "multi_thread")]
async fn what_hangs_is_ended_and_started_again() {
    tokio::join!(a_page_that_computes_for_ever(), a_browser_that_hears_no_signal());
}

/// Its process is ended, not the browser.
async fn a_page_that_computes_for_ever() {
    let mut world = World::new().await;
    let pod = world.pod("pod-1");
    world.scan().await;
    let browsers = world.browsers();
    let since = Instant::now();
    Hand::on(&world).await.run("for (;;);");
    comes_back(&mut world, since, "PageCrashed").await;
    assert_eq!(world.browsers(), browsers);
    assert_eq!(pod.end().await, Exit::Stopped);
}

async fn a_browser_that_hears_no_signal() {
    let mut world = World::new().await;
    let pod = world.pod("pod-1");
    world.scan().await;
    let browsers = world.browsers();
    let since = Instant::now();
    signal(&browsers, Signal::STOP);
    comes_back(&mut world, since, "BrowserLost").await;
    eventually(LONG, "the new browser only", async || match world.browsers() {
        alive if alive.len() == 1 && alive != browsers => Ok(()),
        alive => Err(format!("{alive:?}")),
    })
    .await;
    assert_eq!(pod.end().await, Exit::Stopped);
}
