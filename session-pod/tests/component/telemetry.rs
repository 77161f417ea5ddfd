//! What the process tells of itself: one story under one trace, log lines that programs can read, and nothing secret.

use std::fs::File;
use std::process::Stdio;
use std::time::Duration;

use harness::{Collector, eventually};
use jiff::SignedDuration;
use relay::{Command, CommandAction, Event, Offset};
use rustix::process::{Pid, Signal, kill_process};

use super::world::{SHORT, World, command};

const PROGRAM: &str = env!("CARGO_BIN_EXE_session-pod");

/// What started the pod, and what asked for the command.
const START: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const ASKED: &str = "aaf92f3577b34da6a3ce929d0e0e4736";

#[tokio::test(flavor = "multi_thread")]
async fn a_start_and_a_command_go_on_in_the_trace_of_who_asked_and_every_log_line_is_json_without_a_secret() {
    let mut world = World::new().await;
    let collector = Collector::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    let mut line = world.command_line("pod-1", "volume");
    line.retain(|argument| !argument.starts_with("--log-format"));
    let mut process = tokio::process::Command::new(PROGRAM)
        .args(line.into_iter().skip(1))
        .args(["--admin-address=127.0.0.1:0", "--log-format=json"])
        .arg(format!("--otlp-endpoint={}", collector.url()))
        .arg(format!("--traceparent=00-{START}-00f067aa0ba902b7-01"))
        .stderr(Stdio::from(File::create(&log).expect("a file")))
        .kill_on_drop(true)
        .spawn()
        .expect("starts");
    let code = world.code().await.code;
    world.scan().await;
    let asked = format!("00-{ASKED}-00f067aa0ba902b7-01").parse().ok();
    let list = command(CommandAction::ListChats { chats: 1, messages: 1 }, SignedDuration::from_secs(60));
    let id = list.id;
    world.give(Command { trace: asked, ..list }).await;
    world.outcome(id).await;

    // In the relay.
    let entries = world.api.events(world.connection, Offset::START, 1000).await.expect("Redis answers");
    for envelope in entries.iter().map(|entry| entry.decode().expect("readable")) {
        let trace = envelope.header.trace.map(|trace| trace.to_string()).unwrap_or_default();
        match envelope.payload {
            Event::State(change) => assert!(trace.contains(START), "{change:?} has the trace {trace:?}"),
            Event::CommandDone { .. } => assert!(trace.contains(ASKED), "{trace:?}"),
            _ => {}
        }
    }
    // At the collector.
    eventually(SHORT, "the spans of both", async || {
        let (start, asked) = (collector.trace(START), collector.trace(ASKED));
        let named = |name: &str| start.iter().filter(|span| span.name == name).count();
        let whole = named("start") == 1 && named("transition") >= 3 && asked.iter().any(|span| span.name == "command");
        if whole { Ok(()) } else { Err(format!("{start:?} {asked:?}")) }
    })
    .await;

    let pid = process.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw).expect("a pid");
    kill_process(pid, Signal::TERM).expect("signalled");
    tokio::time::timeout(Duration::from_secs(45), process.wait()).await.expect("in time").expect("waited");
    // In the log.
    let log = std::fs::read_to_string(&log).expect("a log");
    let lines: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"))).collect();
    let transitions: Vec<_> = lines.iter().filter(|line| line["message"] == "state").collect();
    let connected = transitions.iter().find(|line| line["to"] == "Connected").expect("the line of the transition");
    assert_eq!(connected["span"]["trace_id"], START, "{connected}");
    let spans = connected["spans"].as_array().expect("spans");
    assert!(spans.iter().any(|span| span["connection"] == world.connection.to_string()), "{connected}");
    let password = std::fs::read_to_string(world.credentials().join("password")).expect("a password");
    for secret in [&code, &password, super::world::PHONE] {
        assert!(!log.contains(secret.trim()), "a secret in the log: {secret}");
    }
}
