//! The control API over real HTTP, and a page's side of the WebSocket over real TLS: what the e2e tests and the demo
//! stand on. If these fail, every other failing test may be the simulator's fault.

#[cfg(test)]
mod support;

use serde_json::json;
use support::{Http, PageClient, start};

const PHONE: &str = "5511999999999";
const FRIEND: &str = "5511888888888@c.us";

#[tokio::test]
async fn a_phone_scans_and_messages_go_both_ways() {
    let simulator = start().await;
    let http = Http::of(&simulator);
    let mut page = PageClient::connect(&simulator, None).await;
    page.expect("ref").await;
    let pages = http.get("/pages").await.1;
    let qr = pages[0]["qr"].as_str().unwrap();
    assert!(qr.ends_with(",noise,identity,adv"), "{qr}");
    assert_eq!(http.post("/scan", &json!({"qr": "2@other", "phone": PHONE})).await.0, 404);
    assert_eq!(http.post("/scan", &json!({"qr": qr, "phone": PHONE, "pushName": "Acme"})).await.0, 204);

    let paired = page.expect("paired").await;
    assert_eq!(paired["account"]["pushName"], "Acme");
    page.say(&json!({"type": "stored"})).await;
    page.expect("sync").await;
    page.say(&json!({"type": "synced"})).await;
    page.expect("deliveryEnd").await;

    let path = format!("/accounts/{PHONE}/messages");
    let (status, answer) = http.post(&path, &json!({"chat": FRIEND, "text": "hello", "pushName": "Ana"})).await;
    assert_eq!(status, 200);
    let delivered = page.expect("deliver").await;
    assert_eq!(delivered["message"]["id"], answer["id"]);
    assert_eq!(delivered["message"]["text"], "hello");
    page.say(&json!({"type": "received", "id": answer["id"]})).await;

    let id = format!("true_{FRIEND}_3EB0AA");
    let send = json!({"id": id, "chat": FRIEND, "kind": "chat", "text": "hi", "quotedId": null});
    for request in ["first", "first", "second"] {
        page.say(&json!({"type": "send", "request": request, "message": send})).await;
        assert!(page.expect("answer").await["ok"]["timestamp"].is_i64());
    }
    let sends = http.get(&format!("/accounts/{PHONE}/sent")).await.1;
    assert_eq!(
        sends.as_array().unwrap().len(),
        2,
        "two sends of one id are two entries, an asked-again one is none: {sends}"
    );
    assert_eq!(http.post(&format!("/accounts/{PHONE}/acks"), &json!({"id": id, "ack": 3})).await.0, 204);
    assert_eq!(page.expect("receipt").await["ack"], 3);
    assert_eq!(http.get(&format!("/accounts/{PHONE}/sent")).await.1[0]["ack"], 3);
    let all = http.get(&format!("/accounts/{PHONE}/chats/{FRIEND}/messages")).await.1;
    assert_eq!(
        all.as_array().unwrap().iter().map(|m| m["text"].as_str().unwrap()).collect::<Vec<_>>(),
        ["hello", "hi"]
    );
}

#[tokio::test]
async fn a_profile_that_comes_back_needs_no_qr_and_gets_what_it_missed_as_new() {
    let simulator = start().await;
    let (page, login) = PageClient::linked(&simulator, PHONE).await;
    page.close().await;
    simulator.receive_text(PHONE, FRIEND, "while you were away").unwrap();

    let mut page = PageClient::connect(&simulator, Some(&login)).await;
    let sync = page.expect("sync").await;
    assert_eq!(sync["messages"], json!([]), "it is no history yet");
    page.say(&json!({"type": "synced"})).await;
    let delivered = page.expect("deliver").await;
    assert_eq!(delivered["message"]["text"], "while you were away");

    // It dies before it confirms: the message is new again.
    page.close().await;
    let mut page = PageClient::connect(&simulator, Some(&login)).await;
    page.expect("sync").await;
    page.say(&json!({"type": "synced"})).await;
    let id = page.expect("deliver").await["message"]["id"].clone();
    page.say(&json!({"type": "received", "id": id})).await;
    page.expect("deliveryEnd").await;
    page.close().await;
    let mut page = PageClient::connect(&simulator, Some(&login)).await;
    assert_eq!(page.expect("sync").await["messages"][0]["id"], id);
}

