//! Sending. What would be lost: a message that never goes, or goes twice.

use harness::eventually;
use relay::{Ack, CommandAction, Event, Message, Outcome, SessionState};
use serde_json::{Value, json};

use crate::session::incoming;
use crate::world::{Company, SOON, World};

const ANA: &str = "5511999999999@c.us";

async fn status_of(company: &Company, message: &Value) -> Value {
    let path = format!("/whatsapp/chats/{}/messages", message["chatId"].as_str().unwrap());
    let page = company.caller.get(&path).await.json(200);
    page["items"].as_array().unwrap().iter().find(|item| item["id"] == message["id"]).unwrap()["status"].clone()
}

async fn until(company: &Company, message: &Value, status: &str) {
    eventually(SOON, status, async || match status_of(company, message).await {
        seen if seen == status => Ok(()),
        seen => Err(seen),
    })
    .await;
}

#[tokio::test]
async fn a_message_is_queued_sent_and_acknowledged() {
    let world = World::start().await;
    let acme = world.company().await;
    let (id, mut session) = world.connected(&acme).await;
    let mut socket = world.socket(&acme).await;
    let first = json!({"to": "+55 11 99999-9999", "text": "hello"});
    let queued = acme.caller.post(&format!("/whatsapp/connections/{id}/messages"), first).await.json(202);
    assert_eq!(
        (&queued["status"], &queued["fromMe"], &queued["text"]),
        (&json!("queued"), &json!(true), &json!("hello"))
    );

    let command = session.next_send().await;
    let CommandAction::SendText { message, chat, text } = &command.action else { panic!("{command:?}") };
    assert_eq!((message.as_str(), chat.as_str(), text.as_str()), (queued["waId"].as_str().unwrap(), ANA, "hello"));
    session.end(&command, Outcome::Done).await;
    let sent = socket.next("message-status").await;
    assert_eq!(
        (&sent["messageId"], &sent["status"], &sent["chatId"]),
        (&queued["id"], &json!("sent"), &queued["chatId"])
    );

    // The page tells of the message as of any other: that is when the other screens of the company learn of it.
    let told = Message { id: message.clone(), from_me: true, ..incoming(ANA, "x", "hello", 1) };
    session.append(&Event::Message(told)).await;
    assert_eq!(socket.next("new-message").await["message"]["id"], queued["id"]);
    session.append(&Event::Ack(Ack { id: message.clone(), ack: 2 })).await;
    assert_eq!(socket.next("message-status").await["status"], "delivered");
    until(&acme, &queued, "delivered").await;

    let answer = format!("/whatsapp/chats/{}/messages", queued["chatId"].as_str().unwrap());
    let reply = acme.caller.post(&answer, json!({"content": "and again"})).await.json(202);
    assert_eq!((&reply["chatId"], &reply["text"]), (&queued["chatId"], &json!("and again")));
    let command = session.next_send().await;
    session.end(&command, Outcome::Failed { reason: "not_on_whatsapp".to_owned() }).await;
    let failed = socket.next("message-status").await;
    assert_eq!((&failed["status"], &failed["failure"]), (&json!("failed"), &json!("not_on_whatsapp")));
}

#[tokio::test]
async fn a_connection_that_is_not_connected_sends_nothing() {
    let world = World::start().await;
    let acme = world.company().await;
    let (id, mut session) = world.connected(&acme).await;
    session.append(&Event::Message(incoming(ANA, "3A01", "hello", 1))).await;
    let chat = acme.only_chat(id).await;
    let paths = [
        (format!("/whatsapp/connections/{id}/messages"), json!({"to": ANA, "text": "hello"})),
        (format!("/whatsapp/chats/{}/messages", chat["id"].as_str().unwrap()), json!({"text": "hello"})),
    ];
    for state in [SessionState::Reconnecting, SessionState::AwaitingLink, SessionState::LoggedOut] {
        session.say(state).await;
        for (path, body) in &paths {
            let refused = acme.caller.post(path, body.clone()).await.problem(409, "not_connected");
            assert_eq!(refused["state"], state.as_str());
        }
    }
    session.connected().await;
    acme.caller.delete(&format!("/whatsapp/connections/{id}/connect")).await.json(202);
    let refused = acme.caller.post(&paths[0].0, paths[0].1.clone()).await.problem(409, "not_connected");
    assert_eq!(refused["state"], "Suspended");
    assert_eq!((session.sends_waiting().await, world.count("messages", id).await), (0, 1));
}

#[tokio::test]
async fn a_repeated_request_sends_once() {
    let world = World::start().await;
    let acme = world.company().await;
    let (id, mut session) = world.connected(&acme).await;
    let path = format!("/whatsapp/connections/{id}/messages");
    let send = |text: &'static str| acme.caller.with_key("POST", &path, Some("k1"), json!({"to": ANA, "text": text}));
    let answers = futures::future::join_all([(); 8].map(|()| send("hello"))).await;
    let ids: Vec<_> = answers.iter().map(|answer| answer.json(202)["id"].clone()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(answers.iter().filter(|answer| answer.headers.contains_key("idempotency-replayed")).count(), 7);
    session.next_send().await;
    assert_eq!((session.sends_waiting().await, world.count("messages", id).await), (0, 1));
    send("bye").await.problem(422, "idempotency_key_reused");
    session.say(SessionState::Reconnecting).await;
    assert_eq!(send("hello").await.json(202)["id"], ids[0], "what was done is told whatever the state is now");
}

#[tokio::test]
async fn what_did_not_leave_is_sent_by_the_sweep() {
    let world = World::start().await;
    let acme = world.company().await;
    let (id, mut session) = world.connected(&acme).await;
    let path = format!("/whatsapp/connections/{id}/messages");
    let queued = acme.caller.post(&path, json!({"to": ANA, "text": "hello"})).await.json(202);
    let lost = session.next_send().await;
    // As if the process had ended between the commit and Redis.
    sqlx::query("UPDATE messages SET dispatched_at = NULL, sent_at = sent_at - interval '10 s'")
        .execute(&world.database)
        .await
        .unwrap();
    let again = session.next_send().await;
    assert_eq!((again.id, again.deadline, &again.action), (lost.id, lost.deadline, &lost.action));
    until(&acme, &queued, "queued").await;
}

#[tokio::test]
async fn a_message_without_any_word_is_given_up() {
    let world = World::start().await;
    let acme = world.company().await;
    let (id, mut session) = world.connected(&acme).await;
    let path = format!("/whatsapp/connections/{id}/messages");
    let queued = acme.caller.post(&path, json!({"to": ANA, "text": "hello"})).await.json(202);
    let command = session.next_send().await;
    let mut socket = world.socket(&acme).await;
    // Whether it left is not remembered: it may have.
    sqlx::query("UPDATE messages SET dispatched_at = NULL, deadline = now() - interval '1 hour'")
        .execute(&world.database)
        .await
        .unwrap();
    let told = socket.next("message-status").await;
    assert_eq!((&told["messageId"], &told["status"]), (&queued["id"], &json!("unknown")));
    until(&acme, &queued, "unknown").await;
    session.end(&command, Outcome::Done).await;
    until(&acme, &queued, "sent").await;
}
