//! The program itself. What would be lost: an operator who cannot start it, and is not told why.

use std::process::{Command, Output, Stdio};

use harness::{ControlPlane, eventually};
use runtime::metrics::undeclared;
use serde_json::json;

use crate::http::Caller;
use crate::socket::Socket;
use crate::world::{SECRET, SOON, World, token};

fn api(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_api"))
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

#[test]
fn wrong_settings_are_told_together_and_the_program_ends_with_2() {
    let output = api(&[], &[("DATABASE_URL", "x"), ("JWT_SECRET", "short"), ("PORT", "x"), ("FRONTEND_URL", "crm")]);
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    for name in ["DATABASE_URL", "JWT_SECRET", "PORT", "FRONTEND_URL", "REDIS_URL"] {
        assert!(told.contains(&format!("{name}:")), "{name} is not told of:\n{told}");
    }
}

#[tokio::test]
async fn migrating_twice_is_as_good_as_once() {
    let world = World::start_without_schema().await;
    for _ in 0..2 {
        let output = api(&["migrate"], &[("DATABASE_URL", &world.database_url)]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// An update of the deployment: the old replica must let go of its clients, who wait in long polls and sockets, in time.
#[tokio::test]
async fn asked_to_end_it_ends_its_sockets_and_then_itself() {
    let world = World::start().await;
    // Not ports that the kernel gives to outgoing connections: one of those can be taken before the program binds it.
    let port = harness::free_block();
    let admin = port + 1;
    let mut program = tokio::process::Command::new(env!("CARGO_BIN_EXE_api"))
        .kill_on_drop(true)
        .env_clear()
        .env("DATABASE_URL", &world.database_url)
        .env("REDIS_URL", world.redis.url())
        .env("JWT_SECRET", SECRET)
        .env("PORT", port.to_string())
        .env("ADMIN_ADDRESS", format!("127.0.0.1:{admin}"))
        .env("KUBECONFIG", ControlPlane::shared().await.kubeconfig())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually(SOON, "the program to be ready", async || {
        let caller = Caller::new(&format!("http://127.0.0.1:{admin}"), None);
        let answer = caller.try_send("GET", "/ready", &[], "").await.map_err(|error| format!("{error:?}"))?;
        if answer.status.is_success() { Ok(()) } else { Err(answer.text()) }
    })
    .await;
    let base = format!("http://127.0.0.1:{port}");
    let mut socket = Socket::connect(&base, json!({"token": token("acme", 60)})).await.unwrap();
    let metrics = Caller::new(&format!("http://127.0.0.1:{admin}"), None).get("/metrics").await.text();
    assert!(metrics.contains("whatsapp_api_http_requests_total{"), "{metrics}");
    assert_eq!(undeclared(api::METRICS, &metrics), Vec::<String>::new());

    // The poll is on its way when the signal comes.
    let signal = async { Command::new("kill").arg(program.id().unwrap().to_string()).status().unwrap() };
    tokio::join!(socket.ended(), signal);
    let status = eventually(SOON, "the program to end", async || match program.try_wait().unwrap() {
        Some(status) => Ok(status),
        None => Err("it runs"),
    })
    .await;
    assert!(status.success(), "{status}");
}
