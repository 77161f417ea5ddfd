//! Pages while the list changes under them. What would be lost: a chat or a message that a screen never shows, or shows twice.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use harness::eventually;
use jiff::Timestamp;
use relay::{Chat, ConnectionId, Event};
use serde_json::{Value, json};

use crate::session::{Session, incoming};
use crate::world::{Company, SOON, World};

const CHATS: i64 = 9;

fn chat(number: i64) -> String {
    format!("55119999900{number:02}@c.us")
}

/// A message of that chat, told of and stored.
async fn stored(world: &World, connection: ConnectionId, session: &mut Session, chat: &str, id: &str, second: i64) {
    let before = world.count("messages", connection).await;
    session.append(&Event::Message(incoming(chat, id, "hello", second))).await;
    eventually(SOON, "the message to be stored", async || match world.count("messages", connection).await {
        count if count > before => Ok(()),
        count => Err(count),
    })
    .await;
}

/// All pages of a list, with something happening before each next one.
async fn pages(company: &Company, path: &str, mut meanwhile: impl AsyncFnMut(usize)) -> Vec<Vec<Value>> {
    let (mut pages, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = company.caller.get(&format!("{path}?limit=2&cursor={cursor}")).await.json(200);
        pages.push(page["items"].as_array().unwrap().clone());
        match page["nextCursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => return pages,
        }
        assert!(pages.len() < 50, "it never ends");
        meanwhile(pages.len()).await;
    }
}

/// How often each value of a field was on a page.
fn times(pages: &[Vec<Value>], field: &str) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for item in pages.iter().flatten() {
        *times.entry(item[field].as_str().unwrap().to_owned()).or_default() += 1;
    }
    times
}

#[tokio::test]
async fn every_chat_is_on_one_page_while_chats_get_messages_and_new_ones_come() {
    let world = World::start().await;
    let acme = world.company().await;
    let (id, mut session) = world.connected(&acme).await;
    for number in 0..CHATS {
        stored(&world, id, &mut session, &chat(number), &format!("3A{number}"), number).await;
    }
    // After each page one chat that was not reached yet, one that was, and one that is new get a message; one of these was
    // missed and is older than all.
    let path = format!("/whatsapp/connections/{id}/chats");
    let pages = pages(&acme, &path, async |page| {
        let page = i64::try_from(page).unwrap();
        let (unseen, seen) = (chat(page % 3), chat(CHATS - 1 - page % 2));
        // And one that was not reached, either, is raised by something that is not stored as a message.
        let at = Timestamp::from_second(1_700_000_500 + page).unwrap();
        let raised = Chat { last_activity_at: Some(at), ..crate::session::chat(&chat(3), "Ana") };
        session.append(&Event::Chat(raised)).await;
        for (at, chat) in [unseen, seen, chat(20 + page)].iter().enumerate() {
            let (at, message) = (i64::try_from(at).unwrap(), format!("3B{page}{at}"));
            let second = if at == 1 { -page } else { 100 + 10 * page + at };
            stored(&world, id, &mut session, chat, &message, second).await;
        }
    })
    .await;
    let times = times(&pages, "waId");
    let there: BTreeSet<_> = (0..CHATS).map(chat).collect();
    for chat in &there {
        assert_eq!(times.get(chat), Some(&1), "{chat} of {times:?}");
    }
    assert!(times.values().all(|times| *times == 1), "{times:?}");
    let first = acme.caller.get(&path).await.json(200);
    let first = first["items"].as_array().unwrap();
    assert_ne!(first[0]["waId"], json!(chat(CHATS - 1)), "a new first page has them in their new order");
}

#[tokio::test]
async fn every_message_is_on_one_page_while_newer_and_older_ones_come() {
    let world = World::start().await;
    let acme = world.company().await;
    let (id, mut session) = world.connected(&acme).await;
    // Three of each second, as WhatsApp's clock is no finer.
    for number in 0..9 {
        stored(&world, id, &mut session, &chat(1), &format!("3A{number}"), 50 + number / 3).await;
    }
    let at = acme.only_chat(id).await["id"].as_str().unwrap().to_owned();
    let pages = pages(&acme, &format!("/whatsapp/chats/{at}/messages"), async |page| {
        let page = i64::try_from(page).unwrap();
        for (kind, second) in [("new", 100), ("same", 51), ("old", 10)] {
            stored(&world, id, &mut session, &chat(1), &format!("3B{kind}{page}"), second).await;
        }
    })
    .await;
    let times = times(&pages, "waId");
    for number in 0..9 {
        let wa_id = format!("false_{}_3A{number}", chat(1));
        assert_eq!(times.get(&wa_id), Some(&1), "{wa_id} of {times:?}");
    }
    assert!(times.values().all(|times| *times == 1), "{times:?}");
}

