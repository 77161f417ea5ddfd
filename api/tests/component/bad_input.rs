//! What callers get wrong, and what they are told. What would be lost: a caller that cannot find its own mistake, or an
//! answer that tells of the inside.

use serde_json::{Value, json};

use crate::world::World;

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn every_wrong_field_is_named() {
    let world = World::start().await;
    let acme = world.company().await;
    let (id, _session) = world.connected(&acme).await;
    let of = |rest: &str| format!("/whatsapp/connections/{id}{rest}");
    let all = "/whatsapp/connections".to_owned();
    let long = "x".repeat(65_537);
    for (method, path, body, fields) in [
        ("POST", all.clone(), json!({}), vec!["name"]),
        ("POST", all.clone(), json!({"name": ""}), vec!["name"]),
        ("POST", all.clone(), json!({"name": "  "}), vec!["name"]),
        ("POST", all.clone(), json!({"name": "x".repeat(129)}), vec!["name"]),
        ("POST", all.clone(), json!({"name": 7}), vec!["name"]),
        ("POST", all.clone(), json!(["name"]), vec!["body"]),
        ("POST", all.clone(), json!({"name": "a", "link": ["QrCode", null]}), vec!["link"]),
        ("PATCH", of(""), json!(["Mine", null]), vec!["body"]),
        ("POST", all.clone(), json!({"name": "a", "link": {"method": "Telepathy"}}), vec!["link.method"]),
        ("POST", all.clone(), json!({"name": "a", "link": {"method": "PairingCode"}}), vec!["link.phoneNumber"]),
        (
            "POST",
            all.clone(),
            json!({"link": {"method": "PairingCode", "phoneNumber": "x"}}),
            vec!["name", "link.phoneNumber"],
        ),
        ("PATCH", of(""), json!({}), vec!["name"]),
        ("POST", of("/messages"), json!({}), vec!["to", "text"]),
        ("POST", of("/messages"), json!({"to": "nobody", "text": "a\u{0}b"}), vec!["to", "text"]),
        ("POST", of("/messages"), json!({"to": "5511999999999@example.org", "text": "a"}), vec!["to"]),
        ("POST", of("/messages"), json!({"to": "5511999999999", "text": long}), vec!["text"]),
        ("POST", "/whatsapp/chats/no-chat/messages".to_owned(), json!({"text": "a"}), vec!["id"]),
        ("GET", "/whatsapp/connections/no-connection".to_owned(), Value::Null, vec!["id"]),
        ("GET", "/whatsapp/connections/%FF".to_owned(), Value::Null, vec!["id"]),
        ("GET", of("/chats?limit=0"), Value::Null, vec!["limit"]),
        ("GET", of("/chats?groups=perhaps"), Value::Null, vec!["groups"]),
    ] {
        let answer = acme.caller.with_key(method, &path, None, body).await;
        let problem = answer.problem(422, "invalid_request");
        let named: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|error| &error["field"]).collect();
        assert_eq!(named, fields, "{}: {problem}", answer.what);
    }
}

#[tokio::test]
async fn what_cannot_even_be_read_is_told_apart() {
    let world = World::start().await;
    let acme = world.company().await;
    let post = async |headers: &[(&str, &str)], body: String| {
        acme.caller.send("POST", "/whatsapp/connections", headers, body).await
    };
    post(&[JSON], "{\"name\":".to_owned()).await.problem(400, "malformed_json");
    post(&[JSON], "{\"name\":\"a\"} trailing".to_owned()).await.problem(400, "malformed_json");
    post(&[], "{}".to_owned()).await.problem(415, "unsupported_media_type");
    post(&[JSON], format!("{{\"name\":\"{}\"}}", "x".repeat(2 * 1024 * 1024))).await.problem(413, "body_too_large");
    post(&[JSON, ("idempotency-key", "")], "{\"name\":\"a\"}".to_owned()).await.problem(400, "invalid_idempotency_key");
    acme.caller.get("/whatsapp/connections?limit=1&limit=2").await.problem(400, "invalid_query");
    acme.caller.get("/whatsapp/nothing").await.problem(404, "route_not_found");
    acme.caller.send("PUT", "/whatsapp/connections", &[JSON], "{}").await.problem(405, "method_not_allowed");
}

#[tokio::test]
async fn unknown_fields_do_no_harm() {
    let world = World::start().await;
    let acme = world.company().await;
    let body = json!({"name": "Sales", "companyId": "globex", "colour": "green"});
    let created = acme.caller.post("/whatsapp/connections", body).await.json(201);
    let resource = world.resources(&acme).get(created["resourceName"].as_str().unwrap()).await.unwrap();
    assert_eq!(resource.spec.company_id, acme.id, "the company comes from the token");
}
