//! The description against the program, by somebody who has read nothing else (`tests/contract/run`). What would be lost: a
//! client that is made from the description and meets something else, and a 500 for input that nobody thought of.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use relay::Event;
use tokio::process::Command;

use crate::description::SOMEBODY;
use crate::replica::Replica;
use crate::session::incoming;
use crate::world::{World, token};

/// Longest run. It takes half a minute alone on two cores.
const LIMIT: Duration = Duration::from_mins(3);

#[tokio::test]
#[ignore = "needs Schemathesis: tests/contract/run"]
async fn schemathesis_finds_nothing() {
    let schemathesis = std::env::var_os("SCHEMATHESIS").expect("tests/contract/run sets it");
    let world = World::start().await;
    let acme = world.company().await;
    let (connection, mut session) = world.connected(&acme).await;
    session.append(&Event::Message(incoming(&format!("{SOMEBODY}@c.us"), "3A01", "hello", 1))).await;
    let chat = acme.only_chat(connection).await["id"].as_str().unwrap().to_owned();
    let program = Replica::start(&world, &[("RATE_LIMIT", "60000")]).await;

    let config = include_str!("../../../tests/contract/schemathesis.toml");
    let config = config.replace("CONNECTION", &connection.to_string()).replace("CHAT", &chat);
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("schemathesis.toml");
    std::fs::write(&file, config).unwrap();
    let run = Command::new(schemathesis)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .arg("--config-file")
        .arg(&file)
        .args(["run", "api/openapi.json"])
        .args(["--url", &program.base, "--no-color"])
        .env("TOKEN", token(&acme.id, 3600))
        .env("SCHEMATHESIS_HOOKS", "tests/contract/hooks.py")
        .kill_on_drop(true)
        .stdin(Stdio::null())
        .output();
    let output = tokio::time::timeout(LIMIT, run).await.expect("it ends in time").unwrap();
    let (told, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}\n{errors}");
    let all = crate::description::routes().len();
    assert!(told.contains(&format!("{all} selected / {all} total")), "not every operation was asked:\n{told}");
}
