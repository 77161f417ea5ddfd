//! Parts that are away, or slow. What would be lost: the difference between "not now" and "never", reads that could go
//! on, and everybody's sleep when a part that is back is not noticed.

use std::time::Duration;

use harness::{Busy, Fault, Postgres, Proxy, eventually};
use kube::{Client, Config};
use relay::{Endpoint, Event};
use serde_json::{Value, json};

use crate::http::Answer;
use crate::replica::Replica;
use crate::session::incoming;
use crate::socket::Socket;
use crate::world::{Company, SOON, World, token};

const ANA: &str = "5511999999999@c.us";

/// Until a watch that hung is given up, and opened again after a pause that grew meanwhile.
const WATCHED: Duration = Duration::from_mins(1);

fn not_now(answer: &Answer, code: &str) {
    answer.problem(503, code);
    assert_eq!(answer.headers["retry-after"], "1", "{}", answer.what);
}

/// Sends until it is taken: the connection's own state may still be on its way.
async fn sends(company: &Company, id: relay::ConnectionId) {
    eventually(SOON, "a message to be taken", async || {
        let path = format!("/whatsapp/connections/{id}/messages");
        // Once, however often it is tried.
        let body = json!({"to": "5511999999999", "text": "hello"});
        let answer = company.caller.with_key("POST", &path, Some("hello"), body).await;
        if answer.status == 202 { Ok(()) } else { Err(answer.text()) }
    })
    .await;
}

#[tokio::test]
async fn without_redis_reading_goes_on_and_sending_is_refused_for_now() {
    let mut world = World::start().await;
    let acme = world.company().await;
    let (id, mut session) = world.connected(&acme).await;
    session.append(&Event::Message(incoming(ANA, "3A01", "before", 1))).await;
    let chat = acme.only_chat(id).await;
    let messages = format!("/whatsapp/chats/{}/messages", chat["id"].as_str().unwrap());

    world.redis.stop().await;
    let list = acme.caller.get("/whatsapp/connections").await.json(200);
    assert_eq!(list["items"][0]["id"], json!(id));
    assert_eq!(acme.caller.get(&messages).await.json(200)["items"][0]["text"], "before");
    let first = format!("/whatsapp/connections/{id}/messages");
    not_now(&acme.caller.post(&first, json!({"to": ANA, "text": "hello"})).await, "relay_unavailable");
    not_now(&acme.caller.post(&messages, json!({"text": "hello"})).await, "relay_unavailable");
    not_now(&acme.caller.post(&format!("/whatsapp/connections/{id}/logout"), Value::Null).await, "relay_unavailable");
    assert_eq!(world.count("messages", id).await, 1, "nothing that was refused is kept");
    assert_eq!(world.health.missing(), [""; 0], "another replica could do no more");
    // Given back, an empty map would ask for everything since the beginning.
    let mut blind = Socket::connect(&world.base, json!({"token": token(&acme.id, 3600)})).await.unwrap();
    assert_eq!(blind.join(&acme.id).await, json!({"joined": true, "offsets": null}), "nobody knows the places now");

    world.redis.resume().await;
    sends(&acme, id).await;
    let auth = json!({"token": token(&acme.id, 3600)});
    // Whoever comes before the subscription is back is closed when it is, and comes again.
    let mut socket = eventually(SOON, "a socket to be let in", async || {
        let mut socket = Socket::connect(&world.base, auth.clone()).await?;
        socket.try_join(&acme.id).await.map(|_| socket)
    })
    .await;
    session.has_redis_again().await;
    session.append(&Event::Message(incoming(ANA, "3A02", "after", 2))).await;
    assert_eq!(socket.next("new-message").await["message"]["text"], "after");
}

#[tokio::test]
async fn without_postgresql_it_is_not_ready_and_nothing_is_lost() {
    let mut postgres = Postgres::start().await;
    let world = World::on_postgres(&postgres).await.with_api(|_| {}).await;
    let acme = world.company().await;
    let (id, mut session) = world.connected(&acme).await;
    session.append(&Event::Message(incoming(ANA, "3A01", "before", 1))).await;
    let chat = acme.only_chat(id).await;
    let messages = format!("/whatsapp/chats/{}/messages", chat["id"].as_str().unwrap());

    postgres.stop().await;
    session.append(&Event::Message(incoming(ANA, "3A02", "meanwhile", 2))).await;
    not_now(&acme.caller.get(&messages).await, "storage_unavailable");
    let first = format!("/whatsapp/connections/{id}/messages");
    not_now(&acme.caller.post(&first, json!({"to": ANA, "text": "hello"})).await, "storage_unavailable");
    eventually(SOON, "readiness to fail", async || match world.health.missing() {
        missing if missing.iter().any(|why| why.starts_with("database: ")) => Ok(()),
        missing => Err(missing.join(", ")),
    })
    .await;
    assert!(session.stream_length().await > 0, "what is not stored stays in the stream");

    postgres.resume().await;
    eventually(SOON, "it to be ready again", async || match world.health.missing() {
        missing if missing.is_empty() => Ok(()),
        missing => Err(missing.join(", ")),
    })
    .await;
    eventually(SOON, "what came meanwhile", async || {
        let last = acme.only_chat(id).await["lastMessage"]["text"].clone();
        if last == "meanwhile" { Ok(()) } else { Err(last) }
    })
    .await;
    sends(&acme, id).await;
}

