//! Whose is what, beyond what `contract` asks of every route.

use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn an_idempotency_key_is_its_companys_own() {
    let world = World::start().await;
    let (acme, globex) = (world.company().await, world.company().await);
    let body = json!({"name": "Sales"});
    let mut ids = Vec::new();
    for company in [&acme, &globex] {
        let answer = company.caller.with_key("POST", "/whatsapp/connections", Some("k1"), body.clone()).await;
        ids.push(answer.json(201)["id"].clone());
    }
    assert_ne!(ids[0], ids[1]);
}
