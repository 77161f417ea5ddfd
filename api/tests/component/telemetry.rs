//! What the program tells of itself. What would be lost: the way from a click to what it did, and trust in the log.

use std::fs::File;
use std::process::Stdio;

use harness::{Collector, eventually};
use relay::{Event, SessionState, StateChange};
use runtime::ambient;
use serde_json::{Value, json};

use crate::http::Caller;
use crate::replica::Replica;
use crate::session::incoming;
use crate::world::{SECRET, SOON, World, token};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[tokio::test]
async fn a_request_its_connection_and_the_events_of_its_session_are_one_trace_and_the_log_holds_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut world = World::without_api().await;
    let collector = Collector::start().await;
    let told = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()), ("LOG_FORMAT", "json"), ("RUST_LOG", "debug,h2=off")];
    let program = Replica::logging_to(Stdio::from(File::create(&log).unwrap()), &world, &told).await;
    program.ready().await;
    world.base.clone_from(&program.base);
    let acme = world.company().await;
    let id = acme.create("Sales").await;

    // The request, and its mark on the connection for the operator and the pod.
    let bearer = token(&acme.id, 3600);
    let caller = Caller::new(&world.base, Some(bearer.clone()));
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let connect = format!("/whatsapp/connections/{id}/connect");
    caller.send("POST", &connect, &[("traceparent", &parent)], "").await.json(202);
    let resource = world.resource(&acme, id).await;
    let handed_on = resource.metadata.annotations.unwrap()[crds::TRACE_ANNOTATION].clone();
    assert!(handed_on.contains(TRACE), "{handed_on}");

    // What the session says in the course of it, and what it says for itself.
    let mut session = world.session(id).await;
    let state = Event::State(StateChange { state: SessionState::Connected, reason: None });
    session.relay.append_traced(&state, ambient::now(), handed_on.parse().ok()).await.unwrap();
    session.append(&Event::Message(incoming("5511888888888@c.us", "3A01", "the text of a person", 1))).await;
    acme.only_chat(id).await;
    let spans = eventually(SOON, "the spans", async || {
        let spans = collector.trace(TRACE);
        let has = |name: &str| spans.iter().any(|span| span.name == name);
        if has("request") && has("ingest") { Ok(spans) } else { Err(format!("{spans:?}")) }
    })
    .await;
    assert!(spans.iter().all(|span| span.service == "whatsapp-api"), "{spans:?}");
    let request = spans.iter().find(|span| span.name == "request").unwrap();
    let ingest: Vec<_> = spans.iter().filter(|span| span.name == "ingest").collect();
    assert_eq!((request.parent.as_str(), ingest.len()), ("00f067aa0ba902b7", 1));
    assert!(handed_on.contains(&ingest[0].parent));

    let log = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    let answered = |line: &&Value| line["message"] == "answered" && line["span"]["trace_id"] == json!(TRACE);
    assert!(lines.iter().any(|line| answered(&line)), "no line of the request has its trace");
    for secret in [bearer.as_str(), SECRET, "the text of a person", "5511888888888"] {
        assert!(!log.contains(secret), "a secret in the log: {secret}");
    }
}
