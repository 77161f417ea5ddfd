//! A Redis that takes two seconds for each answer. Slower, never wrong.

use std::time::Duration;

use harness::{Fault, Proxy};
use jiff::SignedDuration;
use relay::{Outcome, SessionState};
use tokio::time::Instant;

use super::world::{ANA, LONG, PHONE, World, command, text};

const LATE: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_takes_two_seconds_for_each_answer_costs_time_and_nothing_else() {
    let mut world = World::new().await;
    let proxy = Proxy::start(world.redis.port()).await;
    proxy.set(Fault::Slow(LATE));
    world.redis_url = format!("redis://{}/", proxy.address());
    let pod = world.process("pod-1").await;
    world.scan().await;
    let connected = Instant::now();
    let (holder, _) = world.lease().await.expect("held");
    let status = world.state(SessionState::Connected).await;

    world.simulator.receive_text(PHONE, ANA, "in").expect("received");
    world.message_within("in", LONG).await;
    let order = command(text(ANA, "out").1, SignedDuration::from_secs(60));
    world.give(order.clone()).await;
    assert_eq!(world.outcome_within(order.id, LONG).await, Outcome::Done);
    println!("a message each way after {:?}", connected.elapsed());

    // As long as two leases, one after the other.
    while connected.elapsed() < Duration::from_secs(30) {
        let held = world.lease().await.map(|(holder, _)| holder);
        assert_eq!(held.as_ref(), Some(&holder), "the lease was lost, or taken anew by another process");
        pod.answers("/live", 200, "ok").await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let still = world.status().await.expect("a status");
    assert_eq!((still.state, still.since), (SessionState::Connected, status.since), "not connected all the time");
    assert!(pod.lives());
    // One whose answer came after its deadline is told again, and known by its id.
    assert!((1..=2).contains(&world.times_told("in").await));
    assert_eq!(world.sends("out"), 1);
    assert_eq!(pod.end().await.0, Some(0));
}
