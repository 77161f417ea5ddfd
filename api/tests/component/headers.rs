//! What stands around the answers. What would be lost: private data in a cache, an answer that a browser runs, a request that
//! nobody finds in the log, and a client that reads the same list again and again.

use relay::{Event, SessionState};
use serde_json::Value;

use crate::session::incoming;
use crate::world::World;

#[tokio::test]
async fn every_answer_has_the_headers_of_a_careful_server() {
    let world = World::start().await;
    let acme = world.company().await;
    let id = acme.create("Sales").await;
    let one = format!("/whatsapp/connections/{id}");
    let one = one.as_str();
    for (caller, method, path, status) in [
        (world.caller(None), "GET", "/health", 200),
        (world.caller(None), "GET", "/openapi.json", 200),
        (world.caller(None), "GET", one, 401),
        (acme.caller.clone(), "GET", one, 200),
        (acme.caller.clone(), "GET", "/nothing", 404),
        (acme.caller.clone(), "PUT", one, 405),
        (acme.caller.clone(), "POST", "/whatsapp/connections", 415),
        (acme.caller.clone(), "GET", "/whatsapp/connections?cursor=x", 400),
        (world.caller(None), "GET", "/socket.io/?EIO=4&transport=polling", 200),
        (acme.caller.clone(), "DELETE", one, 204),
    ] {
        let answer = caller.send(method, path, &[], "").await;
        assert_eq!(answer.status, status, "{}: {}", answer.what, answer.text());
        let header = |name: &str| answer.headers.get(name).map(|value| value.to_str().unwrap());
        for (name, value) in [
            ("cache-control", "no-store"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(header(name), Some(value), "{name} of {}", answer.what);
        }
        assert!(header("x-request-id").is_some_and(|id| !id.is_empty()), "{}", answer.what);
        assert_eq!(header("server"), None);
    }
}

#[tokio::test]
async fn a_request_id_comes_back_when_it_is_harmless() {
    let world = World::start().await;
    let caller = world.caller(None);
    let answer = caller.send("GET", "/health", &[("x-request-id", "from-the-proxy")], "").await;
    assert_eq!(answer.headers["x-request-id"], "from-the-proxy");
    let answer = caller.send("GET", "/nothing", &[("x-request-id", "evil level=error")], "").await;
    assert_ne!(answer.headers["x-request-id"], "evil level=error");
}

/// Whoever looks again and again gets the body when it has changed.
#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let world = World::start().await;
    let acme = world.company().await;
    let (id, mut session) = world.connected(&acme).await;
    session.append(&Event::Message(incoming("5511999999999@c.us", "3A01", "hello", 1))).await;
    let chat = acme.only_chat(id).await["id"].as_str().unwrap().to_owned();
    let one = format!("/whatsapp/connections/{id}");
    for path in [
        "/whatsapp/connections".to_owned(),
        one.clone(),
        format!("{one}/chats"),
        format!("/whatsapp/chats/{chat}/messages"),
    ] {
        let first = acme.caller.get(&path).await;
        let tag = first.headers["etag"].to_str().unwrap().to_owned();
        let again = acme.caller.send("GET", &path, &[("if-none-match", &tag)], "").await;
        assert_eq!((again.status.as_u16(), again.body.len()), (304, 0), "{path}");
        assert_eq!(again.headers["etag"].to_str().unwrap(), tag);
        assert_eq!(again.headers["cache-control"], "no-store");
        let other = acme.caller.send("GET", &path, &[("if-none-match", "\"another\"")], "").await;
        assert_eq!((other.status.as_u16(), &other.body), (200, &first.body), "{path}");
    }
    let before = acme.caller.get(&one).await.headers["etag"].to_str().unwrap().to_owned();
    session.say(SessionState::Reconnecting).await;
    let after = acme.caller.send("GET", &one, &[("if-none-match", &before)], "").await;
    assert_eq!(after.json(200)["status"], "Reconnecting");
}

#[tokio::test]
async fn a_code_that_is_still_shown_is_not_sent_again_and_the_next_one_is() {
    let world = World::start().await;
    let acme = world.company().await;
    let id = acme.create("Sales").await;
    acme.caller.post(&format!("/whatsapp/connections/{id}/connect"), Value::Null).await.json(202);
    let mut session = world.session(id).await;
    session.say(SessionState::AwaitingLink).await;
    session.show_qr("2@one").await;
    let path = format!("/whatsapp/connections/{id}/qr");
    let ask = async |tag: &str| {
        acme.caller.send("GET", &path, &[("accept", "image/svg+xml"), ("if-none-match", tag)], "").await
    };
    let shown = ask("\"none\"").await;
    let tag = shown.headers["etag"].to_str().unwrap();
    let again = ask(tag).await;
    assert_eq!((again.status.as_u16(), again.body.len()), (304, 0));
    assert_eq!(again.headers["vary"], shown.headers["vary"], "a picture and a text have tags of their own");
    session.show_qr("2@two").await;
    let next = ask(tag).await;
    assert_eq!(next.status, 200);
    assert_ne!(next.body, shown.body);
}

#[tokio::test]
async fn only_the_frontends_origin_may_read_answers() {
    let world = World::start().await;
    let preflight = async |origin: &str| {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization,content-type,idempotency-key"),
        ];
        world.caller(None).send("OPTIONS", "/whatsapp/connections", &headers, "").await
    };
    let allowed = preflight(crate::world::FRONTEND).await;
    assert_eq!(allowed.headers["access-control-allow-origin"], crate::world::FRONTEND);
    assert!(!preflight("http://evil.example.org").await.headers.contains_key("access-control-allow-origin"));
    let from = [("origin", crate::world::FRONTEND)];
    let refused = world.caller(None).send("GET", "/whatsapp/connections", &from, "").await;
    refused.problem(401, "token_missing");
    assert_eq!(refused.headers["access-control-allow-origin"], crate::world::FRONTEND, "problems are readable too");
}
