//! Whose is what. What would be lost if these failed: one company reads, or writes in the name of, another.

use relay::Event;
use serde_json::{Value, json};
use sqlx::Connection;

use crate::session::incoming;
use crate::world::{SECRET, World, sign, token};

const FIVE: &str = "5511999999999@c.us";

/// Every route with a method, for a connection and a chat. A new route belongs here.
fn routes(connection: &str, chat: &str) -> Vec<(&'static str, String, Value)> {
    let of = |rest: &str| format!("/whatsapp/connections/{connection}{rest}");
    let message = json!({"text": "hello"});
    vec![
        ("GET", of(""), Value::Null),
        ("PATCH", of(""), json!({"name": "Mine now"})),
        ("POST", of("/connect"), Value::Null),
        ("DELETE", of("/connect"), Value::Null),
        ("GET", of("/qr"), Value::Null),
        ("POST", of("/logout"), Value::Null),
        ("GET", of("/chats"), Value::Null),
        ("POST", of("/messages"), json!({"to": FIVE, "text": "hello"})),
        ("GET", format!("/whatsapp/chats/{chat}/messages"), Value::Null),
        ("POST", format!("/whatsapp/chats/{chat}/messages"), message),
        ("DELETE", of(""), Value::Null),
    ]
}

#[tokio::test]
async fn without_a_good_token_every_route_but_health_is_closed() {
    let world = World::start().await;
    let (company, now) = ("acme", runtime::ambient::now().as_second());
    let good = token(company, 3600);
    let other_signature = sign("another secret, 32 bytes or longer", &json!({"companyId": company, "exp": now + 3600}));
    let tokens = [
        (None, "token_missing"),
        (Some("no token".to_owned()), "token_invalid"),
        (Some(token(company, -3600)), "token_expired"),
        (Some(other_signature), "token_invalid"),
        (Some(sign(SECRET, &json!({"companyId": company}))), "token_invalid"),
        (Some(sign(SECRET, &json!({"exp": now + 3600}))), "token_invalid"),
        (Some(format!("{good}x")), "token_invalid"),
    ];
    let id = "0190a1b2-0000-7000-8000-000000000001";
    let mut all = routes(id, id);
    all.push(("GET", "/whatsapp/connections".to_owned(), Value::Null));
    all.push(("POST", "/whatsapp/connections".to_owned(), json!({"name": "Sales"})));
    for (token, code) in tokens {
        let caller = world.caller(token);
        for (method, path, body) in &all {
            let answer = caller.with_key(method, path, None, body.clone()).await;
            answer.problem(401, code);
            assert!(answer.headers.contains_key("www-authenticate"), "{}", answer.what);
        }
    }
    assert_eq!(world.caller(None).get("/health").await.json(200), json!({"status": "ok"}));
}

#[tokio::test]
async fn another_companys_ids_are_unknown_on_every_route() {
    let world = World::start().await;
    let (acme, globex) = (world.company().await, world.company().await);
    let (id, mut session) = world.connected(&acme).await;
    session.append(&Event::Message(incoming(FIVE, "3A01", "secret", 1))).await;
    let chat = acme.only_chat(id).await["id"].as_str().unwrap().to_owned();

    for (method, path, body) in routes(&id.to_string(), &chat) {
        let answer = globex.caller.with_key(method, &path, None, body).await;
        assert_eq!(answer.status, 404, "{}: {}", answer.what, answer.text());
    }
    assert_eq!(globex.caller.get("/whatsapp/connections").await.json(200), json!({"items": [], "nextCursor": null}));
    let mine = acme.caller.get(&format!("/whatsapp/connections/{id}")).await.json(200);
    assert_eq!((&mine["name"], &mine["state"]), (&json!("Sales"), &json!("Running")), "nothing was changed");
    assert_eq!(session.sends_waiting().await, 0);
}

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

/// The wall behind the checks: a query that forgets its company finds nothing.
#[tokio::test]
async fn the_database_shows_a_transaction_one_company_only() {
    let world = World::start().await;
    let acme = world.company().await;
    let (id, mut session) = world.connected(&acme).await;
    session.append(&Event::Message(incoming(FIVE, "3A01", "secret", 1))).await;
    acme.only_chat(id).await;

    let mut connection = sqlx::PgConnection::connect(&world.database_url).await.unwrap();
    for (company, visible) in [(None, 0), (Some("globex"), 0), (Some(acme.id.as_str()), 1), (Some("*"), 1)] {
        let mut tx = connection.begin().await.unwrap();
        if let Some(company) = company {
            sqlx::query("SELECT set_config('api.company', $1, true)").bind(company).execute(&mut *tx).await.unwrap();
        }
        let seen: i64 = sqlx::query_scalar("SELECT count(*) FROM messages").fetch_one(&mut *tx).await.unwrap();
        assert_eq!(seen, visible, "{company:?}");
    }
}
