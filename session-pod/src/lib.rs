//! One WhatsApp account: its browser, its events, its commands. A library so that tests can run the whole pod in their
//! own process; `main.rs` is its only other user.

pub mod browser;
pub mod clock;
pub mod commands;
pub mod engine;
pub mod expected;
pub mod guard;
pub mod health;
pub mod hearing;
pub mod journal;
pub mod lease;
pub mod memory;
pub mod metrics;
pub mod outbox;
pub mod pod;
pub mod publisher;
pub mod session;
pub mod settings;
pub mod status;
pub mod supervisor;
pub mod sync;
