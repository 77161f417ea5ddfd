//! A volume that is full, that cannot be written, or that another host's browser has locked, and a browser that does not
//! start from it.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use harness::eventually;
use relay::{Outcome, SessionState, SessionStatus};
use simulator::SimulatorSettings;
use tokio::time::Instant;

use super::process::{GRACE, Process, Start};
use super::world::{ANA, LONG, PHONE, RECOVERS, SHORT, World, text};

/// Exit codes of `session_pod::pod::Exit`, which the operator shows.
const GAVE_UP: Option<i32> = Some(4);
const VOLUME_UNUSABLE: Option<i32> = Some(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_full_volume_stops_no_message_and_is_shown_until_there_is_room() {
    let mut world = World::new().await;
    let before = "mkdir -p \"$VOLUME\"; mount -t tmpfs -o size=64m tmpfs \"$VOLUME\"";
    let pod = world.start("pod-1", &Start { before, ..Start::default() }).await;
    world.scan().await;
    assert_eq!(metric(&pod, FAILING).await, Some(0));

    let full = pod.path(&world.volume()).join("full");
    let written = fill_until_shown(&mut world, &pod).await;
    let status = world.reason(Some("VolumeFailing")).await;
    assert_eq!((status.state, status.pod_uid.as_str()), (SessionState::Connected, "pod-1"));
    pod.answers("/ready", 200, "ok").await;

    // Neither Redis nor the volume: memory keeps it, in order.
    world.redis.stop().await;
    for number in 0..10 {
        world.simulator.receive_text(PHONE, ANA, &format!("kept {number}")).expect("received");
    }
    eventually(SHORT, "all to be heard", async || match metric(&pod, MESSAGES).await {
        Some(heard) if heard >= written + 10 => Ok(()),
        other => Err(format!("{other:?} of {}", written + 10)),
    })
    .await;
    world.redis.resume().await;
    for number in 0..10 {
        world.message(&format!("kept {number}")).await;
    }

    std::fs::remove_file(&full).expect("removed");
    eventually(SHORT, "the volume to be well", async || match metric(&pod, FAILING).await {
        Some(0) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert_eq!(world.reason(None).await.state, SessionState::Connected);
    assert_eq!(pod.end().await.0, Some(0));
}

impl World {
    /// Waits for a status with that reason.
    async fn reason(&mut self, reason: Option<&str>) -> SessionStatus {
        eventually(SHORT, &format!("the reason {reason:?}"), async || match self.status().await {
            Some(status) if status.reason.as_deref() == reason => Ok(status),
            other => Err(format!("{other:?}")),
        })
        .await
    }
}

/// Messages go on coming in. Gives their number.
async fn fill_until_shown(world: &mut World, pod: &Process) -> u32 {
    let full = pod.path(&world.volume()).join("full");
    let mut written = 0;
    eventually(SHORT, "the complaint about the volume", async || {
        // The browser writes, too, and now and then it makes room.
        fill(&full);
        let words = format!("into a full volume {written}");
        world.simulator.receive_text(PHONE, ANA, &words).expect("received");
        world.message(&words).await;
        written += 1;
        match metric(pod, FAILING).await {
            Some(1) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    written
}

fn fill(file: &Path) {
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(file).expect("opens");
    let block = [0_u8; 4096];
    while file.write_all(&block).is_ok() {}
}

const FAILING: &str = "whatsapp_session_volume_failing";
const MESSAGES: &str = "whatsapp_session_events_total{kind=\"message\"}";

async fn metric(pod: &Process, name: &str) -> Option<u32> {
    let (_, body) = pod.get("/metrics").await?;
    body.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_cannot_be_written_is_said_and_its_login_is_kept() {
    let mut world = World::new().await;
    let pod = world.process("pod-1").await;
    world.scan().await;
    let codes = world.links_shown().await;
    assert_eq!(pod.end().await.0, Some(0));

    let before = "mount --bind \"$VOLUME\" \"$VOLUME\"; mount -o remount,bind,ro \"$VOLUME\"";
    let begin = Instant::now();
    let pod = world.start("pod-2", &Start { before, ..Start::default() }).await;
    assert_eq!(pod.exit().await.code(), VOLUME_UNUSABLE);
    assert!(begin.elapsed() < SHORT, "{:?}", begin.elapsed());
    let status = world.status().await.expect("a status");
    assert_eq!((status.state, status.reason.as_deref()), (SessionState::Stopping, Some("VolumeUnusable")));
    assert_eq!(status.pod_uid, "pod-2");
    assert_eq!(world.lease().await, None, "given back");

    let writable = Instant::now();
    let pod = world.process("pod-3").await;
    world.state(SessionState::Connected).await;
    assert!(writable.elapsed() < RECOVERS, "{:?}", writable.elapsed());
    assert_eq!(world.links_shown().await, codes, "a code was shown");
    assert_eq!(pod.end().await.0, Some(0));
}

/// As Chromium leaves it on a node that died. It would refuse to start: "in use by another computer".
#[tokio::test(flavor = "multi_thread")]
async fn the_lock_of_a_dead_host_is_removed_by_whoever_holds_the_lease() {
    let mut world = World::new().await;
    let pod = world.process("pod-1").await;
    world.scan().await;
    let codes = world.links_shown().await;
    assert_eq!(pod.end().await.0, Some(0));
    let profile = world.volume().join("profile");
    for (name, target) in [
        ("SingletonLock", "another-host-42"),
        ("SingletonSocket", "/tmp/org.chromium.Chromium.gone/SingletonSocket"),
        ("SingletonCookie", "1234567890"),
    ] {
        let _ = std::fs::remove_file(profile.join(name));
        std::os::unix::fs::symlink(target, profile.join(name)).expect("linked");
    }

    let begin = Instant::now();
    let pod = world.process("pod-2").await;
    eventually(LONG, "the new pod to be connected", async || match world.status().await {
        Some(status) if status.pod_uid == "pod-2" && status.state == SessionState::Connected => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert!(begin.elapsed() < Duration::from_mins(1), "{:?}", begin.elapsed());
    assert_eq!(world.links_shown().await, codes, "a code was shown");
    assert_eq!(pod.end().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_does_not_start_is_tried_again_and_then_given_up() {
    tokio::join!(gives_up("exit 7"), gives_up("sleep 600"));
}

/// A node that is short of something for a moment.
#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_starts_at_the_third_try_connects() {
    let mut world = World::new().await;
    let pod = world.process("pod-1").await;
    world.scan().await;
    let codes = world.links_shown().await;
    assert_eq!(pod.end().await.0, Some(0));

    let tries = world.folder.path().join("tries");
    let script = format!(
        "[ \"$1\" = --version ] || {{ echo >>{tries}; [ $(wc -l <{tries}) -gt 2 ] || exit 7; }}\n\
         exec /usr/bin/chromium \"$@\"",
        tries = tries.display()
    );
    let arguments = [format!("--browser={}", browser(&world, &script).display())];
    let begin = Instant::now();
    let pod = world.start("pod-2", &Start { arguments: &arguments, ..Start::default() }).await;
    eventually(LONG, "the new pod to be connected", async || match world.status().await {
        Some(status) if status.pod_uid == "pod-2" && status.state == SessionState::Connected => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    // Pauses of 1 and 2 s at most, beside an ordinary start.
    assert!(begin.elapsed() < Duration::from_secs(40), "{:?}", begin.elapsed());
    assert_eq!(std::fs::read_to_string(tries).expect("tries").lines().count(), 3);
    assert_eq!(world.links_shown().await, codes, "a code was shown");
    assert_eq!(pod.end().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_is_full_at_the_start_is_shown_and_stops_no_message() {
    let mut world = World::new().await;
    let pod = world.process("pod-1").await;
    world.scan().await;
    let codes = world.links_shown().await;
    assert_eq!(pod.end().await.0, Some(0));

    // The same volume with no room left on it.
    let before = "cp -a \"$VOLUME\" \"$VOLUME.copy\"; mount -t tmpfs -o size=128m tmpfs \"$VOLUME\"; \
                  cp -a \"$VOLUME.copy/.\" \"$VOLUME\"; dd if=/dev/zero of=\"$VOLUME/full\" bs=4k 2>/dev/null || true";
    world.forget_status().await;
    let pod = world.start("pod-2", &Start { before, ..Start::default() }).await;
    assert_eq!(world.state(SessionState::Connected).await.pod_uid, "pod-2");
    fill_until_shown(&mut world, &pod).await;
    assert_eq!(world.order(text(ANA, "out of a full volume").1).await, Outcome::Done);
    assert_eq!(pod.end().await.0, Some(0));

    // There is room again.
    world.forget_status().await;
    let pod = world.process("pod-3").await;
    world.state(SessionState::Connected).await;
    assert_eq!(world.links_shown().await, codes, "a code was shown");
    assert_eq!(pod.end().await.0, Some(0));
}

/// Before there is a login to lose: whoever waits for a code is told why none comes, or that its link would not last.
#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_is_full_before_the_first_link_is_said_until_there_is_room() {
    let mut world = World::with(SimulatorSettings::default(), &["--page-patience-ms=3000"]).await;
    let before = "mkdir -p \"$VOLUME\"; mount -t tmpfs -o size=64m tmpfs \"$VOLUME\"; \
                  dd if=/dev/zero of=\"$VOLUME/full\" bs=4k 2>/dev/null || true";
    let pod = world.start("pod-1", &Start { before, ..Start::default() }).await;
    world.reason(Some("VolumeFailing")).await;
    assert_eq!(metric(&pod, FAILING).await, Some(1));
    pod.answers("/ready", 200, "ok").await;
    // The page cannot open its databases, answers all the same, and is loaded anew.
    let status = world.state(SessionState::Loading).await;
    eventually(LONG, "another load", async || match world.states().await.len() {
        // The first load, its end, and the second one.
        told if told > 2 => Ok(()),
        told => Err(told),
    })
    .await;
    assert_eq!(
        world.status().await.expect("a status").reason,
        status.reason,
        "the volume, and not what it does to the page"
    );

    std::fs::remove_file(pod.path(&world.volume()).join("full")).expect("removed");
    let begin = Instant::now();
    let status = world.state(SessionState::AwaitingLink).await;
    // Six times the patience until a load counts as stuck, and one of the pauses between browsers.
    assert!(begin.elapsed() < Duration::from_mins(1), "{:?}", begin.elapsed());
    assert_eq!(status.reason, None);
    world.scan().await;
    assert_eq!(pod.end().await.0, Some(0));
}

/// A program for the pod to take for its browser.
fn browser(world: &World, script: &str) -> PathBuf {
    let program = world.folder.path().join("browser");
    std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("written");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("executable");
    program
}

/// Six tries with pauses of 1, 2, 4, 8 and 16 s, each of them shortened by half at most.
async fn gives_up(script: &str) {
    let mut world = World::new().await;
    let program = browser(&world, &format!("[ \"$1\" = --version ] || {script}"));
    let arguments = [format!("--browser={}", program.display()), "--browser-start-seconds=1".to_owned()];
    let begin = Instant::now();
    let pod = world.start("pod-1", &Start { arguments: &arguments, ..Start::default() }).await;
    assert_eq!(world.reason(Some("BrowserLost")).await.state, SessionState::Starting);
    pod.answers("/ready", 503, "browser").await;
    pod.answers("/live", 200, "ok").await;
    assert_eq!(pod.exit().await.code(), GAVE_UP);
    assert!(begin.elapsed() > Duration::from_secs(15) && begin.elapsed() < GRACE * 2, "{:?}", begin.elapsed());
    let status = world.status().await.expect("a status");
    assert_eq!((status.state, status.reason.as_deref()), (SessionState::Stopping, Some("BrowserFailing")));
    assert_eq!(world.lease().await, None, "given back");
}
