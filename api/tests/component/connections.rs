//! The life of a connection, through the real API server. What would be lost: the frontend's modal.

use crds::{LinkMethod, State};
use harness::eventually;
use relay::{CommandAction, Event, SessionState};
use serde_json::{Value, json};

use crate::session::incoming;
use crate::world::{SOON, World, path};

#[tokio::test]
async fn create_list_connect_disconnect_rename_delete() {
    let world = World::start().await;
    let acme = world.company().await;
    let created = acme.caller.post("/whatsapp/connections", json!({"name": "Vendas São Paulo"})).await.json(201);
    assert_eq!(
        (&created["name"], &created["displayName"], &created["state"], &created["status"]),
        (&json!("Vendas São Paulo"), &json!("Vendas São Paulo"), &json!("Suspended"), &json!("Suspended"))
    );
    let name = created["resourceName"].as_str().unwrap();
    assert!(name.starts_with("vendas-s-o-paulo-"), "{name}");
    let resources = world.resources(&acme);
    let resource = resources.get(name).await.unwrap();
    assert_eq!((resource.spec.state, resource.metadata.uid.as_deref()), (State::Suspended, created["id"].as_str()));
    let one = path(&created);
    assert_eq!(acme.caller.get(&one).await.json(200)["id"], created["id"], "who creates can read at once");

    let connecting = acme.caller.post(&format!("{one}/connect"), Value::Null).await.json(202);
    assert_eq!((&connecting["state"], &connecting["status"]), (&json!("Running"), &json!("Starting")));
    assert_eq!((&connecting["qr"], &connecting["linkCode"]), (&Value::Null, &Value::Null), "no session shows one yet");
    assert_eq!(resources.get(name).await.unwrap().spec.state, State::Running);

    let disconnected = acme.caller.delete(&format!("{one}/connect")).await.json(202);
    assert_eq!((&disconnected["state"], &disconnected["status"]), (&json!("Suspended"), &json!("Suspended")));
    assert_eq!(resources.get(name).await.unwrap().spec.state, State::Suspended);

    assert_eq!(acme.caller.patch(&one, json!({"displayName": "Suporte"})).await.json(200)["name"], "Suporte");
    let list = acme.caller.get("/whatsapp/connections").await.json(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert_eq!(list["items"][0]["name"], "Suporte");

    assert_eq!(acme.caller.delete(&one).await.status, 204);
    assert!(resources.get_opt(name).await.unwrap().is_none());
    acme.caller.get(&one).await.problem(404, "connection_not_found");
    acme.caller.delete(&one).await.problem(404, "connection_not_found");
}

#[tokio::test]
async fn a_phone_can_be_linked_by_a_pairing_code() {
    let world = World::start().await;
    let acme = world.company().await;
    let body = json!({"name": "Sales", "link": {"method": "PairingCode", "phoneNumber": "5511999999999"}});
    let created = acme.caller.post("/whatsapp/connections", body).await.json(201);
    assert_eq!(created["link"], json!({"method": "PairingCode", "phoneNumber": "5511999999999"}));
    let resource = world.resources(&acme).get(created["resourceName"].as_str().unwrap()).await.unwrap();
    assert_eq!(resource.spec.link.method, LinkMethod::PairingCode);
}

#[tokio::test]
async fn a_company_without_a_namespace_cannot_have_connections() {
    let world = World::start().await;
    let nobody = world.company_without_namespace("nobody".to_owned(), String::new());
    let refused = nobody.caller.post("/whatsapp/connections", json!({"name": "Sales"})).await;
    refused.problem(409, "company_not_provisioned");
    assert_eq!(nobody.caller.get("/whatsapp/connections").await.json(200)["items"], json!([]));
}

#[tokio::test]
async fn a_repeated_creation_makes_one_connection() {
    let world = World::start().await;
    let acme = world.company().await;
    let create =
        |name: &'static str| acme.caller.with_key("POST", "/whatsapp/connections", Some("k1"), json!({"name": name}));
    let first = create("Sales").await.json(201);
    let second = create("Sales").await;
    assert_eq!(second.headers["idempotency-replayed"], "true");
    assert_eq!(second.json(201), first);
    create("Support").await.problem(422, "idempotency_key_reused");
    let list = acme.caller.get("/whatsapp/connections").await.json(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 1);

    // The process ended between making the connection and keeping the answer.
    sqlx::query("UPDATE idempotency_keys SET status = NULL, response = NULL").execute(&world.database).await.unwrap();
    assert_eq!(create("Sales").await.json(201)["id"], first["id"]);
}

#[tokio::test]
async fn a_list_is_paged() {
    let world = World::start().await;
    let acme = world.company().await;
    let mut made = Vec::new();
    for number in 0..5 {
        made.push(acme.create(&format!("Number {number}")).await.to_string());
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    for _ in 0..3 {
        let page = acme.caller.get(&format!("/whatsapp/connections?limit=2&cursor={cursor}")).await.json(200);
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        cursor = page["nextCursor"].as_str().unwrap_or_default().to_owned();
    }
    assert_eq!(cursor, "", "three pages are all");
    seen.sort();
    made.sort();
    assert_eq!(seen, made);
}

#[tokio::test]
async fn a_code_is_given_in_every_form_and_never_cached() {
    let world = World::start().await;
    let acme = world.company().await;
    let id = acme.create("Sales").await;
    let one = format!("/whatsapp/connections/{id}");
    let mut session = world.session(id).await;
    session.say(SessionState::AwaitingLink).await;
    session.show_qr("2@code").await;
    acme.caller.get(&format!("{one}/qr")).await.problem(404, "no_qr");

    let connecting = acme.caller.post(&format!("{one}/connect"), Value::Null).await.json(202);
    assert_eq!((&connecting["status"], &connecting["linkCode"]["code"]), (&json!("AwaitingLink"), &json!("2@code")));
    assert!(connecting["qr"].as_str().unwrap().starts_with("data:image/svg+xml;base64,"));

    for (accept, content_type, start) in [
        ("image/svg+xml", "image/svg+xml", "<?xml"),
        ("image/png", "image/png", "\u{fffd}PNG"),
        ("text/plain", "text/plain; charset=utf-8", "█"),
        ("application/json", "application/json", "{\"kind\":\"qr\",\"code\":\"2@code\",\"attempt\":1"),
    ] {
        let answer = acme.caller.send("GET", &format!("{one}/qr"), &[("accept", accept)], "").await;
        assert_eq!((answer.status.as_u16(), &answer.headers["content-type"]), (200, &content_type.parse().unwrap()));
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert!(answer.text().starts_with(start), "{accept}: {}", answer.text());
    }
    let refused = acme.caller.send("GET", &format!("{one}/qr"), &[("accept", "application/xml")], "").await;
    refused.problem(406, "not_acceptable");
}

#[tokio::test]
async fn a_new_code_is_asked_for_when_nobody_used_the_last_ones() {
    let world = World::start().await;
    let acme = world.company().await;
    let id = acme.create("Sales").await;
    let mut session = world.session(id).await;
    session.say(SessionState::QrIdle).await;
    acme.caller.post(&format!("/whatsapp/connections/{id}/connect"), Value::Null).await.json(202);
    session.next_command(|action| *action == CommandAction::RefreshQr).await;
}

#[tokio::test]
async fn logging_out_needs_a_linked_phone() {
    let world = World::start().await;
    let acme = world.company().await;
    let (id, mut session) = world.connected(&acme).await;
    acme.caller.post(&format!("/whatsapp/connections/{id}/logout"), Value::Null).await.json(202);
    session.next_command(|action| *action == CommandAction::Logout).await;
    session.say(SessionState::LoggedOut).await;
    let refused = acme.caller.post(&format!("/whatsapp/connections/{id}/logout"), Value::Null).await;
    assert_eq!(refused.problem(409, "not_connected")["state"], "LoggedOut");
}

#[tokio::test]
async fn history_goes_with_its_connection() {
    let world = World::start().await;
    let acme = world.company().await;
    let ((gone, mut session), (kept, mut other)) = (world.connected(&acme).await, world.connected(&acme).await);
    for session in [&mut session, &mut other] {
        session.append(&Event::Message(incoming("5511999999999@c.us", "3A01", "hello", 1))).await;
        session.append_raw("no envelope").await;
    }
    acme.only_chat(kept).await;
    acme.only_chat(gone).await;
    assert_eq!(acme.caller.delete(&format!("/whatsapp/connections/{gone}")).await.status, 204);
    for table in ["messages", "chats", "events", "dead_letters", "cursors"] {
        eventually(SOON, &format!("{table} to be empty"), async || match world.count(table, gone).await {
            0 => Ok(()),
            left => Err(format!("{left} rows")),
        })
        .await;
    }
    assert_eq!((world.count("messages", kept).await, world.count("chats", kept).await), (1, 1));
}
