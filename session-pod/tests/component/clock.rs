//! A node whose clock is an hour wrong, and is put right. What would be lost: sends that end as expired though there is
//! time, or that go out when nobody wants them any more.

use harness::Clock;
use jiff::SignedDuration;
use relay::{Outcome, SessionState};

use super::process::Start;
use super::world::{ANA, PHONE, SHORT, World, command, text};

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_an_hour_wrong_ends_no_send_early_and_lets_none_go_late() {
    tokio::join!(begins_with("+1h"), begins_with("-1h"));
}

/// The pod only: its browser is given an environment of its own.
async fn begins_with(wrong: &str) {
    let mut world = World::new().await;
    let clock = Clock::new(world.folder.path());
    clock.set(wrong);
    let environment = clock.environment();
    let pod = world.start("pod-1", &Start { environment: &environment, ..Start::default() }).await;
    world.scan().await;
    let since = world.status().await.expect("a status").since.duration_since(runtime::ambient::now());
    assert!(since.abs() > SignedDuration::from_mins(50), "the pod's clock is right: {since:?}");
    goes_and_ends(&mut world, wrong).await;

    clock.set("+0");
    goes_and_ends(&mut world, "put right").await;
    world.simulator.receive_text(PHONE, ANA, "and on").expect("received");
    world.message("and on").await;
    assert_eq!(world.state(SessionState::Connected).await.pod_uid, "pod-1");
    assert_eq!(pod.end().await.0, Some(0));
}

async fn goes_and_ends(world: &mut World, when: &str) {
    let (wanted, late) = (format!("wanted, {when}"), format!("late, {when}"));
    let order = command(text(ANA, &wanted).1, SignedDuration::from_secs(30));
    world.give(order.clone()).await;
    assert_eq!(world.outcome_within(order.id, SHORT).await, Outcome::Done, "{when}");
    let over = command(text(ANA, &late).1, SignedDuration::from_secs(-1));
    world.give(over.clone()).await;
    assert_eq!(world.outcome(over.id).await, Outcome::Expired, "{when}");
    assert_eq!((world.sends(&wanted), world.sends(&late)), (1, 0), "{when}");
}
