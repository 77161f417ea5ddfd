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
    world.works("pod-2").await;
    assert_eq!(second.end().await, Exit::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_lost_its_lease_closes_its_browser_and_writes_nothing_more() {
    let mut world = World::new().await;
    let pod = world.pod("pod-1");
    world.state(SessionState::AwaitingLink).await;

    let mut client = world.client();
    let mut take =
        async |seen: &str| Lease::take_over(&mut client, world.connection, "pod-2", seen).await.expect("answers");
    let taken = loop {
        // It may be renewed between the two.
        match take("").await {
            Acquired::HeldByOther { value, .. } => match take(&value).await {
                Acquired::HeldByOther { .. } => {}
                taken @ Acquired::Held(_) => break taken,
            },
            taken @ Acquired::Held(_) => break taken,
        }
    };
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
    let lease_ends = world.cut_off().await;
    world.no_browser_after(lease_ends).await;
    assert_eq!(pod.exit().await, Exit::Fenced);
}

/// What would be lost: the promise of one browser for an account, when somebody sets the clock by which Redis ends leases.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_the_clock_of_redis_ended_starts_no_second_browser() {
    let mut world = World::new().await;
    let first = world.pod_on("pod-1", "first");
    world.state(SessionState::AwaitingLink).await;
    let second = world.pod_on("pod-2", "second");
    eventually(LONG, "the second to wait", async || match second.health.missing().join("; ") {
        missing if missing.contains("another pod holds it") => Ok(()),
        missing => Err(missing),
    })
    .await;
    // The second asks every two seconds, the first in three at the soonest.
    world.lease_with(Duration::from_secs(13)..Duration::from_secs(16)).await;
    world.set_the_clock_of_redis(1).await;
    let set = tokio::time::Instant::now();
    while set.elapsed() < Lease::TIME_TO_LIVE {
        assert!(world.browsers().len() <= 1, "two browsers at once");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(first.exit().await, Exit::Fenced);
    world.works("pod-2").await;
    let (_, left) = world.lease().await.expect("is held");
    assert!(left <= Lease::TIME_TO_LIVE, "{left:?}");
    assert_eq!(second.end().await, Exit::Stopped);
}

/// What would be lost: an hour, for a session whose pod was killed before the clock was set back.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_the_clock_of_redis_prolonged_is_taken_over_when_nobody_renews_it() {
    let mut world = World::new().await;
    let first = world.process("pod-1").await;
    world.state(SessionState::AwaitingLink).await;
    first.kill().await;
    world.set_the_clock_of_redis(-1).await;
    let set = tokio::time::Instant::now();
    let second = world.pod("pod-2");
    world.works("pod-2").await;
    assert!(set.elapsed() >= Lease::TIME_TO_LIVE, "{:?}", set.elapsed());
    assert_eq!(second.end().await, Exit::Stopped);
}

/// What would be lost: the same promise, for a pod that comes when the lease of the one before has run out already, or seems to.
#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_was_not_given_the_lease_waits_until_the_one_before_must_have_stopped() {
    let mut world = World::new().await;
    let first = world.process("pod-1").await;
    world.state(SessionState::AwaitingLink).await;
    first.kill().await;
    world.set_the_clock_of_redis(1).await;
    let begin = tokio::time::Instant::now();
    let second = world.pod("pod-2");
    world.a_browser_begins().await;
    assert!(begin.elapsed() >= Lease::TIME_TO_LIVE, "{:?}", begin.elapsed());
    world.state(SessionState::AwaitingLink).await;
    assert_eq!(second.end().await, Exit::Stopped);
    // What was given back is free.
    let again = tokio::time::Instant::now();
    let third = world.pod("pod-3");
    world.a_browser_begins().await;
    let far_less = Lease::TIME_TO_LIVE.saturating_sub(Lease::RENEW_EVERY);
    assert!(again.elapsed() < far_less, "{:?}", again.elapsed());
    assert_eq!(third.end().await, Exit::Stopped);
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
    let lease_ends = world.cut_off().await;
    world.no_browser_after(lease_ends).await;
    assert_eq!(pod.exit().await.code(), Some(3));
}

impl World {
    /// Waits until that pod has told its status.
    async fn works(&mut self, uid: &str) {
        eventually(LONG, uid, async || match self.status().await {
            Some(status) if status.pod_uid == uid => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
    }

    /// Takes Redis away between two renewals, and gives when the lease ends.
    async fn cut_off(&mut self) -> tokio::time::Instant {
        let ends = self.lease_with(Duration::from_secs(11)..Duration::from_secs(14)).await;
        self.redis.stop().await;
        ends
    }

    async fn no_browser_after(&self, end: tokio::time::Instant) {
        while !self.browsers().is_empty() {
            assert!(tokio::time::Instant::now() < end, "a browser runs that another pod may have begun by now");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.no_browser_is_left().await;
    }

    /// Waits until so much is left of the lease, which is renewed when ten seconds are; and gives when it ends.
    async fn lease_with(&mut self, range: std::ops::Range<Duration>) -> tokio::time::Instant {
        loop {
            let (asked, (_, left)) = (tokio::time::Instant::now(), self.lease().await.expect("is held"));
            if range.contains(&left) {
                return asked + left;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn a_browser_begins(&self) {
        eventually(LONG, "a browser", async || if self.browsers().is_empty() { Err("none") } else { Ok(()) }).await;
    }

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
