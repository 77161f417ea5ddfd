//! The API's memory, as rows of a table: run by `tests/bench/run api`, which says how. Not a test: what it should be
//! depends on how it was compiled.

use std::fs;

use harness::eventually;
use relay::Event;
use serde_json::json;

use crate::replica::Replica;
use crate::session::incoming;
use crate::websocket::WebSocket;
use crate::world::{SOON, World, token};

/// Idle sockets, of fifty companies.
const SOCKETS: usize = 500;
const COMPANIES: usize = 50;

/// Connections that the fleet's watch holds.
const CONNECTIONS: usize = 20;

/// Messages that are ingested and told.
const MESSAGES: i64 = 2000;

#[tokio::test]
#[ignore = "a measurement: tests/bench/run api"]
async fn memory() {
    let mut world = World::without_api().await;
    let replica = Replica::start(&world, &[("LOG_FORMAT", "json")]).await;
    world.base.clone_from(&replica.base);
    println!("| API | RSS | code | heap and stacks |\n|---|---:|---:|---:|");
    row("ready, nothing to do", replica.id());

    let acme = world.company().await;
    let (id, mut session) = world.connected(&acme).await;
    for number in 1..CONNECTIONS {
        acme.create(&format!("Number {number}")).await;
    }
    row(&format!("{CONNECTIONS} connections"), replica.id());

    let mut sockets = Vec::new();
    for number in 0..SOCKETS {
        let company = format!("company-{}", number % COMPANIES);
        let mut socket = WebSocket::connect(&world.base, &json!({"token": token(&company, 3600)})).await;
        assert_eq!(socket.join(&company).await["joined"], true);
        sockets.push(socket);
    }
    row(&format!("and {SOCKETS} idle sockets of {COMPANIES} companies"), replica.id());

    for number in 0..MESSAGES {
        session.append(&Event::Message(incoming("5511999999999@c.us", &format!("3A{number}"), "hello", number))).await;
    }
    eventually(SOON, "all messages", async || match world.count("messages", id).await {
        MESSAGES => Ok(()),
        count => Err(count),
    })
    .await;
    row(&format!("after {MESSAGES} messages"), replica.id());
    drop(sockets);
    eventually(SOON, "the sockets to be gone", async || match replica.metric("whatsapp_api_sockets").await {
        0.0 => Ok(()),
        count => Err(count),
    })
    .await;
    row("and without the sockets", replica.id());
}

#[expect(clippy::print_stdout, reason = "these are what it is run for")]
/// By the kernel's own count of pages: those of files are the program's code, which replicas on one node share.
fn row(what: &str, process: u32) {
    let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    };
    println!("| {what} | {:.1} MiB | {:.1} | {:.1} |", of("VmRSS:"), of("RssFile:"), of("RssAnon:"));
}
