//! Several replicas. What would be lost: messages, or their order, or somebody's screen, when one of them dies.

use std::time::{Duration, Instant};

use harness::eventually;
use relay::{CommandAction, ConnectionId, Event};
use serde_json::{Value, json};

use crate::replica::{Replica, by_ownership};
use crate::session::{Session, incoming};
use crate::socket::Socket;
use crate::world::{Company, SOON, World, token};

const ANA: &str = "5511999999999@c.us";

/// Longer than it takes until a dead replica is missed (8 s), on a busy machine.
const MISSED: Duration = Duration::from_secs(30);

/// Two replicas with a connection: first the one that owns it, then the one where the caller and the socket are.
struct Two {
    world: World,
    owner: Replica,
    other: Replica,
    acme: Company,
    id: ConnectionId,
    session: Session,
    socket: Socket,
}

async fn two() -> Two {
    let mut world = World::without_api().await;
    let replicas = [Replica::start(&world, &[]).await, Replica::start(&world, &[]).await];
    for replica in &replicas {
        eventually(SOON, "each to know of the other", async || {
            match replica.metric("whatsapp_api_replicas_alive").await {
                2.0 => Ok(()),
                alive => Err(alive),
            }
        })
        .await;
    }
    world.base.clone_from(&replicas[0].base);
    let acme = world.company().await;
    let (id, session) = world.connected(&acme).await;
    let [owner, other] = by_ownership(replicas).await;
    world.base.clone_from(&other.base);
    let acme = world.company_without_namespace(acme.id, acme.namespace);
    let socket = world.socket(&acme).await;
    Two { world, owner, other, acme, id, session, socket }
}

async fn append(session: &mut Session, numbers: std::ops::Range<i64>) {
    for number in numbers {
        session.append(&Event::Message(incoming(ANA, &format!("3A{number}"), &number.to_string(), number))).await;
    }
}

/// Hears so many messages and checks that each names the one before it.
async fn hear(socket: &mut Socket, previous: &mut Option<Value>, numbers: std::ops::Range<i64>) {
    for number in numbers {
        let told = socket.next("new-message").await;
        assert_eq!(told["message"]["text"], number.to_string(), "each once, and in order");
        if let Some(previous) = previous {
            assert_eq!(told["previous"], *previous, "before {number}");
        }
        *previous = Some(told["offset"].clone());
    }
}

async fn stored(world: &World, id: ConnectionId, messages: i64) {
    eventually(MISSED, "all messages", async || match world.count("messages", id).await {
        count if count == messages => Ok(()),
        count => Err(count),
    })
    .await;
    // Connected, and the messages.
    assert_eq!((world.count("events", id).await, world.count("dead_letters", id).await), (messages + 1, 0));
}

#[tokio::test]
async fn a_killed_replica_loses_nothing_and_nothing_is_told_twice() {
    let Two { world, mut owner, other, id, mut session, mut socket, .. } = two().await;
    let mut previous = None;
    append(&mut session, 0..20).await;
    hear(&mut socket, &mut previous, 0..20).await;
    // In the middle of a stream: the session goes on while its reader dies.
    let (appended, killed) = tokio::join!(append(&mut session, 20..300), async {
        eventually(SOON, "it to be in the middle", async || match world.count("messages", id).await {
            count if count > 60 => Ok(()),
            count => Err(count),
        })
        .await;
        owner.kill().await;
        Instant::now()
    });
    let () = appended;
    append(&mut session, 300..310).await;
    hear(&mut socket, &mut previous, 20..310).await;
    let taken_over = killed.elapsed();
    println!("another replica owned its connections after {taken_over:?}");
    assert!(taken_over < MISSED, "{taken_over:?}");
    stored(&world, id, 310).await;
    assert!(other.metric("whatsapp_api_connections_taken_total").await >= 1.0);
    eventually(SOON, "the stream to be trimmed", async || match session.stream_length().await {
        0 => Ok(()),
        left => Err(left),
    })
    .await;
}

/// A long pause of a process or its node: it wakes up in the middle of its work, and another has gone on with it.
#[tokio::test]
async fn a_paused_owner_that_wakes_up_does_no_harm() {
    let Two { world, owner, other: _other, id, mut session, mut socket, .. } = two().await;
    let mut previous = None;
    append(&mut session, 0..20).await;
    hear(&mut socket, &mut previous, 0..20).await;
    let ((), ()) = tokio::join!(append(&mut session, 20..200), async {
        eventually(SOON, "it to be in the middle", async || match world.count("messages", id).await {
            count if count > 40 => Ok(()),
            count => Err(count),
        })
        .await;
        owner.signal("STOP");
    });
    hear(&mut socket, &mut previous, 20..200).await;
    let ((), ()) = tokio::join!(append(&mut session, 200..300), async { owner.signal("CONT") });
    hear(&mut socket, &mut previous, 200..300).await;
    stored(&world, id, 300).await;
    // It is one of two again, and owns its share.
    eventually(SOON, "it to be back", async || match owner.metric("whatsapp_api_connections_owned").await {
        0.0 => Err("it owns nothing"),
        _ => Ok(()),
    })
    .await;
    append(&mut session, 300..310).await;
    hear(&mut socket, &mut previous, 300..310).await;
    stored(&world, id, 310).await;
}

