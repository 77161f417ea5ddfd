//! Redis away for minutes, and so for longer than a lease lives. The pod keeps what it hears, ends its browser before somebody else could
//! start one, waits, and goes on where it was: nothing lost, nothing twice, in order, without a code.

use std::time::Duration;

use harness::eventually;
use relay::{Event, Lease, SessionState};
use tokio::time::Instant;

use super::world::{ANA, LONG, PHONE, SHORT, World};

/// What the fenced pod ends with (`session_pod::pod::Exit::Fenced`): the container is started again.
const FENCED: Option<i32> = Some(3);

/// Beside other tests, which are as long.
const AWAY: Duration = Duration::from_secs(130);

#[tokio::test(flavor = "multi_thread")]
async fn after_a_long_absence_of_redis_everything_is_told_once_and_in_order() {
    let mut world = World::new().await;
    let pod = world.process("pod-1").await;
    world.scan().await;
    pod.answers("/ready", 200, "ok").await;
    let codes = world.links_shown().await;

    let since = Instant::now();
    world.redis.stop().await;
    let mut number = 0;
    let mut write = |world: &World| {
        world.simulator.receive_text(PHONE, ANA, &format!("away {number:03}")).expect("received");
        number += 1;
    };
    let mut unready = false;
    // Until the pod is fenced the page is connected, and the pod hears of every message. None comes while the browser
    // closes: what the page hears then is told when the stores are compared, perhaps after what came later. It is fenced
    // 12 s after its last renewal, which was up to 5 s ago.
    while pod.lives() {
        if since.elapsed() < Duration::from_secs(6) {
            write(&world);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        unready |= pod.get("/ready").await.is_some_and(|(status, told)| status == 503 && told.contains("redis"));
        // It lives for as long as it is there.
        assert!(pod.get("/live").await.is_none_or(|(status, _)| status == 200));
    }
    assert!(unready, "nobody could have seen that the pod relays nothing");
    // To the end, and one turn of this loop, whose questions may wait for a pod that closes its browser.
    assert!(since.elapsed() < Lease::GIVE_UP_AFTER + Duration::from_secs(7), "{:?}", since.elapsed());
    assert_eq!(pod.exit().await.code(), FENCED);
    world.no_browser_is_left().await;
    let outbox = std::fs::read_to_string(world.volume().join("outbox")).expect("an outbox");
    assert!(outbox.lines().filter(|line| line.contains("away ")).count() > 10, "{outbox}");

    // The kubelet starts the container again. It lives, is not ready, and starts no browser.
    let pod = world.process("pod-1").await;
    pod.answers("/live", 200, "ok").await;
    pod.answers("/ready", 503, "redis").await;
    while since.elapsed() < AWAY {
        write(&world);
        assert!(world.browsers().is_empty() && pod.lives());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    world.bring_redis_back().await;
    let back = Instant::now();
    let last = format!("away {:03}", number - 1);
    // The status that stands in Redis until then is that of before.
    eventually(LONG, &last, async || match world.times_told(&last).await {
        0 => Err("not yet"),
        _ => Ok(()),
    })
    .await;
    println!("Redis back: all is told after {:?}", back.elapsed());
    assert!(back.elapsed() < Duration::from_mins(1), "{:?}", back.elapsed());
    world.state(SessionState::Connected).await;
    pod.answers("/ready", 200, "ok").await;

    assert_eq!(told(&mut world).await, (0..number).map(|number| format!("away {number:03}")).collect::<Vec<_>>());
    assert_eq!(world.links_shown().await, codes, "a code was shown");
    assert_eq!(pod.end().await.0, Some(0));
}

async fn told(world: &mut World) -> Vec<String> {
    let text = |event| match event {
        Event::Message(message) => message.text.filter(|text| text.starts_with("away")),
        _ => None,
    };
    world.events().await.into_iter().filter_map(text).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_is_ended_while_redis_is_away_leaves_what_it_heard_to_the_next() {
    let mut world = World::new().await;
    let pod = world.process("pod-1").await;
    world.scan().await;
    world.redis.stop().await;
    for number in 0..5 {
        world.simulator.receive_text(PHONE, ANA, &format!("away {number}")).expect("received");
    }
    let outbox = world.volume().join("outbox");
    let waits = || std::fs::read_to_string(&outbox).unwrap_or_default().lines().filter(|l| l.contains("away ")).count();
    eventually(SHORT, "five messages in the outbox", async || match waits() {
        5 => Ok(()),
        other => Err(other.to_string()),
    })
    .await;
    let (code, took) = pod.end().await;
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert_eq!(waits(), 5);

    world.bring_redis_back().await;
    // Another pod: it waits until the lease that could not be given back has run out.
    let pod = world.process("pod-2").await;
    eventually(LONG, "all to be told", async || match told(&mut world).await.len() {
        5.. => Ok(()),
        other => Err(other),
    })
    .await;
    assert_eq!(told(&mut world).await, (0..5).map(|number| format!("away {number}")).collect::<Vec<_>>());
    assert_eq!(pod.end().await.0, Some(0));
}
