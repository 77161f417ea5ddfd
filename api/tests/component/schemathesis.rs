//! The description against the program, by somebody who has read nothing else (`tests/contract/run`). What would be lost: a
//! client that is made from the description and meets something else, and a 500 for input that nobody thought of.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use harness::{ControlPlane, eventually};
use relay::Event;
use tokio::process::{Child, Command};

use crate::description::SOMEBODY;
use crate::http::Caller;
use crate::session::incoming;
use crate::world::{SECRET, SOON, World, token};

/// Longest run. It takes half a minute alone on two cores.
const LIMIT: Duration = Duration::from_mins(3);

/// The running program, with that world behind it.
pub struct Program {
    pub base: String,
    _child: Child,
}

impl Program {
    /// Started, and ready.
    pub async fn start(world: &World, environment: &[(&str, &str)]) -> Self {
        // Not ports that the kernel gives to outgoing connections: one of those can be taken before the program binds it.
        let port = harness::free_block();
        let (base, admin) = (format!("http://127.0.0.1:{port}"), format!("127.0.0.1:{}", port + 1));
        let child = Command::new(env!("CARGO_BIN_EXE_api"))
            .kill_on_drop(true)
            .env_clear()
            .env("DATABASE_URL", &world.database_url)
            .env("REDIS_URL", world.redis.url())
            .env("JWT_SECRET", SECRET)
            .env("PORT", port.to_string())
            .env("ADMIN_ADDRESS", &admin)
            .env("KUBECONFIG", ControlPlane::shared().await.kubeconfig())
            .envs(environment.iter().copied())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let admin = Caller::new(&format!("http://{admin}"), None);
        eventually(SOON, "the program to be ready", async || {
            let answer = admin.try_send("GET", "/ready", &[], "").await;
            let answer = answer.map_err(|error| format!("{error:?}"))?;
            if answer.status.is_success() { Ok(()) } else { Err(answer.text()) }
        })
        .await;
        Self { base, _child: child }
    }
}

#[tokio::test]
#[ignore = "needs Schemathesis: tests/contract/run"]
async fn schemathesis_finds_nothing() {
    let schemathesis = std::env::var_os("SCHEMATHESIS").expect("tests/contract/run sets it");
    let world = World::start().await;
    let acme = world.company().await;
    let (connection, mut session) = world.connected(&acme).await;
    session.append(&Event::Message(incoming(&format!("{SOMEBODY}@c.us"), "3A01", "hello", 1))).await;
    let chat = acme.only_chat(connection).await["id"].as_str().unwrap().to_owned();
    let program = Program::start(&world, &[("RATE_LIMIT", "60000")]).await;

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
}