/// What would be lost: messages, for as long as the clock of the database was set back, when a replica dies.
#[tokio::test]
async fn a_replica_that_died_before_the_clock_was_set_back_is_missed() {
    let Two { world, mut owner, other: _other, id, mut session, mut socket, .. } = two().await;
    let mut previous = None;
    append(&mut session, 0..10).await;
    hear(&mut socket, &mut previous, 0..10).await;
    owner.kill().await;
    // To whoever compares the two it is all the same: the clock goes back by an hour, or what it wrote goes ahead.
    let ahead = "UPDATE replicas SET seen_at = seen_at + interval '1 hour'";
    sqlx::query(ahead).execute(&world.database).await.unwrap();
    append(&mut session, 10..20).await;
    hear(&mut socket, &mut previous, 10..20).await;
    stored(&world, id, 20).await;
}

/// The replica dies after it has stored a message and before Redis took its command.
#[tokio::test]
async fn a_message_whose_replica_died_leaves_once() {
    let Two { world, mut owner, other, acme, id, mut session, .. } = two().await;
    let first = crate::http::Caller::new(&owner.base, Some(token(&acme.id, 3600)));
    let path = format!("/whatsapp/connections/{id}/messages");
    let body = || json!({"to": ANA, "text": "hello"});
    let pause = |kind: &'static str| {
        let mut pause = redis::cmd("CLIENT");
        pause.arg("PAUSE").arg(60_000).arg(kind);
        pause
    };
    let _: () = pause("WRITE").query_async(&mut session.redis).await.unwrap();
    let asked = tokio::spawn({
        let path = path.clone();
        let headers = [("content-type", "application/json"), ("idempotency-key", "k1")];
        // It never gets an answer.
        async move { drop(first.try_send("POST", &path, &headers, body().to_string()).await) }
    });
    eventually(SOON, "the message to be stored", async || match world.count("messages", id).await {
        1 => Ok(()),
        count => Err(count),
    })
    .await;
    owner.kill().await;
    asked.abort();
    let _: () = redis::cmd("CLIENT").arg("UNPAUSE").query_async(&mut session.redis).await.unwrap();

    // Its caller, who had no answer, asks again elsewhere.
    let caller = crate::http::Caller::new(&other.base, Some(token(&acme.id, 3600)));
    let again = caller.with_key("POST", &path, Some("k1"), body()).await.json(202);
    let command = session.next_send().await;
    let CommandAction::SendText { message, .. } = &command.action else { panic!("{command:?}") };
    assert_eq!(again["waId"], message.as_str());
    assert_eq!(world.count("messages", id).await, 1);
    session.end(&command, relay::Outcome::Done).await;
    eventually(MISSED, "the message to be sent", async || {
        let page = format!("/whatsapp/chats/{}/messages", again["chatId"].as_str().unwrap());
        let seen = caller.get(&page).await.json(200)["items"][0]["status"].clone();
        if seen == "sent" { Ok(()) } else { Err(seen) }
    })
    .await;
    assert_eq!(session.sends_waiting().await, 0, "it left once");
}

/// One company's requests hang in the database and have all connections of the pool. What would be lost: every company's
/// messages, for as long as a replica that cannot say that it lives owns nothing.
#[tokio::test]
async fn requests_that_hang_do_not_make_their_replica_look_dead() {
    const POOL: i64 = 20;
    let world = World::start().await;
    let acme = world.company().await;
    let id = acme.create("Sales").await;
    let mut lock = world.database.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE chats IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    let requests: Vec<_> = (0..2 * POOL)
        .map(|_| {
            let caller = world.caller(Some(token(&acme.id, 3600)));
            // Until it is ended: some that found all connections taken have given up, and ask again.
            tokio::spawn(async move {
                loop {
                    drop(caller.try_send("GET", &format!("/whatsapp/connections/{id}/chats"), &[], "").await);
                }
            })
        })
        .collect();
    let hang = async || -> i64 {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
                       AND datname = current_database()";
        sqlx::query_scalar(waiting).fetch_one(&world.database).await.unwrap()
    };
    let beaten = async || -> jiff_sqlx::Timestamp {
        sqlx::query_scalar("SELECT max(seen_at) FROM replicas").fetch_one(&world.database).await.unwrap()
    };
    eventually(SOON, "all to hang", async || match hang().await {
        POOL.. => Ok(()),
        less => Err(less),
    })
    .await;
    let before = beaten().await.to_jiff();
    // Longer than a dead one is missed; less than a statement may take.
    eventually(SOON, "beats for 6 s", async || match beaten().await.to_jiff().duration_since(before) {
        since if since >= jiff::SignedDuration::from_secs(6) => Ok(()),
        since => Err(since),
    })
    .await;
    assert!(hang().await >= POOL, "they did not hang that long");
    drop(lock);
    requests.iter().for_each(tokio::task::JoinHandle::abort);
}
