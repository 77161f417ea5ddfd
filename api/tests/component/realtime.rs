//! Sockets. What would be lost: a screen that shows what is; or one that shows what is another company's.

use relay::{Event, SessionState};
use serde_json::{Value, json};

use crate::replica::Replica;
use crate::session::incoming;
use crate::socket::Socket;
use crate::websocket::WebSocket;
use crate::world::{FRONTEND, World, token};

const ANA: &str = "5511999999999@c.us";

#[tokio::test]
async fn a_socket_without_a_good_token_is_refused() {
    let world = World::start().await;
    for auth in [json!({}), json!({"token": "x"}), json!({"token": token("acme", -60)}), json!({"token": 7})] {
        assert_eq!(Socket::connect(&world.base, auth).await.err().as_deref(), Some("unauthorized"));
    }
    let good = || json!({"token": token("acme", 60)});
    let elsewhere = Socket::connect_from(&world.base, good(), Some("http://evil.example.org")).await;
    assert_eq!(elsewhere.err().as_deref(), Some("forbidden origin"));
    assert!(Socket::connect_from(&world.base, good(), Some(FRONTEND)).await.is_ok());
}

#[tokio::test]
async fn joining_another_company_is_ignored() {
    let world = World::start().await;
    let (acme, globex) = (world.company().await, world.company().await);
    let (_, mut session) = world.connected(&acme).await;
    let (_, mut others) = world.connected(&globex).await;
    let auth = json!({"token": token(&globex.id, 3600)});
    let mut spy = Socket::connect(&world.base, auth).await.unwrap();
    assert_eq!(spy.join(&acme.id).await, json!({"joined": false}));
    assert_eq!(spy.join(&globex.id).await["joined"], true);
    let mut socket = world.socket(&acme).await;
    session.append(&Event::Message(incoming(ANA, "3A01", "for acme", 1))).await;
    assert_eq!(socket.next("new-message").await["message"]["text"], "for acme");
    others.append(&Event::Message(incoming(ANA, "3A02", "for globex", 1))).await;
    assert_eq!(spy.next("new-message").await["message"]["text"], "for globex", "the first that it hears");
}

#[tokio::test]
async fn a_socket_that_did_not_join_hears_nothing() {
    let world = World::start().await;
    let acme = world.company().await;
    let (_, mut session) = world.connected(&acme).await;
    let mut late = Socket::connect(&world.base, json!({"token": token(&acme.id, 3600)})).await.unwrap();
    let mut socket = world.socket(&acme).await;
    session.append(&Event::Message(incoming(ANA, "3A01", "before", 1))).await;
    socket.next("new-message").await;
    late.join(&acme.id).await;
    session.append(&Event::Message(incoming(ANA, "3A02", "after", 2))).await;
    assert_eq!(late.next("new-message").await["message"]["text"], "after");
}

#[tokio::test]
async fn every_step_to_a_linked_phone_is_told() {
    let world = World::start().await;
    let acme = world.company().await;
    let id = acme.create("Sales").await;
    let connect = format!("/whatsapp/connections/{id}/connect");
    let mut socket = world.socket(&acme).await;
    let mut session = world.session(id).await;
    acme.caller.post(&connect, Value::Null).await.json(202);
    let started = socket.next("connection-status").await;
    assert_eq!((&started["connectionId"], &started["status"]), (&json!(id), &json!("Starting")));

    session.say(SessionState::AwaitingLink).await;
    let awaiting = socket.next("connection-status").await;
    assert_eq!(awaiting["status"], "AwaitingLink");
    assert!(awaiting["offset"].is_string() && awaiting["previous"].is_string(), "{awaiting}");
    session.show_qr("2@code").await;
    let shown = socket.next("connection-status").await;
    assert_eq!((&shown["status"], &shown["linkCode"]["code"]), (&json!("AwaitingLink"), &json!("2@code")));
    assert!(shown["qr"].as_str().unwrap().starts_with("data:image/svg+xml;base64,"));
    session.connected().await;
    assert_eq!(socket.next("connection-status").await["status"], "Connected");

    acme.caller.delete(&connect).await.json(202);
    assert_eq!(socket.next("connection-status").await["status"], "Suspended");
    session.say(SessionState::Stopping).await;
    assert_eq!(socket.next("connection-status").await["status"], "Suspended", "its last word changes nothing");
    acme.caller.delete(&format!("/whatsapp/connections/{id}")).await;
    assert_eq!(socket.next("connection-status").await["status"], "Deleted");
}

#[tokio::test]
async fn a_socket_ends_with_its_token() {
    let world = World::start().await;
    let acme = world.company().await;
    // Not shorter than the leeway, in which a token that just ended still opens a socket.
    let mut socket = Socket::connect(&world.base, json!({"token": token(&acme.id, 2)})).await.unwrap();
    socket.ended().await;
}

/// What was told while Redis was away was told to nobody: a socket that stayed open would show an old screen for ever.
#[tokio::test]
async fn sockets_that_missed_something_are_closed() {
    let mut world = World::start().await;
    let acme = world.company().await;
    let (id, mut session) = world.connected(&acme).await;
    let mut socket = world.socket(&acme).await;
    session.append(&Event::Message(incoming(ANA, "3A01", "before", 1))).await;
    socket.next("new-message").await;
    world.redis.restart().await;
    socket.closed().await;
    let mut socket = world.socket(&acme).await;
    acme.caller.delete(&format!("/whatsapp/connections/{id}")).await;
    assert_eq!(socket.next("connection-status").await["status"], "Deleted");
}

/// What would be lost: everything, for a client that is fast. It asks to be let in as soon as it hears that it is connected.
/// The program itself: only where several threads run does anything happen in between.
#[tokio::test]
async fn a_client_that_asks_at_once_is_let_in() {
    let world = World::without_api().await;
    let replica = Replica::start(&world, &[]).await;
    let auth = json!({"token": token("acme", 60)});
    for number in 0..200 {
        let mut socket = WebSocket::connect(&replica.base, &auth).await;
        assert_eq!(socket.join("acme").await["joined"], true, "socket {number}");
    }
}
