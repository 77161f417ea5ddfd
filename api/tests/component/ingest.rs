//! From a session's stream to rows, REST and sockets. What would be lost: messages.

use harness::eventually;
use relay::{Ack, CommandAction, Event, Message, Offset, SessionState, StateChange};
use serde_json::{Value, json};

use crate::replica::Replica;
use crate::session::{chat, incoming};
use crate::world::{Company, SOON, World};

const ANA: &str = "5511999999999@c.us";
const GROUP: &str = "120363000000000001@g.us";

async fn texts(company: &Company, chat: &Value, query: &str) -> (Vec<String>, Option<String>) {
    let path = format!("/whatsapp/chats/{}/messages{query}", chat["id"].as_str().unwrap());
    let page = company.caller.get(&path).await.json(200);
    let items = page["items"].as_array().unwrap();
    let texts = items.iter().map(|item| item["text"].as_str().unwrap().to_owned()).collect();
    (texts, page["nextCursor"].as_str().map(str::to_owned))
}

#[tokio::test]
async fn a_message_is_stored_and_told_once_however_often_it_comes() {
    let world = World::start().await;
    let acme = world.company().await;
    let (id, mut session) = world.connected(&acme).await;
    let mut socket = world.socket(&acme).await;
    let message = Event::Message(incoming(ANA, "3A01", "Olá 👋", 1));
    let first = session.append(&message).await;
    session.append(&message).await;
    let last = session.append(&Event::Message(incoming(ANA, "3A02", "again", 2))).await;

    let told = socket.next("new-message").await;
    assert_eq!((&told["connectionId"], &told["offset"]), (&json!(id), &json!(first)));
    let message = &told["message"];
    assert_eq!(
        (&message["text"], &message["status"], &message["fromMe"], &message["authorName"]),
        (&json!("Olá 👋"), &json!("received"), &json!(false), &json!("Ana"))
    );
    let second = socket.next("new-message").await;
    assert_eq!((&second["message"]["text"], &second["offset"]), (&json!("again"), &json!(last)));

    let chat = acme.only_chat(id).await;
    assert_eq!(
        (&chat["id"], &chat["name"], &chat["phone"], &chat["isGroup"], &chat["lastMessage"]["text"]),
        (&told["chatId"], &json!("Ana"), &json!("5511999999999"), &json!(false), &json!("again"))
    );
    assert_eq!(texts(&acme, &chat, "").await.0, ["Olá 👋", "again"]);
    eventually(SOON, "the stream to be trimmed", async || match session.stream_length().await {
        0 => Ok(()),
        left => Err(left),
    })
    .await;
    // Connected, the message twice, and the other one: each event is kept, with the one before it.
    assert_eq!((world.count("events", id).await, world.count("messages", id).await), (4, 2));
    let broken: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM events a WHERE previous <> '0-0' AND NOT EXISTS (SELECT 1 FROM events b WHERE \
         b.connection_id = a.connection_id AND b.ms || '-' || b.seq = a.previous)",
    )
    .fetch_one(&world.database)
    .await
    .unwrap();
    assert_eq!(broken, 0, "the chain of offsets has a gap");
}

