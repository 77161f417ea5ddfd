//! Clients that were away for a moment, or cannot keep up. What would be lost: a message that nobody sees on a screen.

use harness::eventually;
use relay::{Ack, Event, Message, SessionState};
use serde_json::{Value, json};

use crate::session::{Session, chat, incoming};
use crate::socket::Socket;
use crate::websocket::WebSocket;
use crate::world::{Company, SOON, World, token};

const ANA: &str = "5511999999999@c.us";

async fn message(session: &mut Session, number: i64) -> Value {
    json!(session.append(&Event::Message(incoming(ANA, &format!("3A{number}"), &number.to_string(), number))).await)
}

/// A socket that says how far it was told, and the answer to its joining.
async fn again(world: &World, company: &Company, offset: Value) -> (Socket, Value) {
    let auth = json!({"token": token(&company.id, 3600), "offset": offset});
    let mut socket = Socket::connect(&world.base, auth).await.unwrap();
    let joined = socket.join(&company.id).await;
    assert_eq!(joined["joined"], true);
    (socket, joined)
}

async fn texts(socket: &mut Socket, count: usize) -> Vec<String> {
    let mut texts = Vec::new();
    for _ in 0..count {
        texts.push(socket.next("new-message").await["message"]["text"].as_str().unwrap().to_owned());
    }
    texts
}

async fn stored(world: &World, id: relay::ConnectionId, messages: i64) {
    eventually(SOON, "all messages", async || match world.count("messages", id).await {
        count if count == messages => Ok(()),
        count => Err(count),
    })
    .await;
}

/// What nobody is told of (a chat's name, history that the phone brought along) lies between, and is no gap.
#[tokio::test]
async fn each_event_names_the_one_that_was_told_before_it() {
    let world = World::start().await;
    let acme = world.company().await;
    let (_, mut session) = world.connected(&acme).await;
    let mut socket = world.socket(&acme).await;
    let first = message(&mut session, 1).await;
    session.append(&Event::Chat(chat(ANA, "Ana"))).await;
    let history = Message { recovered: true, ..incoming(ANA, "3A00", "long ago", 0) };
    session.append(&Event::Message(history)).await;
    let unknown: relay::MessageId = format!("true_{ANA}_3EB0").parse().unwrap();
    session.append(&Event::Ack(Ack { id: unknown, ack: 2 })).await;
    let second = message(&mut session, 2).await;
    session.say(SessionState::Reconnecting).await;
    assert_eq!(socket.next("new-message").await["offset"], first);
    let told = socket.next("new-message").await;
    assert_eq!((&told["offset"], &told["previous"]), (&second, &first));
    assert_eq!(socket.next("connection-status").await["previous"], second);
}

#[tokio::test]
async fn who_comes_again_gets_what_it_missed_in_order() {
    let world = World::start().await;
    let acme = world.company().await;
    let (id, mut session) = world.connected(&acme).await;
    let (other, mut another) = world.connected(&acme).await;
    message(&mut session, 1).await;
    stored(&world, id, 1).await;
    let mut socket = world.socket(&acme).await;
    let heard = message(&mut session, 2).await;
    assert_eq!(texts(&mut socket, 1).await, ["2"]);
    drop(socket);
    message(&mut session, 3).await;
    message(&mut session, 4).await;
    stored(&world, id, 4).await;
    message(&mut another, 5).await;
    stored(&world, other, 1).await;

    // Of one connection it says where it was; the other is new to it, with everything since its beginning.
    let (mut socket, joined) = again(&world, &acme, json!({ (id.to_string()): heard })).await;
    assert_eq!(joined["recovered"], true);
    assert_eq!(joined["offsets"], json!({ (id.to_string()): heard, (other.to_string()): "0-0" }));
    assert_eq!(texts(&mut socket, 3).await, ["3", "4", "5"]);
    message(&mut session, 6).await;
    assert_eq!(texts(&mut socket, 1).await, ["6"], "and then all that comes");

    // With the answer of the first joining it misses nothing, either.
    let (_, joined) = again(&world, &acme, Value::Null).await;
    assert_eq!(joined["recovered"], Value::Null);
    message(&mut another, 7).await;
    stored(&world, other, 2).await;
    let (mut socket, joined) = again(&world, &acme, joined["offsets"].clone()).await;
    assert_eq!(joined["recovered"], true);
    assert_eq!(texts(&mut socket, 1).await, ["7"]);
}

#[tokio::test]
async fn one_offset_is_enough_where_there_is_one_connection() {
    let world = World::start().await;
    let acme = world.company().await;
    let (id, mut session) = world.connected(&acme).await;
    let heard = message(&mut session, 1).await;
    message(&mut session, 2).await;
    stored(&world, id, 2).await;
    let (mut socket, joined) = again(&world, &acme, heard.clone()).await;
    assert_eq!(joined["recovered"], true);
    assert_eq!(texts(&mut socket, 1).await, ["2"]);
    acme.create("Support").await;
    assert_eq!(again(&world, &acme, heard).await.1["recovered"], false, "of which?");
}

