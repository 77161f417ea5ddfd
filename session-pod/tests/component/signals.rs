//! SIGTERM and SIGKILL in each state of a session. After the first the pod ends well and its lease is free; after the
//! second nothing of it is left and its lease runs out. The login is kept through all of it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use relay::{Acquired, Lease, SessionState as S};
use rustix::process::Signal;
use simulator::SimulatorSettings;

use super::process::{Process, Start};
use super::world::{PHONE, World};

/// Far below the 45 s of the pod: the browser closes in less than one, and its output is quick on a healthy Redis.
const ORDERLY: Duration = Duration::from_secs(20);

/// How a session comes into a state. Each begins and ends with a linked phone, where there is one.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Moment {
    /// Another pod holds the lease.
    Waiting,
    /// The browser is on its way.
    Starting,
    /// WhatsApp does not answer.
    Loading,
    AwaitingLink,
    QrIdle,
    Connected,
    Reconnecting,
    Conflict,
    /// SIGTERM has come already.
    Stopping,
    LoggedOut,
}

const BEFORE_THE_LINK: [Moment; 4] = [Moment::Waiting, Moment::Starting, Moment::AwaitingLink, Moment::QrIdle];

/// Linked by the first of them; the last one unlinks.
const AFTER_THE_LINK: [Moment; 7] = [
    Moment::Connected,
    Moment::Starting,
    Moment::Loading,
    Moment::Reconnecting,
    Moment::Conflict,
    Moment::Stopping,
    Moment::LoggedOut,
];

async fn world() -> World {
    let settings =
        SimulatorSettings { qr_lifetime: Duration::from_secs(8), qr_codes: 2, ..SimulatorSettings::default() };
    World::with(settings, &[]).await
}

/// A browser that takes its time.
fn slow_browser(world: &World) -> PathBuf {
    let path = world.folder.path().join("slow-browser");
    let script = "#!/bin/sh\n[ \"$1\" = --version ] || sleep 5\nexec /usr/bin/chromium \"$@\"\n";
    std::fs::write(&path, script).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("executable");
    path
}

async fn reach(world: &mut World, moment: Moment) -> Process {
    match moment {
        Moment::Waiting => {
            let other = Lease::acquire(&mut world.client(), world.connection, "pod-0").await.expect("answers");
            assert!(matches!(other, Acquired::Held(_)), "{other:?}");
            let pod = world.process("pod-1").await;
            pod.answers("/ready", 503, "lease: another pod holds it").await;
            pod.answers("/live", 200, "ok").await;
            pod
        }
        Moment::Starting => {
            let browser = format!("--browser={}", slow_browser(world).display());
            let pod = world.start("pod-1", &Start { arguments: &[browser], ..Start::default() }).await;
            world.state(S::Starting).await;
            pod.answers("/ready", 503, "browser").await;
            pod
        }
        Moment::Loading => {
            let arguments = std::mem::replace(
                &mut world.browser_arguments,
                // The last one counts.
                "--host-resolver-rules=MAP web.whatsapp.com 127.0.0.1:9".to_owned(),
            );
            let pod = world.process("pod-1").await;
            world.browser_arguments = arguments;
            let status = world.state(S::Loading).await;
            assert!(status.reason.is_none_or(|reason| reason == "PageUnreachable"));
            pod
        }
        Moment::AwaitingLink => {
            let pod = world.process("pod-1").await;
            world.state(S::AwaitingLink).await;
            pod.answers("/ready", 200, "ok").await;
            pod
        }
        Moment::QrIdle => {
            let pod = world.process("pod-1").await;
            world.state(S::QrIdle).await;
            pod
        }
        Moment::Connected | Moment::Stopping => {
            let pod = world.process("pod-1").await;
            world.state(S::Connected).await;
            if moment == Moment::Stopping {
                pod.signal(Signal::TERM);
                world.state(S::Stopping).await;
            }
            pod
        }
        Moment::Reconnecting => {
            let pod = world.process("pod-1").await;
            world.state(S::Connected).await;
            world.simulator.disconnect(PHONE).expect("disconnected");
            world.state(S::Reconnecting).await;
            pod
        }
        Moment::Conflict => {
            world.simulator.reconnect(PHONE).expect("reconnected");
            let pod = world.process("pod-1").await;
            world.state(S::Connected).await;
            world.simulator.conflict(PHONE).expect("opened elsewhere");
            world.state(S::Conflict).await;
            pod
        }
        Moment::LoggedOut => {
            let pod = world.process("pod-1").await;
            world.state(S::Connected).await;
            world.simulator.log_out(PHONE, None).expect("unlinked");
            world.state(S::LoggedOut).await;
            pod.answers("/ready", 200, "ok").await;
            pod.answers("/live", 200, "ok").await;
            pod
        }
    }
}

async fn let_go_of_the_other_lease(world: &World) {
    let lease = relay::Names(world.connection).lease();
    redis::cmd("DEL").arg(lease).query_async::<()>(&mut world.client()).await.expect("deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_in_any_state_costs_no_login_and_leaves_nothing_behind() {
    tokio::join!(sigterm_in_each_state_ends_well_and_frees_the_lease(), sigkill_in_each_state_lets_the_lease_run_out());
}

async fn sigterm_in_each_state_ends_well_and_frees_the_lease() {
    let mut world = world().await;
    let mut linked = 0;
    for moment in BEFORE_THE_LINK.into_iter().chain(AFTER_THE_LINK) {
        if moment == AFTER_THE_LINK[0] {
            linked = link(&mut world).await;
        }
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
    }
    assert_eq!(world.links_shown().await, linked, "a login was lost");
}

async fn sigkill_in_each_state_lets_the_lease_run_out() {
    let mut world = world().await;
    let mut linked = 0;
    for moment in BEFORE_THE_LINK.into_iter().chain(AFTER_THE_LINK) {
        if moment == AFTER_THE_LINK[0] {
            linked = link(&mut world).await;
        }
        reach(&mut world, moment).await.kill().await;
        world.no_browser_is_left().await;
        // A pod that was killed gives nothing back; its lease runs out within its 15 s.
        let lease = world.lease().await;
        match moment {
            Moment::Waiting => let_go_of_the_other_lease(&world).await,
            Moment::Stopping => {}
            _ => {
                let (holder, left) = lease.expect("still held");
                assert!(holder.starts_with("pod-1#") && left <= Duration::from_secs(15), "{holder} {left:?}");
            }
        }
    }
    assert_eq!(world.links_shown().await, linked, "a login was lost");
}

/// Links the phone, and gives how many codes were shown until then.
async fn link(world: &mut World) -> usize {
    let pod = world.process("pod-1").await;
    world.scan().await;
    let shown = world.links_shown().await;
    assert_eq!(pod.end().await.0, Some(0));
    shown
}
