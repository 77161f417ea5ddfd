//! The operator as a library, so that component tests run it against a real API server and a real Redis.

pub mod backoff;
pub mod cleanup;
pub mod client;
pub mod company;
pub mod connection;
pub mod context;
pub mod definition;
pub mod events;
pub mod leader;
pub mod memory;
pub mod metrics;
pub mod newest;
pub mod reports;
pub mod rotation;
pub mod settings;
pub mod watch;

mod census;
mod serve;

pub use serve::{operate, print_definitions, run};
