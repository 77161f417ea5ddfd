//! The API against the real thing: a Kubernetes API server, Redis, and PostgreSQL under a user who is held by row-level
//! security. Each test starts an API of its own; what stands in for a session pod speaks through the real relay.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "this is how a test fails; the lints know only functions that are tests themselves"
)]

#[path = "component/audit.rs"]
mod audit;
#[path = "component/bad_input.rs"]
mod bad_input;
#[path = "component/balancer.rs"]
mod balancer;
#[path = "component/clock.rs"]
mod clock;
#[path = "component/connections.rs"]
mod connections;
#[path = "component/contract.rs"]
mod contract;
#[path = "component/description.rs"]
mod description;
#[path = "component/failures.rs"]
mod failures;
#[path = "component/headers.rs"]
mod headers;
#[path = "component/http.rs"]
mod http;
#[path = "component/ingest.rs"]
mod ingest;
#[path = "component/memory.rs"]
mod memory;
#[path = "component/paging.rs"]
mod paging;
#[path = "component/program.rs"]
mod program;
#[path = "component/realtime.rs"]
mod realtime;
#[path = "component/replica.rs"]
mod replica;
#[path = "component/replicas.rs"]
mod replicas;
#[path = "component/resume.rs"]
mod resume;
#[path = "component/rollout.rs"]
mod rollout;
#[path = "component/row_level_security.rs"]
mod row_level_security;
#[path = "component/schemathesis.rs"]
mod schemathesis;
#[path = "component/send.rs"]
mod send;
#[path = "component/session.rs"]
mod session;
#[path = "component/socket.rs"]
mod socket;
#[path = "component/telemetry.rs"]
mod telemetry;
#[path = "component/tenancy.rs"]
mod tenancy;
#[path = "component/websocket.rs"]
mod websocket;
#[path = "component/world.rs"]
mod world;
