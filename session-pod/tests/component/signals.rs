//! SIGTERM and SIGKILL in each state of a session. After the first the pod ends well and its lease is free; after the
//! second nothing of it is left, its lease runs out, and the next pod comes to where it should. The login is kept through
//! all of it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use relay::{Acquired, Lease, SessionState as S};
use rustix::process::Signal;
use simulator::{Ban, PagePlan, SimulatorSettings};
use tokio::time::Instant;

use super::process::{Process, Start};
use super::world::{PHONE, World};

/// Far below the 45 s of the pod: the browser closes in less than one, and its output is quick on a healthy Redis.
const ORDERLY: Duration = Duration::from_secs(20);

/// From the start of the next pod until its session is where it should be; one of another name waits for the lease, too.
const NEXT: Duration = Duration::from_mins(1);
const NEXT_ELSEWHERE: Duration = Duration::from_secs(75);

/// When the signal comes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Moment {
    /// Another pod holds the lease.
    Waiting,
    /// The session is in this state.
    In(S),
}

/// Moments in one world, one after the other. Worlds go side by side.
struct Lane {
    linked: bool,
    moments: &'static [Moment],
}

const LANES: [Lane; 4] = [
    Lane {
        linked: false,
        moments: &[Moment::Waiting, Moment::In(S::Starting), Moment::In(S::AwaitingLink), Moment::In(S::QrIdle)],
    },
    Lane {
        linked: true,
        moments: &[
            Moment::In(S::Connected),
            Moment::In(S::Starting),
            Moment::In(S::Loading),
            Moment::In(S::Syncing),
            Moment::In(S::Reconnecting),
            Moment::In(S::Stopping),
        ],
    },
    Lane {
        linked: true,
        // The last one unlinks.
        moments: &[Moment::In(S::Conflict), Moment::In(S::Outdated), Moment::In(S::Banned), Moment::In(S::LoggedOut)],
    },
    Lane { linked: true, moments: &[Moment::In(S::Deaf)] },
];

#[test]
fn no_state_is_forgotten() {
    for state in S::ALL {
        assert!(LANES.iter().any(|lane| lane.moments.contains(&Moment::In(*state))), "{state:?}");
    }
}

async fn world() -> World {
    let settings =
        SimulatorSettings { qr_lifetime: Duration::from_secs(12), qr_codes: 2, ..SimulatorSettings::default() };
    // Instead of half a minute, for a page that does not fit.
    World::with(settings, &["--page-patience-ms=3000"]).await
}

/// A browser that takes its time.
fn slow_browser(world: &World) -> PathBuf {
    let path = world.folder.path().join("slow-browser");
    let script = "#!/bin/sh\n[ \"$1\" = --version ] || sleep 5\nexec /usr/bin/chromium \"$@\"\n";
    std::fs::write(&path, script).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("executable");
    path
}

/// How a session comes into a state. A new state does not compile until it is here.
async fn reach(world: &mut World, moment: Moment) -> Process {
    let state = match moment {
        Moment::Waiting => return wait_for_the_lease(world).await,
        Moment::In(state) => state,
    };
    let pod = match state {
        S::Starting => {
            let browser = format!("--browser={}", slow_browser(world).display());
            world.start("pod-1", &Start { arguments: &[browser], ..Start::default() }).await
        }
        S::Loading => unreachable_page(world).await,
        S::Syncing => {
            world.simulator.plan_page(PagePlan { sync_ms: Some(60_000), ..PagePlan::default() }).expect("planned");
            world.process("pod-1").await
        }
        S::Outdated => {
            world.simulator.plan_page(PagePlan { refuse_wa_js: true, ..PagePlan::default() }).expect("planned");
            world.process("pod-1").await
        }
        S::AwaitingLink | S::QrIdle => world.process("pod-1").await,
        S::Connected | S::Reconnecting | S::Deaf | S::Conflict | S::LoggedOut | S::Banned | S::Stopping => {
            let pod = world.process("pod-1").await;
            world.state(S::Connected).await;
            fall(world, &pod, state).await;
            pod
        }
    };
    let status = world.state(state).await;
    match state {
        S::Starting => pod.answers("/ready", 503, "browser").await,
        S::Loading => assert!(status.reason.is_none_or(|reason| reason == "PageUnreachable")),
        // How the session does is no matter of health.
        S::AwaitingLink | S::LoggedOut | S::Banned | S::Outdated | S::Deaf => {
            pod.answers("/ready", 200, "ok").await;
            pod.answers("/live", 200, "ok").await;
        }
        S::QrIdle | S::Syncing | S::Connected | S::Reconnecting | S::Conflict | S::Stopping => {}
    }
    pod
}

/// From connected to where something has happened.
async fn fall(world: &mut World, pod: &Process, state: S) {
    match state {
        S::Reconnecting => world.simulator.disconnect(PHONE).expect("disconnected"),
        S::Conflict => world.simulator.conflict(PHONE).expect("opened elsewhere"),
        S::LoggedOut => world.simulator.log_out(PHONE, None).expect("unlinked"),
        S::Banned => world.simulator.ban(PHONE, Ban::Temporary).expect("told"),
        S::Stopping => pod.signal(Signal::TERM),
        // The first time the page is loaded anew; the second time it stays deaf.
        S::Deaf => {
            world.silently("unheard");
            world.message_within("unheard", Duration::from_mins(1)).await;
            world.state(S::Connected).await;
            world.silently("unheard again");
        }
        _ => {}
    }
}