#[tokio::test]
async fn every_connection_is_on_one_page_while_others_come_and_go() {
    let world = World::start().await;
    let acme = world.company().await;
    let mut there = Vec::new();
    for number in 0..7 {
        there.push(acme.create(&format!("Number {number}")).await.to_string());
    }
    let gone = acme.create("Gone").await;
    let pages = pages(&acme, "/whatsapp/connections", async |page| {
        acme.create(&format!("New {page}")).await;
        if page == 1 {
            assert_eq!(acme.caller.delete(&format!("/whatsapp/connections/{gone}")).await.status, 204);
        }
    })
    .await;
    let times = times(&pages, "id");
    for id in &there {
        assert_eq!(times.get(id), Some(&1), "{id} of {times:?}");
    }
    assert!(times.values().all(|times| *times == 1), "{times:?}");
}

#[tokio::test]
async fn every_entry_of_the_audit_log_is_on_one_page_while_others_come() {
    let world = World::start().await;
    let acme = world.company().await;
    for number in 0..7 {
        acme.create(&format!("Number {number}")).await;
    }
    let before = acme.caller.get("/whatsapp/audit?limit=200").await.json(200)["items"].clone();
    let pages = pages(&acme, "/whatsapp/audit", async |page| {
        acme.create(&format!("New {page}")).await;
    })
    .await;
    let times = times(&pages, "requestId");
    for entry in before.as_array().unwrap() {
        assert_eq!(times.get(entry["requestId"].as_str().unwrap()), Some(&1), "{entry} of {times:?}");
    }
    assert!(times.values().all(|times| *times == 1), "{times:?}");
}

#[tokio::test]
async fn a_cursor_that_is_not_ours_is_told_apart() {
    let world = World::start().await;
    let acme = world.company().await;
    let (id, mut session) = world.connected(&acme).await;
    for number in 0..3 {
        stored(&world, id, &mut session, &chat(number), &format!("3A{number}"), number).await;
    }
    let chats = format!("/whatsapp/connections/{id}/chats");
    let first = acme.caller.get(&format!("{chats}?limit=1")).await.json(200);
    let (cursor, chat) = (first["nextCursor"].as_str().unwrap(), first["items"][0]["id"].as_str().unwrap());
    let messages = format!("/whatsapp/chats/{chat}/messages");
    let of = |cursor: Value| URL_SAFE_NO_PAD.encode(cursor.to_string());
    for (path, cursor) in [
        (&*chats, "x"),
        (&*chats, "bnVsbA"),
        (&*chats, "W10"),
        (&*chats, &cursor[1..]),
        (&*chats, &cursor[..cursor.len() - 4]),
        (&*chats, &cursor.repeat(2)),
        (&*messages, cursor),
        ("/whatsapp/connections", cursor),
        // Times that PostgreSQL has no form for.
        (&*chats, &of(json!({"activity": i64::MIN, "id": chat, "mark": 0}))),
        (&*chats, &of(json!({"activity": -70_000_000_000_000_000_i64, "id": chat, "mark": 0}))),
        (&*messages, &of(json!({"sent_at": i64::MAX, "seq": 0}))),
    ] {
        acme.caller.get(&format!("{path}?cursor={cursor}")).await.problem(400, "invalid_cursor");
    }
    // What could be one of ours leads to no fault, either.
    for activity in [0, -62_000_000_000_000_000_i64, 200_000_000_000_000_000] {
        let cursor = of(json!({"activity": activity, "id": chat, "mark": i64::MAX}));
        acme.caller.get(&format!("{chats}?cursor={cursor}")).await.json(200);
        let cursor = of(json!({"sent_at": activity, "seq": i64::MIN}));
        acme.caller.get(&format!("{messages}?cursor={cursor}")).await.json(200);
    }
}

/// What would be lost: the database, to whoever writes a cursor that reads all messages of a connection for each page.
#[tokio::test]
async fn a_cursor_from_long_ago_counts_for_the_newest_messages_only() {
    let world = World::start().await;
    let acme = world.company().await;
    let (id, mut session) = world.connected(&acme).await;
    for number in 0..3 {
        stored(&world, id, &mut session, &chat(number), &format!("3A{number}"), number).await;
    }
    let many = "INSERT INTO messages (id, company_id, connection_id, chat_id, wa_id, from_me, type, sent_at) \
                SELECT gen_random_uuid(), company_id, connection_id, chat_id, wa_id || n, false, 'chat', sent_at \
                FROM messages, generate_series(1, 4000) n WHERE connection_id = $1";
    sqlx::query(many).bind(id.0).execute(&world.database).await.unwrap();
    let newest: i64 = sqlx::query_scalar("SELECT max(seq) FROM messages").fetch_one(&world.database).await.unwrap();
    let chats = format!("/whatsapp/connections/{id}/chats?limit=1");
    let first = acme.caller.get(&chats).await.json(200);
    let position = |page: &Value| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(page["nextCursor"].as_str().unwrap()).unwrap()).unwrap()
    };
    assert_eq!(position(&first)["mark"], newest);
    let mut forged = position(&first);
    forged["mark"] = json!(-1);
    let forged = URL_SAFE_NO_PAD.encode(forged.to_string());
    let next = acme.caller.get(&format!("{chats}&cursor={forged}")).await.json(200);
    assert_eq!(position(&next)["mark"], newest - 10_000);
}