#[tokio::test]
async fn what_cannot_be_read_or_stored_does_not_stop_the_stream() {
    let world = World::start().await;
    let acme = world.company().await;
    let (id, mut session) = world.connected(&acme).await;
    session.append_raw("no envelope").await;
    session.append_raw(r#"{"v":1,"kind":"fromTheFuture","at":"2026-11-23T10:00:00Z","fence":1,"body":{}}"#).await;
    // PostgreSQL has no text with NUL, and no time so far off.
    session.append(&Event::Message(incoming(ANA, "3A01", "a\0b", 1))).await;
    let far = jiff::Timestamp::MIN;
    session.append(&Event::Message(Message { sent_at: far, ..incoming(ANA, "3A02", "far", 2) })).await;
    session.append(&Event::Message(incoming(ANA, "3A03", "after", 3))).await;

    let chat = eventually(SOON, "the message after them", async || {
        let chat = acme.only_chat(id).await;
        if chat["lastMessage"]["text"] == "after" { Ok(chat) } else { Err(chat) }
    })
    .await;
    assert_eq!(texts(&acme, &chat, "").await.0, ["a\u{fffd}b", "after"]);
    assert_eq!(world.count("dead_letters", id).await, 3);
}

#[tokio::test]
async fn receipts_only_grow() {
    let world = World::start().await;
    let acme = world.company().await;
    let (id, mut session) = world.connected(&acme).await;
    let mut socket = world.socket(&acme).await;
    let own: relay::MessageId = format!("true_{ANA}_3EB001").parse().unwrap();
    let message = Message { id: own.clone(), from_me: true, ..incoming(ANA, "x", "mine", 1) };
    session.append(&Event::Message(message)).await;
    for ack in [1, 3, 2, -1] {
        session.append(&Event::Ack(Ack { id: own.clone(), ack })).await;
    }
    session.append(&Event::Ack(Ack { id: own.clone(), ack: 4 })).await;
    let seen = [(); 3].map(|()| ());
    let mut statuses = Vec::new();
    for () in seen {
        statuses.push(socket.next("message-status").await["status"].clone());
    }
    assert_eq!(statuses, ["sent", "read", "played"]);
    let chat = acme.only_chat(id).await;
    let path = format!("/whatsapp/chats/{}/messages", chat["id"].as_str().unwrap());
    assert_eq!(acme.caller.get(&path).await.json(200)["items"][0]["status"], "played");
}

/// What is lost otherwise: everything that came while a pod was replaced. What a phone brings along when it is linked is
/// no news, though: it would be a storm of old messages.
#[tokio::test]
async fn what_was_missed_is_news_and_what_the_phone_brought_is_not() {
    let world = World::start().await;
    let acme = world.company().await;
    let (id, mut session) = world.connected(&acme).await;
    let mut socket = world.socket(&acme).await;
    let brought = Message { recovered: true, ..incoming(ANA, "3A01", "brought", 1) };
    let missed = Message { sent_at: runtime::ambient::now(), ..incoming(ANA, "3A02", "missed", 2) };
    session.append(&Event::Message(brought)).await;
    session.append(&Event::Message(Message { recovered: true, ..missed })).await;
    let told = socket.next("new-message").await;
    assert_eq!((&told["message"]["text"], &told["recovered"]), (&json!("missed"), &json!(true)));
    assert_eq!(texts(&acme, &acme.only_chat(id).await, "").await.0, ["brought", "missed"]);
    let commands = session.relay.commands(Offset::START).await.unwrap();
    let listing = |command: &relay::Command| matches!(command.action, CommandAction::ListChats { .. });
    assert!(!commands.iter().any(|(_, command)| command.as_ref().is_ok_and(listing)), "its history comes unasked");
}

#[tokio::test]
async fn groups_are_listed_only_when_asked_for() {
    let world = World::start().await;
    let acme = world.company().await;
    let (id, mut session) = world.connected(&acme).await;
    session.append(&Event::Chat(chat(GROUP, "Football"))).await;
    session.append(&Event::Message(incoming(GROUP, "3A01", "who comes?", 1))).await;
    session.append(&Event::Chat(chat(ANA, "Ana Maria"))).await;
    let individual = acme.only_chat(id).await;
    assert_eq!((&individual["name"], &individual["unread"]), (&json!("Ana Maria"), &json!(3)));
    let all = acme.caller.get(&format!("/whatsapp/connections/{id}/chats?groups=true")).await.json(200);
    let names: Vec<_> = all["items"].as_array().unwrap().iter().map(|chat| &chat["name"]).collect();
    assert_eq!(names, ["Football", "Ana Maria"], "the latest activity first, unknown last");
}

#[tokio::test]
async fn pages_of_messages_are_stable_while_new_ones_come() {
    let world = World::start().await;
    let acme = world.company().await;
    let (id, mut session) = world.connected(&acme).await;
    // Several of one second: their order is that of their arrival.
    for number in 0..7 {
        session.append(&Event::Message(incoming(ANA, &format!("3A0{number}"), &number.to_string(), number / 3))).await;
    }
    let chat = eventually(SOON, "seven messages", async || match world.count("messages", id).await {
        7 => Ok(acme.only_chat(id).await),
        other => Err(other),
    })
    .await;
    let (first, cursor) = texts(&acme, &chat, "?limit=3").await;
    assert_eq!(first, ["4", "5", "6"], "the newest page, the oldest of it first");
    session.append(&Event::Message(incoming(ANA, "3AFF", "new", 9))).await;
    eventually(SOON, "the new message", async || match world.count("messages", id).await {
        8 => Ok(()),
        other => Err(other),
    })
    .await;
    let (second, cursor) = texts(&acme, &chat, &format!("?limit=3&cursor={}", cursor.unwrap())).await;
    assert_eq!(second, ["1", "2", "3"]);
    let (third, cursor) = texts(&acme, &chat, &format!("?limit=3&cursor={}", cursor.unwrap())).await;
    assert_eq!((third, cursor), (vec!["0".to_owned()], None));
}

#[tokio::test]
async fn a_stream_whose_connection_is_not_known_is_left_alone() {
    let world = World::start().await;
    let acme = world.company().await;
    let stranger = relay::ConnectionId(runtime::ambient::new_id());
    let mut session = world.session(stranger).await;
    session.append(&Event::Message(incoming(ANA, "3A01", "hello", 1))).await;
    // The one after it is read, so this one was passed over.
    let (id, mut known) = world.connected(&acme).await;
    known.append(&Event::Message(incoming(ANA, "3A01", "hello", 1))).await;
    acme.only_chat(id).await;
    assert_eq!((session.stream_length().await, world.count("messages", stranger).await), (1, 0));
}

/// Two replicas may look at one stream at the same time; only the one that moves the cursor may tell of a batch.
#[tokio::test]
async fn two_replicas_store_and_tell_each_event_once() {
    let world = World::start().await;
    world.start_replica().await;
    let acme = world.company().await;
    let (id, mut session) = world.connected(&acme).await;
    let mut socket = world.socket(&acme).await;
    let mut appended = Vec::new();
    for number in 0..30 {
        let state = if number % 2 == 0 { SessionState::Reconnecting } else { SessionState::Connected };
        appended.push(session.append(&Event::State(StateChange { state, reason: None })).await.to_string());
        session.append(&Event::Message(incoming(ANA, &format!("3A{number}"), &number.to_string(), number))).await;
    }
    let mut told = Vec::new();
    while told.len() < appended.len() {
        let status = socket.next("connection-status").await;
        told.extend(status["offset"].as_str().map(str::to_owned).filter(|offset| appended.contains(offset)));
    }
    told.sort();
    assert_eq!(told, appended, "one was told twice");
    eventually(SOON, "all messages", async || match world.count("messages", id).await {
        30 => Ok(()),
        other => Err(other),
    })
    .await;
    assert_eq!((world.count("events", id).await, world.count("dead_letters", id).await), (61, 0));
}

/// What a broken, an overtaken or a hostile pod writes. The stream goes on, people can look at what it was, and a metric
/// says that there is something to look at.
#[tokio::test]
async fn what_does_not_belong_into_a_stream_is_put_aside_with_its_reason() {
    let mut world = World::without_api().await;
    let replica = Replica::start(&world, &[]).await;
    world.base.clone_from(&replica.base);
    let acme = world.company().await;
    let (id, mut session) = world.connected(&acme).await;
    let envelope = |more: Value| {
        let mut envelope = json!({
            "v": 1, "kind": "chat", "at": "2026-11-23T10:00:00Z", "fence": session.fence,
            "body": {"id": ANA, "name": "Eve", "unread": 1},
        });
        envelope.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        envelope.to_string()
    };
    let wrong = [
        ("not an envelope", "{\"v\":1".to_owned()),
        ("newer than this reader", envelope(json!({"v": 2}))),
        ("kind \"chat\"", envelope(json!({"body": {"id": "nobody"}}))),
        ("too large", "x".repeat(600 * 1024)),
        ("an event of connection", envelope(json!({"connection": runtime::ambient::new_id()}))),
        ("is older than", envelope(json!({"fence": 0}))),
    ];
    for (_, text) in &wrong {
        session.append_raw(text).await;
    }
    session.append(&Event::Message(incoming(ANA, "3A01", "after", 3))).await;
    let chat = acme.only_chat(id).await;
    assert_eq!((&chat["name"], &chat["lastMessage"]["text"]), (&json!("Ana"), &json!("after")));
    let letters: Vec<(String, i32)> =
        sqlx::query_as("SELECT error, length(raw) FROM dead_letters WHERE connection_id = $1 ORDER BY ms, seq")
            .bind(id.0)
            .fetch_all(&world.database)
            .await
            .unwrap();
    assert_eq!(letters.len(), wrong.len(), "{letters:?}");
    for ((reason, _), (error, length)) in wrong.iter().zip(&letters) {
        assert!(error.contains(reason), "{error} instead of {reason}");
        assert!((1..=64 * 1024).contains(length), "{length} characters are kept");
    }
    // Counted once they are stored.
    harness::eventually(crate::world::SOON, "all to be counted", async || {
        match replica.metric("whatsapp_api_dead_letters_total").await {
            counted if (counted - 6.0).abs() < 0.1 => Ok(()),
            counted => Err(counted),
        }
    })
    .await;
}

/// What would be lost: the answer to "why was our account offline last night?".
#[tokio::test]
async fn the_log_of_a_connection_has_every_step_with_its_reason_the_newest_first() {
    let world = World::start().await;
    let acme = world.company().await;
    let (id, mut session) = world.connected(&acme).await;
    session.append(&Event::Message(incoming(ANA, "3A01", "between the steps", 1))).await;
    for (state, reason) in [(SessionState::Reconnecting, Some("StreamLost")), (SessionState::Connected, None)] {
        session.append(&Event::State(StateChange { state, reason: reason.map(str::to_owned) })).await;
    }
    let path = format!("/whatsapp/connections/{id}/log");
    let steps = |page: &Value| -> Vec<(String, Option<String>)> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let items = page["items"].as_array().unwrap().iter();
        items.map(|item| (text(&item["state"]).unwrap(), text(&item["reason"]))).collect()
    };
    let page = eventually(SOON, "three steps", async || {
        let page = acme.caller.get(&path).await.json(200);
        if steps(&page).len() == 3 { Ok(page) } else { Err(page) }
    })
    .await;
    let step = |status: &str, reason: Option<&str>| (status.to_owned(), reason.map(str::to_owned));
    let all = [step("Connected", None), step("Reconnecting", Some("StreamLost")), step("Connected", None)];
    assert_eq!(steps(&page), all);
    assert!(page["items"][0]["at"].is_string() && page["items"][0]["offset"].is_string(), "{page}");

    // A step that comes meanwhile changes no later page.
    let first = acme.caller.get(&format!("{path}?limit=2")).await.json(200);
    session.append(&Event::State(StateChange { state: SessionState::Conflict, reason: None })).await;
    let rest = format!("{path}?limit=2&cursor={}", first["nextCursor"].as_str().unwrap());
    let second = acme.caller.get(&rest).await.json(200);
    assert_eq!((steps(&first), steps(&second)), (all[..2].to_vec(), all[2..].to_vec()));
    assert_eq!(second["nextCursor"], Value::Null);

    let globex = world.company().await;
    globex.caller.get(&path).await.problem(404, "connection_not_found");
}

