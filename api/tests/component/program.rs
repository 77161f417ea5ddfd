//! The program itself. What would be lost: an operator who cannot start it, and is not told why.

use std::process::{Command, Output};

use runtime::metrics::undeclared;
use serde_json::json;

use crate::replica::Replica;
use crate::socket::Socket;
use crate::world::{World, token};

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
    let world = World::without_api().await;
    // Long enough that the poll arrives before the listener closes; without it the race between both decides.
    let mut replica = Replica::start(&world, &[("DRAIN_SECONDS", "2")]).await;
    let mut socket = Socket::connect(&replica.base, json!({"token": token("acme", 60)})).await.unwrap();
    assert!(replica.metric("whatsapp_api_http_requests_total").await > 0.0);
    assert_eq!(undeclared(api::METRICS, &replica.metrics().await), Vec::<String>::new());

    // The poll is on its way when the signal comes.
    tokio::join!(socket.closed(), async { replica.signal("TERM") });
    let status = replica.ended().await;
    assert!(status.success(), "{status}");
}