async fn wait_for_the_lease(world: &World) -> Process {
    let other = Lease::acquire(&mut world.client(), world.connection, "pod-0", None).await.expect("answers");
    assert!(matches!(other, Acquired::Held(_)), "{other:?}");
    let pod = world.process("pod-1").await;
    pod.answers("/ready", 503, "lease: another pod holds it").await;
    pod.answers("/live", 200, "ok").await;
    pod
}

async fn unreachable_page(world: &mut World) -> Process {
    let arguments = std::mem::replace(
        &mut world.browser_arguments,
        // The last one counts.
        "--host-resolver-rules=MAP web.whatsapp.com 127.0.0.1:9".to_owned(),
    );
    let pod = world.process("pod-1").await;
    world.browser_arguments = arguments;
    pod
}

async fn let_go_of_the_other_lease(world: &World) {
    let names = relay::Names(world.connection);
    redis::cmd("DEL")
        .arg(&[names.lease(), names.holder()])
        .query_async::<()>(&mut world.client())
        .await
        .expect("deleted");
}

/// What was done to the world, not to the session, is over; its last status is, too.
async fn put_right(world: &mut World, linked: bool) {
    world.simulator.plan_page(PagePlan::default()).expect("planned");
    if linked {
        world.simulator.reconnect(PHONE).expect("reconnected");
    }
    world.forget_status().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_in_any_state_costs_no_login_and_leaves_nothing_behind() {
    let lanes = LANES.each_ref().map(|lane| async { tokio::join!(terminated(lane), killed(lane)) });
    futures::future::join_all(lanes).await;
}

async fn terminated(lane: &Lane) {
    let mut world = world().await;
    let shown = if lane.linked { link(&mut world).await } else { 0 };
    for moment in lane.moments.iter().copied() {
        let pod = reach(&mut world, moment).await;
        let (code, took) = pod.end().await;
        println!("SIGTERM in {moment:?}: {took:?}");
        assert_eq!(code, Some(0), "{moment:?}");
        assert!(took < ORDERLY, "{moment:?}: {took:?}");
        if moment == Moment::Waiting {
            let_go_of_the_other_lease(&world).await;
        } else {
            assert_eq!(world.status().await.expect("a status").state, S::Stopping, "{moment:?}");
        }
        assert_eq!(world.lease().await, None, "{moment:?}");
        world.no_browser_is_left().await;
        put_right(&mut world, lane.linked).await;
    }
    assert!(!lane.linked || world.links_shown().await == shown, "a login was lost");
}

async fn killed(lane: &Lane) {
    let mut world = world().await;
    let shown = if lane.linked { link(&mut world).await } else { 0 };
    for moment in lane.moments.iter().copied() {
        reach(&mut world, moment).await.kill().await;
        world.no_browser_is_left().await;
        // A pod that was killed gives nothing back; its lease runs out within its 15 s.
        let lease = world.lease().await;
        match moment {
            Moment::Waiting => let_go_of_the_other_lease(&world).await,
            Moment::In(S::Stopping) => {}
            Moment::In(_) => {
                let (holder, left) = lease.expect("still held");
                assert!(holder.starts_with("pod-1#") && left <= Duration::from_secs(15), "{holder} {left:?}");
            }
        }
        put_right(&mut world, lane.linked).await;
        comes_to_where_it_should(&mut world, lane, moment).await;
    }
    assert!(!lane.linked || world.links_shown().await == shown, "a login was lost");
}

/// The container is started again, or, once, the pod is made anew.
async fn comes_to_where_it_should(world: &mut World, lane: &Lane, killed_in: Moment) {
    let expected = match killed_in {
        Moment::In(S::LoggedOut) => S::LoggedOut,
        _ if lane.linked => S::Connected,
        _ => S::AwaitingLink,
    };
    let elsewhere = killed_in == Moment::In(S::Connected);
    let (uid, most) = if elsewhere { ("pod-2", NEXT_ELSEWHERE) } else { ("pod-1", NEXT) };
    let begin = Instant::now();
    let pod = world.process(uid).await;
    let status = world.state(expected).await;
    println!("SIGKILL in {killed_in:?}: {expected:?} after {:?}", begin.elapsed());
    assert!(begin.elapsed() < most, "{killed_in:?}: {:?}", begin.elapsed());
    assert_eq!(status.pod_uid, uid, "{killed_in:?}");
    assert_eq!(pod.end().await.0, Some(0), "{killed_in:?}");
    put_right(world, lane.linked).await;
}

/// Links the phone, and gives how many codes were shown until then.
async fn link(world: &mut World) -> usize {
    let pod = world.process("pod-1").await;
    world.scan().await;
    let shown = world.links_shown().await;
    assert_eq!(pod.end().await.0, Some(0));
    shown
}