/// Redis takes no word for a moment, just after the commit. What would be lost: an event that no screen shows until the
/// next one comes, which may be hours later.
#[tokio::test]
async fn what_was_committed_and_not_told_is_told_without_another_event() {
    let world = World::start().await;
    let acme = world.company().await;
    let (id, mut session) = world.connected(&acme).await;
    let stored = async |events: i64| {
        eventually(SOON, "the event to be stored", async || match world.count("events", id).await {
            count if count == events => Ok(()),
            count => Err(count),
        })
        .await;
    };
    stored(1).await;
    let mut socket = world.socket(&acme).await;
    let may_publish = async |rule: &str, redis: &mut relay::Redis| {
        let mut user = redis::cmd("ACL");
        let _: () = user.arg("SETUSER").arg("default").arg(rule).query_async(redis).await.unwrap();
    };
    may_publish("-publish", &mut session.redis).await;
    let body = json!({"state": "Reconnecting", "reason": null});
    let event = json!({"v": 1, "kind": "state", "at": "2026-11-23T10:00:00Z", "fence": session.fence, "body": body});
    session.append_raw(&event.to_string()).await;
    stored(2).await;
    may_publish("+publish", &mut session.redis).await;
    assert_eq!(socket.next("connection-status").await["state"], "Reconnecting");
}