#[tokio::test]
async fn the_connection_breaks_is_taken_over_and_ends() {
    let simulator = start().await;
    let (mut page, login) = PageClient::linked(&simulator, PHONE).await;
    simulator.disconnect(PHONE).unwrap();
    page.expect_end().await;
    let mut refused = PageClient::connect(&simulator, Some(&login)).await;
    refused.expect_end().await;
    simulator.reconnect(PHONE).unwrap();
    let mut page = PageClient::connect(&simulator, Some(&login)).await;
    page.expect("sync").await;

    let mut second = PageClient::connect(&simulator, Some(&login)).await;
    page.expect("conflict").await;
    second.expect("sync").await;

    simulator.log_out(PHONE, None).unwrap();
    assert_eq!(second.expect("loggedOut").await["reason"], "user_initiated");
    let mut page = PageClient::connect(&simulator, Some(&login)).await;
    assert_eq!(page.expect("loggedOut").await["reason"], "unknown_companion");
    assert_eq!(Http::of(&simulator).post(&format!("/accounts/{PHONE}/logout"), &json!({})).await.0, 409);
}

#[tokio::test]
async fn qr_codes_change_stop_and_start_again() {
    let simulator = support::start_with(std::time::Duration::from_millis(500), 2).await;
    let mut page = PageClient::connect(&simulator, None).await;
    let first = page.expect("ref").await["ref"].clone();
    let second = page.expect("ref").await["ref"].clone();
    assert_ne!(first, second);
    page.expect("idle").await;
    assert!(simulator.pages()[0].qr.is_none());
    page.say(&json!({"type": "refreshQr"})).await;
    assert_ne!(page.expect("ref").await["ref"], second);

    page.say(&json!({"type": "pairingCode", "request": "1", "phone": PHONE})).await;
    let code = page.expect("answer").await["ok"]["code"].as_str().unwrap().to_owned();
    assert!(simulator.pair("5511000000001", &code).is_err(), "the code is for one phone");
    simulator.pair(PHONE, &format!("{}-{}", &code[..4], &code[4..])).unwrap();
    page.expect("paired").await;
}

#[tokio::test]
async fn bad_input_is_answered_in_words() {
    let simulator = start().await;
    let http = Http::of(&simulator);
    let (_page, _) = PageClient::linked(&simulator, PHONE).await;
    let messages = format!("/accounts/{PHONE}/messages");
    let group = "120363000000000001@g.us";
    for (path, body, status, word) in [
        (messages.as_str(), json!({"chat": "nobody", "text": "x"}), 400, "chat id"),
        (&messages, json!({"chat": FRIEND}), 400, "text"),
        (&messages, json!({"chat": FRIEND, "text": ""}), 400, "text"),
        (&messages, json!({"chat": FRIEND, "text": "x".repeat(65_537)}), 400, "text"),
        (&messages, json!({"chat": FRIEND, "text": "x", "colour": "red"}), 400, "colour"),
        (&messages, json!({"chat": group, "text": "x"}), 400, "author"),
        (&messages, json!({"chat": FRIEND, "text": "x", "author": FRIEND}), 400, "author"),
        ("/accounts/5511222222222/messages", json!({"chat": FRIEND, "text": "x"}), 404, "5511222222222"),
        ("/accounts/abc/messages", json!({"chat": FRIEND, "text": "x"}), 400, "phone"),
        (&format!("/accounts/{PHONE}/acks"), json!({"id": "true_5511888888888@c.us_3EB0", "ack": 2}), 404, "3EB0"),
        (&format!("/accounts/{PHONE}/acks"), json!({"id": "x", "ack": 2}), 400, "message id"),
        (&format!("/accounts/{PHONE}/groups"), json!({"id": FRIEND, "subject": "x"}), 400, "g.us"),
        ("/scan", json!({"qr": "2@x", "phone": "12"}), 400, "phone"),
        (&format!("/accounts/{PHONE}/sends"), json!({"answers": "late"}), 400, "late"),
        (&format!("/accounts/{PHONE}/ban"), json!({}), 400, "kind"),
        ("/page", json!({"changed": ["two words"]}), 400, "modules"),
        ("/page", json!({"colour": "red"}), 400, "colour"),
        ("/pair/expire", json!({"phone": PHONE}), 404, "pairing code"),
        ("/nothing", json!({}), 404, "nothing"),
        ("/pages", json!({}), 405, "method"),
    ] {
        let (got, answer) = http.post(path, &body).await;
        assert_eq!(got, status, "{path}: {answer}");
        assert!(answer["error"].as_str().unwrap_or_default().contains(word), "{path}: {answer}");
    }
    assert_eq!(http.send("POST", &messages, "{not json").await.0, 400);
    assert_eq!(http.send("POST", &messages, &"x".repeat(600_000)).await.0, 413);
    assert_eq!(http.send("GET", "/health", "").await.0, 200);
    assert_eq!(http.send("GET", "/", "").await.0, 200);
}