/// What would be lost: the alarm, for the outage that stops the storing of everything.
#[tokio::test]
async fn without_postgresql_the_lag_is_seen_to_grow() {
    let mut postgres = Postgres::start().await;
    let world = World::on_postgres(&postgres).await;
    let replica = Replica::start(&world, &[]).await;
    let lag = async || replica.metric("whatsapp_api_ingest_lag_seconds").await;
    assert!(lag().await < 1.0);
    postgres.stop().await;
    eventually(WATCHED, "the lag to grow", async || match lag().await {
        seconds if seconds > 5.0 => Ok(()),
        seconds => Err(seconds),
    })
    .await;
    postgres.resume().await;
    eventually(WATCHED, "the lag to be gone", async || match lag().await {
        seconds if seconds < 1.0 => Ok(()),
        seconds => Err(seconds),
    })
    .await;
}

/// What would be lost: who did it, by hanging up in time.
#[tokio::test]
async fn what_was_done_for_a_caller_who_hung_up_is_in_the_audit_log() {
    let (world, proxy) = World::with_cluster_behind_proxy().await;
    let acme = world.company().await;
    let (id, _session) = world.connected(&acme).await;
    proxy.set(Fault::Slow(Duration::from_secs(2)));
    let one = format!("/whatsapp/connections/{id}");
    let hung_up = tokio::time::timeout(Duration::from_millis(500), acme.caller.delete(&one)).await;
    assert!(hung_up.is_err(), "it was answered before");
    eventually(SOON, "the entry", async || {
        let entries = acme.caller.get("/whatsapp/audit").await.json(200);
        let newest = entries["items"][0].clone();
        let is_it = newest["action"] == "DELETE /whatsapp/connections/{id}" && newest["status"] == 204;
        if is_it { Ok(()) } else { Err(newest) }
    })
    .await;
}

#[tokio::test]
async fn without_the_kubernetes_api_what_is_known_is_shown_and_nothing_is_changed() {
    for fault in [Fault::Reset, Fault::Hang] {
        let (world, proxy) = World::with_cluster_behind_proxy().await;
        let acme = world.company().await;
        let (id, mut session) = world.connected(&acme).await;

        proxy.set(fault);
        let one = format!("/whatsapp/connections/{id}");
        assert_eq!(acme.caller.get(&one).await.json(200)["id"], json!(id));
        not_now(&acme.caller.delete(&one).await, "cluster_unavailable");
        not_now(&acme.caller.patch(&one, json!({"displayName": "Later"})).await, "cluster_unavailable");
        not_now(&acme.caller.post("/whatsapp/connections", json!({"name": "Later"})).await, "cluster_unavailable");
        session.append(&Event::Message(incoming(ANA, "3A01", "meanwhile", 1))).await;
        assert_eq!(acme.only_chat(id).await["lastMessage"]["text"], "meanwhile", "what does not need it goes on");
        assert_eq!(world.health.missing(), [""; 0]);

        proxy.set(Fault::None);
        eventually(SOON, "changes to be taken again", async || match acme.caller.delete(&one).await {
            answer if answer.status == 204 => Ok(()),
            answer => Err(answer.text()),
        })
        .await;
        eventually(WATCHED, "the change to be seen", async || match acme.caller.get(&one).await {
            answer if answer.status == 404 => Ok(()),
            answer => Err(answer.text()),
        })
        .await;
    }
}

