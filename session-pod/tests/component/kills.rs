//! Some kills in a row, at moments that nobody chose; `make chaos` does a hundred. `KILLS` says how many, `KILLS_SEED`
//! repeats a run.

use std::collections::BTreeMap;
use std::time::Duration;

use relay::SessionState;
use tokio::time::Instant;

use super::world::{ANA, PHONE, World};

/// In the ordinary suite; each takes five seconds on average.
const KILLS: u32 = 6;

/// A start takes about five seconds until it is connected: moments up to eight lie in all parts of a life.
const LONGEST_LIFE_MS: u64 = 8_000;

#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again_a_session_loses_no_login_no_message_and_leaves_no_process() {
    let kills = number("KILLS").and_then(|kills| u32::try_from(kills).ok()).unwrap_or(KILLS);
    let mut random = Random(number("KILLS_SEED").unwrap_or(u64::from(std::process::id())));
    println!("KILLS={kills} KILLS_SEED={}", random.0);
    let mut world = World::new().await;
    let pod = world.process("pod-1").await;
    world.scan().await;
    let shown = world.links_shown().await;
    pod.kill().await;

    let (mut lives, mut killed_in, first) = (Vec::new(), BTreeMap::<_, u32>::new(), Instant::now());
    for kill in 0..kills {
        let life = Duration::from_millis(random.below(LONGEST_LIFE_MS));
        world.forget_status().await;
        let begin = Instant::now();
        // Every fourth time as another pod: it has to wait until the lease of the one that was killed has run out.
        let other = kill % 4 == 3;
        let pod = world.process(if other { "pod-2" } else { "pod-1" }).await;
        world.simulator.receive_text(PHONE, ANA, &format!("message {kill}")).expect("received");
        while begin.elapsed() < life {
            assert!(world.browsers().len() <= 1, "two browsers on one profile: {:?}", world.browsers());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let state = world.status().await.map_or("waiting", |status| status.state.as_str());
        *killed_in.entry(state).or_default() += 1;
        pod.kill().await;
        world.no_browser_is_left().await;
        lives.push(life);
    }

    println!("killed {kills} times in {:?}, in state: {killed_in:?}", first.elapsed());

    world.forget_status().await;
    let begin = Instant::now();
    // The lease may be the other pod's.
    let pod = world.process("pod-1").await;
    assert_eq!(world.state(SessionState::Connected).await.pod_uid, "pod-1");
    println!("connected again after {:?}", begin.elapsed());
    world.simulator.receive_text(PHONE, ANA, "the last").expect("received");
    world.message("the last").await;
    for kill in 0..kills {
        world.message(&format!("message {kill}")).await;
    }
    assert_eq!(world.links_shown().await, shown, "a login was lost; lives: {lives:?}");
    assert_eq!(pod.end().await.0, Some(0));
    world.no_browser_is_left().await;
    println!("no process left, no second browser, no login and no message lost");
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Knuth's linear congruential generator: the same moments for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}
