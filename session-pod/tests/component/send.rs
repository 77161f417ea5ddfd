//! Sends have one effect and one outcome, also when they are asked twice, late, or while the stream is broken.

use jiff::SignedDuration;
use relay::{CommandAction, Event, Outcome, SessionState};
use session_pod::pod::Exit;

use super::world::{ANA, PHONE, World, chat, command, text};

#[tokio::test(flavor = "multi_thread")]
async fn a_send_has_one_effect_and_one_outcome() {
    let mut world = World::new().await;
    let pod = world.pod("pod-1");
    world.scan().await;

    // Twice under one id, as after a crash between the send and the removal of the command.
    let (_, action) = text(ANA, "once");
    assert_eq!(world.order(action.clone()).await, Outcome::Done);
    assert_eq!(world.order(action).await, Outcome::Done);
    assert_eq!(sends(&world, "once"), 1);

    // Too late.
    let late = command(text(ANA, "late").1, SignedDuration::from_secs(-1));
    world.give(late.clone()).await;
    assert_eq!(world.outcome(late.id).await, Outcome::Expired);

    // An id that belongs to another chat, which no honest API makes.
    let (message, _) = text("5511777777777@c.us", "elsewhere");
    let wrong = CommandAction::SendText { message, chat: chat(ANA), text: "elsewhere".to_owned() };
    assert_eq!(world.order(wrong).await, Outcome::Failed { reason: "invalid_id".to_owned() });

    // Somebody who is not on WhatsApp, and somebody whom its server refuses (the simulator knows them by their endings).
    let outcome = world.order(text("5511666660000@c.us", "stranger").1).await;
    assert_eq!(outcome, Outcome::Failed { reason: "not_on_whatsapp".to_owned() });
    let (refused, action) = text("5511666660009@c.us", "refused");
    assert_eq!(world.order(action).await, Outcome::Done, "WhatsApp's client took it");
    world
        .event("the refusal", |event| match event {
            Event::Ack(ack) if ack.id == refused && ack.ack < 0 => Some(()),
            _ => None,
        })
        .await;

    // While the stream is broken it waits, and goes when the stream is back.
    world.simulator.disconnect(PHONE).expect("disconnected");
    world.state(SessionState::Reconnecting).await;
    let waiting = command(text(ANA, "patient").1, SignedDuration::from_secs(60));
    world.give(waiting.clone()).await;
    world.simulator.reconnect(PHONE).expect("reconnected");
    assert_eq!(world.outcome(waiting.id).await, Outcome::Done);
    assert_eq!((sends(&world, "patient"), sends(&world, "late"), sends(&world, "elsewhere")), (1, 0, 0));

    assert_eq!(pod.end().await, Exit::Stopped);
    let left: usize = redis::cmd("XLEN")
        .arg(relay::Names(world.connection).commands())
        .query_async(&mut world.client())
        .await
        .expect("answers");
    assert_eq!(left, 0, "commands with an outcome stay in Redis");
}

fn sends(world: &World, text: &str) -> usize {
    world.simulator.sent(PHONE).expect("an account").iter().filter(|sent| sent.text == text).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_to_a_session_without_a_phone_fails_at_once() {
    let mut world = World::new().await;
    let pod = world.pod("pod-1");
    world.state(SessionState::AwaitingLink).await;
    let outcome = world.order(text(ANA, "nobody").1).await;
    assert_eq!(outcome, Outcome::Failed { reason: "not_linked".to_owned() });
    assert_eq!(pod.end().await, Exit::Stopped);
}
