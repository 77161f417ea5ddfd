//! A replica whose clock jumps: a node whose time was wrong and is put right. What would be lost: messages that are given
//! up though they run, or that go out when nobody wants them any more.

use std::fs;
use std::path::PathBuf;

use harness::eventually;
use relay::{Event, Outcome};
use serde_json::{Value, json};

use crate::http::Caller;
use crate::replica::Replica;
use crate::session::incoming;
use crate::socket::Socket;
use crate::world::{SOON, World, token};

const ANA: &str = "5511999999999@c.us";

/// libfaketime, which gives a process another time of day; time that passes stays what it is.
fn library() -> PathBuf {
    let found = fs::read_dir("/usr/lib").unwrap().filter_map(|entry| {
        let library = entry.ok()?.path().join("faketime/libfaketime.so.1");
        library.exists().then_some(library)
    });
    found.into_iter().next().expect("libfaketime (`make deps`)")
}

#[tokio::test]
async fn a_clock_that_jumps_an_hour_loses_and_doubles_nothing() {
    for jump in ["+1h", "-1h"] {
        let mut world = World::without_api().await;
        let clock = world.redis.directory().join("clock");
        fs::write(&clock, "+0").unwrap();
        let (library, clock_path) = (library().display().to_string(), clock.display().to_string());
        let environment = [
            ("LD_PRELOAD", library.as_str()),
            ("FAKETIME_TIMESTAMP_FILE", clock_path.as_str()),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ];
        let replica = Replica::start(&world, &environment).await;
        world.base.clone_from(&replica.base);
        let acme = world.company().await;
        let (id, mut session) = world.connected(&acme).await;
        // Good for long enough to be good by either clock.
        let caller = Caller::new(&replica.base, Some(token(&acme.id, 3 * 3600)));
        let mut socket = Socket::connect(&replica.base, json!({"token": token(&acme.id, 3 * 3600)})).await.unwrap();
        assert_eq!(socket.join(&acme.id).await["joined"], true);
        let path = format!("/whatsapp/connections/{id}/messages");
        let ask = async || caller.post(&path, json!({"to": ANA, "text": "hello"})).await.json(202);
        let before = ask().await;
        let sent = session.next_send().await;

        fs::write(&clock, jump).unwrap();
        // Its command was lost, and is sent again: so the sweep has looked at it with the other time of day.
        sqlx::query("UPDATE messages SET dispatched_at = NULL, sent_at = sent_at - interval '10 s'")
            .execute(&world.database)
            .await
            .unwrap();
        let again = session.next_send().await;
        assert_eq!((again.id, again.deadline), (sent.id, sent.deadline), "{jump}");
        session.end(&again, Outcome::Done).await;
        let told = socket.next("message-status").await;
        assert_eq!((&told["messageId"], &told["status"]), (&before["id"], &json!("sent")), "{jump}: not given up");

        let after = ask().await;
        let command = session.next_send().await;
        let left = command.deadline.duration_since(runtime::ambient::now()).as_secs();
        assert!((200..=310).contains(&left), "{jump}: it may be begun for {left} s more");
        session.end(&command, Outcome::Done).await;
        assert_eq!(socket.next("message-status").await["messageId"], after["id"]);
        session.append(&Event::Message(incoming(ANA, "3A01", "after", 1))).await;
        assert_eq!(socket.next("new-message").await["message"]["text"], "after");
        eventually(SOON, "the stream to be trimmed", async || match session.stream_length().await {
            0 => Ok(()),
            left => Err(left),
        })
        .await;
        assert_eq!((world.count("messages", id).await, session.sends_waiting().await), (3, 0), "{jump}");
        let newest: Value = caller.get("/whatsapp/connections").await.json(200);
        assert_eq!(newest["items"][0]["status"], "Connected");
    }
}
