//! The API service: REST and Socket.IO for the frontend in front, connections in Kubernetes, sessions in Redis and
//! history in `PostgreSQL` behind. The binary is a thin shell around this, so that tests start the same thing.

mod app;
mod audit;
mod auth;
mod chats;
mod connections;
mod fleet;
mod history;
mod http;
mod ingest;
mod messages;
mod metrics;
mod openapi;
mod problem;
mod realtime;
mod replicas;
mod routes;
pub mod serve;
pub mod settings;
mod store;

pub use auth::{EXAMPLE_SECRET, Limits, TokenKeys};
pub use metrics::ALL as METRICS;
pub use routes::description;
pub use store::{SchemaError, migrate};
