//! The API service: REST and Socket.IO for the frontend in front, connections in Kubernetes, sessions in Redis and
//! history in `PostgreSQL` behind. The binary is a thin shell around this, so that tests start the same thing.

mod app;
mod auth;
mod chats;
mod connections;
mod fleet;
mod history;
mod http;
mod ingest;
mod messages;
mod problem;
mod realtime;
pub mod serve;
pub mod settings;
mod store;

pub use auth::{EXAMPLE_SECRET, TokenKeys};
pub use store::{SchemaError, migrate};