#[tokio::test]
async fn who_missed_too_much_or_says_nonsense_is_told_to_load_everything() {
    let world = World::start().await;
    let (acme, globex) = (world.company().await, world.company().await);
    let (id, mut session) = world.connected(&acme).await;
    let (foreign, mut others) = world.connected(&globex).await;
    let heard = message(&mut session, 0).await;
    for number in 1..=301 {
        message(&mut session, number).await;
    }
    stored(&world, id, 302).await;
    let secret = message(&mut others, 1).await;
    stored(&world, foreign, 1).await;
    for nonsense in [heard, json!({ (id.to_string()): "7-7" }), json!("x"), json!(["x"]), json!({"x": "0-0"})] {
        let (mut socket, joined) = again(&world, &acme, nonsense.clone()).await;
        assert_eq!(joined["recovered"], false, "{nonsense}");
        let last = message(&mut session, 1000).await;
        drop(last);
        // It is told of what comes, from the places in the answer on.
        session.say(SessionState::Reconnecting).await;
        let told = socket.next("connection-status").await;
        assert!(told["offset"].is_string());
    }
    // Another company's connection is as good as none: nothing of it is told.
    let newest = again(&world, &acme, Value::Null).await.1["offsets"].clone();
    let mut named = newest.as_object().unwrap().clone();
    named.insert(foreign.to_string(), json!("0-0"));
    let (mut socket, joined) = again(&world, &acme, Value::Object(named)).await;
    assert_eq!((&joined["recovered"], &joined["offsets"][foreign.to_string()]), (&json!(true), &Value::Null));
    session.append(&Event::Message(incoming(ANA, "3AFF", "own", 2000))).await;
    let told = socket.next("new-message").await;
    assert_eq!((&told["message"]["text"], told["offset"] == secret), (&json!("own"), false));
}

/// Another replica has committed an event and says so a moment later: by then whoever came meanwhile read it from the
/// database. What would be lost: that a screen shows it once.
#[tokio::test]
async fn what_was_read_from_the_database_is_not_told_again_when_it_is_heard_of() {
    let world = World::start().await;
    let acme = world.company().await;
    let (id, mut session) = world.connected(&acme).await;
    let heard = message(&mut session, 1).await;
    stored(&world, id, 1).await;
    // Who is there already shows when it was heard of.
    let mut other = world.socket(&acme).await;
    let late = heard.as_str().unwrap().split('-').next().unwrap().parse::<i64>().unwrap();
    let told = json!({"name": "new-message", "data": {
        "connectionId": id, "offset": format!("{late}-7"), "previous": heard, "message": {"text": "late"},
    }});
    sqlx::query(
        "INSERT INTO events (connection_id, ms, seq, company_id, previous, kind, at, payload) \
         VALUES ($1, $2, 7, $3, $4, 'message', now(), $5)",
    )
    .bind(id.0)
    .bind(late)
    .bind(&acme.id)
    .bind(heard.as_str())
    .bind(&told)
    .execute(&world.database)
    .await
    .unwrap();
    let (mut socket, joined) = again(&world, &acme, json!({ (id.to_string()): heard })).await;
    assert_eq!(joined["recovered"], true);
    assert_eq!(texts(&mut socket, 1).await, ["late"]);
    let channel = relay::company_channel(&acme.id.parse().unwrap());
    let mut publish = redis::cmd("PUBLISH");
    let _: i64 = publish.arg(channel).arg(told.to_string()).query_async(&mut session.redis).await.unwrap();
    assert_eq!(texts(&mut other, 1).await, ["late"], "it was heard of");
    message(&mut session, 2).await;
    assert_eq!(texts(&mut socket, 1).await, ["2"], "once");
}

/// A browser on a train: it takes nothing for a while, and everybody else goes on.
#[tokio::test]
async fn a_client_that_cannot_keep_up_is_closed_and_loads_or_resumes() {
    let world = World::start().await;
    let acme = world.company().await;
    let (id, mut session) = world.connected(&acme).await;
    let auth = json!({"token": token(&acme.id, 3600)});
    let mut slow = WebSocket::connect(&world.base, &auth).await;
    assert_eq!(slow.join(&acme.id).await["joined"], true);
    let mut quick = world.socket(&acme).await;
    let long = "x".repeat(16 * 1024);
    let count = 1200;
    let sends = async {
        for number in 0..count {
            let text = format!("{number} {long}");
            session.append(&Event::Message(incoming(ANA, &format!("3A{number}"), &text, number))).await;
        }
    };
    let hears = async {
        for number in 0..count {
            let told = quick.next("new-message").await;
            let text = told["message"]["text"].as_str().unwrap();
            assert_eq!(text.split(' ').next(), Some(number.to_string().as_str()), "the others hear each once");
        }
    };
    tokio::join!(sends, hears);
    // It wakes up: some that was on its way, without a gap, and then the end.
    let mut told = Vec::new();
    while let Some(event) = slow.next_event().await {
        told.extend(event["message"]["text"].as_str().map(|text| text.split(' ').next().unwrap().to_owned()));
    }
    assert!(told.len() < usize::try_from(count).unwrap(), "it was closed");
    assert!(told.iter().enumerate().all(|(number, text)| *text == number.to_string()), "no gap: {told:?}");
    stored(&world, id, count).await;
}

/// The same with long polls, whose connection is not theirs to be hung up.
#[tokio::test]
async fn a_client_that_does_not_poll_is_closed() {
    let world = World::start().await;
    let acme = world.company().await;
    let (_, mut session) = world.connected(&acme).await;
    let mut slow = world.socket(&acme).await;
    let mut quick = world.socket(&acme).await;
    let count = 600;
    let sends = async {
        for number in 0..count {
            message(&mut session, number).await;
        }
    };
    let hears = async { texts(&mut quick, usize::try_from(count).unwrap()).await };
    tokio::join!(sends, hears);
    slow.closed().await;
}