/// Slower, never wrong: an API server with too much to do refuses for a while.
#[tokio::test]
async fn with_an_api_server_that_is_too_busy_changes_are_put_off_and_made_once() {
    let busy = Busy::default();
    let mut world = World::without_api().await;
    let direct = world.cluster.clone();
    world.cluster = busy.client(direct.clone(), "/whatsappconnections");
    let mut world = world.with_api(|_| {}).await;
    world.cluster = direct;
    let acme = world.company().await;
    let (id, mut session) = world.connected(&acme).await;

    busy.set(true);
    let one = format!("/whatsapp/connections/{id}");
    assert_eq!(acme.caller.get(&one).await.json(200)["id"], json!(id));
    for key in ["first", "second"] {
        let answer = acme.caller.with_key("POST", "/whatsapp/connections", Some(key), json!({"name": key})).await;
        not_now(&answer, "cluster_unavailable");
    }
    not_now(&acme.caller.patch(&one, json!({"displayName": "Later"})).await, "cluster_unavailable");
    assert!(busy.refused() >= 3, "{}", busy.refused());
    session.append(&Event::Message(incoming(ANA, "3A01", "meanwhile", 1))).await;
    assert_eq!(acme.only_chat(id).await["lastMessage"]["text"], "meanwhile", "what does not need it goes on");
    assert_eq!(world.health.missing(), [""; 0]);

    busy.set(false);
    // As their callers do after `Retry-After`.
    for key in ["first", "second", "first"] {
        acme.caller.with_key("POST", "/whatsapp/connections", Some(key), json!({"name": key})).await.json(201);
    }
    acme.caller.patch(&one, json!({"displayName": "Later"})).await.json(200);
    let all = acme.caller.get("/whatsapp/connections").await.json(200);
    assert_eq!(all["items"].as_array().unwrap().len(), 3, "each once: {all}");
}

impl World {
    /// Whose API reaches the API server by way of a proxy, while the test itself reaches it directly.
    async fn with_cluster_behind_proxy() -> (Self, Proxy) {
        let mut world = Self::without_api().await;
        let (proxy, client) = behind_proxy().await;
        let direct = std::mem::replace(&mut world.cluster, client);
        let mut world = world.with_api(|_| {}).await;
        world.cluster = direct;
        (world, proxy)
    }
}

/// The API server by way of a proxy. Its certificate is one for 127.0.0.1, on whatever port.
async fn behind_proxy() -> (Proxy, Client) {
    let kubeconfig = kube::config::Kubeconfig::read_from(harness::ControlPlane::shared().await.kubeconfig()).unwrap();
    let mut config =
        Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default()).await.unwrap();
    let proxy = Proxy::start(config.cluster_url.port_u16().unwrap()).await;
    config.cluster_url = format!("https://{}", proxy.address()).parse().unwrap();
    // As in the program, where it is a minute: a watch that hangs is given up.
    config.read_timeout = Some(Duration::from_secs(8));
    (proxy, Client::try_from(config).unwrap())
}

/// Slower, never wrong: each answer of Redis takes two seconds.
#[tokio::test]
async fn with_a_slow_redis_everything_comes_once_and_later() {
    let world = World::without_api().await;
    let proxy = Proxy::start(world.redis.port()).await;
    proxy.set(Fault::Slow(Duration::from_secs(2)));
    let url = format!("redis://{}/", proxy.address());
    let world = world.with_api(|settings| settings.redis = Endpoint::new(&url, None).unwrap()).await;
    let acme = world.company().await;
    let (id, mut session) = world.connected(&acme).await;
    let auth = json!({"token": token(&acme.id, 3600)});
    let mut socket = Socket::connect(&world.base, auth).await.unwrap();
    assert_eq!(socket.join(&acme.id).await["joined"], true);
    for number in 1..=3 {
        let message = incoming(ANA, &format!("3A{number}"), &number.to_string(), number);
        session.append(&Event::Message(message)).await;
    }
    for number in 1..=3 {
        assert_eq!(socket.next("new-message").await["message"]["text"], number.to_string());
    }
    sends(&acme, id).await;
    session.next_send().await;
    assert_eq!(session.sends_waiting().await, 0);
}

#[tokio::test]
async fn without_its_schema_the_api_is_not_ready_and_says_why() {
    let world = World::start_without_schema().await;
    eventually(SOON, "the reason", async || {
        let missing = world.health.missing();
        if missing.iter().any(|why| why.contains("run `api migrate`")) { Ok(()) } else { Err(missing.join(", ")) }
    })
    .await;
    assert_eq!(world.caller(None).get("/health").await.json(200)["status"], "ok");
}

#[tokio::test]
async fn a_fault_inside_tells_nothing_of_the_inside() {
    let world = World::start().await;
    let acme = world.company().await;
    let id = acme.create("Sales").await;
    sqlx::raw_sql("ALTER TABLE chats RENAME TO chats_elsewhere").execute(&world.database).await.unwrap();
    let answer = acme.caller.get(&format!("/whatsapp/connections/{id}/chats")).await;
    let problem = answer.problem(500, "internal_error");
    assert_eq!(problem["errors"], Value::Null);
    assert!(!answer.text().contains("chats_elsewhere") && !answer.text().contains("relation"), "{problem}");
}
