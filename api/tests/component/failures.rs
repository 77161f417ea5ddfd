//! Parts that are away. What would be lost: the difference between "not now" and "never", and reads that could go on.

use serde_json::{Value, json};

use crate::world::World;

#[tokio::test]
async fn without_redis_reading_goes_on_and_sending_is_refused_for_now() {
    let mut world = World::start().await;
    let acme = world.company().await;
    let (id, _session) = world.connected(&acme).await;
    world.redis.stop().await;
    let list = acme.caller.get("/whatsapp/connections").await.json(200);
    assert_eq!(list["items"][0]["id"], json!(id));
    let path = format!("/whatsapp/connections/{id}/messages");
    let refused = acme.caller.post(&path, json!({"to": "5511999999999", "text": "hello"})).await;
    refused.problem(503, "relay_unavailable");
    assert_eq!(refused.headers["retry-after"], "1");
    assert_eq!(world.count("messages", id).await, 0);
    world.redis.resume().await;
}

#[tokio::test]
async fn without_its_schema_the_api_is_not_ready_and_says_why() {
    let world = World::start_without_schema().await;
    harness::eventually(crate::world::SOON, "the reason", async || {
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
