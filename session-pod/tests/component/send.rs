//! Sends have one effect and one outcome, also when they are asked twice, late, or while the stream is broken.

use harness::eventually;
use jiff::SignedDuration;
use relay::{CommandAction, Event, Outcome, SessionState};
use session_pod::pod::Exit;
use simulator::Answers;

use super::world::{ANA, BEN, HIDDEN, LONG, PHONE, SHORT, World, chat, command, text};

#[tokio::test(flavor = "multi_thread")]
async fn a_send_has_one_effect_and_one_outcome() {
    let mut world = World::new().await;
    let pod = world.pod("pod-1");
    world.scan().await;

    // Twice under one id, as after a crash between the send and the removal of the command.
    let (_, action) = text(ANA, "once");
    assert_eq!(world.order(action.clone()).await, Outcome::Done);
    assert_eq!(world.order(action).await, Outcome::Done);
    assert_eq!(world.sends("once"), 1);

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
    assert_eq!((world.sends("patient"), world.sends("late"), world.sends("elsewhere")), (1, 0, 0));

    assert_eq!(pod.end().await, Exit::Stopped);
    let left: usize = redis::cmd("XLEN")
        .arg(relay::Names(world.connection).commands())
        .query_async(&mut world.client())
        .await
        .expect("answers");
    assert_eq!(left, 0, "commands with an outcome stay in Redis");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_keeps_its_place_in_its_chat_and_its_id_whatever_the_page_makes_of_it() {
    let mut world = World::new().await;
    let pod = world.pod("pod-1");
    world.scan().await;

    // The first answer of the page is that it takes too long. What comes behind it in the same chat waits for it, what
    // goes elsewhere does not. They have waited together for the connection, so that one sweep finds them all.
    let late = r#"'{"error": {"code": "timeout", "message": ""}}'"#;
    let script = format!(
        "const call = sessionBridge.call; let first = true;
         sessionBridge.call = async (method, args) => {{
             if (method !== 'sendText' || !first) return call(method, args);
             first = false;
             return {late};
         }}"
    );
    world.in_page(&script).await;
    let lives = SignedDuration::from_secs(60);
    let orders =
        [(ANA, "first"), (ANA, "second"), (BEN, "elsewhere")].map(|(to, words)| command(text(to, words).1, lives));
    world.simulator.disconnect(PHONE).expect("disconnected");
    world.state(SessionState::Reconnecting).await;
    for order in &orders {
        world.give(order.clone()).await;
    }
    world.simulator.reconnect(PHONE).expect("reconnected");
    for order in &orders {
        assert_eq!(world.outcome(order.id).await, Outcome::Done);
    }
    let sent: Vec<_> = world.simulator.sent(PHONE).expect("an account").into_iter().map(|sent| sent.text).collect();
    assert_eq!(sent, ["elsewhere", "first", "second"]);

    // A person with two addresses: WhatsApp files the message under the other one, and tells of it before the send is
    // answered. For the API it is one message, under the id that it chose.
    let known = serde_json::json!({"chat": HIDDEN, "text": "this is my number", "phone": "5511555555555"});
    world.simulator.receive(PHONE, serde_json::from_value(known).expect("fits")).expect("received");
    world.message("this is my number").await;
    let (chosen, action) = text("5511555555555@c.us", "to your number");
    assert_eq!(world.order(action).await, Outcome::Done);
    let filed = world.simulator.sent(PHONE).expect("an account").pop().expect("sent");
    assert_eq!(filed.chat.to_string(), HIDDEN, "the simulator did not file it elsewhere");
    world.simulator.acknowledge(PHONE, &filed.id.to_string(), 3).expect("acknowledged");
    world
        .event("the receipt", |event| match event {
            Event::Ack(ack) if ack.id == chosen && ack.ack == 3 => Some(()),
            _ => None,
        })
        .await;
    let events = world.events().await;
    let others = events.iter().filter(|event| match event {
        Event::Message(message) => message.from_me && message.chat.as_str() == HIDDEN,
        Event::Ack(ack) => ack.id.as_str().contains(HIDDEN),
        _ => false,
    });
    assert_eq!(others.count(), 0, "a second row: {events:#?}");
    assert_eq!(world.message("to your number").await.id, chosen);
    assert_eq!(pod.end().await, Exit::Stopped);
}

/// The page does what it is asked, and its answer is lost.
const SEND_AND_SAY_NOTHING: &str = "
    const { call } = sessionBridge;
    sessionBridge.call = (method, args) => {
        const answer = call(method, args);
        return method === 'sendText' ? new Promise(() => {}) : answer;
    }";

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_is_killed_between_a_send_and_its_acknowledgement_has_sent_it_once() {
    let mut world = World::new().await;
    let pod = world.process("pod-1").await;
    world.scan().await;

    // WhatsApp has it, and nobody was told.
    world.in_page(SEND_AND_SAY_NOTHING).await;
    world.simulator.answer_sends(PHONE, Answers::Lost).expect("set");
    let (taken, action) = text(ANA, "taken");
    let taken_order = command(action, SignedDuration::from_secs(120));
    world.give(taken_order.clone()).await;
    let simulator = &world.simulator;
    eventually(SHORT, "the send", async || match simulator.sent(PHONE) {
        Ok(sent) if sent.len() == 1 => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    pod.kill().await;
    world.simulator.answer_sends(PHONE, Answers::Given).expect("set");

    let pod = world.process("pod-1").await;
    assert_eq!(world.outcome_within(taken_order.id, LONG).await, Outcome::Done);
    assert_eq!(world.message("taken").await.id, taken);
    assert_eq!(world.sends("taken"), 1, "sent twice");

    // Killed before WhatsApp had it.
    world.in_page(SEND_AND_SAY_NOTHING).await;
    world.simulator.answer_sends(PHONE, Answers::Nothing).expect("set");
    let order = command(text(ANA, "not taken").1, SignedDuration::from_secs(120));
    world.give(order.clone()).await;
    world.message("not taken").await;
    pod.kill().await;
    world.simulator.answer_sends(PHONE, Answers::Given).expect("set");
    assert_eq!(world.sends("not taken"), 0);
    let pod = world.process("pod-1").await;
    assert_eq!(world.outcome_within(order.id, LONG).await, Outcome::Done);
    assert_eq!(world.sends("not taken"), 1);
    pod.kill().await;
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
