//! The operator as a library, so that component tests run it against a real API server and a real Redis.

pub mod backoff;
pub mod cleanup;
pub mod client;
pub mod company;
pub mod connection;
pub mod context;
pub mod events;
pub mod metrics;
pub mod pace;
pub mod settings;
pub mod watch;

mod serve;

pub use serve::{operate, print_definitions, run};
